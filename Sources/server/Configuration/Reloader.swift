// The one place where the configuration changes. A thread takes up one after the other, from the file and from calls: it checks
// each against what holds, hands it to the lifecycle, which takes all of it or nothing, and goes on to the next. It never waits
// for a model to load; who asked by a call hears of that from the lifecycle.
internal import Glibc
internal import Lifecycle
internal import RPC
internal import Schemas
internal import Serving
internal import SwiftProtobuf
internal import Synchronization
internal import Telemetry
internal import Threads

final class Reloader: ModelConfigurator, Sendable {
  private struct Request: Sendable {
    var config: Tensorflow_Serving_ModelServerConfig
    var deadline: ContinuousClock.Instant?
    var answer: @Sendable (Status) -> Void
  }
  private struct Queue {
    var requests: [Request] = []
    var isStopped = false
  }

  private let queue = Mutex(Queue())
  private let hasNews = Semaphore()
  private let thread = Mutex<SystemThread?>(nil)
  private let lifecycle: Lifecycle
  private let file: WatchedFile?
  private let searchPatience: Duration

  /// - Parameters:
  ///   - file: looked at again and again, when given.
  ///   - searchPatience: how long a model that is new is waited for whose base path has nothing yet, by who does not say.
  init(_ lifecycle: Lifecycle, watching file: WatchedFile?, searchPatience: Duration) {
    self.lifecycle = lifecycle
    self.file = file
    self.searchPatience = searchPatience
  }

  /// Begins to work. Calls that came before are answered now.
  /// - Parameter models: what the lifecycle was given; `nil` if it was given no config yet.
  func start(with models: [ModelConfiguration]?) {
    let thread = SystemThread(named: "configuration", priority: .background) { self.work(models) }
    self.thread.withLock { $0 = thread }
  }

  /// Ends the thread; calls that still wait for it are refused.
  func stop() {
    queue.withLock { $0.isStopped = true }
    hasNews.signal()
    thread.withLock { $0.take() }?.join()
  }

  func reload(
    _ config: Tensorflow_Serving_ModelServerConfig, remaining: Duration?, answer: @escaping @Sendable (Status) -> Void
  ) {
    let request = Request(config: config, deadline: remaining.map { .now + $0 }, answer: answer)
    let isTaken = queue.withLock { queue in
      guard !queue.isStopped else { return false }
      queue.requests.append(request)
      return true
    }
    if isTaken { hasNews.signal() } else { answer(Reloader.stopping) }
  }

  private static let stopping = Status(.unavailable, "the server is shutting down")

  // MARK: The thread

  private func work(_ models: [ModelConfiguration]?) {
    var current = models
    var watch = file.map { FileWatch($0.file) }
    while true {
      if let file { hasNews.wait(atMost: file.pause) } else { hasNews.wait() }
      let (requests, isStopped) = queue.withLock { queue in
        defer { queue.requests = [] }
        return (queue.requests, queue.isStopped)
      }
      for request in requests {
        if isStopped { request.answer(Reloader.stopping) } else { take(request, &current) }
      }
      if isStopped { return }
      if let look = watch?.look() { take(look, &current, &watch) }
    }
  }

  private func take(_ request: Request, _ current: inout [ModelConfiguration]?) {
    let searchDeadline = request.deadline ?? .now + searchPatience
    do throws(ConfigurationError) {
      try take(request.config, &current, "a call", request.deadline ?? .distant, searchDeadline) {
        request.answer(Status($0))
      }
    } catch {
      Log.error("ReloadConfig failed: \(error.message)")
      request.answer(Status(error))
    }
  }

  private func take(_ look: Result<TextFile, ConfigurationError>, _ current: inout [ModelConfiguration]?, _ watch: inout FileWatch?) {
    do throws(ConfigurationError) {
      let file = try look.get()
      try take(file.message(), &current, file.path, .distant, .now + searchPatience) { settlement in
        if let error = settlement.error { Log.error("after reloading \(file.path): \(error.message)") }
      }
      watch?.taken()
    } catch {
      if watch?.refused(error) == true { Log.error("the configuration stays as it was: \(error)") }
    }
  }

  private func take(
    _ config: Tensorflow_Serving_ModelServerConfig, _ current: inout [ModelConfiguration]?, _ source: String,
    _ deadline: ContinuousClock.Instant, _ searchDeadline: ContinuousClock.Instant,
    settled: @escaping @Sendable (Lifecycle.Settlement) -> Void
  ) throws(ConfigurationError) {
    guard let models = try ModelServerConfiguration.models(config, replacing: current) else {
      Log.info("Taking no action for empty config.")
      return settled(Lifecycle.Settlement())
    }
    do {
      try lifecycle.reload(models, deadline: deadline, searchDeadline: searchDeadline, settled: settled)
    } catch {
      throw ConfigurationError(.failedPrecondition, error.description)
    }
    Log.info("configuration taken up from \(source): \(changes(from: current ?? [], to: models))")
    current = models
  }
}

/// The file that is looked at.
struct WatchedFile {
  /// As it was taken up first.
  var file: TextFile
  /// Between two looks.
  var pause: Duration
}

/// What is known of the file. It is news when its bytes are other ones; and when it was refused for the state of the models
/// alone, because that may be another by now.
private struct FileWatch {
  private let path: String
  private var seen: Result<[UInt8], ConfigurationError>
  private var complaint: ConfigurationError?

  init(_ file: TextFile) {
    path = file.path
    seen = .success(file.bytes)
  }

  private static func read(_ path: String) -> Result<TextFile, ConfigurationError> {
    do throws(ConfigurationError) { return .success(try TextFile(path)) } catch { return .failure(error) }
  }

  mutating func look() -> Result<TextFile, ConfigurationError>? {
    let found = FileWatch.read(path)
    let isNews = found.map(\.bytes) != seen
    seen = found.map(\.bytes)
    if isNews { complaint = nil }
    return isNews || complaint?.code == .failedPrecondition ? found : nil
  }

  mutating func taken() { complaint = nil }

  /// Returns whether that is news.
  mutating func refused(_ error: ConfigurationError) -> Bool {
    defer { complaint = error }
    return complaint != error
  }
}

/// For the log: what is another now.
private func changes(from old: [ModelConfiguration], to new: [ModelConfiguration]) -> String {
  let before = Dictionary(old.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
  let names = Set(new.map(\.name))
  let parts = [
    ("added", new.filter { before[$0.name] == nil }.map(\.name)),
    ("changed", new.filter { before[$0.name] != nil && before[$0.name] != $0 }.map(\.name)),
    ("removed", old.map(\.name).filter { !names.contains($0) }),
  ].filter { !$0.1.isEmpty }
  return "\(new.count) models" + parts.map { "; \($0.0): \($0.1.joined(separator: ", "))" }.joined()
}

extension ContinuousClock.Instant {
  /// Later than anybody waits.
  static var distant: ContinuousClock.Instant { .now + .seconds(1_000_000_000) }
}

extension Lifecycle.Settlement {
  var error: ConfigurationError? {
    if failures.isEmpty { return nil }
    let text = "\(failures.count) model(s) did not become available: {\(failures.map(\.text).joined())}"
    return isPremature
      ? ConfigurationError(.deadlineExceeded, text + " The configuration is taken up, and they are waited for.")
      : ConfigurationError(.unknown, text)
  }
}

extension Status {
  init(_ error: ConfigurationError) { self.init(Code(rawValue: error.code.rawValue) ?? .unknown, error.message) }

  fileprivate init(_ settlement: Lifecycle.Settlement) { self = settlement.error.map { Status($0) } ?? .ok }
}
