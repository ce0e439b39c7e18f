// Details of a status travel in `grpc-status-details-bin` as a google.rpc.Status:
//
//   int32 code = 1;  string message = 2;  repeated google.protobuf.Any details = 3   (Any: string type_url = 1; bytes value = 2)
//
// RPC knows no messages: it takes a detail as its type and its bytes, and hands what came on as bytes.

extension Status {
  /// One detail: the type as `type.googleapis.com/package.Message`, the message encoded.
  public struct Detail: Hashable, Sendable {
    public var typeURL: String
    public var value: [UInt8]

    public init(typeURL: String, value: [UInt8]) {
      self.typeURL = typeURL
      self.value = value
    }
  }

  /// A status with details that clients can take apart (google.rpc.RetryInfo and its neighbours).
  public init(_ code: Code, _ message: String, details: [Detail]) {
    self.init(code, message)
    var encoded: [UInt8] = []
    // A field of value zero is left out, as protobuf has it.
    if code != .ok { encoded += [0x08, UInt8(code.rawValue)] }
    if !message.isEmpty { Status.append(field: 2, Array(message.utf8), to: &encoded) }
    for detail in details {
      var any: [UInt8] = []
      Status.append(field: 1, Array(detail.typeURL.utf8), to: &any)
      if !detail.value.isEmpty { Status.append(field: 2, detail.value, to: &any) }
      Status.append(field: 3, any, to: &encoded)
    }
    self.details = encoded
  }

  /// A length-delimited field (wire type 2).
  private static func append(field: UInt8, _ bytes: [UInt8], to encoded: inout [UInt8]) {
    encoded.append(field << 3 | 2)
    var length = bytes.count
    while length >= 0x80 {
      encoded.append(UInt8(truncatingIfNeeded: length & 0x7f | 0x80))
      length >>= 7
    }
    encoded.append(UInt8(length))
    encoded += bytes
  }
}
