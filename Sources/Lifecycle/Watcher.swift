// Looks at base paths: when inotify says that something moved there, and every so often all the same, because inotify does
// not see what another machine does on a network file system, nor a link that is bent elsewhere.
//
// A base path that does not exist is watched for at its nearest ancestor that does. Each model is looked at on its own.
// The watch is set before the look, so nothing falls between the two. Only news is reported.
internal import Glibc
internal import Threads

/// A base path to look at, and whose it is.
struct WatchTarget: Sendable, Hashable {
  var model: String
  var basePath: String
}

/// How often base paths are looked at: `file_system_poll_wait_seconds`.
enum Polling: Sendable, Equatable {
  case never
  case once
  case every(Duration)

  init(seconds: Int) {
    self = seconds < 0 ? .never : seconds == 0 ? .once : .every(.seconds(seconds))
  }
}

final class Watcher: Sendable {
  private enum Command: Sendable {
    case watch([WatchTarget])
    case watchVersion(VersionKey, [String])
    case stop
  }
  fileprivate struct VersionKey: Hashable, Sendable {
    var model: String
    var version: Int64
  }

  private let mailbox: Mailbox<Command>
  private let thread: SystemThread

  /// - Parameter report: called on the watcher's thread with `scanned` and `touched`.
  init(
    _ polling: Polling, report: @escaping @Sendable (Manager.Event) -> Void, log: @escaping @Sendable (LogLine) -> Void
  ) {
    let mailbox = Mailbox<Command>()
    self.mailbox = mailbox
    thread = SystemThread(named: "watcher", priority: .background) {
      var lookout = Lookout(polling, report, log)
      while true {
        mailbox.wait(atMost: lookout.timeout, orFor: lookout.inotify.descriptor)
        for command in mailbox.take() {
          switch command {
          case .watch(let targets): lookout.watch(targets)
          case .watchVersion(let key, let directories): lookout.watch(key, directories)
          case .stop: return
          }
        }
        lookout.look()
      }
    }
  }

  /// Looks at these from now on, and at no others.
  func watch(_ targets: [WatchTarget]) { mailbox.put(.watch(targets)) }

  /// Reports when something moves in the directories of a version that is waited for.
  func watchVersion(model: String, version: Int64, directories: [String]) {
    mailbox.put(.watchVersion(VersionKey(model: model, version: version), directories))
  }

  func stop() {
    mailbox.put(.stop)
    thread.join()
  }
}

/// The watcher thread's own.
private struct Lookout: ~Copyable {
  private enum User: Hashable {
    case target(WatchTarget)
    case version(Watcher.VersionKey)
  }
  private struct Look {
    var scan: Scan?
    /// The watch on the base path or its nearest ancestor.
    var watch: Int32?
    /// The name that the ancestor lacks.
    var awaited: String?
  }

  private let polling: Polling
  private let report: @Sendable (Manager.Event) -> Void
  private let log: @Sendable (LogLine) -> Void
  let inotify: Inotify
  private var looks: [WatchTarget: Look] = [:]
  private var versions: [Watcher.VersionKey: Set<Int32>] = [:]
  private var users: [Int32: Set<User>] = [:]
  private var unseen: Set<WatchTarget> = []
  private var nextPoll = ContinuousClock.now
  private var hasToldLimit = false

  init(
    _ polling: Polling, _ report: @escaping @Sendable (Manager.Event) -> Void,
    _ log: @escaping @Sendable (LogLine) -> Void
  ) {
    self.polling = polling
    self.report = report
    self.log = log
    inotify = Inotify()
    if inotify.descriptor < 0 { tellLimit(errno) }
  }

  /// Until the next poll; `nil` when there is none.
  var timeout: Duration? {
    if !unseen.isEmpty { return .zero }
    guard case .every = polling, !looks.isEmpty else { return nil }
    return max(.zero, ContinuousClock.now.duration(to: nextPoll))
  }

  mutating func watch(_ targets: [WatchTarget]) {
    let wanted = Set(targets)
    for target in looks.keys where !wanted.contains(target) {
      if let watch = looks.removeValue(forKey: target)?.watch { release(watch, .target(target)) }
    }
    for target in targets where looks[target] == nil {
      looks[target] = Look()
      if polling != .never { unseen.insert(target) }
    }
  }

  mutating func watch(_ key: Watcher.VersionKey, _ directories: [String]) {
    var watches: Set<Int32> = []
    for directory in directories {
      if case .success(let watch) = inotify.add(directory) { watches.insert(watch) }
    }
    for watch in watches { users[watch, default: []].insert(.version(key)) }
    for watch in (versions[key] ?? []).subtracting(watches) { release(watch, .version(key)) }
    versions[key] = watches.isEmpty ? nil : watches
  }

  /// Looks at what inotify named, at what was never looked at, and at everything when its time has come.
  mutating func look() {
    var targets = unseen
    unseen = []
    var touched: Set<Watcher.VersionKey> = []
    for event in inotify.read() {
      if event.isOverflow { targets.formUnion(looks.keys) }
      for user in users[event.watch] ?? [] {
        switch user {
        case .target(let target):
          let awaited = looks[target]?.awaited
          if awaited == nil || event.name.isEmpty || event.name == awaited { targets.insert(target) }
        case .version(let key): touched.insert(key)
        }
      }
      if event.isIgnored { forget(event.watch) }
    }
    if case .every(let wait) = polling, nextPoll <= .now {
      targets.formUnion(looks.keys)
      nextPoll = .now + wait
    }
    for key in touched { report(.touched(model: key.model, version: key.version)) }
    for target in targets.sorted(by: { $0.model < $1.model }) { look(at: target) }
  }

  private mutating func look(at target: WatchTarget) {
    if case .every = polling { arm(target) }
    let scan = Scan(basePath: target.basePath)
    guard let last = looks[target], last.scan != scan else { return }
    looks[target]?.scan = scan
    report(.scanned(target, scan))
  }

  /// Watches the base path, or the nearest ancestor there is.
  private mutating func arm(_ target: WatchTarget) {
    var path = target.basePath
    var awaited: String?
    // An ancestor may get the missing child while this climbs: then it begins again, a few times.
    var attempts = 0
    while true {
      switch inotify.add(path) {
      case .success(let watch):
        if let awaited, attempts < 8, FileStatus(path + "/" + awaited)?.isDirectory == true {
          attempts += 1
          path = target.basePath
        } else {
          keep(watch, awaited, target)
          return
        }
        awaited = nil
      case .failure(let error) where error.code == ENOENT || error.code == ENOTDIR:
        guard let (parent, name) = split(path) else { return }
        (path, awaited) = (parent, name)
      case .failure(let error):
        if error.code == ENOSPC { tellLimit(error.code) }
        return
      }
    }
  }

  private mutating func keep(_ watch: Int32, _ awaited: String?, _ target: WatchTarget) {
    users[watch, default: []].insert(.target(target))
    if let old = looks[target]?.watch, old != watch { release(old, .target(target)) }
    looks[target]?.watch = watch
    looks[target]?.awaited = awaited
  }

  private mutating func release(_ watch: Int32, _ user: User) {
    users[watch]?.remove(user)
    if users[watch]?.isEmpty == true {
      users[watch] = nil
      inotify.remove(watch)
    }
  }

  /// The kernel dropped a watch.
  private mutating func forget(_ watch: Int32) {
    for user in users.removeValue(forKey: watch) ?? [] {
      switch user {
      case .target(let target): if looks[target]?.watch == watch { looks[target]?.watch = nil }
      case .version(let key): versions[key]?.remove(watch)
      }
    }
  }

  private mutating func tellLimit(_ code: Int32) {
    guard !hasToldLimit, case .every(let wait) = polling else { return }
    hasToldLimit = true
    log(
      LogLine(
        .warning,
        "inotify has no more to give (\(SystemError(code: code).text)): new versions are noticed by looking every "
          + "\(wait.components.seconds) s only; raise fs.inotify.max_user_watches or max_user_instances"))
  }
}

/// `/a/b` is `b` in `/a`; `nil` for what has no parent.
private func split(_ path: String) -> (parent: String, name: String)? {
  var path = path[...]
  while path.count > 1, path.hasSuffix("/") { path.removeLast() }
  guard path != "/", path != ".", !path.isEmpty else { return nil }
  guard let slash = path.lastIndex(of: "/") else { return (".", String(path)) }
  return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
}
