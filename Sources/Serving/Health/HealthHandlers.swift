// `grpc.health.v1.Health`: what its names mean is told in HealthState.swift. The words are gRPC C++'s.
internal import RPC
internal import Schemas

final class HealthCheckHandler: UnaryHandler {
  func handle(_ call: UnaryCall) {
    do throws(Status) {
      let name = try call.request(Grpc_Health_V1_HealthCheckRequest.self).service
      guard let status = LoopState.of(call.loop).health.report.statuses[name] else {
        throw Status(.notFound, "service name unknown")
      }
      try call.reply(Grpc_Health_V1_HealthCheckResponse(status))
    } catch {
      call.fail(error)
    }
  }
}

final class HealthListHandler: UnaryHandler {
  func handle(_ call: UnaryCall) {
    var response = Grpc_Health_V1_HealthListResponse()
    response.statuses = LoopState.of(call.loop).health.report.statuses.mapValues { Grpc_Health_V1_HealthCheckResponse($0) }
    do { try call.reply(response) } catch { call.fail(error) }
  }
}

final class HealthWatchHandler: StreamingHandler {
  func open(_ call: StreamingCall) -> any CallHandler { HealthWatcher(call, LoopState.of(call.loop).health) }
}

extension Grpc_Health_V1_HealthCheckResponse {
  init(_ status: HealthStatus) {
    self.init()
    self.status = .init(rawValue: status.rawValue) ?? .unknown
  }
}
