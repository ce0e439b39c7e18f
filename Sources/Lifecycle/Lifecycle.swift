// From directories to slots, and back: the threads around `Manager`.
//
//   Watcher ──scanned, touched──► mailbox ──► Manager (one thread) ──publish──► Catalog ──► readers
//   LoaderPool ─inspected, finished─┘  ▲            │
//        ▲                             │            └──load──► LoaderPool
//        └─ ModelLoader (a format)     └── acknowledged, drained: from readers and leases
//
// The manager's thread is the catalog's only writer, and where weights are freed. It never loads, never reads the disk and
// never waits for anyone but its mailbox.
public import Catalog
internal import CLinux
internal import Synchronization
internal import Threads

/// Keeps the catalog in step with the configured models' directories.
public final class Lifecycle: Sendable {
  /// The knobs, with TensorFlow Serving's defaults.
  public struct Options: Sendable, Equatable {
    /// `file_system_poll_wait_seconds`: 0 looks once, negative never.
    public var pollWaitSeconds = 1
    /// `num_load_threads`; never fewer than two, so that a slow model does not hold up the others. Zero chooses.
    public var loadThreads = 0
    /// `max_num_load_retries`.
    public var loadRetriesMax = 5
    /// `load_retry_interval_micros`; negative does not wait.
    public var loadRetryInterval = Duration.seconds(60)
    /// How long a version's files must have been left alone before it is loaded.
    public var quietPeriod = Duration.milliseconds(300)
    /// How long a file that ends too early is waited for, after the last change of its directory.
    public var patience = Duration.seconds(10)

    public init() {}
  }

  fileprivate enum Message: Sendable {
    case event(Manager.Event)
    /// A reader or a lease moved.
    case freed
    case await(Waiter)
    case stop(Waiter)
  }

  private let mailbox: Mailbox<Message>
  private let watcher: Watcher
  private let pool: LoaderPool
  private let thread: SystemThread
  private let hasStopped = Atomic(false)

  /// Starts with no models; see `apply`.
  /// - Parameters:
  ///   - catalog: written by this lifecycle alone.
  ///   - log: called from several threads.
  public init(
    _ catalog: Catalog, loader: any ModelLoader, options: Options = Options(),
    log: @escaping @Sendable (LogLine) -> Void = { _ in }
  ) {
    let mailbox = Mailbox<Message>()
    let report: @Sendable (Manager.Event) -> Void = { mailbox.put(.event($0)) }
    let limits = Manager.Limits(options)
    let watcher = Watcher(Polling(seconds: options.pollWaitSeconds), report: report, log: log)
    let pool = LoaderPool(loader, threads: limits.loaderThreads, quiet: options.quietPeriod, patience: options.patience, report: report) {
      mailbox.put(.freed)
    }
    catalog.onAcknowledge { mailbox.put(.freed) }
    self.mailbox = mailbox
    self.watcher = watcher
    self.pool = pool
    thread = SystemThread(named: "lifecycle", priority: .background) {
      var office = Office(limits, catalog, watcher, pool, log)
      while office.work(mailbox) {}
    }
  }

  /// Replaces the set of models: new ones are watched and loaded, missing ones unloaded, changed ones follow their new
  /// policy, labels and base path. A model that stays keeps serving. Returns at once.
  public func apply(_ configurations: [ModelConfiguration]) { mailbox.put(.event(.apply(configurations))) }

  /// Waits until each model has a version that serves or will not get one by itself, or the deadline. Models of earlier
  /// calls of `apply` count.
  /// - Returns: the models without a version to serve.
  public func waitUntilAvailable(deadline: ContinuousClock.Instant) -> [ModelFailure] {
    let waiter = Waiter(deadline)
    mailbox.put(.await(waiter))
    return waiter.wait().failures
  }

  /// Unloads everything, once readers and leases let go, and ends the threads. Call it once, and nothing afterwards.
  /// - Returns: whether all was unloaded in time. If not, what is still used or being loaded is left as it is.
  @discardableResult
  public func stop(deadline: ContinuousClock.Instant) -> Bool {
    guard !hasStopped.exchange(true, ordering: .relaxed) else { return true }
    let waiter = Waiter(deadline)
    mailbox.put(.stop(waiter))
    let isDone = waiter.wait().isDone
    thread.join()
    watcher.stop()
    // A thread that still loads cannot be stopped; the process ends without it.
    if isDone { pool.stop() }
    return isDone
  }
}

extension Manager.Limits {
  init(_ options: Lifecycle.Options) {
    self.init()
    let cores = Int(clinux_affinity_count())
    loaderThreads = max(2, options.loadThreads > 0 ? min(options.loadThreads, 1024) : cores)
    harness.retriesMax = max(0, options.loadRetriesMax)
    harness.retryInterval = options.loadRetryInterval
    scans = Polling(seconds: options.pollWaitSeconds) != .never
    polls = options.pollWaitSeconds > 0
  }
}

/// Someone who waits for the manager's answer. The manager answers at the deadline at the latest.
private final class Waiter: Sendable {
  struct Answer { var failures: [ModelFailure] = [], isDone = false }
  let deadline: ContinuousClock.Instant
  private let answer = Mutex(Answer())
  private let ready = Semaphore()

  init(_ deadline: ContinuousClock.Instant) { self.deadline = deadline }

  func resolve(_ answer: Answer) {
    self.answer.withLock { $0 = answer }
    ready.signal()
  }

  func wait() -> Answer {
    ready.wait()
    return answer.withLock { $0 }
  }
}

/// The manager's thread: the manager, and the hands that do what it says.
private struct Office: ~Copyable {
  private var manager: Manager
  private let catalog: Catalog
  private let watcher: Watcher
  private let pool: LoaderPool
  private let log: @Sendable (LogLine) -> Void
  private let start = ContinuousClock.now
  private var waiters: [Waiter] = []
  private var stopper: Waiter?
  /// Freed since the heap was last trimmed. Trimming walks the heap and holds its locks: not for every small model.
  private var freedBytes = 0
  private static let trimBytesMin = 1 << 20

  init(
    _ limits: Manager.Limits, _ catalog: Catalog, _ watcher: Watcher, _ pool: LoaderPool,
    _ log: @escaping @Sendable (LogLine) -> Void
  ) {
    manager = Manager(limits, epoch: catalog.epoch)
    self.catalog = catalog
    self.watcher = watcher
    self.pool = pool
    self.log = log
  }

  private var now: Duration { start.duration(to: .now) }

  /// Sleeps until there is something to do and does it. Returns false when all is done.
  mutating func work(_ mailbox: Mailbox<Lifecycle.Message>) -> Bool {
    mailbox.wait(atMost: timeout)
    receive(mailbox.take())
    turn()
    return answer()
  }

  private var timeout: Duration? {
    let deadlines = waiters.map(\.deadline) + (stopper.map { [$0.deadline] } ?? [])
    let forOthers = deadlines.min().map { ContinuousClock.now.duration(to: $0) }
    let forManager = manager.deadline.map { $0 - now }
    guard let forOthers, let forManager else { return forOthers ?? forManager }
    return min(forOthers, forManager)
  }

  private mutating func receive(_ messages: [Lifecycle.Message]) {
    for message in messages {
      switch message {
      case .event(let event): manager.receive(event, at: now)
      case .freed: break
      case .await(let waiter): waiters.append(waiter)
      case .stop(let waiter):
        stopper = waiter
        manager.receive(.stop, at: now)
      }
    }
  }

  /// Turns until a publication that nobody has to acknowledge leaves nothing more to do.
  private mutating func turn() {
    var hasPublished = true
    while hasPublished {
      hasPublished = false
      manager.receive(.acknowledged(epoch: catalog.acknowledged()), at: now)
      for effect in manager.turn(at: now) {
        switch effect {
        case .watch(let targets): watcher.watch(targets)
        case .watchVersion(let model, let version, let directories):
          watcher.watchVersion(model: model, version: version, directories: directories)
        case .load(let job): pool.start(job)
        case .publish(let models, let epoch):
          let published = catalog.publish(models)
          precondition(published == epoch, "the catalog has another writer")
          hasPublished = true
        case .trim(let byteCount): freedBytes += byteCount
        case .log(let line): log(line)
        }
      }
    }
    if freedBytes >= Office.trimBytesMin {
      freedBytes = 0
      clinux_trim_memory()
    }
  }

  private mutating func answer() -> Bool {
    if !waiters.isEmpty, let failures = manager.failures {
      for waiter in waiters { waiter.resolve(Waiter.Answer(failures: failures)) }
      waiters = []
    }
    let now = ContinuousClock.now
    for waiter in waiters where waiter.deadline <= now {
      waiter.resolve(Waiter.Answer(failures: manager.failuresNow))
    }
    waiters.removeAll { $0.deadline <= now }
    guard let stopper, manager.isStopped || stopper.deadline <= now else { return true }
    for waiter in waiters { waiter.resolve(Waiter.Answer(failures: manager.failuresNow)) }
    stopper.resolve(Waiter.Answer(isDone: manager.isStopped))
    return false
  }
}
