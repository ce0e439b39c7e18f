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
  ///   - patience: how long a file that ends too early may stay as it is before the version is loaded all the same.
  ///   - wallClock: nanoseconds since 1970, as file times are.
  ///   - inspected: called when the directory is whole, before the load.
  ///   - drained: the slot's.
  func run(
    _ loader: any ModelLoader, quiet: Int64, patience: Int64, wallClock: () -> Int64, inspected: () -> Void,
    drained: @escaping @Sendable () -> Void
  ) -> Harness.Outcome {
    let seen = Fingerprint(directory: directory)
    let (age, overflow) = wallClock().subtractingReportingOverflow(seen.newestChange)
    // A file server's clock may be ahead of ours: then two looks, a pause apart, have to agree.
    let isAhead = overflow || age < 0
    guard isAhead ? lastSeen == seen : age >= quiet else {
      return .settling(seen, rest: .nanoseconds(isAhead ? quiet : quiet - age))
    }
    switch loader.inspect(directory) {
    case .missing(let what): return .incomplete(reason: what, seen)
    case .cutOff(let what) where age < patience: return .incomplete(reason: what, seen)
    case .cutOff, .complete: break
    }
    inspected()
    do throws(LoadError) {
      let batching = try loader.batching(directory)
      let model = try loader.load(directory)
      return .loaded(Slot(modelName: self.model, version: version, model: model, batching: batching, drained: drained))
    } catch {
      // Failed on files that were still moving: no failure of the version.
      let now = Fingerprint(directory: directory)
      return now == seen ? .failed(error) : .incomplete(reason: "it changed while it was loaded", now)
    }
  }
}
