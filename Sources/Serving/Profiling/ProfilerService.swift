// `tensorflow.ProfilerService`, as TensorFlow's profiler server answers it (tsl/profiler/rpc/profiler_service_impl.cc), and
// with what that one leaves out: Monitor. Whoever profiles waits on a thread of the profiler's, never on a loop.
internal import Glibc
internal import HTTP
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Synchronization
internal import Telemetry
internal import Threads
internal import Wire

final class ProfilerService: Sendable {
  private struct State {
    /// Sessions that were asked to end, as long as somebody waits.
    var terminated: Set<String> = []
    /// Calls that wait for their time to pass.
    var waiting = 0
    var threads: [Int: SystemThread] = [:]
    /// Those of them that have nothing left to do.
    var finished: [Int] = []
    var lastThread = 0
    var isStopping = false
  }

  let tracer: Tracer
  private let metrics: Metrics
  private let state = Mutex(State())

  /// More calls than so many at once are nobody's plan.
  private static let waitingMax = 8
  private static let durationMillisecondsMax: UInt64 = 10 * 60 * 1000

  init(_ tracer: Tracer, _ metrics: Metrics) {
    self.tracer = tracer
    self.metrics = metrics
  }

  func register(in methods: inout MethodTable) {
    let service = "/tensorflow.ProfilerService/"
    methods.register(path: service + "Profile", ProfilerHandler { call throws(Status) in try self.profile(call) })
    methods.register(path: service + "Terminate", ProfilerHandler { call throws(Status) in try self.terminate(call) })
    methods.register(path: service + "Monitor", ProfilerHandler { call throws(Status) in try self.monitor(call) })
    methods.register(path: service + "StartContinuousProfiling", ProfilerHandler { call throws(Status) in try self.startContinuous(call) })
    methods.register(path: service + "StopContinuousProfiling", ProfilerHandler { call throws(Status) in try self.stopContinuous(call) })
    methods.register(path: service + "GetSnapshot", ProfilerHandler { call throws(Status) in try self.getSnapshot(call) })
  }

  // MARK: Profile

  private func profile(_ call: UnaryCall) throws(Status) {
    let request = try call.request(Tensorflow_ProfileRequest.self)
    let duration = request.opts.durationMs > 0 ? request.opts.durationMs : request.durationMs
    guard duration <= ProfilerService.durationMillisecondsMax else {
      throw Status(.invalidArgument, "duration_ms has to be at most \(ProfilerService.durationMillisecondsMax); got \(duration)")
    }
    if !request.emitXspace { _ = try XSpaceFile(request) }
    let events = request.maxEvents > 0 ? Int(clamping: request.maxEvents) : Tracer.eventsPerLineMax
    guard tracer.start(eventsPerLine: events) else { throw Status(.internal, "Another profiler is running.") }
    let detached = call.detach()
    let isTaken = wait(milliseconds: duration, session: request.sessionID, { detached.isCancelled }) { [self] in
      guard let trace = tracer.stop() else { return detached.fail(Status(.internal, "the profile was ended by somebody else")) }
      do throws(Status) {
        detached.answer(try response(to: request, trace))
      } catch {
        detached.fail(error)
      }
    }
    if isTaken { return }
    _ = tracer.stop()
    detached.fail(Status(.resourceExhausted, "too many profiler calls wait already"))
  }

  private func response(to request: Tensorflow_ProfileRequest, _ trace: Trace) throws(Status) -> Tensorflow_ProfileResponse {
    let space = Tensorflow_Profiler_XSpace(trace, host: request.hostName.isEmpty ? "localhost" : request.hostName)
    var response = Tensorflow_ProfileResponse()
    response.emptyTrace = space.isEmptyTrace
    if request.emitXspace { response.xspace = space } else { try XSpaceFile(request).write(space) }
    return response
  }

  private func terminate(_ call: UnaryCall) throws(Status) {
    let request = try call.request(Tensorflow_TerminateRequest.self)
    state.withLock { state in
      // Only who waits can be ended: an id that nobody has is not kept.
      if state.waiting > 0, state.terminated.count < ProfilerService.waitingMax { state.terminated.insert(request.sessionID) }
    }
    try call.reply(Tensorflow_TerminateResponse())
  }

  // MARK: Continuous profiling

  private func startContinuous(_ call: UnaryCall) throws(Status) {
    let request = try call.request(Tensorflow_ProfileRequest.self)
    let events = request.maxEvents > 0 ? Int(clamping: request.maxEvents) : Tracer.eventsPerLineMax
    guard tracer.start(eventsPerLine: events) else { throw Status(.internal, "Another profiler is running.") }
    try call.reply(Tensorflow_ContinuousProfilingResponse())
  }

  private func stopContinuous(_ call: UnaryCall) throws(Status) {
    guard tracer.stop() != nil else { throw Status(.failedPrecondition, "no continuous profiling is running") }
    try call.reply(Tensorflow_StopContinuousProfilingResponse())
  }

  private func getSnapshot(_ call: UnaryCall) throws(Status) {
    let tracer = tracer, detached = call.detach()
    let isTaken = wait(milliseconds: 0, session: "", { false }) {
      guard let trace = tracer.snapshot() else { return detached.fail(Status(.failedPrecondition, "no continuous profiling is running")) }
      var response = Tensorflow_ProfileResponse()
      response.xspace = Tensorflow_Profiler_XSpace(trace, host: "localhost")
      response.emptyTrace = response.xspace.isEmptyTrace
      detached.answer(response)
    }
    if !isTaken { detached.fail(Status(.resourceExhausted, "too many profiler calls wait already")) }
  }

  // MARK: Monitor

  private func monitor(_ call: UnaryCall) throws(Status) {
    let request = try call.request(Tensorflow_MonitorRequest.self)
    guard request.durationMs <= ProfilerService.durationMillisecondsMax else {
      throw Status(.invalidArgument, "duration_ms has to be at most \(ProfilerService.durationMillisecondsMax); got \(request.durationMs)")
    }
    let detached = call.detach(), metrics = metrics
    let before = MonotonicTime.now
    // On the profiler's thread: a snapshot takes longer than a loop has.
    let isTaken = wait(milliseconds: request.durationMs, session: "", { detached.isCancelled }, first: { metrics.snapshot() }) { first in
      var response = Tensorflow_MonitorResponse()
      let seconds = Double(MonotonicTime.now.nanoseconds(since: before)) / 1e9
      response.data = LoadReport(from: first, to: metrics.snapshot(), seconds: seconds).text(
        level: Int(request.monitoringLevel), isTimed: request.timestamp)
      detached.answer(response)
    }
    if !isTaken { detached.fail(Status(.resourceExhausted, "too many profiler calls wait already")) }
  }

  // MARK: Waiting

  private func wait(
    milliseconds: UInt64, session: String, _ isCancelled: @escaping @Sendable () -> Bool, then finish: @escaping @Sendable () -> Void
  ) -> Bool {
    wait(milliseconds: milliseconds, session: session, isCancelled, first: {}, then: finish)
  }

  /// Does `first`, waits, and finishes, on a thread of its own; `false` when too many wait.
  private func wait<First: Sendable>(
    milliseconds: UInt64, session: String, _ isCancelled: @escaping @Sendable () -> Bool, first: @escaping @Sendable () -> First,
    then finish: @escaping @Sendable (First) -> Void
  ) -> Bool {
    let (number, old) = state.withLock { state -> (Int?, [SystemThread]) in
      let old = state.finished.compactMap { state.threads.removeValue(forKey: $0) }
      state.finished = []
      guard state.waiting < ProfilerService.waitingMax, !state.isStopping else { return (nil, old) }
      state.waiting += 1
      state.lastThread += 1
      return (state.lastThread, old)
    }
    for thread in old { thread.join() }
    guard let number else { return false }
    // Held while the thread begins, so that it is known before it can be finished.
    state.withLock { state in
      state.threads[number] = SystemThread(named: "profiler", priority: .background) { [self] in
        let value = first()
        let end = MonotonicTime.now.advanced(byMilliseconds: milliseconds)
        while MonotonicTime.now < end, !isCancelled(), !isOver(session) { usleep(2000) }
        finish(value)
        self.state.withLock { state in
          state.waiting -= 1
          if state.waiting == 0 { state.terminated = [] } else { state.terminated.remove(session) }
          state.finished.append(number)
        }
      }
    }
    return true
  }

  private func isOver(_ session: String) -> Bool {
    state.withLock { $0.isStopping || (!session.isEmpty && $0.terminated.contains(session)) }
  }

  /// Ends what waits, and the threads.
  func stop() {
    let threads = state.withLock { state in
      state.isStopping = true
      defer { state.threads = [:] }
      return Array(state.threads.values)
    }
    for thread in threads { thread.join() }
  }
}

/// One of its methods.
private final class ProfilerHandler: UnaryHandler {
  private let answer: @Sendable (UnaryCall) throws(Status) -> Void

  init(_ answer: @escaping @Sendable (UnaryCall) throws(Status) -> Void) { self.answer = answer }

  func handle(_ call: UnaryCall) {
    do { try answer(call) } catch { call.fail(error) }
  }
}

extension DetachedCall {
  fileprivate func answer(_ response: some SwiftProtobuf.Message) {
    do throws(Status) {
      let bytes = try response.response()
      reply(byteCount: bytes.count) { output in
        let bytes = bytes
        output.appendBytes(bytes.rawSpan)
      }
    } catch {
      fail(error)
    }
  }
}
