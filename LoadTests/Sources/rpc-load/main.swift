// Load on a gRPC server through our own client: the same message again and again, latencies and CPU at the end.
//
//   rpc-load --target=127.0.0.1:8500 --path=/tensorflow.serving.PredictionService/Predict --body=FILE
//            [--connections=1] [--streams=1] [--seconds=5] [--warmup=1] [--rate=N | --calls=N] [--loops=1] [--timeout=SECONDS]
//            [--tls] [--ca=FILE] [--cert=FILE --key=FILE] [--server-name=NAME]
//
// Closed loop: each stream makes its next call when the last is answered, for as long as `--seconds` says or until there have
// been `--calls`. With --rate calls begin at a constant rate whatever the server does, and a latency counts from the moment at
// which its call should have begun: a server that stalls shows the stall in all calls that fell into it, and those that it has
// not answered at the end are waited for. FILE holds one encoded message, without gRPC's prefix.
//
// At a rate the loops never sleep: a sleep ends some fifty microseconds late. `late_p99_us` is how late our calls began.
//
// Prints one line of name=value pairs; leaves with 1 when any call failed.
import Glibc
import HTTP
import RPC
import Synchronization

let options: Options
do { options = try Options(Array(CommandLine.arguments.dropFirst())) } catch {
  print("rpc-load: \(error)")
  exit(2)
}

/// The connections of one loop.
final class Worker: @unchecked Sendable {
  // Used on the loop alone, until it has been joined.
  let loop: EventLoop
  let channels: [Channel]
  private let options: Options
  private let rate: Double
  private var recording = Recording()
  /// Calls that begin, or should, in here are recorded.
  private let window: Range<MonotonicTime>
  private var isRunning = true
  /// Calls of the window without an answer.
  private var unanswered = 0
  private var onAnswered: (() -> Void)?
  private var begun = 0
  private var callsLeft: Int

  /// - Parameters:
  ///   - calls: how many to make in all; nil: as many as there is time for.
  init(_ options: Options, connections: Int, calls: Int?, window: Range<MonotonicTime>) throws {
    self.options = options
    self.window = window
    rate = options.rate.map { $0 / Double(options.loops) } ?? 0
    callsLeft = calls ?? .max
    loop = try EventLoop()
    loop.start()
    let loop = loop
    channels = try (0..<connections).map { _ in
      Channel(to: try Target(parsing: options.target), on: loop, configuration: options.configuration)
    }
  }

  /// - Parameter offset: behind now; spreads the loops over the time between two calls.
  func begin(offset: UInt64) {
    loop.enqueue { [self] in
      if rate > 0 { return pace(from: MonotonicTime.now.advanced(byNanoseconds: offset)) }
      for channel in channels { for _ in 0..<options.streams { call(on: channel, due: .now, thenAgain: true) } }
    }
  }

  private func call(on channel: Channel, due: MonotonicTime, thenAgain: Bool) {
    guard callsLeft > 0 else { return }
    callsLeft -= 1
    let isRecorded = window.contains(due)
    if isRecorded { unanswered += 1 }
    channel.unary(options.path, options.body, options: options.call) { [self] result in
      let now = MonotonicTime.now
      if isRecorded {
        unanswered -= 1
        recording.add(result, now.nanoseconds(since: due))
        if unanswered == 0 { answeredAll() }
      }
      guard thenAgain, isRunning else { return }
      // A server that refuses everything at once is not hammered.
      if case .failure = result { return later { [self] in call(on: channel, due: .now, thenAgain: true) } }
      call(on: channel, due: now, thenAgain: true)
    }
  }

  private func later(_ body: @escaping () -> Void) {
    _ = loop.schedule(at: loop.now.advanced(byMilliseconds: 10), Later(body))
  }

  private final class Later: TimerTarget {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
    func timerFired(_ timer: TimerID) { body() }
  }

  // MARK: at a rate

  /// Begins what is due, turn after turn of the loop.
  private func pace(from first: MonotonicTime) {
    guard isRunning else { return }
    let now = MonotonicTime.now
    while true {
      let due = first.advanced(byNanoseconds: UInt64(Double(begun) / rate * 1e9))
      if due > now { break }
      if window.contains(due) { recording.late.record(now.nanoseconds(since: due)) }
      call(on: channels[begun % channels.count], due: due, thenAgain: false)
      begun += 1
    }
    loop.enqueue { [self] in pace(from: first) }
  }

  // MARK: the end

  /// Waits for the answers to all calls: those that are to be made, or, at the end of the window, those that have been.
  func finish() async -> Recording {
    await withCheckedContinuation { continuation in
      loop.enqueue { [self] in
        if window.upperBound != .distantFuture {
          isRunning = false
          _ = loop.schedule(at: loop.now.advanced(byMilliseconds: 10_000), Later { [self] in end() })
        }
        onAnswered = { continuation.resume() }
        answeredAll()
      }
    }
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Recording, Never>) in
      loop.enqueue { [self] in
        isRunning = false
        recording.unanswered = unanswered
        continuation.resume(returning: recording)
      }
    }
    for channel in channels { channel.close() }
    return result
  }

  private func answeredAll() {
    if unanswered == 0, !isRunning || callsLeft == 0 { end() }
  }

  private func end() {
    onAnswered?()
    onAnswered = nil
  }
}

/// What has been seen of the calls that count.
struct Recording: Sendable {
  var latencies = Histogram()
  /// How late calls began that had to begin at a certain time.
  var late = Histogram()
  var failures: [Status: Int] = [:]
  var unanswered = 0

  mutating func add(_ result: Result<Response, Status>, _ nanoseconds: UInt64) {
    switch result {
    case .success: latencies.record(nanoseconds)
    case .failure(let status): failures[status, default: 0] += 1
    }
  }

  mutating func add(_ other: Recording) {
    latencies.add(other.latencies)
    late.add(other.late)
    failures.merge(other.failures, uniquingKeysWith: +)
    unanswered += other.unanswered
  }
}

func cpuSeconds() -> Double {
  var usage = rusage()
  // The kernel fills the struct.
  unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
  return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

func share(_ total: Int, _ index: Int) -> Int { total / options.loops + (index < total % options.loops ? 1 : 0) }

let start = MonotonicTime.now
var begin = start, end = MonotonicTime.distantFuture
if options.calls == nil {
  begin = start.advanced(byNanoseconds: UInt64(options.warmup * 1e9))
  end = begin.advanced(byNanoseconds: UInt64(options.seconds * 1e9))
}
let workers = try (0..<options.loops).map { index in
  try Worker(
    options, connections: share(options.connections, index), calls: options.calls.map { share($0, index) }, window: begin..<end)
}
for (index, worker) in workers.enumerated() {
  worker.begin(offset: options.rate.map { UInt64(Double(index) / $0 * 1e9) } ?? 0)
}
var cpu = cpuSeconds()
if options.calls == nil {
  try await Task.sleep(for: .nanoseconds(begin.nanoseconds(since: .now)))
  cpu = cpuSeconds()
  try await Task.sleep(for: .nanoseconds(end.nanoseconds(since: .now)))
  cpu = cpuSeconds() - cpu
}
var all = Recording()
for worker in workers { all.add(await worker.finish()) }
if options.calls != nil {
  end = .now
  cpu = cpuSeconds() - cpu
}

func tenth(_ value: Double) -> String { String(Int((value * 10).rounded()) / 10) + "." + String(Int((value * 10).rounded()) % 10) }
func microseconds(_ fraction: Double, _ all: Histogram) -> String { tenth(Double(all.quantile(fraction)) / 1000) }

let seconds = Double(end.nanoseconds(since: begin)) / 1e9, count = all.latencies.count
let failed = all.failures.values.reduce(0, +) + all.unanswered
print(
  "requests=\(count) failed=\(failed) seconds=\(tenth(seconds)) per_second=\(Int(Double(count) / seconds))",
  "cpu_us=\(tenth(count == 0 ? 0 : cpu * 1e6 / Double(count)))",
  "p50_us=\(microseconds(0.5, all.latencies)) p90_us=\(microseconds(0.9, all.latencies))",
  "p99_us=\(microseconds(0.99, all.latencies)) p999_us=\(microseconds(0.999, all.latencies))",
  "max_us=\(tenth(Double(all.latencies.largest) / 1000)) late_p99_us=\(microseconds(0.99, all.late))")
for (status, count) in all.failures.sorted(by: { $0.value > $1.value }).prefix(5) { print("failed \(count): \(status)") }
if all.unanswered > 0 { print("without an answer ten seconds later: \(all.unanswered)") }
exit(failed > 0 || count == 0 ? 1 : 0)
