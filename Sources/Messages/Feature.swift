public import Wire

/// Which list of values a feature of a tf.Example has (tensorflow/core/example/feature.proto).
public enum FeatureKind: UInt8, Sendable {
  /// None was set: the feature counts as missing.
  case none = 0
  case bytes = 1
  case float = 2
  case int64 = 3
}

/// A feature: one of bytes_list 1, float_list 2, int64_list 3, each with its values as field 1, packed or not.
public struct Feature: ~Escapable {
  public let kind: FeatureKind
  public let list: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var kind = FeatureKind.none
    var list = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1), .length(2), .length(3):
        // A list after one of the same kind merges into it; after another kind it replaces.
        let next = FeatureKind(rawValue: UInt8(tag.number)) ?? .none
        if next != kind { list = .absent }
        kind = next
        try list.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.kind = kind
    self.list = WireMessage(message.bytes, at: list)
  }
}

/// The stretches of values in a feature's list: packed fields, single numbers, or strings, one at a time.
struct FeatureValues: ~Escapable {
  var reader: WireReader
  let kind: FeatureKind

  @_lifetime(copy feature)
  init(_ feature: borrowing Feature) {
    reader = WireReader(feature.list)
    kind = feature.kind
  }

  @_lifetime(self: copy self)
  mutating func next() throws(WireError) -> Range<UInt32>? {
    while let tag = try reader.nextTag() {
      switch (kind, tag) {
      case (.bytes, .length(1)): return try reader.lengthDelimited()
      case (.float, .length(1)):
        let range = try reader.lengthDelimited()
        guard range.count & 3 == 0 else { throw WireError(.packedLength, at: Int(range.lowerBound)) }
        return range
      case (.int64, .length(1)):
        let range = try reader.lengthDelimited()
        _ = try Varint.count(reader.bytes, in: range)
        return range
      case (.float, .fixed32(1)):
        let start = UInt32(reader.position)
        _ = try reader.fixed32()
        return start..<UInt32(reader.position)
      case (.int64, .varint(1)):
        let start = UInt32(reader.position)
        _ = try reader.varint()
        return start..<UInt32(reader.position)
      default: try reader.skip(tag)
      }
    }
    return nil
  }

  /// The values in a stretch `next` returned.
  func count(_ range: Range<UInt32>) -> Int {
    switch kind {
    case .none: 0
    case .bytes: 1
    case .float: range.count / 4
    case .int64: (try? Varint.count(reader.bytes, in: range)) ?? 0
    }
  }
}
