// `grpc.reflection.v1.ServerReflection/ServerReflectionInfo`, and the same of v1alpha: a conversation, one answer a question.
internal import HTTP
internal import RPC
internal import SwiftProtobuf

/// Between two questions it keeps nothing, so one object takes part in every conversation.
final class ReflectionHandler: StreamingHandler, CallHandler {
  static let services = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]

  private let reflection: Reflection

  init(_ reflection: Reflection) { self.reflection = reflection }

  func open(_ call: StreamingCall) -> any CallHandler { self }

  func received(_ message: consuming ByteBuffer, on call: StreamingCall) {
    do throws(Status) {
      let answer = reflection.answer(try Reflection.Request(request: message.bytes))
      // Questions are short and answers long: who does not read is not asked on.
      if !call.write(try answer.serialized()) { call.pause() }
    } catch {
      call.finish(error)
    }
  }

  func writable(_ call: StreamingCall) { call.resume() }
  func ended(_ call: StreamingCall) { call.finish() }
  func cancelled(_ call: StreamingCall) {}
}
