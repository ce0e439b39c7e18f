// gRPC's interoperability cases, asked by our client: procedures, sizes and names of grpc/grpc,
// doc/interop-test-descriptions.md ("Client").
import Foundation
import HTTP
import InteropSchemas
import RPC
import SwiftProtobuf

/// What a case saw and should not have.
struct Unexpected: Error, CustomStringConvertible {
  let description: String
}

func expect(_ condition: Bool, _ what: @autoclosure () -> String) throws(Unexpected) {
  if !condition { throw Unexpected(description: what()) }
}

struct Cases {
  let channel: Channel
  /// Whether the server is asked first if it tells compressed requests from others.
  let probes: Bool

  typealias Case = (Cases) -> () async throws -> Void
  static var all: [(name: String, run: Case)] {
    [
      ("empty_unary", emptyUnary), ("large_unary", largeUnary), ("client_streaming", clientStreaming),
      ("server_streaming", serverStreaming), ("ping_pong", pingPong), ("half_duplex", halfDuplex), ("empty_stream", emptyStream),
      ("cancel_after_begin", cancelAfterBegin), ("cancel_after_first_response", cancelAfterFirstResponse),
      ("timeout_on_sleeping_server", timeoutOnSleepingServer), ("custom_metadata", customMetadata),
      ("status_code_and_message", statusCodeAndMessage), ("special_status_message", specialStatusMessage),
      ("unimplemented_method", unimplementedMethod), ("unimplemented_service", unimplementedService),
      ("client_compressed_unary", clientCompressedUnary), ("server_compressed_unary", serverCompressedUnary),
      ("client_compressed_streaming", clientCompressedStreaming), ("server_compressed_streaming", serverCompressedStreaming),
    ]
  }

  // MARK: unary

  func emptyUnary() async throws {
    let response = try await channel.unary(path("EmptyCall"), try Grpc_Testing_Empty().serializedBytes(), options: patient())
    try expect(response.bytes.isEmpty, "a response of \(response.bytes.count) bytes")
  }

  func largeUnary() async throws { _ = try await large() }

  func clientCompressedUnary() async throws {
    if probes { try await expectStatus(.invalidArgument) { _ = try await large { $0.expectCompressed.value = true } } }
    for coding in [MessageCompression(.gzip), MessageCompression(.deflate)] {
      _ = try await large(patient(coding)) { $0.expectCompressed.value = true }
    }
    _ = try await large { $0.expectCompressed.value = false }
  }

  func serverCompressedUnary() async throws {
    for isCompressed in [true, false] {
      let response = try await large { $0.responseCompressed.value = isCompressed }
      try expect(response.wasCompressed == isCompressed, "compressed: \(response.wasCompressed), asked for \(isCompressed)")
    }
  }

  func unimplementedMethod() async throws {
    try await expectStatus(.unimplemented) { _ = try await channel.unary(path("UnimplementedCall"), [], options: patient()) }
  }

  func unimplementedService() async throws {
    try await expectStatus(.unimplemented) {
      _ = try await channel.unary("/grpc.testing.UnimplementedService/UnimplementedCall", [], options: patient())
    }
  }

  // MARK: streams

  func clientStreaming() async throws {
    let size = try await sum([27182, 8, 1828, 45904].map { (request($0), false) })
    try expect(size == 74922, "a sum of \(size)")
  }

  func clientCompressedStreaming() async throws {
    if probes {
      try await expectStatus(.invalidArgument) {
        _ = try await sum([(request(27182) { $0.expectCompressed.value = true }, false)], patient(MessageCompression(.gzip)))
      }
    }
    for coding in [MessageCompression(.gzip), MessageCompression(.deflate)] {
      let size = try await sum(
        [
          (request(27182) { $0.expectCompressed.value = true }, true),
          (request(45904) { $0.expectCompressed.value = false }, false),
        ], patient(coding))
      try expect(size == 73086, "a sum of \(size)")
    }
  }

  func serverStreaming() async throws {
    let sizes = [31415, 9, 2653, 58979]
    let stream = channel.stream(path("StreamingOutputCall"), options: patient())
    try await stream.send(try question(sizes))
    stream.finishSending()
    try await expectResponses(sizes, from: stream)
  }

  func serverCompressedStreaming() async throws {
    var request = Grpc_Testing_StreamingOutputCallRequest()
    for (size, isCompressed) in [(31415, true), (92653, false)] {
      var parameters = Grpc_Testing_ResponseParameters()
      parameters.size = Int32(size)
      parameters.compressed.value = isCompressed
      request.responseParameters.append(parameters)
    }
    let stream = channel.stream(path("StreamingOutputCall"), options: patient())
    try await stream.send(try request.serializedBytes())
    stream.finishSending()
    var seen: [String] = []
    for try await message in stream.messages { seen.append("\(try size(of: message)) \(message.wasCompressed)") }
    try expect(seen == ["31415 true", "92653 false"], "responses \(seen)")
  }

  func pingPong() async throws {
    let stream = channel.stream(path("FullDuplexCall"), options: patient())
    for (asked, sent) in zip([31415, 9, 2653, 58979], [27182, 8, 1828, 45904]) {
      try await stream.send(try question([asked], sent))
      try await expectResponse(asked, from: stream)
    }
    stream.finishSending()
    try await expectResponses([], from: stream)
  }

  func halfDuplex() async throws {
    let stream = channel.stream(path("HalfDuplexCall"), options: patient())
    for size in [9, 31415, 2653] { try await stream.send(try question([size])) }
    stream.finishSending()
    try await expectResponses([9, 31415, 2653], from: stream)
  }

  func emptyStream() async throws {
    let stream = channel.stream(path("FullDuplexCall"), options: patient())
    stream.finishSending()
    try await expectResponses([], from: stream)
  }

  func cancelAfterBegin() async throws {
    let stream = channel.stream(path("StreamingInputCall"), options: patient())
    stream.cancel()
    try await expectEnd(.cancelled, of: stream)
    try await largeUnary()
  }

  func cancelAfterFirstResponse() async throws {
    let stream = channel.stream(path("FullDuplexCall"), options: patient())
    try await stream.send(try question([31415], 27182))
    try await expectResponse(31415, from: stream)
    stream.cancel()
    try await expectEnd(.cancelled, of: stream)
    try await largeUnary()
  }

  func timeoutOnSleepingServer() async throws {
    let stream = channel.stream(path("FullDuplexCall"), options: CallOptions(timeout: .milliseconds(1)))
    // The deadline may pass before this does.
    try? await stream.send(try question([], 27182))
    try await expectEnd(.deadlineExceeded, of: stream)
    try await largeUnary()
  }

  // MARK: around the messages

  func customMetadata() async throws {
    let initial = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
    let trailing = ("x-grpc-test-echo-trailing-bin", [0xab, 0xab, 0xab] as [UInt8])
    var options = patient()
    try options.metadata.add(initial.0, initial.1)
    try options.metadata.add(trailing.0, bytes: trailing.1)
    func check(_ head: Metadata, _ trailers: Metadata) throws(Unexpected) {
      try expect(head.texts(initial.0) == [initial.1], "initial metadata \(head)")
      try expect(trailers.bytes(trailing.0) == [trailing.1], "trailing metadata \(trailers)")
    }
    let response = try await large(options)
    try check(response.metadata, response.trailers)
    let stream = channel.stream(path("FullDuplexCall"), options: options)
    try await stream.send(try question([314159], 271828))
    stream.finishSending()
    try await expectResponses([314159], from: stream)
    try check(try await stream.metadata(), await stream.end().trailers)
  }

  func statusCodeAndMessage() async throws { try await echoed("test status message") }

  func specialStatusMessage() async throws {
    try await echoed("\t\ntest with whitespace\r\nand Unicode BMP \u{263A} and non-BMP \u{1F608}\t\n")
  }

  private func echoed(_ message: String) async throws {
    try await expectStatus(.unknown, message) {
      var request = Grpc_Testing_SimpleRequest()
      request.responseStatus.code = 2
      request.responseStatus.message = message
      _ = try await channel.unary(path("UnaryCall"), try request.serializedBytes(), options: patient())
    }
    var request = Grpc_Testing_StreamingOutputCallRequest()
    request.responseStatus.code = 2
    request.responseStatus.message = message
    let stream = channel.stream(path("FullDuplexCall"), options: patient())
    try await stream.send(try request.serializedBytes())
    stream.finishSending()
    try await expectEnd(.unknown, message, of: stream)
  }
}

// MARK: what the cases share

extension Cases {
  private func path(_ method: String) -> String { "/grpc.testing.TestService/\(method)" }

  /// Nothing here takes long; a deadline ends what hangs.
  private func patient(_ compression: MessageCompression? = nil) -> CallOptions {
    CallOptions(timeout: .seconds(30), compression: compression)
  }

  private func payload(_ size: Int) -> Grpc_Testing_Payload {
    var payload = Grpc_Testing_Payload()
    payload.body = Data(count: size)
    return payload
  }

  /// The unary call that most cases are made of.
  private func large(
    _ options: CallOptions? = nil, _ change: (inout Grpc_Testing_SimpleRequest) -> Void = { _ in }
  ) async throws -> Response {
    var request = Grpc_Testing_SimpleRequest()
    request.responseSize = 314159
    request.payload = payload(271828)
    change(&request)
    let response = try await channel.unary(path("UnaryCall"), try request.serializedBytes(), options: options ?? patient())
    let body = try Grpc_Testing_SimpleResponse(serializedBytes: response.bytes).payload.body
    try expect(body == Data(count: 314159), "a payload of \(body.count) bytes, or not of zeros")
    return response
  }

  private func request(
    _ size: Int, _ change: (inout Grpc_Testing_StreamingInputCallRequest) -> Void = { _ in }
  ) -> Grpc_Testing_StreamingInputCallRequest {
    var request = Grpc_Testing_StreamingInputCallRequest()
    request.payload = payload(size)
    change(&request)
    return request
  }

  /// StreamingInputCall: the server's sum.
  private func sum(
    _ requests: [(Grpc_Testing_StreamingInputCallRequest, isCompressed: Bool)], _ options: CallOptions? = nil
  ) async throws -> Int32 {
    let stream = channel.stream(path("StreamingInputCall"), options: options ?? patient())
    for (request, isCompressed) in requests { try await stream.send(try request.serializedBytes(), compressed: isCompressed) }
    stream.finishSending()
    guard let message = try await stream.next() else { throw Unexpected(description: "no response") }
    let response = try Grpc_Testing_StreamingInputCallResponse(serializedBytes: message.bytes)
    try await expectResponses([], from: stream)
    return response.aggregatedPayloadSize
  }

  /// A request for responses of these sizes.
  private func question(_ sizes: [Int], _ payloadSize: Int? = nil) throws -> [UInt8] {
    var request = Grpc_Testing_StreamingOutputCallRequest()
    request.responseParameters = sizes.map { size in
      var parameters = Grpc_Testing_ResponseParameters()
      parameters.size = Int32(size)
      return parameters
    }
    if let payloadSize { request.payload = payload(payloadSize) }
    return try request.serializedBytes()
  }

  private func size(of message: StreamMessage) throws -> Int {
    let body = try Grpc_Testing_StreamingOutputCallResponse(serializedBytes: message.bytes).payload.body
    try expect(body == Data(count: body.count), "a payload that is not of zeros")
    return body.count
  }

  private func expectResponse(_ size: Int, from stream: ClientStream) async throws {
    guard let message = try await stream.next() else { throw Unexpected(description: "the stream ended") }
    let seen = try self.size(of: message)
    try expect(seen == size, "a response of \(seen) bytes instead of \(size)")
  }

  /// These, then the end with OK.
  private func expectResponses(_ sizes: [Int], from stream: ClientStream) async throws {
    var seen: [Int] = []
    for try await message in stream.messages { seen.append(try size(of: message)) }
    try expect(seen == sizes, "responses of \(seen) bytes instead of \(sizes)")
    try await expectEnd(.ok, of: stream)
  }

  private func expectEnd(_ code: Status.Code, _ message: String? = nil, of stream: ClientStream) async throws {
    let status = await stream.end().status
    try expect(status.code == code && (message == nil || status.message == message), "the call ended with \(status)")
  }

  private func expectStatus(_ code: Status.Code, _ message: String? = nil, _ body: () async throws -> Void) async throws {
    do { try await body() } catch let status as Status {
      return try expect(status.code == code && (message == nil || status.message == message), "the call ended with \(status)")
    }
    throw Unexpected(description: "an answer instead of \(code.name)")
  }
}
