// Snappy's raw format (github.com/google/snappy, format_description.txt): the length as a varint, then elements, each a
// literal or a copy of bytes that came before. The two low bits of an element's first byte say which:
//
//   00 literal, length-1 in the upper six bits, or in 1...4 bytes behind for 60...63
//   01 copy, 4...11 bytes, offset 11 bits      10 copy, 1...64 bytes, offset 16 bits      11 copy, offset 32 bits
import Wire

enum Snappy {
  /// Three bytes become at most 64.
  static let expansionMax = 22

  /// The bytes that were compressed.
  static func decompress(_ bytes: RawSpan) throws(Malformed) -> [UInt8] {
    guard bytes.byteCount <= Int(UInt32.max) else { throw Malformed("more than 4 GiB", at: 0) }
    var reader = WireReader(bytes, at: 0..<UInt32(bytes.byteCount))
    guard let length = try? reader.varint(), length <= UInt64(UInt32.max) else {
      throw Malformed("no length", at: 0)
    }
    let expected = Int(length)
    guard expected <= bytes.byteCount * expansionMax else {
      throw Malformed("claims \(expected) bytes from \(bytes.byteCount)", at: 0)
    }
    var output: [UInt8] = []
    output.reserveCapacity(expected)
    var position = reader.position
    let end = bytes.byteCount

    /// `count` bytes, little endian.
    func number(_ count: Int) -> Int? {
      guard end - position >= count else { return nil }
      var value = 0
      for i in 0..<count { value |= Int(bytes.byte(position + i)) << (8 * i) }
      position += count
      return value
    }

    while position < end {
      let start = position
      let tag = Int(bytes.byte(position))
      position += 1
      if tag & 3 == 0 {
        var count = tag >> 2
        if count >= 60 {
          guard let long = number(count - 59) else { throw Malformed("ends inside a literal's length", at: start) }
          count = long
        }
        count += 1
        guard count <= end - position else { throw Malformed("ends inside a literal", at: start) }
        guard count <= expected - output.count else { throw Malformed("gives more than \(expected) bytes", at: start) }
        output.append(contentsOf: bytes.extracting(position..<position + count))
        position += count
      } else {
        let count: Int
        let low: Int?
        switch tag & 3 {
        case 1:
          count = (tag >> 2 & 7) + 4
          low = number(1).map { $0 | (tag >> 5) << 8 }
        case 2:
          count = tag >> 2 + 1
          low = number(2)
        default:
          count = tag >> 2 + 1
          low = number(4)
        }
        guard let offset = low else { throw Malformed("ends inside a copy", at: start) }
        guard offset > 0, offset <= output.count else {
          throw Malformed("copies from \(offset) bytes back, there are \(output.count)", at: start)
        }
        guard count <= expected - output.count else { throw Malformed("gives more than \(expected) bytes", at: start) }
        // A copy may overlap what it writes: byte by byte, it repeats.
        for _ in 0..<count { output.append(output[output.count - offset]) }
      }
    }
    guard output.count == expected else {
      throw Malformed("gives \(output.count) bytes, expected \(expected)", at: end)
    }
    return output
  }

  struct Malformed: Error, Equatable, CustomStringConvertible {
    var reason: String
    var offset: Int

    init(_ reason: String, at offset: Int) {
      self.reason = reason
      self.offset = offset
    }

    var description: String { "not snappy: \(reason), at byte \(offset) of the compressed bytes" }
  }
}
