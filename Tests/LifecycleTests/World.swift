import Catalog
import Engine
import Foundation

@testable import Lifecycle

let emptyModel = Model(signatures: [], signatureDefs: [])

/// A manager with a catalog, a disk and loader threads that do nothing by themselves: the test says what happens, and when.
final class World {
  var manager: Manager
  let catalog = Catalog()
  let reader: CatalogReader
  var now = Duration.zero
  /// What the base paths hold.
  var disk: [String: Scan] = [:]
  var targets: [WatchTarget] = []
  /// At loader threads.
  var jobs: [LoadJob] = []
  var lines: [LogLine] = []
  var watchedVersions: [String: [String]] = [:]
  var trimmed = 0
  /// Called after each publication.
  var published: (CatalogSnapshot) -> Void = { _ in }

  init(_ limits: Manager.Limits = .init()) {
    manager = Manager(limits)
    reader = CatalogReader(catalog)
  }

  func receive(_ events: Manager.Event...) {
    for event in events { manager.receive(event, at: now) }
    turn()
  }

  func turn() {
    for effect in manager.turn(at: now) {
      switch effect {
      case .watch(let targets): self.targets = targets
      case .watchVersion(let model, let version, let directories):
        watchedVersions["\(model)/\(version)"] = directories.isEmpty ? nil : directories
      case .load(let job): jobs.append(job)
      case .publish(let models, let epoch):
        precondition(catalog.publish(models) == epoch)
        published(catalog.current)
      case .trim: trimmed += 1
      case .log(let line): lines.append(line)
      }
    }
  }

  /// The reader looks, and the manager hears of it.
  func refresh() {
    reader.refresh()
    acknowledge()
  }

  func acknowledge() { receive(.acknowledged(epoch: catalog.acknowledged())) }

  /// The watcher looks at everything.
  func look() {
    for target in targets {
      manager.receive(.scanned(target, disk[target.basePath] ?? .missing), at: now)
    }
    turn()
  }

  func advance(_ time: Duration) {
    now += time
    turn()
  }

  /// The job at a loader thread for a version.
  func take(_ version: Int64, _ model: String = "m") -> LoadJob? {
    guard let at = jobs.firstIndex(where: { $0.version == version && $0.model == model }) else { return nil }
    return jobs.remove(at: at)
  }

  func load(_ version: Int64, _ model: String = "m") {
    guard let job = take(version, model) else { fatalError("no load of \(model) \(version) among \(jobs)") }
    receive(.inspected(job))
    finish(job, .loaded(Slot(modelName: model, version: version, model: emptyModel)))
  }

  func finish(_ job: LoadJob, _ outcome: consuming Harness.Outcome) { receive(.finished(job, outcome)) }

  func fail(_ version: Int64, _ error: LoadError = LoadError(code: 3, message: "bad")) {
    guard let job = take(version) else { fatalError("no load of \(version) among \(jobs)") }
    receive(.inspected(job))
    finish(job, .failed(error))
  }

  /// What the catalog shows of a model: `2 available, 1 end(3)`.
  func shown(_ model: String = "m") -> String {
    guard let entry = catalog.current.model(model) else { return "no model" }
    return entry.statuses.map { status in
      "\(status.version) \(status.state)" + (status.errorCode == 0 ? "" : "(\(status.errorCode))")
    }.joined(separator: ", ")
  }
}

/// A listing with these directories.
func directories(_ names: String...) -> Scan { listing(names) }

func listing(_ names: [String], files: [String] = []) -> Scan {
  .listed(
    (names.map { Child(name: $0, version: version(named: $0)!, isDirectory: true) }
      + files.map { Child(name: $0, version: version(named: $0)!, isDirectory: false) }).sorted { $0.name < $1.name })
}

extension Fingerprint {
  static let some = Fingerprint(directory: "/nowhere")
}

/// A directory of the test's own, gone afterwards.
final class TemporaryDirectory {
  let path: String
  init() {
    path = NSTemporaryDirectory() + "martlet-" + UUID().uuidString
    make("")
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func callAsFunction(_ name: String) -> String { path + "/" + name }
  func make(_ name: String) {
    try! FileManager.default.createDirectory(atPath: path + "/" + name, withIntermediateDirectories: true)
  }
  func write(_ name: String, _ text: String = "x") {
    make((name as NSString).deletingLastPathComponent)
    try! text.write(toFile: path + "/" + name, atomically: false, encoding: .utf8)
  }
  func rename(_ name: String, _ other: String) {
    try! FileManager.default.moveItem(atPath: path + "/" + name, toPath: path + "/" + other)
  }
  func remove(_ name: String) { try! FileManager.default.removeItem(atPath: path + "/" + name) }
}
