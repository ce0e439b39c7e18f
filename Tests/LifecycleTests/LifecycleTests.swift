// The whole lifecycle on real directories, with a loader that reads a line of text.
import Catalog
import Engine
import Foundation
import Synchronization
import TestThreads
import Testing

@testable import Lifecycle

/// A "model" is a file `model` that says `ok`; anything else fails to load with what it says.
private struct TextLoader: ModelLoader {
  var loads: @Sendable (String) -> Void = { _ in }

  func inspect(_ directory: String) -> Completeness {
    FileManager.default.fileExists(atPath: directory + "/model") ? .complete : .missing("model")
  }

  func load(_ directory: String) throws(LoadError) -> Model {
    loads(directory)
    guard let text = try? String(contentsOfFile: directory + "/model", encoding: .utf8) else {
      throw LoadError(code: 5, message: "no file")
    }
    guard text == "ok" else { throw LoadError(code: 3, message: text, isTransient: false) }
    return Model(signatures: [], signatureDefs: [], byteCount: 1 << 20)
  }
}

/// What an event loop is to the lifecycle: a reader that refreshes when the catalog changes, and a condition to wait for.
private final class Loop: Sendable {
  private struct Confined: @unchecked Sendable { let reader: CatalogReader }
  private let queue = DispatchQueue(label: "loop")
  private let changed = DispatchSemaphore(value: 0)
  private let confined: Confined

  init(_ catalog: Catalog) {
    confined = Confined(reader: CatalogReader(catalog))
    let (queue, changed, confined) = (queue, changed, confined)
    catalog.observe {
      queue.async {
        confined.reader.refresh()
        changed.signal()
      }
    }
  }

  /// Waits for publications until one shows what is wanted; the deadline is for a test that fails.
  func wait(
    _ what: String, _ condition: @Sendable (CatalogSnapshot) -> Bool, location: SourceLocation = #_sourceLocation
  ) {
    let deadline = DispatchTime.now() + 30
    while !queue.sync(execute: { condition(confined.reader.snapshot) }) {
      if changed.wait(timeout: deadline) == .timedOut {
        Issue.record("waited in vain until \(what)", sourceLocation: location)
        return
      }
    }
  }

  func wait(available versions: Int64..., model: String = "m", location: SourceLocation = #_sourceLocation) {
    wait("\(versions) of \(model) serve", { $0.model(model)?.slots.map(\.version) == versions }, location: location)
  }
}

@Suite(.blocking) struct LifecycleTests {
  private func options(poll: Int = 3600, quiet: Duration = .zero) -> Lifecycle.Options {
    var options = Lifecycle.Options()
    // An hour: what happens sooner, inotify has seen.
    options.pollWaitSeconds = poll
    options.quietPeriod = quiet
    return options
  }

  private func start(
    _ configurations: [ModelConfiguration], _ options: Lifecycle.Options, _ loader: TextLoader = TextLoader()
  ) -> (Lifecycle, Catalog, Loop) {
    let catalog = Catalog()
    let loop = Loop(catalog)
    let lifecycle = Lifecycle(catalog, loader: loader, options: options)
    lifecycle.apply(configurations)
    return (lifecycle, catalog, loop)
  }

  private var soon: ContinuousClock.Instant { .now + .seconds(30) }

  @Test func `a version that is renamed into place goes live, and the old one goes`() {
    let disk = TemporaryDirectory()
    disk.write("m/1/model", "ok")
    let (lifecycle, catalog, loop) = start([ModelConfiguration(name: "m", basePath: disk("m"))], options())
    #expect(lifecycle.waitUntilAvailable(deadline: soon) == [])
    loop.wait(available: 1)
    disk.write("aside/model", "ok")
    disk.rename("aside", "m/00002")
    loop.wait(available: 2)
    loop.wait("1 has ended") { $0.model("m")?.statuses.map(\.state) == [.available, .end] }
    #expect(lifecycle.stop(deadline: soon))
    #expect(catalog.current.models.isEmpty)
  }

  @Test func `a base path may come later, with its parents`() {
    let disk = TemporaryDirectory()
    let (lifecycle, _, loop) = start([ModelConfiguration(name: "m", basePath: disk("a/b/c/m"))], options())
    loop.wait("the model is pending") { $0.model("m")?.isPending == true }
    disk.make("a/b")
    disk.write("elsewhere/1/model", "ok")
    disk.make("a/b/c")
    disk.rename("elsewhere", "a/b/c/m")
    loop.wait(available: 1)
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `a missing path hurts no other model`() {
    let disk = TemporaryDirectory()
    disk.write("good/1/model", "ok")
    let (lifecycle, _, loop) = start(
      [
        ModelConfiguration(name: "bad", basePath: disk("nowhere")),
        ModelConfiguration(name: "good", basePath: disk("good")),
      ], options())
    loop.wait(available: 1, model: "good")
    #expect(lifecycle.waitUntilAvailable(deadline: .now).map(\.model) == ["bad"])
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `a directory that is being filled is waited for`() {
    let disk = TemporaryDirectory()
    disk.make("m/1/variables")
    let (lifecycle, _, loop) = start([ModelConfiguration(name: "m", basePath: disk("m"))], options())
    loop.wait("it says what is missing") {
      $0.model("m")?.statuses.first?.errorMessage.hasSuffix("is incomplete and waited for: model") == true
    }
    disk.write("m/1/model", "ok")
    loop.wait(available: 1)
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `files that were just written are left alone until they are quiet`() {
    let disk = TemporaryDirectory()
    disk.write("m/1/model", "ok")
    let (lifecycle, _, loop) = start(
      [ModelConfiguration(name: "m", basePath: disk("m"))], options(quiet: .milliseconds(200)))
    loop.wait(available: 1)
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `a version that cannot be loaded ends in error, and says why`() {
    let disk = TemporaryDirectory()
    disk.write("m/7/model", "broken")
    let (lifecycle, catalog, _) = start([ModelConfiguration(name: "m", basePath: disk("m"))], options())
    let failures = lifecycle.waitUntilAvailable(deadline: soon)
    #expect(failures.map(\.version) == [7])
    #expect(failures.map(\.message) == ["broken"])
    #expect(catalog.current.model("m")?.isPending == false)
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `deleting the directory of a version unloads it`() {
    let disk = TemporaryDirectory()
    disk.write("m/1/model", "ok")
    disk.write("m/2/model", "ok")
    let (lifecycle, _, loop) = start([ModelConfiguration(name: "m", basePath: disk("m"))], options())
    loop.wait(available: 2)
    disk.remove("m/2")
    loop.wait(available: 1)
    disk.remove("m/1")
    loop.wait("nothing is left") { $0.model("m")?.statuses.map(\.state) == [.end, .end] }
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `polling alone finds versions too`() {
    let disk = TemporaryDirectory()
    disk.make("real")
    try! FileManager.default.createSymbolicLink(atPath: disk("link"), withDestinationPath: disk("real"))
    disk.write("other/1/model", "ok")
    let (lifecycle, _, loop) = start([ModelConfiguration(name: "m", basePath: disk("link"))], options(poll: 1))
    loop.wait("the model is known") { $0.model("m") != nil }
    // inotify watches where the link led, and does not see it bent.
    disk.remove("link")
    try! FileManager.default.createSymbolicLink(atPath: disk("link"), withDestinationPath: disk("other"))
    loop.wait(available: 1)
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `looking once is looking once`() {
    let disk = TemporaryDirectory()
    disk.write("m/1/model", "ok")
    let (lifecycle, _, loop) = start([ModelConfiguration(name: "m", basePath: disk("m"))], options(poll: 0))
    loop.wait(available: 1)
    disk.write("m/2/model", "ok")
    disk.write("n/1/model", "ok")
    lifecycle.apply([
      ModelConfiguration(name: "m", basePath: disk("m")), ModelConfiguration(name: "n", basePath: disk("n")),
    ])
    loop.wait(available: 1, model: "n")
    loop.wait(available: 1)
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `a slow load holds up no other model`() {
    let disk = TemporaryDirectory()
    disk.write("slow/1/model", "ok")
    disk.write("slow/2/model", "ok")
    disk.write("quick/1/model", "ok")
    let gate = DispatchSemaphore(value: 0)
    var options = options()
    options.loadThreads = 2
    let (lifecycle, _, loop) = start(
      [
        ModelConfiguration(name: "slow", basePath: disk("slow"), policy: .all),
        ModelConfiguration(name: "quick", basePath: disk("quick")),
      ], options, TextLoader { if $0.contains("/slow/") { gate.wait() } })
    loop.wait(available: 1, model: "quick")
    for _ in 1...2 { gate.signal() }
    loop.wait(available: 2, 1, model: "slow")
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `many models start together`() {
    let disk = TemporaryDirectory()
    let names = (0..<200).map { "m\($0)" }
    for name in names { disk.write("\(name)/1/model", "ok") }
    let (lifecycle, catalog, _) = start(
      names.map { ModelConfiguration(name: $0, basePath: disk($0)) }, options())
    #expect(lifecycle.waitUntilAvailable(deadline: soon) == [])
    #expect(catalog.current.models.count == 200)
    #expect(lifecycle.stop(deadline: soon))
  }

  @Test func `stopping does not wait for ever for a reader that sleeps`() {
    let disk = TemporaryDirectory()
    disk.write("m/1/model", "ok")
    let catalog = Catalog()
    let lifecycle = Lifecycle(catalog, loader: TextLoader(), options: options())
    lifecycle.apply([ModelConfiguration(name: "m", basePath: disk("m"))])
    #expect(lifecycle.waitUntilAvailable(deadline: soon) == [])
    let reader = CatalogReader(catalog)
    #expect(!lifecycle.stop(deadline: .now + .milliseconds(20)))
    #expect(reader.snapshot.model("m")?.latest?.version == 1)
  }
}

@Suite struct LoadJobTests {
  private func job(_ directory: String, _ lastSeen: Fingerprint? = nil) -> LoadJob {
    LoadJob(model: "m", version: 1, directory: directory, started: .zero, lastSeen: lastSeen)
  }

  private func outcome(_ job: LoadJob, at clock: Int64, _ loader: any ModelLoader = TextLoader()) -> String {
    switch job.run(loader, quiet: 1000, patience: 5000, wallClock: { clock }, inspected: {}, drained: {}) {
    case .loaded: "loaded"
    case .failed(let error): "failed: \(error.message)"
    case .incomplete(let reason, _): "incomplete: \(reason)"
    case .settling(_, let rest): "settling: \(rest / .nanoseconds(1)) ns"
    }
  }

  @Test func `a directory is loaded once its files are quiet`() {
    let disk = TemporaryDirectory()
    disk.write("1/model", "ok")
    let seen = Fingerprint(directory: disk("1"))
    #expect(outcome(job(disk("1")), at: seen.newestChange + 999) == "settling: 1.0 ns")
    #expect(outcome(job(disk("1")), at: seen.newestChange + 1000) == "loaded")
  }

  @Test func `with a clock behind the files two equal looks are enough`() {
    let disk = TemporaryDirectory()
    disk.write("1/model", "ok")
    let seen = Fingerprint(directory: disk("1"))
    #expect(outcome(job(disk("1")), at: 0) == "settling: 1000.0 ns")
    #expect(outcome(job(disk("1"), seen), at: 0) == "loaded")
    disk.write("1/more")
    #expect(outcome(job(disk("1"), seen), at: 0) == "settling: 1000.0 ns")
  }

  @Test func `a directory that is renamed is not fresh`() {
    let disk = TemporaryDirectory()
    disk.write("aside/model", "ok")
    let before = Fingerprint(directory: disk("aside"))
    disk.rename("aside", "1")
    #expect(Fingerprint(directory: disk("1")).newestChange == before.newestChange)
  }

  @Test func `a load that fails while files move is no failure`() {
    let disk = TemporaryDirectory()
    disk.write("1/model", "half")
    let path = disk("1")
    let loader = TextLoader { _ in try! "ok".write(toFile: path + "/more", atomically: false, encoding: .utf8) }
    #expect(outcome(job(disk("1")), at: .max, loader) == "incomplete: it changed while it was loaded")
    #expect(outcome(job(disk("1")), at: .max) == "failed: half")
  }

  @Test func `a file that ends too early is waited for, and then loaded to fail with its reason`() {
    struct CutOff: ModelLoader {
      func inspect(_ directory: String) -> Completeness { .cutOff("model ends after 3 of 9 bytes") }
      func load(_ directory: String) throws(LoadError) -> Model { throw LoadError(code: 15, message: "cut off") }
    }
    let disk = TemporaryDirectory()
    disk.write("1/model", "ok")
    let seen = Fingerprint(directory: disk("1"))
    #expect(outcome(job(disk("1")), at: seen.newestChange + 4999, CutOff()) == "incomplete: model ends after 3 of 9 bytes")
    #expect(outcome(job(disk("1")), at: seen.newestChange + 5000, CutOff()) == "failed: cut off")
  }

  @Test func `a directory that vanished is incomplete`() {
    #expect(outcome(job("/nowhere/1"), at: .max) == "incomplete: model")
  }

  @Test func `links that lead round in circles are walked a little way`() {
    let disk = TemporaryDirectory()
    disk.write("1/model", "ok")
    try! FileManager.default.createSymbolicLink(atPath: disk("1/loop"), withDestinationPath: disk("1"))
    #expect(Fingerprint(directory: disk("1")).directories.count < 10)
  }
}

@Suite struct ScanTests {
  @Test func `a base path shows its numbered children, files and directories apart`() {
    let disk = TemporaryDirectory()
    disk.make("m/1")
    disk.make("m/tmp")
    disk.make("m/elsewhere")
    disk.write("m/2")
    try! FileManager.default.createSymbolicLink(atPath: disk("m/3"), withDestinationPath: disk("m/elsewhere"))
    try! FileManager.default.createSymbolicLink(atPath: disk("m/4"), withDestinationPath: disk("m/nowhere"))
    guard case .listed(let children) = Scan(basePath: disk("m")) else { return #expect(Bool(false), "no listing") }
    #expect(children.map { "\($0.name) \($0.version) \($0.isDirectory)" } == ["1 1 true", "2 2 false", "3 3 true", "4 4 false"])
    #expect(Set(children.map(\.inode)).count == 4)
  }

  @Test func `what is no directory is told apart from what is missing`() {
    let disk = TemporaryDirectory()
    disk.write("file")
    #expect(Scan(basePath: disk("nowhere")) == .missing)
    #expect(Scan(basePath: disk("file")) == .failed(ENOTDIR))
  }
}
