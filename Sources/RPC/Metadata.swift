// What applications say beside their messages: names and values, in the head and behind the body of either side.
//
// A name that ends in `-bin` has bytes for values, which travel as base64; every other value is printable ASCII
// (gRPC over HTTP/2, "Custom-Metadata"). Names that belong to HTTP or to gRPC itself cannot be set.
public import HTTP

/// Why a field may not be sent.
public enum MetadataError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Lower-case letters, digits, `_`, `-` and `.` only.
  case malformedName(String)
  /// The name belongs to HTTP or to gRPC.
  case reservedName(String)
  /// `name` takes printable ASCII without spaces at its ends; the first byte that is not is at `offset`.
  case malformedValue(name: String, offset: Int)
  /// Bytes need a name with `-bin` at its end, text one without.
  case wrongKind(name: String)

  public var description: String {
    switch self {
    case .malformedName(let name): "metadata name '\(name)': expected a-z, 0-9, _, - and ."
    case .reservedName(let name): "metadata name '\(name)' is reserved"
    case .malformedValue(let name, let offset): "metadata '\(name)': byte \(offset) of its value is not printable ASCII"
    case .wrongKind(let name): "metadata '\(name)': names that end in -bin have bytes, others have text"
    }
  }
}

public struct Metadata: Sendable, Hashable {
  public enum Value: Sendable, Hashable {
    case text(String)
    case bytes([UInt8])
  }

  public struct Field: Sendable, Hashable {
    public var name: String
    public var value: Value
  }

  /// In the order in which they were added or came.
  public private(set) var fields: [Field] = []

  public init() {}

  public var isEmpty: Bool { fields.isEmpty }

  public mutating func add(_ name: String, _ value: String) throws(MetadataError) {
    try Metadata.check(name, isBinary: false)
    if let offset = Metadata.firstUnprintable(value) { throw .malformedValue(name: name, offset: offset) }
    fields.append(Field(name: name, value: .text(value)))
  }

  public mutating func add(_ name: String, bytes: [UInt8]) throws(MetadataError) {
    try Metadata.check(name, isBinary: true)
    fields.append(Field(name: name, value: .bytes(bytes)))
  }

  /// Every text of this name.
  public func texts(_ name: String) -> [String] {
    fields.compactMap { field in
      if field.name == name, case .text(let text) = field.value { text } else { nil }
    }
  }

  /// The first text of this name.
  public subscript(_ name: String) -> String? { texts(name).first }

  /// Every value of this `-bin` name.
  public func bytes(_ name: String) -> [[UInt8]] {
    fields.compactMap { field in
      if field.name == name, case .bytes(let bytes) = field.value { bytes } else { nil }
    }
  }

  private static func check(_ name: String, isBinary: Bool) throws(MetadataError) {
    let isWellFormed = !name.isEmpty && name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
        UInt8(ascii: "-"), UInt8(ascii: "."): true
      default: false
      }
    }
    if !isWellFormed { throw .malformedName(name) }
    if isReserved(name) && !open.contains(name) { throw .reservedName(name) }
    if name.hasSuffix("-bin") != isBinary { throw .wrongKind(name: name) }
  }

  /// RFC 9113 §8.2.1 has no space at either end of a value.
  private static func firstUnprintable(_ value: String) -> Int? {
    let bytes = Array(value.utf8)
    for (i, byte) in bytes.enumerated() {
      let isEnd = i == 0 || i == bytes.count - 1
      if !(0x20...0x7e).contains(byte) || byte == 0x20 && isEnd { return i }
    }
    return nil
  }

  /// Names that say something to the transport: not the application's, neither to send nor to read here.
  static func isReserved(_ name: String) -> Bool {
    name.hasPrefix("grpc-") || name.hasPrefix(":") || transport.contains(name)
  }

  private static let transport: Set<String> = [
    "content-type", "content-length", "te", "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
  ]
  /// gRPC's own, which an application may set all the same: how long a client should wait before it tries again
  /// (gRFC A6).
  private static let open: Set<String> = ["grpc-retry-pushback-ms"]
}

// MARK: the wire

extension Metadata {
  /// What came in `block` for the application: without the fields of HTTP and gRPC. A `-bin` value that is no base64 is
  /// left out: nobody could read it.
  public init(_ block: borrowing HeaderBlock) {
    block.forEach { name, value in
      let name = name.text
      if Metadata.isReserved(name) && !Metadata.open.contains(name) { return }
      if !name.hasSuffix("-bin") {
        fields.append(Field(name: name, value: .text(value.text)))
      } else {
        for bytes in Metadata.binaryValues(value) { fields.append(Field(name: name, value: .bytes(bytes))) }
      }
    }
  }

  /// The values of a `-bin` field: several may come in one, with commas between them.
  static func binaryValues(_ value: RawSpan) -> [[UInt8]] {
    let text = unsafe value.withUnsafeBytes { unsafe Array($0) }
    return text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).compactMap { piece in
      let start = piece.firstIndex { $0 != UInt8(ascii: " ") } ?? piece.endIndex
      let end = piece.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? start
      return Base64.decode(piece[start..<end])
    }
  }

  func append(to list: inout FieldList) {
    for field in fields {
      switch field.value {
      case .text(let text): list.append(field.name, text)
      case .bytes(let bytes): list.append(field.name, Base64.encode(bytes))
      }
    }
  }
}
