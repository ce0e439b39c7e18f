// Load on a gRPC server through our own client: the same message again and again, latencies and CPU at the end.
//
//   rpc-load --target=127.0.0.1:8500 --path=/tensorflow.serving.PredictionService/Predict --body=FILE
//            [--connections=1] [--streams=1] [--seconds=5] [--warmup=1] [--rate=N] [--loops=1] [--timeout=SECONDS]
//            [--tls] [--ca=FILE] [--cert=FILE --key=FILE] [--server-name=NAME]
//
// Closed loop: each stream makes its next call when the last is answered. With --rate calls begin at a constant rate
// whatever the server does, and a latency counts from the moment at which its call should have begun: a server that stalls
// shows the stall in all calls that fell into it. FILE holds one encoded message, without gRPC's prefix.
//
// Prints one line of name=value pairs; leaves with 1 when any call failed.
import Foundation
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
  private var histogram = Histogram()
  private var failures: [Status: Int] = [:]
  private var isMeasuring = false
  private var isRunning = true
  private var next = 0

  init(_ options: Options, connections: Int) throws {
    self.options = options
    rate = options.rate.map { $0 / Double(options.loops) } ?? 0
    loop = try EventLoop()
    loop.start()
    let loop = loop
    channels = try (0..<connections).map { _ in
      Channel(to: try Target(parsing: options.target), on: loop, configuration: options.configuration)
    }
  }

  func begin() {
    if rate > 0 { return pace() }
    loop.enqueue { [self] in
      for channel in channels { for _ in 0..<options.streams { call(on: channel, due: .now, thenAgain: true) } }
    }
  }

  private func call(on channel: Channel, due: MonotonicTime, thenAgain: Bool) {
    channel.unary(options.path, options.body, options: options.call) { [self] result in
      let now = MonotonicTime.now
      switch result {
      case .success: if isMeasuring { histogram.record(now.nanoseconds(since: due)) }
      case .failure(let status):
        if isRunning { failures[status, default: 0] += 1 }
        // A server that refuses everything at once is not hammered.
        if thenAgain, isRunning { return later { [self] in call(on: channel, due: .now, thenAgain: true) } }
      }
      if thenAgain, isRunning { call(on: channel, due: now, thenAgain: true) }
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

  /// A thread wakes the loop for each call that is due; the loop's own timers are a millisecond wide.
  private func pace() {
    let begin = MonotonicTime.now, rate = rate, loop = loop
    Thread.detachNewThread { [weak self] in
      var begun: UInt64 = 0
      while self != nil {
        let due = begin.advanced(byNanoseconds: UInt64(Double(begun) / rate * 1e9))
        var time = timespec(tv_sec: Int(due.nanoseconds / 1_000_000_000), tv_nsec: Int(due.nanoseconds % 1_000_000_000))
        // The kernel reads the struct; an interrupted sleep is slept again.
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
        loop.enqueue { [weak self] in self?.callAtRate(due) }
        begun += 1
      }
    }
  }

  private func callAtRate(_ due: MonotonicTime) {
    guard isRunning else { return }
    call(on: channels[next % channels.count], due: due, thenAgain: false)
    next += 1
  }

  // MARK: measuring

  func measure() async {
    await onLoop { worker in worker.isMeasuring = true }
  }

  func stop() async -> (Histogram, [Status: Int]) {
    let result = await onLoop { worker in
      worker.isMeasuring = false
      worker.isRunning = false
      return (worker.histogram, worker.failures)
    }
    for channel in channels { channel.close() }
    return result
  }

  private func onLoop<T: Sendable>(_ body: @escaping @Sendable (Worker) -> T) async -> T {
    await withCheckedContinuation { continuation in
      loop.enqueue { [self] in continuation.resume(returning: body(self)) }
    }
  }
}

func cpuSeconds() -> Double {
  var usage = rusage()
  // The kernel fills the struct.
  unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
  return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

let workers = try (0..<options.loops).map { index in
  try Worker(options, connections: options.connections / options.loops + (index < options.connections % options.loops ? 1 : 0))
}
for worker in workers { worker.begin() }
try await Task.sleep(for: .seconds(options.warmup))
for worker in workers { await worker.measure() }
let begin = MonotonicTime.now, cpuAtBegin = cpuSeconds()
try await Task.sleep(for: .seconds(options.seconds))
let cpu = cpuSeconds() - cpuAtBegin, seconds = Double(MonotonicTime.now.nanoseconds(since: begin)) / 1e9

var all = Histogram()
var failures: [Status: Int] = [:]
for worker in workers {
  let (histogram, failed) = await worker.stop()
  all.add(histogram)
  failures.merge(failed, uniquingKeysWith: +)
}

func tenth(_ value: Double) -> String { String(Int((value * 10).rounded()) / 10) + "." + String(Int((value * 10).rounded()) % 10) }
func microseconds(_ fraction: Double, _ all: Histogram) -> String { tenth(Double(all.quantile(fraction)) / 1000) }

let failed = failures.values.reduce(0, +)
print(
  "requests=\(all.count) failed=\(failed) seconds=\(tenth(seconds)) per_second=\(Int(Double(all.count) / seconds))",
  "cpu_us=\(tenth(all.count == 0 ? 0 : cpu * 1e6 / Double(all.count)))",
  "p50_us=\(microseconds(0.5, all)) p90_us=\(microseconds(0.9, all)) p99_us=\(microseconds(0.99, all))",
  "p999_us=\(microseconds(0.999, all))",
  "max_us=\(tenth(Double(all.largest) / 1000))")
for (status, count) in failures.sorted(by: { $0.value > $1.value }).prefix(5) { print("failed \(count): \(status)") }
exit(failed > 0 || all.count == 0 ? 1 : 0)
