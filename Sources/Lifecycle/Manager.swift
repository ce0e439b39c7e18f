// Every model and version of the process, as a value: events go in, effects come out, time is a parameter. The thread, the
// disk and the catalog are `Lifecycle`'s; a simulation drives this type through years of trouble in a second.
//
// A turn: some events are received, then `turn` lets the policy act on every model that was touched, hands queued loads to
// free loader threads, and says once what the catalog should show. A model whose directory is slow or broken delays nobody:
// nothing here waits, and a model never takes the last free loader thread while it has another.
//
// Unloading: the slot leaves the entries, a publication shows that, and the slot is kept here until every reader acknowledged
// that epoch, its leases are back, and the reference here is the only one. Then it is freed, on the manager's thread.
internal import Catalog
internal import Engine

struct Manager {
  enum Event: Sendable {
    /// The models to serve, all of them: others are unloaded.
    case apply([ModelConfiguration])
    case scanned(WatchTarget, Scan)
    /// Something moved in a directory that is waited for.
    case touched(model: String, version: Int64)
    /// A directory is whole, and its load begins.
    case inspected(LoadJob)
    case finished(LoadJob, Harness.Outcome)
    /// No reader sees anything older.
    case acknowledged(epoch: UInt64)
    /// Unload everything, and take no more.
    case stop
  }

  enum Effect {
    /// Base paths to look at, all of them.
    case watch([WatchTarget])
    /// Directories of a version that is waited for; none when it is not any more.
    case watchVersion(model: String, version: Int64, directories: [String])
    case load(LoadJob)
    case publish([ModelEntry], epoch: UInt64)
    /// So much was freed: give it back to the system.
    case trim(byteCount: Int)
    case log(LogLine)
  }

  struct Limits: Sendable, Equatable {
    var harness = Harness.Limits()
    var loaderThreads = 2
    /// Ended versions remembered per model; TensorFlow Serving keeps them all.
    var endedMax = 16
    /// How often a slot is looked at whose last reference is on its way out: at first, and at most.
    var freePauseMin = Duration.milliseconds(1)
    var freePauseMax = Duration.seconds(1)
    /// How long a base path that had versions must have none before that is believed.
    var emptyPatience = Duration.zero
    /// `allow_version_labels_for_unavailable_models`.
    var allowsLabelsForUnavailable = false
    /// Whether base paths are looked at, at all and again.
    var scans = true
    var polls = true
  }

  /// A slot that left the catalog.
  struct Outgoing {
    let model: String
    let version: Int64
    var slot: Slot?
    /// The publication that no longer shows it, once there was one.
    var epoch: UInt64?
    /// When to look whether its last reference is gone.
    var due: Duration?
    var pause: Duration
  }

  private let limits: Limits
  private var models: [String: Managed] = [:]
  /// The configured models, in that order.
  private var order: [String] = []
  /// Loads that wait for a thread.
  private var queue: [(model: String, version: Int64)] = []
  private var jobs = 0
  private var outgoing: [Outgoing] = []
  private var epoch: UInt64
  private var acknowledged: UInt64
  private var isStopping = false
  /// Models that something happened to since the last turn, and models that wait for a time.
  private var touched: Set<String> = []
  private var timed: Set<String> = []
  private var isReordered = false
  private var effects: [Effect] = []

  /// - Parameter epoch: the catalog's, before this manager's first publication.
  init(_ limits: Limits = Limits(), epoch: UInt64 = 0) {
    self.limits = limits
    self.epoch = epoch
    acknowledged = epoch
  }

  // MARK: Events

  mutating func receive(_ event: Event, at now: Duration) {
    switch event {
    case .apply(let configurations): if !isStopping { apply(configurations) }
    case .scanned(let target, let scan): scanned(target, scan, now)
    case .touched(let model, let version):
      models[model]?[version]?.touched(at: now, limits.harness)
    case .inspected(let job): inspected(job)
    case .finished(let job, let outcome): finished(job, outcome, now)
    case .acknowledged(let epoch): acknowledged = max(acknowledged, epoch)
    case .stop:
      isStopping = true
      apply([])
    }
  }

  /// Whether a model is configured.
  func isConfigured(_ name: String) -> Bool { models[name]?.isRemoved == false }

  /// Why these models may not replace those that are configured; asked before they are applied.
  func refusal(of configurations: [ModelConfiguration]) -> RefusedLabel? {
    for configuration in configurations {
      let model = models[configuration.name].flatMap { $0.isRemoved ? nil : $0 }
      let refused = configuration.refusedLabel(
        replacing: model?.configuration, allowsUnavailable: limits.allowsLabelsForUnavailable
      ) { model?[$0]?.slot != nil }
      if let refused { return refused }
    }
    return nil
  }

  private mutating func apply(_ configurations: [ModelConfiguration]) {
    order = configurations.map(\.name)
    isReordered = true
    let kept = Set(order)
    for name in models.keys where !kept.contains(name) {
      models[name]?.isRemoved = true
      aspire(name)
    }
    for configuration in configurations {
      let name = configuration.name
      let isMoved = models[name].map { $0.configuration.basePath != configuration.basePath } ?? false
      models[name, default: Managed(configuration)].configuration = configuration
      models[name]?.isRemoved = false
      if isMoved { models[name]?.forgetScan() }
      aspire(name)
    }
    effects.append(.watch(configurations.map { WatchTarget(model: $0.name, basePath: $0.basePath) }))
  }

  private mutating func aspire(_ name: String) {
    touched.insert(name)
    for new in models[name]?.aspire() ?? [] {
      log(.info, "found version \(new.version) at \(new.directory)", name, new.version)
    }
  }

  private mutating func scanned(_ target: WatchTarget, _ scan: Scan, _ now: Duration) {
    let name = target.model
    guard let model = models[name], !model.isRemoved, model.configuration.basePath == target.basePath else { return }
    let wasDoubted = models[name]?.trust() ?? false
    guard model.scan != scan else { return }
    if limits.emptyPatience > .zero, model.isEmptied(by: scan) {
      log(
        .warning,
        "\(target.basePath) has no version any more; what is loaded goes on serving for \(limits.emptyPatience.inMilliseconds) ms, in case they come back",
        name)
      models[name]?.doubt(scan, until: now + limits.emptyPatience)
      touched.insert(name)
      return
    }
    // Who empties a base path and fills it again means the new contents, under the same number too.
    if wasDoubted {
      for version in models[name]?.giveUpReplaced(by: scan) ?? [] {
        log(.info, "its directory is another now: it is loaded anew", name, version)
      }
      advance(name, now)
    }
    believe(scan, name)
  }

  private mutating func believe(_ scan: Scan, _ name: String) {
    guard let model = models[name] else { return }
    report(scan, since: model.scan, name, model.configuration)
    touched.insert(name)
    for new in models[name]?.found(scan) ?? [] {
      log(.info, "found version \(new.version) at \(new.directory)", name, new.version)
    }
  }

  private mutating func inspected(_ job: LoadJob) {
    touched.insert(job.model)
    if models[job.model]?[job.version]?.vigil != nil { stopWatching(job.model, job.version) }
    models[job.model]?[job.version]?.inspected()
    log(.info, "loading \(job.directory)", job.model, job.version)
  }

  private mutating func finished(_ job: LoadJob, _ outcome: Harness.Outcome, _ now: Duration) {
    let (name, version) = (job.model, job.version)
    jobs -= 1
    models[name]?.jobs -= 1
    touched.insert(name)
    guard let action = models[name]?[version]?.finished(outcome, at: now, limits.harness) else { return }
    switch outcome {
    case .incomplete(_, let fingerprint) where action != .drop, .settling(let fingerprint, _) where action != .drop:
      effects.append(.watchVersion(model: name, version: version, directories: fingerprint.directories))
    case .loaded(let slot) where action == .drop:
      effects.append(.trim(byteCount: slot.model.byteCount))
    case .loaded(let slot):
      log(.info, "loaded in \((now - job.started).inMilliseconds) ms, \(slot.model.byteCount) bytes", name, version)
    case .incomplete, .settling, .failed: break
    }
    switch action {
    case .reportWaiting(let reason):
      log(.info, "\(job.directory) is incomplete and waited for: \(reason)", name, version)
    case .reportFailure(let error, let pause?):
      log(.error, "cannot load \(job.directory): \(error.message); tried again in \(pause.inMilliseconds) ms", name, version)
    case .reportFailure(let error, nil):
      log(
        .error,
        "cannot load \(job.directory): \(error.message); not tried again: put a version with another number there", name,
        version)
    case .drop: log(.info, "not taken into service: it is no longer wanted", name, version)
    case .publish, .none: break
    }
  }

  // MARK: Turns

  /// Acts on what was received and on the time that passed.
  mutating func turn(at now: Duration) -> [Effect] {
    free(at: now)
    let active = touched.union(timed).sorted()
    touched = []
    for name in active { advance(name, now) }
    dispatch(at: now)
    publish(active)
    defer { effects = [] }
    return effects
  }

  /// When `turn` has something to do even if nothing is received.
  var deadline: Duration? {
    let deadlines = timed.compactMap { models[$0]?.deadline } + outgoing.compactMap(\.due)
    return deadlines.min()
  }

  /// Whether everything is unloaded after `stop`.
  var isStopped: Bool { isStopping && models.isEmpty && outgoing.isEmpty && jobs == 0 }

  /// Frees the slots that nobody sees or uses any more.
  private mutating func free(at now: Duration) {
    for at in outgoing.indices.reversed() {
      guard let epoch = outgoing[at].epoch, epoch <= acknowledged, outgoing[at].slot?.leaseCount == 0 else { continue }
      let (name, version) = (outgoing[at].model, outgoing[at].version)
      // Whoever gave its lease back or refreshed its reader may still be about to drop its reference.
      if !isKnownUniquelyReferenced(&outgoing[at].slot) {
        guard outgoing[at].due.map({ $0 <= now }) ?? true else { continue }
        let pause = outgoing[at].pause
        if pause == limits.freePauseMax { log(.warning, "out of service, but something still refers to it", name, version) }
        outgoing[at].due = now + pause
        outgoing[at].pause = pause == limits.freePauseMax ? pause * 3600 : min(pause * 2, limits.freePauseMax)
        continue
      }
      let byteCount = outgoing[at].slot?.model.byteCount ?? 0
      outgoing.remove(at: at)
      effects.append(.trim(byteCount: byteCount))
      log(.info, "unloaded, \(byteCount) bytes freed", name, version)
      models[name]?[version]?.unloaded()
      touched.insert(name)
    }
  }

  /// A model's timers, then its policy until that has nothing more to say.
  private mutating func advance(_ name: String, _ now: Duration) {
    if let scan = models[name]?.believed(at: now) { believe(scan, name) }
    for version in models[name]?.due(at: now) ?? [] { queue.append((name, version)) }
    while let action = models[name]?.action {
      switch action {
      case .load(let version):
        models[name]?[version]?.load()
        queue.append((name, version))
      case .unload(let version):
        let slot = models[name]?[version]?.unload()
        slot?.retire()
        outgoing.append(
          Outgoing(model: name, version: version, slot: slot, epoch: nil, due: nil, pause: limits.freePauseMin))
        log(.info, "unloading", name, version)
      }
    }
    for harness in models[name]?.bury(endedMax: limits.endedMax) ?? [] where harness.vigil != nil {
      stopWatching(name, harness.version)
    }
    if models[name]?.deadline == nil { timed.remove(name) } else { timed.insert(name) }
  }

  /// Hands queued loads to free loader threads. The last free one is not for a model that has another.
  private mutating func dispatch(at now: Duration) {
    var kept: [(model: String, version: Int64)] = []
    for (at, next) in queue.enumerated() {
      guard jobs < limits.loaderThreads else {
        kept += queue[at...]
        break
      }
      // Given up, and perhaps taken up again, since it was queued.
      guard let harness = models[next.model]?[next.version], harness.isQueued else { continue }
      if jobs == limits.loaderThreads - 1, jobs > 0, models[next.model]?.jobs ?? 0 > 0 {
        kept.append(next)
        continue
      }
      models[next.model]?[next.version]?.begin()
      models[next.model]?.jobs += 1
      jobs += 1
      effects.append(
        .load(
          LoadJob(
            model: next.model, version: next.version, directory: harness.directory, started: now,
            lastSeen: harness.vigil?.fingerprint)))
    }
    queue = kept
  }

  /// Publishes, if something looks different now.
  private mutating func publish(_ active: [String]) {
    var isChanged = isReordered
    for name in active where models[name]?.isRemoved == false {
      if models[name]?.refreshEntry(limits) == true { isChanged = true }
    }
    for name in active where models[name]?.isRemoved == true && models[name]?.harnesses.isEmpty == true {
      models[name] = nil
    }
    isReordered = false
    guard isChanged else { return }
    epoch += 1
    for at in outgoing.indices where outgoing[at].epoch == nil { outgoing[at].epoch = epoch }
    effects.append(.publish(order.compactMap { models[$0]?.entry }, epoch: epoch))
  }

  private mutating func stopWatching(_ name: String, _ version: Int64) {
    effects.append(.watchVersion(model: name, version: version, directories: []))
  }

  // MARK: Lines

  private mutating func log(_ level: LogLine.Level, _ message: String, _ model: String, _ version: Int64? = nil) {
    effects.append(.log(LogLine(level, message, model: model, version: version)))
  }

  /// Says what is odd about what was found, and was not so at the last look.
  private mutating func report(
    _ scan: Scan, since last: Scan?, _ name: String, _ configuration: ModelConfiguration
  ) {
    let basePath = configuration.basePath
    let rest = limits.polls ? "it is looked for again" : "it is not looked for again"
    switch scan {
    case .missing:
      log(.warning, "Could not find base path \(basePath) for servable \(name); \(rest)", name)
    case .failed(let code):
      log(.error, "cannot read base path \(basePath): \(SystemError(code: code).text); \(rest)", name)
    case .listed(let children):
      let known = last.children
      for child in children where !child.isDirectory && !known.contains(child) {
        log(
          .error, "\(basePath)/\(child.name) is a file, but a version is a directory: move it into one, or rename it", name,
          child.version)
      }
      let (found, shadowed) = Scan.directories(children)
      for child in shadowed where !known.contains(child) {
        log(
          .warning, "\(basePath) has version \(child.version) twice: \(found[child.version] ?? "") is taken, not \(child.name)",
          name, child.version)
      }
      if found.isEmpty {
        log(
          .warning,
          "No versions of servable \(name) found under base path \(basePath). "
            + "Did you forget to name your leaf directory as a number (eg. '/1/')?", name)
      } else if case .specific(let versions) = configuration.policy {
        for version in versions where found[version] == nil {
          log(.warning, "version \(version), which the version policy asks for, is not under \(basePath)", name, version)
        }
      }
    }
  }

  // MARK: Starting

  /// The configured models without a version to serve, with what is known of each; `nil` while one that has none may yet
  /// get one.
  /// - Parameters:
  ///   - names: those to look at, and to miss if they are not configured any more; `nil` for all that are.
  ///   - givesUpSearch: take a base path without versions for one that stays so.
  func failures(of names: Set<String>? = nil, givesUpSearch: Bool = false) -> [ModelFailure]? {
    var failures: [ModelFailure] = []
    for entry in entries(names) where entry.slots.isEmpty {
      if givesUpSearch ? entry.isLoading : entry.isPending { return nil }
      failures.append(ModelFailure(entry))
    }
    return failures + missing(names)
  }

  /// The same, without waiting for anything.
  func failuresNow(of names: Set<String>? = nil) -> [ModelFailure] {
    entries(names).filter(\.slots.isEmpty).map(ModelFailure.init) + missing(names)
  }

  private func missing(_ names: Set<String>?) -> [ModelFailure] {
    (names ?? []).filter { !isConfigured($0) }.sorted().map(ModelFailure.init(removed:))
  }

  private func entries(_ names: Set<String>?) -> [ModelEntry] {
    order.filter { names?.contains($0) ?? true }.compactMap { models[$0]?.entry }
  }
}

/// A configured model that has no version to serve.
public struct ModelFailure: Sendable, Equatable {
  public var model: String
  /// The newest version that something is known of.
  public var version: Int64?
  /// `tensorflow.error.Code`; zero while nothing went wrong.
  public var code: Int
  public var message: String

  /// CANCELLED
  init(removed model: String) {
    self.model = model
    code = 1
    message = "a later configuration does without it"
  }

  init(_ entry: ModelEntry) {
    let status = entry.statuses.first { $0.errorCode != 0 } ?? entry.statuses.first
    model = entry.name
    version = status?.version
    code = status?.errorCode ?? 0
    message =
      status.map { $0.errorMessage.isEmpty ? "it is being loaded" : $0.errorMessage } ?? "no version was found under its base path"
  }
}

extension Duration {
  /// Whole milliseconds.
  var inMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
