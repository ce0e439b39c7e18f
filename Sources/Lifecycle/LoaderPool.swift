// The threads that load. They run beside those that serve and get the CPU that serving leaves. The manager hands out no more
// jobs than there are threads, so nothing queues here.
internal import Catalog
internal import Glibc
internal import Synchronization
internal import Threads

final class LoaderPool: Sendable {
  private let jobs = Mutex<[LoadJob?]>([])
  private let ready = Semaphore()
  private let threads = Mutex<[SystemThread]>([])
  private let loader: any ModelLoader
  private let quiet: Int64
  private let patience: Int64
  private let report: @Sendable (Manager.Event) -> Void
  private let drained: @Sendable () -> Void

  /// - Parameters:
  ///   - quiet: how long a directory must not have changed.
  ///   - patience: how long a file that ends too early is waited for.
  ///   - report: called on a loader thread with `inspected` and `finished`.
  ///   - drained: for the slots.
  init(
    _ loader: any ModelLoader, threads count: Int, quiet: Duration, patience: Duration,
    report: @escaping @Sendable (Manager.Event) -> Void, drained: @escaping @Sendable () -> Void
  ) {
    self.loader = loader
    self.quiet = quiet.inMilliseconds * 1_000_000
    self.patience = patience.inMilliseconds * 1_000_000
    self.report = report
    self.drained = drained
    for number in 0..<count {
      let thread = SystemThread(named: "loader-\(number)", priority: .background) { self.work() }
      threads.withLock { $0.append(thread) }
    }
  }

  func start(_ job: LoadJob) {
    jobs.withLock { $0.append(job) }
    ready.signal()
  }

  /// Ends the threads once their jobs are done, and waits for that.
  func stop() {
    let threads = threads.withLock { $0 }
    for _ in threads {
      jobs.withLock { $0.append(nil) }
      ready.signal()
    }
    for thread in threads { thread.join() }
  }

  private func work() {
    while true {
      ready.wait()
      guard let job = jobs.withLock({ $0.removeFirst() }) else { return }
      // In one expression, so that no reference to the slot stays behind on this thread.
      report(
        .finished(
          job,
          job.run(
            loader, quiet: quiet, patience: patience, wallClock: wallClock, inspected: { report(.inspected(job)) },
            drained: drained)))
    }
  }
}

/// Nanoseconds since 1970.
private func wallClock() -> Int64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
