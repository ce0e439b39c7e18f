// Calls whose messages are rare and small: swift-protobuf reads and writes them.
internal import RPC
internal import SwiftProtobuf
internal import Wire

extension SwiftProtobuf.Message {
  /// The message in `bytes`, or the status of who sent something else.
  init(request bytes: RawSpan) throws(Status) {
    let copy = [UInt8](bytes)
    do { try self.init(serializedBytes: copy) } catch {
      throw Status(unparsable: Self.protoMessageName, error)
    }
  }

  func response() throws(Status) -> [UInt8] {
    do { return try serializedBytes() } catch {
      throw Status(serving: .internal, "the response cannot be serialized: \(error)")
    }
  }
}

extension UnaryCall {
  func request<Request: SwiftProtobuf.Message>(_ type: Request.Type) throws(Status) -> Request {
    try Request(request: message)
  }

  func reply(_ response: some SwiftProtobuf.Message) throws(Status) {
    let bytes = try response.response()
    reply(byteCount: bytes.count) { output in
      let bytes = bytes
      output.appendBytes(bytes.rawSpan)
    }
  }
}
