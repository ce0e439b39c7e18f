// gRPC's `grpc.testing.TestService` on our RPC, as grpc/grpc's doc/interop-test-descriptions.md wants it ("Server"). Both ways
// of writing a streaming handler are here: callbacks on the loop, and a task that awaits.
import Foundation
import HTTP
import InteropSchemas
import RPC
import SwiftProtobuf

extension MethodTable {
  static func testService() -> MethodTable {
    var methods = MethodTable()
    methods.register(path: "/grpc.testing.TestService/EmptyCall", EmptyCall())
    methods.register(path: "/grpc.testing.TestService/UnaryCall", UnaryEcho())
    methods.register(path: "/grpc.testing.TestService/CacheableUnaryCall", UnaryEcho())
    methods.register(path: "/grpc.testing.TestService/StreamingInputCall", streaming: StreamingInput())
    methods.register(path: "/grpc.testing.TestService/FullDuplexCall", streaming: FullDuplex())
    methods.register(path: "/grpc.testing.TestService/StreamingOutputCall", streaming: AsyncHandler { try await respond(on: $0) })
    methods.register(path: "/grpc.testing.TestService/HalfDuplexCall", streaming: AsyncHandler { try await respond(on: $0) })
    return methods
  }
}

// MARK: what the methods share

private func parse<Request: SwiftProtobuf.Message>(_ bytes: RawSpan, _ type: Request.Type = Request.self) throws(Status) -> Request {
  let copy = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  do { return try Request(serializedBytes: copy) } catch { throw Status(.internal, "the request is no \(Request.protoMessageName)") }
}

private func serialize(_ message: some SwiftProtobuf.Message) throws(Status) -> [UInt8] {
  do { return try message.serializedBytes() } catch { throw Status(.internal, "\(error)") }
}

private func payload(_ size: Int32) throws(Status) -> Grpc_Testing_Payload {
  guard size >= 0 else { throw Status(.invalidArgument, "a payload of \(size) bytes") }
  var payload = Grpc_Testing_Payload()
  payload.body = Data(count: Int(size))
  return payload
}

/// "Echo Metadata": these two go back as they came, one in front of the messages, one behind.
private struct EchoedMetadata {
  var initial = Metadata()
  var trailing = Metadata()

  init(_ metadata: Metadata) throws(Status) {
    do {
      for text in metadata.texts("x-grpc-test-echo-initial") { try initial.add("x-grpc-test-echo-initial", text) }
      for bytes in metadata.bytes("x-grpc-test-echo-trailing-bin") { try trailing.add("x-grpc-test-echo-trailing-bin", bytes: bytes) }
    } catch {
      throw Status(.internal, "\(error)")
    }
  }
}

/// "CompressedResponse": the coding of the client's that we have, whatever the size.
private func compression(_ accepted: String?) -> MessageCompression? {
  let names = (accepted ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
  return names.contains("gzip") ? MessageCompression(.gzip, bytesMin: 0) : names.contains("deflate") ? MessageCompression(.deflate, bytesMin: 0) : nil
}

/// "CompressedRequest".
private func check(_ isExpected: Grpc_Testing_BoolValue, _ isCompressed: Bool) throws(Status) {
  if isExpected.value != isCompressed {
    throw Status(.invalidArgument, "expected \(isExpected.value ? "a compressed" : "an uncompressed") message")
  }
}

extension Grpc_Testing_EchoStatus {
  fileprivate var status: Status { Status(Status.Code(rawValue: Int(code)) ?? .unknown, message) }
}

// MARK: unary

private final class EmptyCall: UnaryHandler {
  func handle(_ call: UnaryCall) {
    do throws(Status) {
      let echoed = try EchoedMetadata(call.metadata)
      call.initialMetadata = echoed.initial
      call.trailingMetadata = echoed.trailing
      let _: Grpc_Testing_Empty = try parse(call.message)
      call.reply(byteCount: 0) { _ in }
    } catch {
      call.fail(error)
    }
  }
}

private final class UnaryEcho: UnaryHandler {
  func handle(_ call: UnaryCall) {
    do throws(Status) {
      let echoed = try EchoedMetadata(call.metadata)
      call.initialMetadata = echoed.initial
      call.trailingMetadata = echoed.trailing
      let request: Grpc_Testing_SimpleRequest = try parse(call.message)
      if request.hasExpectCompressed { try check(request.expectCompressed, call.isMessageCompressed) }
      if request.hasResponseStatus, request.responseStatus.code != 0 { throw request.responseStatus.status }
      if request.responseCompressed.value { call.compression = compression(call.metadata("grpc-accept-encoding")) }
      var response = Grpc_Testing_SimpleResponse()
      response.payload = try payload(request.responseSize)
      let bytes = try serialize(response)
      call.reply(byteCount: bytes.count) { output in for byte in bytes { output.append(byte) } }
    } catch {
      call.fail(error)
    }
  }
}

// MARK: streams by callbacks

private final class StreamingInput: StreamingHandler {
  func open(_ call: StreamingCall) -> any CallHandler { Sum(call) }

  private final class Sum: CallHandler {
    private var size = 0
    private var trailing = Metadata()

    init(_ call: StreamingCall) {
      do throws(Status) {
        let echoed = try EchoedMetadata(call.metadata)
        call.initialMetadata = echoed.initial
        trailing = echoed.trailing
      } catch {
        call.finish(error)
      }
    }

    func received(_ message: consuming ByteBuffer, on call: StreamingCall) {
      do throws(Status) {
        let request: Grpc_Testing_StreamingInputCallRequest = try parse(message.bytes)
        if request.hasExpectCompressed { try check(request.expectCompressed, call.isMessageCompressed) }
        size += request.payload.body.count
      } catch {
        call.finish(error, trailers: trailing)
      }
    }

    func ended(_ call: StreamingCall) {
      do throws(Status) {
        var response = Grpc_Testing_StreamingInputCallResponse()
        response.aggregatedPayloadSize = Int32(clamping: size)
        call.write(try serialize(response))
        call.finish(trailers: trailing)
      } catch {
        call.finish(error, trailers: trailing)
      }
    }

    func cancelled(_ call: StreamingCall) {}
  }
}

private final class FullDuplex: StreamingHandler {
  func open(_ call: StreamingCall) -> any CallHandler { Conversation(call) }

  /// One response after the other, each after its interval and when there is room for it.
  private final class Conversation: CallHandler, TimerTarget {
    private enum Step {
      case respond(Grpc_Testing_ResponseParameters)
      case finish(Status)
    }

    private let call: StreamingCall
    private var steps: [Step] = []
    private var trailing = Metadata()
    private var timer = TimerID.none
    /// The interval of the first step has passed.
    private var hasSlept = false
    private var isBehind = false

    init(_ call: StreamingCall) {
      self.call = call
      do throws(Status) {
        let echoed = try EchoedMetadata(call.metadata)
        call.initialMetadata = echoed.initial
        trailing = echoed.trailing
        call.compression = compression(call.metadata("grpc-accept-encoding"))
      } catch {
        call.finish(error)
      }
    }

    func received(_ message: consuming ByteBuffer, on call: StreamingCall) {
      do throws(Status) {
        let request: Grpc_Testing_StreamingOutputCallRequest = try parse(message.bytes)
        if request.hasResponseStatus, request.responseStatus.code != 0 {
          steps.append(.finish(request.responseStatus.status))
        } else {
          steps += request.responseParameters.map { .respond($0) }
        }
      } catch {
        steps.append(.finish(error))
      }
      step()
    }

    func ended(_ call: StreamingCall) {
      steps.append(.finish(.ok))
      step()
    }

    func writable(_ call: StreamingCall) {
      isBehind = false
      call.resume()
      step()
    }

    func timerFired(_ timer: TimerID) {
      self.timer = .none
      hasSlept = true
      step()
    }

    func cancelled(_ call: StreamingCall) {
      steps = []
      call.loop.cancel(timer)
      timer = .none
    }

    private func step() {
      while !isBehind, timer == .none, let next = steps.first {
        switch next {
        case .finish(let status):
          steps = []
          return call.finish(status, trailers: trailing)
        case .respond(let parameters) where parameters.intervalUs > 0 && !hasSlept:
          timer = call.loop.schedule(at: call.loop.now.advanced(byNanoseconds: UInt64(parameters.intervalUs) * 1000), self)
        case .respond(let parameters):
          steps.removeFirst()
          hasSlept = false
          do throws(Status) {
            var response = Grpc_Testing_StreamingOutputCallResponse()
            response.payload = try payload(parameters.size)
            isBehind = !call.write(try serialize(response), isCompressible: parameters.compressed.value)
            if isBehind { call.pause() }
          } catch {
            steps = [.finish(error)]
          }
        }
      }
    }
  }
}

// MARK: streams by a task

/// Answers once the last request is in: what HalfDuplexCall does, and StreamingOutputCall with its single request.
private func respond(on call: AsyncCall) async throws {
  let echoed = try EchoedMetadata(call.metadata)
  call.setCompression(MessageCompression(.gzip, bytesMin: 0))
  if !echoed.initial.isEmpty { call.sendHead(echoed.initial) }
  call.setTrailers(echoed.trailing)
  var requests: [Grpc_Testing_StreamingOutputCallRequest] = []
  for try await message in call.messages { requests.append(try Grpc_Testing_StreamingOutputCallRequest(serializedBytes: message)) }
  for request in requests {
    if request.hasResponseStatus, request.responseStatus.code != 0 { throw request.responseStatus.status }
    for parameters in request.responseParameters {
      if parameters.intervalUs > 0 { try await Task.sleep(for: .microseconds(parameters.intervalUs)) }
      var response = Grpc_Testing_StreamingOutputCallResponse()
      response.payload = try payload(parameters.size)
      try await call.write(try serialize(response), isCompressible: parameters.compressed.value)
    }
  }
}
