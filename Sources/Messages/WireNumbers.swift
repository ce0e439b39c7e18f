import Wire

/// Repeated numbers, packed or not, as arrays: for messages read when a model is loaded.
enum WireNumbers {
  /// The varints of a field.
  static func varints(_ message: WireMessage, _ number: UInt32) throws(WireError) -> [UInt64] {
    var values: [UInt64] = []
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .varint(number) {
        values.append(try reader.varint())
      } else if tag == .length(number) {
        let range = try reader.lengthDelimited()
        values.reserveCapacity(values.count + (try Varint.count(message.bytes, in: range)))
        var position = Int(range.lowerBound)
        while position < Int(range.upperBound) { values.append(Varint.read(message.bytes, at: &position)) }
      } else {
        try reader.skip(tag)
      }
    }
    return values
  }

  /// The four-byte values of a field.
  static func fixed32s(_ message: WireMessage, _ number: UInt32) throws(WireError) -> [UInt32] {
    var values: [UInt32] = []
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      if tag == .fixed32(number) {
        values.append(try reader.fixed32())
      } else if tag == .length(number) {
        let range = try reader.lengthDelimited()
        guard range.count % 4 == 0 else { throw WireError(.packedLength, at: Int(range.lowerBound)) }
        var packed = WireReader(message.bytes, at: range)
        while packed.position < packed.end { values.append(try packed.fixed32()) }
      } else {
        try reader.skip(tag)
      }
    }
    return values
  }
}
