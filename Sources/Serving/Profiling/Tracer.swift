// What threads do, written down while somebody profiles: requests, and the ops of their runs. Off, it costs a request one load
// of a flag that nobody writes.
//
//   Tracer      one per server: whether somebody profiles
//   TraceLine   one per thread and profile: the latest events of that thread
internal import Engine
internal import Glibc
internal import HTTP
internal import Synchronization
internal import Threads

/// Something that took time on a thread.
struct TraceEvent: Sendable, Equatable {
  enum Name: Sendable, Hashable {
    /// An op's run.
    case op(node: String, op: String)
    /// A request's, or of a stage of one.
    case request(String)
  }
  var name: Name
  /// By the monotonic clock, in nanoseconds.
  var start: UInt64
  var end: UInt64
  var details: Details?

  /// What is said of a request.
  struct Details: Sendable, Equatable {
    var model: String
    var version: Int64?
    var signature: String
    var status: String
    var rows: Int
    /// Before the thread had it, in nanoseconds.
    var waited: UInt64
  }
}

/// A thread's events, the latest of them.
///
/// - Note: the lock is taken by its thread for each event, and by who collects at the end.
final class TraceLine: StepObserver, Sendable {
  private struct Ring {
    var events: [TraceEvent] = []
    /// Where the next goes once there are as many as may be.
    var next = 0
    var dropped = 0
  }

  let thread: Int
  let name: String
  private let eventsMax: Int
  private let ring = Mutex(Ring())

  init(thread: Int, name: String, eventsMax: Int) {
    self.thread = thread
    self.name = name
    self.eventsMax = max(1, eventsMax)
  }

  func add(_ event: TraceEvent) {
    ring.withLock { ring in
      if ring.events.count < eventsMax { return ring.events.append(event) }
      ring.events[ring.next] = event
      ring.next = (ring.next + 1) % eventsMax
      ring.dropped += 1
    }
  }

  func ran(_ node: String, _ op: String, from start: UInt64, to end: UInt64) {
    add(TraceEvent(name: .op(node: node, op: op), start: start, end: end))
  }

  /// In the order they ended.
  var events: (events: [TraceEvent], dropped: Int) {
    ring.withLock { (Array($0.events[$0.next...] + $0.events[..<$0.next]), $0.dropped) }
  }
}

/// What was written down.
struct Trace: Sendable {
  var lines: [TraceLine]
  /// When it began: nanoseconds since 1970, and by the monotonic clock.
  var wallStart: UInt64
  var start: UInt64
  var end: UInt64
}

final class Tracer: Sendable {
  private struct Session {
    var lines: [UInt: TraceLine] = [:]
    var wallStart: UInt64
    var start: UInt64
    var eventsPerLine: Int
  }

  private let isOn = Atomic<Bool>(false)
  private let session = Mutex<Session?>(nil)

  /// So many events are kept of each thread; two hundred bytes each.
  static let eventsPerLineMax = 100_000

  /// Begins to write down. False: somebody profiles already.
  func start(eventsPerLine: Int = Tracer.eventsPerLineMax) -> Bool {
    session.withLock { session in
      if session != nil { return false }
      session = Session(
        wallStart: Tracer.nanoseconds(CLOCK_REALTIME), start: Tracer.nanoseconds(CLOCK_MONOTONIC),
        eventsPerLine: min(max(1, eventsPerLine), Tracer.eventsPerLineMax))
      isOn.store(true, ordering: .releasing)
      return true
    }
  }

  /// What was written down so far; `nil` when nobody profiles.
  func snapshot() -> Trace? { session.withLock { $0.map(Tracer.trace) } }

  /// Ends it.
  func stop() -> Trace? {
    session.withLock { session in
      isOn.store(false, ordering: .relaxed)
      defer { session = nil }
      return session.map(Tracer.trace)
    }
  }

  private static func trace(_ session: Session) -> Trace {
    Trace(
      lines: session.lines.values.sorted { $0.thread < $1.thread }, wallStart: session.wallStart, start: session.start,
      end: nanoseconds(CLOCK_MONOTONIC))
  }

  /// Where this thread writes; `nil` while nobody profiles.
  var line: TraceLine? { isOn.load(ordering: .relaxed) ? makeLine() : nil }

  private func makeLine() -> TraceLine? {
    session.withLock { session -> TraceLine? in
      let key = UInt(pthread_self())
      if let known = session?.lines[key] { return known }
      guard let eventsMax = session?.eventsPerLine else { return nil }
      let thread = SystemThread.current
      let line = TraceLine(thread: thread.id, name: thread.name, eventsMax: eventsMax)
      session?.lines[key] = line
      return line
    }
  }

  private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}

extension TraceLine {
  /// A request that this thread has dealt with, from `start` on, and its stages here.
  func request(_ trail: RequestTrail, _ labels: RequestLabels, _ status: String, from start: MonotonicTime) {
    let api = labels.origin.api.label(labels.origin.entrypoint)
    let details = TraceEvent.Details(
      model: labels.model, version: labels.version, signature: labels.signature, status: status, rows: trail.rows,
      waited: start.nanoseconds(since: trail.arrived))
    add(
      TraceEvent(
        name: .request("\(api) \(labels.model)"), start: start.nanoseconds, end: max(start, trail.accounted).nanoseconds,
        details: details))
    // From the end: what is accounted for to the first of them may have begun before this thread had the request.
    var end = trail.accounted.nanoseconds
    for stage in [RequestStage.write, .compute, .batch, .parse] {
      let time = min(trail.stages[stage.rawValue], end > start.nanoseconds ? end - start.nanoseconds : 0)
      if time > 0 { add(TraceEvent(name: .request("\(stage)"), start: end - time, end: end)) }
      end -= time
    }
  }
}
