// Profiles without a client of TensorFlow's: those are asked end to end.
import Foundation
import HTTP
import RPC
import Schemas
import SwiftProtobuf
import Telemetry
import Tensors
import Testing

@testable import Catalog
@testable import Client
@testable import Engine
@testable import Serving

private typealias XSpace = Tensorflow_Profiler_XSpace

private func space(_ lines: [TraceLine], end: UInt64 = 10_000) -> XSpace {
  XSpace(Trace(lines: lines, wallStart: 1_000_000, start: 1000, end: end), host: "h")
}

extension XSpace {
  fileprivate func names(of line: Int) -> [String] {
    planes[0].lines[line].events.map { planes[0].eventMetadata[$0.metadataID]?.name ?? "?" }
  }
}

@Suite struct TraceTests {
  @Test func `events have their names, and times from the beginning on`() {
    let line = TraceLine(thread: 7, name: "loop-0", eventsMax: 10)
    line.ran("y", "AddV2", from: 1500, to: 1600)
    line.ran("y", "AddV2", from: 1700, to: 1900)
    line.ran("z", "Mul", from: 1200, to: 1300)
    let made = space([line])
    #expect(made.planes.map(\.name) == ["/host:CPU", "Task Environment"])
    #expect(made.hostnames == ["h"])
    #expect(made.planes[0].lines.map(\.name) == ["loop-0/7"])
    #expect(made.planes[0].lines[0].timestampNs == 0)
    #expect(made.planes[1].stats.map { made.planes[1].statMetadata[$0.metadataID]?.name } == ["profile_start_time", "profile_stop_time"])
    #expect(made.planes[1].stats.map(\.uint64Value) == [1_000_000, 1_009_000])
    #expect(made.names(of: 0) == ["z:Mul", "y:AddV2", "y:AddV2"])
    #expect(made.planes[0].lines[0].events.map(\.offsetPs) == [200_000, 500_000, 700_000])
    #expect(made.planes[0].lines[0].events.map(\.durationPs) == [100_000, 100_000, 200_000])
    #expect(made.planes[0].eventMetadata.count == 2)
    #expect(!made.isEmptyTrace)
    #expect(space([]).isEmptyTrace)
  }

  @Test func `a thread keeps its latest events`() {
    let line = TraceLine(thread: 1, name: "t", eventsMax: 3)
    for i in 0..<8 as Range<UInt64> { line.ran("\(i)", "Op", from: 2000 + i, to: 2001 + i) }
    #expect(line.events.events.map(\.start) == [2005, 2006, 2007])
    #expect(line.events.dropped == 5)
    #expect(space([line]).warnings.count == 1)
  }

  @Test func `a request lies around its stages, and says what it was`() {
    let line = TraceLine(thread: 1, name: "t", eventsMax: 100)
    var trail = RequestTrail(RequestOrigin(api: .predict, entrypoint: .grpc), arrived: MonotonicTime(nanoseconds: 2000))
    trail.ran(from: MonotonicTime(nanoseconds: 3000), to: MonotonicTime(nanoseconds: 5000))
    trail.ended(.write, at: MonotonicTime(nanoseconds: 5500))
    let labels = RequestLabels(model: "m", version: 3, signature: "s", origin: trail.origin)
    line.request(trail, labels, "OK", from: MonotonicTime(nanoseconds: 2600))
    let made = space([line])
    #expect(made.names(of: 0) == ["Predict m", "parse", "compute", "write"])
    let events = made.planes[0].lines[0].events
    #expect(events.map(\.offsetPs) == [1_600_000, 1_600_000, 2_000_000, 4_000_000])
    #expect(events.map(\.durationPs) == [2_900_000, 400_000, 2_000_000, 500_000])
    let stats = events[0].stats.map { (made.planes[0].statMetadata[$0.metadataID]?.name, $0.value) }
    #expect(stats.map(\.0) == ["model", "version", "signature", "status", "rows", "waited_us"])
    #expect(stats.map(\.1) == [.strValue("m"), .int64Value(3), .strValue("s"), .strValue("OK"), .int64Value(0), .int64Value(0)])
  }

  @Test func `one profile at a time, and nothing is kept behind it`() {
    let tracer = Tracer()
    #expect(tracer.line == nil)
    #expect(tracer.start())
    #expect(!tracer.start())
    let line = tracer.line
    #expect(line != nil && line === tracer.line)
    line?.ran("a", "B", from: 1, to: 2)
    #expect(tracer.snapshot()?.lines.count == 1)
    #expect(tracer.stop()?.lines.first === line)
    #expect(tracer.line == nil && tracer.stop() == nil && tracer.snapshot() == nil)
  }

  @Test func `names that lead out of the asked place are refused`() throws {
    var request = Tensorflow_ProfileRequest()
    (request.repositoryRoot, request.sessionID, request.hostName) = ("/a/b/", "run", "127.0.0.1:8500")
    let file = try XSpaceFile(request)
    #expect(file.directory == "/a/b/run" && file.name == "127.0.0.1_8500.xplane.pb")
    for (root, session, host) in [("", "r", "h"), ("a", "r", "h"), ("gs://a", "r", "h"), ("/a", "", "h"), ("/a", "..", "h"), ("/a", "r/s", "h"), ("/a", "r", "../h"), ("/a", "r\0", "h")] {
      (request.repositoryRoot, request.sessionID, request.hostName) = (root, session, host)
      #expect(throws: Status.self, "\(root) \(session) \(host)") { try XSpaceFile(request) }
    }
  }
}

@Suite(.timeLimit(.minutes(1))) struct ProfilerServiceTests {
  private func withServer(_ change: (inout ServingOptions) -> Void = { _ in }, _ body: (Channel, Catalog) async throws -> Void) async throws {
    var options = ServingOptions()
    options.workers = 1
    change(&options)
    let catalog = Catalog(), metrics = Metrics()
    metrics.add(ProcessMetrics.pour)
    let server = try ModelServer(
      catalog, options, http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1),
      metrics: metrics)
    try server.start()
    let channel = Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]))
    do { try await body(channel, catalog) } catch {
      channel.close()
      await server.drain(deadline: .zero)
      throw error
    }
    channel.close()
    await server.drain(deadline: .zero)
  }

  private func call<Response: SwiftProtobuf.Message>(
    _ channel: Channel, _ method: String, _ request: some SwiftProtobuf.Message, _ type: Response.Type
  ) async throws -> Response {
    try Response(serializedBytes: try await channel.unary("/tensorflow.ProfilerService/\(method)", try request.serializedBytes()).bytes)
  }

  @Test func `a profile has the requests and the ops that ran meanwhile, on loops and on workers`() async throws {
    try await withServer { channel, catalog in
      for (name, nanoseconds) in [("cheap", 1000), ("dear", Int.max)] {
        let model = try Model.halfPlusTwo()
        for signature in model.signatures { signature.cost.record(rows: 1, nanoseconds: nanoseconds) }
        let others = catalog.current.models
        catalog.publish(others + [
          ModelEntry(name: name, statuses: [.init(version: 1, state: .available)], slots: [Slot(modelName: name, version: 1, model: model)])
        ])
      }
      var request = Tensorflow_ProfileRequest()
      request.durationMs = 60_000
      request.emitXspace = true
      request.sessionID = "here"
      let profile = request
      async let response = call(channel, "Profile", profile, Tensorflow_ProfileResponse.self)
      // It has begun when there is something to look at.
      while (try? await call(channel, "GetSnapshot", Tensorflow_GetSnapshotRequest(), Tensorflow_ProfileResponse.self)) == nil {}
      await #expect(throws: Status(.internal, "Another profiler is running.")) {
        try await call(channel, "Profile", profile, Tensorflow_ProfileResponse.self)
      }
      for name in ["cheap", "dear", "cheap"] {
        let query = PredictQuery(model: name, inputs: ["x": Tensor(.float, shape: [1], [1 as Float])])
        _ = try await channel.unary("/tensorflow.serving.PredictionService/Predict", query.bytes)
      }
      var end = Tensorflow_TerminateRequest()
      end.sessionID = "here"
      _ = try await call(channel, "Terminate", end, Tensorflow_TerminateResponse.self)
      let space = try await response.xspace
      let names = space.planes[0].lines.indices.flatMap { space.names(of: $0) }
      #expect(names.filter { $0 == "Predict cheap" }.count == 2)
      #expect(names.filter { $0 == "Predict dear" }.count == 1)
      // Fused or not, the last of them makes y.
      #expect(names.filter { $0.hasPrefix("y:") }.count == 3, "\(names)")
      #expect(Set(space.planes[0].lines.map { $0.name.prefix { $0 != "-" } }) == ["loop", "worker"])
      #expect(try await !response.emptyTrace)
    }
  }

  @Test func `an empty profile says so, and a file is written where it is asked for`() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await withServer { channel, _ in
      var request = Tensorflow_ProfileRequest()
      (request.durationMs, request.repositoryRoot, request.sessionID, request.hostName) = (1, folder + "/plugins/profile", "run", "a:1")
      let response = try await call(channel, "Profile", request, Tensorflow_ProfileResponse.self)
      #expect(response.emptyTrace && !response.hasXspace)
      let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/plugins/profile/run/a_1.xplane.pb"))
      let space = try XSpace(serializedBytes: [UInt8](bytes))
      #expect(space.planes.map(\.name) == ["/host:CPU", "Task Environment"])
      request.sessionID = "../out"
      let wrong = request
      await #expect(throws: Status.self) { try await call(channel, "Profile", wrong, Tensorflow_ProfileResponse.self) }
    }
  }

  @Test func `continuous profiling is begun, looked at and ended`() async throws {
    try await withServer { channel, _ in
      await #expect(throws: Status.self) { try await call(channel, "GetSnapshot", Tensorflow_GetSnapshotRequest(), Tensorflow_ProfileResponse.self) }
      _ = try await call(channel, "StartContinuousProfiling", Tensorflow_ProfileRequest(), Tensorflow_ContinuousProfilingResponse.self)
      let response = try await call(channel, "GetSnapshot", Tensorflow_GetSnapshotRequest(), Tensorflow_ProfileResponse.self)
      #expect(response.hasXspace && response.emptyTrace)
      _ = try await call(channel, "StopContinuousProfiling", Tensorflow_StopContinuousProfilingRequest(), Tensorflow_StopContinuousProfilingResponse.self)
      await #expect(throws: Status.self) {
        try await call(channel, "StopContinuousProfiling", Tensorflow_StopContinuousProfilingRequest(), Tensorflow_StopContinuousProfilingResponse.self)
      }
    }
  }

  @Test func `Monitor tells the load`() async throws {
    try await withServer { channel, _ in
      var request = Tensorflow_MonitorRequest()
      (request.durationMs, request.monitoringLevel, request.timestamp) = (5, 2, true)
      let text = try await call(channel, "Monitor", request, Tensorflow_MonitorResponse.self).data
      for word in ["Over ", "Requests: 0.0/s", "CPU: ", "Memory: ", "Workers: 0 of 1 busy", "Connections: 1"] { #expect(text.contains(word), "\(text)") }
    }
  }

  @Test func `without the flag there is no such service`() async throws {
    try await withServer { $0.profiler = false } _: { channel, _ in
      do {
        _ = try await call(channel, "Monitor", Tensorflow_MonitorRequest(), Tensorflow_MonitorResponse.self)
        Issue.record("it answered")
      } catch let status as Status {
        #expect(status.code == .unimplemented)
      }
    }
  }

  @Test func `the report compares two looks`() {
    let count = MetricDescription("/tensorflow/serving/request_count", .counter, labels: ["model_name", "status"])
    var before = MetricsSnapshot(), after = MetricsSnapshot()
    before.add(10, to: count, ["m", "OK"])
    after.add(30, to: count, ["m", "OK"])
    after.add(4, to: count, ["m", "NOT_FOUND"])
    let text = LoadReport(from: before, to: after, seconds: 2).text(level: 2, isTimed: false)
    #expect(text.hasPrefix("Requests: 12.0/s, 2.0/s failed\n"))
    #expect(text.contains("Model m: 12.0/s, none\n"))
  }
}
