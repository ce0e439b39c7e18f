/// Why bytes are no protobuf message, and where.
public struct WireError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: UInt8, Sendable {
    /// The bytes end inside a field, or a length points behind the end of the message.
    case truncated
    /// A varint of more than ten bytes.
    case varintTooLong
    /// A length of more than five bytes.
    case lengthTooLong
    /// A tag of more than five bytes, or of more than 32 bits.
    case tagTooLong
    /// Field numbers begin at one.
    case fieldNumberZero
    /// Wire types 6 and 7 mean nothing.
    case wireType
    /// An end-group tag that no start-group tag, or another one, stands before.
    case endGroup
    /// Groups nested deeper than `WireLimits.depthMax`.
    case tooDeep
    /// A packed field whose length is no multiple of its element's.
    case packedLength
    /// More bytes than `WireLimits.bytesMax`.
    case tooLarge
    /// A singular message field that occurs more often than `WireLimits.piecesMax`.
    case tooManyPieces
  }

  public let kind: Kind
  /// Where in the buffer the field begins that could not be read.
  public let offset: UInt32

  @inlinable
  public init(_ kind: Kind, at offset: Int) {
    self.kind = kind
    self.offset = UInt32(truncatingIfNeeded: offset)
  }

  public var description: String {
    let what =
      switch kind {
      case .truncated: "ends inside a field"
      case .varintTooLong: "varint of more than 10 bytes"
      case .lengthTooLong: "length of more than 5 bytes"
      case .tagTooLong: "tag of more than 32 bits"
      case .fieldNumberZero: "field number 0"
      case .wireType: "wire type 6 or 7"
      case .endGroup: "end of a group that did not start"
      case .tooDeep: "groups nested deeper than \(WireLimits.depthMax)"
      case .packedLength: "packed field is no whole number of elements"
      case .tooLarge: "more than \(WireLimits.bytesMax) bytes"
      case .tooManyPieces: "a message in more than \(WireLimits.piecesMax) pieces"
      }
    return "not a protobuf message: \(what), at byte \(offset)"
  }
}
