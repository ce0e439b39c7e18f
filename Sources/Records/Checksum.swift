internal import CLinux

/// CRC-32C, and the form in which LevelDB and TensorFlow store it.
public struct Checksum: Equatable, Sendable {
  public private(set) var value: UInt32 = 0

  public init() {}

  /// The checksum of `bytes`.
  public init(of bytes: RawSpan) { update(bytes) }

  public mutating func update(_ bytes: RawSpan) {
    // The function reads the span's bytes and keeps nothing.
    value = unsafe bytes.withUnsafeBytes { unsafe clinux_crc32c(value, $0.baseAddress, $0.count) }
  }

  /// Little endian.
  public mutating func update<T: FixedWidthInteger & BitwiseCopyable>(_ number: T) {
    // An integer's bytes, which outlive the call.
    value = unsafe withUnsafeBytes(of: number.littleEndian) { unsafe clinux_crc32c(value, $0.baseAddress, $0.count) }
  }

  /// A checksum stored beside the bytes it covers is rotated and shifted, so that the checksum of bytes that hold their own
  /// checksum means something (leveldb/util/crc32c.h).
  public var masked: UInt32 { (value >> 15 | value << 17) &+ 0xA282_EAD8 }
}

extension UInt32 {
  /// As error texts show checksums.
  public var hex: String {
    let digits = String(self, radix: 16)
    return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
  }
}
