// `tensorflow.serving.ModelService/HandleReloadConfigRequest`. What a configuration means is somebody else's to say; here it
// arrives, and the answer leaves when there is one. No loop waits meanwhile.
internal import Catalog
internal import HTTP
public import RPC
public import Schemas
internal import SwiftProtobuf
internal import Telemetry

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
  private let metrics: Metrics

  init(_ configurator: any ModelConfigurator, _ metrics: Metrics) {
    self.configurator = configurator
    self.metrics = metrics
  }

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
    let detached = call.detach(), metrics = metrics
    let before = MetricLevels(request.metricNames, metrics)
    configurator.reload(request.config, remaining: remaining) { status in
      let increases = status.code == .ok ? MetricLevels(request.metricNames, metrics).increases(since: before) : []
      detached.complete { call in
        do throws(Status) {
          // A failure leaves as the call's status, and the message in it, as TensorFlow Serving's does, not at all.
          guard status.code == .ok else { throw Status(serving: status.code, status.message) }
          var response = Tensorflow_Serving_ReloadConfigResponse()
          response.status.errorCode = .ok
          response.metric = increases
          try call.reply(response)
        } catch {
          call.fail(error)
        }
      }
    }
  }
}

/// What was counted at one moment under some names: of each metric, the first series, as TensorFlow Serving has it. Names that
/// nothing is counted under, and histograms, are left out.
private struct MetricLevels {
  private var levels: [(name: String, level: Int64)] = []

  init(_ names: [String], _ metrics: Metrics) {
    if names.isEmpty { return }
    let snapshot = metrics.snapshot()
    for name in names {
      guard let family = snapshot.family(name), family.description.kind != .histogram else {
        Log.warn("ReloadConfigRequest: no metric '\(name)' that has a whole number")
        continue
      }
      levels.append((name, snapshot.firstInteger(name) ?? 0))
    }
  }

  func increases(since before: MetricLevels) -> [Tensorflow_Serving_Metric] {
    levels.map { level in
      var metric = Tensorflow_Serving_Metric()
      metric.name = level.name
      metric.int64ValueIncrease = level.level &- (before.levels.first { $0.name == level.name }?.level ?? 0)
      return metric
    }
  }
}
