/// How a field's value is laid out. protobuf.dev/programming-guides/encoding.
public enum WireType: UInt8, Sendable {
  case varint = 0
  case fixed64 = 1
  case length = 2
  case startGroup = 3
  case endGroup = 4
  case fixed32 = 5
}

/// What stands before a value: the field's number, and how the value is laid out.
///
/// A reader of a message switches over tags, so that a known number with an unexpected wire type falls to `default`
/// and is skipped as an unknown field, as protobuf has it:
///
///     switch tag {
///     case .length(1): name = try reader.lengthDelimited()
///     case .varint(2): version = try reader.varint()
///     default: try reader.skip(tag)
///     }
public struct WireTag: Equatable, Sendable {
  /// `number << 3 | type`, as it stands on the wire.
  public let rawValue: UInt32

  @inlinable @inline(__always)
  init(unchecked rawValue: UInt32) { self.rawValue = rawValue }

  @inlinable @inline(__always)
  public init(_ number: UInt32, _ type: WireType) { rawValue = number << 3 | UInt32(type.rawValue) }

  @inlinable public var number: UInt32 { rawValue >> 3 }
  /// Tags are made of a `WireType` or checked by the reader, so the three bits always name one.
  @inlinable public var type: WireType { WireType(rawValue: UInt8(rawValue & 7)) ?? .varint }

  @inlinable @inline(__always) public static func varint(_ number: UInt32) -> WireTag { WireTag(number, .varint) }
  @inlinable @inline(__always) public static func fixed64(_ number: UInt32) -> WireTag { WireTag(number, .fixed64) }
  @inlinable @inline(__always) public static func length(_ number: UInt32) -> WireTag { WireTag(number, .length) }
  @inlinable @inline(__always) public static func fixed32(_ number: UInt32) -> WireTag { WireTag(number, .fixed32) }
}
