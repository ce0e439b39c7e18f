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
    /// How long a base path that had versions must have none before they are unloaded. TensorFlow Serving does not wait.
    public var emptyPatience = Duration.seconds(5)
    /// `allow_version_labels_for_unavailable_models`.
    public var allowsLabelsForUnavailable = false
    /// How long a file that ends too early is waited for, after the last change of its directory.
    public var patience = Duration.seconds(10)

    public init() {}
  }

  fileprivate enum Message: Sendable {
    case event(Manager.Event)
    /// A reader or a lease moved.
    case freed
    case await(Waiting)
    case reload(Reload)
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

  /// The same for a server that is at work: either all of it happens, in one publication, or nothing. Returns once that is
  /// decided, which no load holds up. Not for an event loop: the lifecycle's thread may be freeing a model just now.
  /// - Parameters:
  ///   - deadline: of the wait for models that are new.
  ///   - searchDeadline: of that wait, for models whose base path has nothing yet.
  ///   - settled: called once, on the lifecycle's thread, when each model that is new has a version that serves or will not
  ///     get one by itself, or at the deadline.
  public func reload(
    _ configurations: [ModelConfiguration], deadline: ContinuousClock.Instant, searchDeadline: ContinuousClock.Instant,
    settled: @escaping @Sendable (Settlement) -> Void
  ) throws(RefusedLabel) {
    let reload = Reload(configurations, Waiting(deadline: deadline, searchDeadline: searchDeadline, settled: settled))
    mailbox.put(.reload(reload))
    if let refused = reload.decision() { throw refused }
  }

  /// What came of waiting for models.
  public struct Settlement: Sendable {
    /// The models without a version to serve.
    public var failures: [ModelFailure]
    /// Some of them may yet get one; the deadline came first.
    public var isPremature: Bool

    public init(failures: [ModelFailure] = [], isPremature: Bool = false) {
      self.failures = failures
      self.isPremature = isPremature
    }
  }

  /// Waits until each model has a version that serves or will not get one by itself, or the deadline. Models of earlier
  /// calls of `apply` count.
  /// - Returns: the models without a version to serve.
  public func waitUntilAvailable(deadline: ContinuousClock.Instant) -> [ModelFailure] {
    let waiter = Waiter(deadline)
    let waiting = Waiting(deadline: deadline, searchDeadline: deadline) { waiter.resolve(Waiter.Answer(failures: $0.failures)) }
    mailbox.put(.await(waiting))
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
    emptyPatience = options.emptyPatience
    allowsLabelsForUnavailable = options.allowsLabelsForUnavailable
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

/// Someone who hears when models have come up, or not.
private struct Waiting: Sendable {
  /// `nil` for all.
  var models: Set<String>?
  let deadline: ContinuousClock.Instant
  let searchDeadline: ContinuousClock.Instant
  let settled: @Sendable (Lifecycle.Settlement) -> Void
}

/// A new configuration on its way to the manager, and its decision on the way back.
private final class Reload: Sendable {
  let configurations: [ModelConfiguration]
  let waiting: Waiting
  private let refused = Mutex<RefusedLabel?>(nil)
  private let decided = Semaphore()

  init(_ configurations: [ModelConfiguration], _ waiting: Waiting) {
    self.configurations = configurations
    self.waiting = waiting
  }

  func decide(_ refused: RefusedLabel?) {
    self.refused.withLock { $0 = refused }
    decided.signal()
  }

  func decision() -> RefusedLabel? {
    decided.wait()
    return refused.withLock { $0 }
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
  private var waitings: [Waiting] = []
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
    let now = ContinuousClock.now
    let deadlines = waitings.map { $0.searchDeadline > now ? min($0.deadline, $0.searchDeadline) : $0.deadline } + (stopper.map { [$0.deadline] } ?? [])
    let forOthers = deadlines.min().map { ContinuousClock.now.duration(to: $0) }
    let forManager = manager.deadline.map { $0 - self.now }
    guard let forOthers, let forManager else { return forOthers ?? forManager }
    return min(forOthers, forManager)
  }

  private mutating func receive(_ messages: [Lifecycle.Message]) {
    for message in messages {
      switch message {
      case .event(let event): manager.receive(event, at: now)
      case .freed: break
      case .await(let waiting): waitings.append(waiting)
      case .reload(let reload): take(reload)
      case .stop(let waiter):
        stopper = waiter
        manager.receive(.stop, at: now)
      }
    }
  }

  private mutating func take(_ reload: Reload) {
    if let refused = manager.refusal(of: reload.configurations) { return reload.decide(refused) }
    var waiting = reload.waiting
    waiting.models = Set(reload.configurations.map(\.name).filter { !manager.isConfigured($0) })
    manager.receive(.apply(reload.configurations), at: now)
    // Seen by every request that comes after the answer.
    turn()
    reload.decide(nil)
    waitings.append(waiting)
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
    let now = ContinuousClock.now
    let waiting = waitings
    waitings = waiting.filter { !settle($0, now) }
    guard let stopper, manager.isStopped || stopper.deadline <= now else { return true }
    stopper.resolve(Waiter.Answer(isDone: manager.isStopped))
    return false
  }

  /// Whether there is nothing more to wait for.
  private func settle(_ waiting: Waiting, _ now: ContinuousClock.Instant) -> Bool {
    if let failures = manager.failures(of: waiting.models, givesUpSearch: waiting.searchDeadline <= now) {
      waiting.settled(Lifecycle.Settlement(failures: failures, isPremature: manager.failures(of: waiting.models) == nil))
    } else if waiting.deadline <= now || stopper != nil {
      waiting.settled(Lifecycle.Settlement(failures: manager.failuresNow(of: waiting.models), isPremature: true))
    } else {
      return false
    }
    return true
  }
}
