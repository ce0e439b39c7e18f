// TFRecord, TensorFlow's file of records (tensorflow/core/lib/io/record_writer.h):
//
//   length: 8 bytes │ masked CRC-32C of the length: 4 │ the record │ masked CRC-32C of the record: 4
//
// all little endian, one record behind the other. Files of warm-up requests and request logs are such files.

/// Why a file is no whole TFRecord file; the kinds and words are TensorFlow's.
public enum TFRecordError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file ends within the record that begins at `offset`.
  case truncated(offset: Int)
  /// A checksum of the record that begins at `offset` is another.
  case corrupted(offset: Int, stored: UInt32, computed: UInt32)

  public var description: String {
    switch self {
    case .truncated(let offset): "truncated record at \(offset)"
    case .corrupted(let offset, let stored, let computed):
      "corrupted record at \(offset): the checksum is \(computed.hex), expected \(stored.hex)"
    }
  }
}

/// The records of a file that has been read.
public struct TFRecordReader: ~Escapable {
  private let bytes: RawSpan
  /// Where the next record begins.
  public private(set) var offset = 0

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { self.bytes = bytes }

  /// The next record, verified; `nil` behind the last.
  @_lifetime(copy self)
  public mutating func next() throws(TFRecordError) -> RawSpan? {
    if offset == bytes.byteCount { return nil }
    let rest = bytes.extracting(offset..<bytes.byteCount)
    guard rest.byteCount >= TFRecord.headBytes else { throw .truncated(offset: offset) }
    try verify(rest.extracting(0..<8), stored: rest.word(at: 8))
    let length = UInt64(rest.word(at: 0)) | UInt64(rest.word(at: 4)) << 32
    guard length <= UInt64(rest.byteCount - TFRecord.headBytes) - min(4, UInt64(rest.byteCount - TFRecord.headBytes)),
      rest.byteCount >= TFRecord.headBytes + 4
    else { throw .truncated(offset: offset) }
    let end = TFRecord.headBytes + Int(length)
    let record = rest.extracting(TFRecord.headBytes..<end)
    try verify(record, stored: rest.word(at: end))
    offset += end + 4
    return record
  }

  private func verify(_ covered: RawSpan, stored: UInt32) throws(TFRecordError) {
    let computed = Checksum(of: covered).masked
    guard computed == stored else { throw .corrupted(offset: offset, stored: stored, computed: computed) }
  }
}

public enum TFRecord {
  static let headBytes = 12
  /// What a record takes in a file besides its own bytes.
  public static let overheadBytes = 16

  /// What stands before a record.
  public static func head(byteCount: Int) -> [UInt8] {
    let length = little(UInt64(byteCount))
    // Bytes have no padding: all of the span is initialised.
    return length + little(Checksum(of: unsafe length.span.bytes).masked)
  }

  /// What stands behind it.
  public static func tail(_ record: RawSpan) -> [UInt8] { little(Checksum(of: record).masked) }

  private static func little<T: FixedWidthInteger>(_ number: T) -> [UInt8] {
    (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: number >> T($0 * 8)) }
  }
}

extension RawSpan {
  /// - Precondition: four bytes are there.
  fileprivate func word(at offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(unsafeLoadByte(offset + $1)) << UInt32($1 * 8) }
  }

  private func unsafeLoadByte(_ offset: Int) -> UInt8 {
    // `unsafeLoad` checks the bounds; every bit pattern is a byte.
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }
}
