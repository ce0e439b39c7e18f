// `tensorflow.serving.ModelService/HandleReloadConfigRequest`. What a configuration means is somebody else's to say; here it
// arrives, and the answer leaves when there is one. No loop waits meanwhile.
internal import Catalog
internal import HTTP
public import RPC
public import Schemas
internal import SwiftProtobuf

/// Who can give the server another configuration.
public protocol ModelConfigurator: Sendable {
  /// Takes up all of `config` or nothing. Returns at once.
  /// - Parameters:
  ///   - remaining: how long the caller waits for models that are new; `nil` when it does not say.
  ///   - answer: called once, from any thread.
  func reload(
    _ config: Tensorflow_Serving_ModelServerConfig, remaining: Duration?, answer: @escaping @Sendable (Status) -> Void)
}

final class ReloadConfigHandler: UnaryHandler {
  private let configurator: any ModelConfigurator

  init(_ configurator: any ModelConfigurator) { self.configurator = configurator }

  func handle(_ call: UnaryCall) {
    do { try forward(call) } catch { call.fail(error) }
  }

  private func forward(_ call: UnaryCall) throws(Status) {
    let request = try call.request(Tensorflow_Serving_ReloadConfigRequest.self)
    guard case .modelConfigList? = request.config.config else {
      throw Status(
        .invalidArgument,
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported")
    }
    let remaining = call.deadline.map { Duration.nanoseconds(Int64(clamping: $0.nanoseconds(since: .now))) }
    let detached = call.detach()
    configurator.reload(request.config, remaining: remaining) { status in
      detached.complete { call in
        do throws(Status) {
          // A failure leaves as the call's status, and the message in it, as TensorFlow Serving's does, not at all.
          guard status.code == .ok else { throw Status(serving: status.code, status.message) }
          var response = Tensorflow_Serving_ReloadConfigResponse()
          response.status.errorCode = .ok
          try call.reply(response)
        } catch {
          call.fail(error)
        }
      }
    }
  }
}
