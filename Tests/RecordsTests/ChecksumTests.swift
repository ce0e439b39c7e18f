import CLinux
import Testing
import Wire

@testable import Records

struct ChecksumTests {
  private func crc(_ bytes: [UInt8]) -> UInt32 {
    var checksum = Checksum()
    checksum.update(bytes.rawSpan)
    return checksum.value
  }

  /// RFC 3720, appendix B.4.
  @Test func `the checksums of iSCSI's examples are right`() {
    #expect(crc([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(crc([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(crc(Array(0..<32)) == 0x46DD_794E)
    #expect(crc(Array("123456789".utf8)) == 0xE306_9283)
    #expect(crc([]) == 0)
  }

  @Test func `instruction and tables agree, however the bytes are cut`() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: ($0 &* 0x9E37_79B9) >> 13) }
    for start in 0..<9 {
      for end in start...bytes.count {
        // The pointers are valid for the call, and the range lies in the array.
        unsafe bytes.withUnsafeBytes { all in
          let part = unsafe UnsafeRawBufferPointer(rebasing: all[start..<end])
          let middle = part.count / 3
          let whole = unsafe clinux_crc32c(0, part.baseAddress, part.count)
          let tables = unsafe clinux_crc32c_tables(0, part.baseAddress, part.count)
          let first = unsafe clinux_crc32c(0, part.baseAddress, middle)
          let both = unsafe clinux_crc32c(first, part.baseAddress.map { unsafe $0 + middle }, part.count - middle)
          #expect(whole == tables && whole == both, "\(start)..<\(end)")
        }
      }
    }
  }
}
