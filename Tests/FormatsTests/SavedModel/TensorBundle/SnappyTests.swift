import Testing
import Wire

@testable import Formats

struct SnappyTests {
  /// Made by libsnappy 1.1.9.
  @Test func `what snappy compressed comes back`() throws {
    let text = "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE layer_1/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    let cases: [([UInt8], String)] = [
      ([], "00"),
      (Array("a".utf8), "010061"),
      (Array("abcabcabcabcabcabcabc".utf8), "1508616263460300"),
      ([UInt8](repeating: 0x78, count: 300), "ac020078fe0100fe0100fe0100fe0100aa0100"),
      (
        Array(text.utf8),
        "51a06c617965722f6b65726e656c2f2e415454524942555445532f5641524941424c455f56414c5545206c0128045f31862a00"
      ),
    ]
    for (plain, hex) in cases { #expect(try Snappy.decompress(hex.bytes.rawSpan) == plain) }
  }

  @Test func `any bytes come back, through literals and copies of all kinds`() throws {
    for seed in UInt64(0)..<40 {
      var generator = SeededGenerator(seed)
      let letters = Int.random(in: 1...5, using: &generator)
      let count = Int.random(in: 0...700, using: &generator)
      let plain = (0..<count).map { _ in UInt8.random(in: 0..<UInt8(letters), using: &generator) }
      #expect(try Snappy.decompress(TableWriter.snappy(plain).rawSpan) == plain, "seed \(seed)")
    }
  }

  @Test func `a copy from 65536 bytes back and more`() throws {
    let literal = (0..<65_540).map { UInt8(truncatingIfNeeded: $0 >> 3) }
    let count = literal.count - 1
    let bytes =
      TableWriter.varint(literal.count + 8) + [62 << 2, UInt8(count & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count >> 16)]
      + literal + [3 | 7 << 2] + TableWriter.fixed32(65_540)
    #expect(try Snappy.decompress(bytes.rawSpan) == literal + literal.prefix(8))
  }

  @Test func `malformed bytes are refused with their reason`() {
    func reason(_ hex: String) -> String? {
      do throws(Snappy.Malformed) {
        _ = try Snappy.decompress(hex.bytes.rawSpan)
        return nil
      } catch { return error.reason }
    }
    #expect(reason("") == "no length")
    #expect(reason("ffffffff0f00") == "claims 4294967295 bytes from 6")
    #expect(reason("0500") == "ends inside a literal")
    #expect(reason("0561") == "ends inside a copy")
    #expect(reason("050061fe0000") == "copies from 0 bytes back, there are 1")
    #expect(reason("050061fe0200") == "copies from 2 bytes back, there are 1")
    #expect(reason("050061fe0100") == "gives more than 5 bytes")
    #expect(reason("050061") == "gives 1 bytes, expected 5")
    #expect(reason("05f0") == "ends inside a literal's length")
  }

  @Test func `random bytes are refused or decompressed, never more than they claim`() {
    var generator = SeededGenerator(7)
    let good = TableWriter.snappy((0..<400).map { UInt8($0 * $0 % 7) })
    for _ in 0..<5000 {
      if let plain = try? Snappy.decompress(good.mutated(using: &generator).rawSpan) { #expect(plain.count < 22 * 1000) }
    }
  }
}

extension String {
  /// The bytes of hexadecimal digits.
  var bytes: [UInt8] {
    let digits = utf8.map { UInt8($0 > 0x39 ? $0 - 0x57 : $0 - 0x30) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
