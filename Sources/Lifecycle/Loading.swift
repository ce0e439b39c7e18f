// What a loader thread does with one version: see that its directory is quiet and whole, then load it.
internal import Catalog

/// One attempt at one version.
struct LoadJob: Sendable {
  var model: String
  var version: Int64
  var directory: String
  /// By the manager's clock.
  var started: Duration
  /// The directory as the attempt before saw it, if that one found it incomplete.
  var lastSeen: Fingerprint?
}

extension LoadJob {
  /// - Parameters:
  ///   - quiet: how long nothing in the directory may have changed, in nanoseconds.
  ///   - wallClock: nanoseconds since 1970, as file times are.
  ///   - inspected: called when the directory is whole, before the load.
  ///   - drained: the slot's.
  func run(
    _ loader: any ModelLoader, quiet: Int64, wallClock: () -> Int64, inspected: () -> Void,
    drained: @escaping @Sendable () -> Void
  ) -> Harness.Outcome {
    let seen = Fingerprint(directory: directory)
    let (age, overflow) = wallClock().subtractingReportingOverflow(seen.newestChange)
    // A file server's clock may be ahead of ours: then two looks, a pause apart, have to agree.
    let isAhead = overflow || age < 0
    guard isAhead ? lastSeen == seen : age >= quiet else {
      return .settling(seen, rest: .nanoseconds(isAhead ? quiet : quiet - age))
    }
    if case .missing(let what) = loader.inspect(directory) { return .incomplete(reason: what, seen) }
    inspected()
    do throws(LoadError) {
      let model = try loader.load(directory)
      return .loaded(Slot(modelName: self.model, version: version, model: model, drained: drained))
    } catch {
      // Failed on files that were still moving: no failure of the version.
      let now = Fingerprint(directory: directory)
      return now == seen ? .failed(error) : .incomplete(reason: "it changed while it was loaded", now)
    }
  }
}
