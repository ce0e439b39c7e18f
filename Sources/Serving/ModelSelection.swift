// From a ModelSpec to a slot, or to the reason there is none, in TensorFlow Serving's codes and words.
internal import Catalog
internal import Messages
internal import RPC
internal import Wire

/// What a model spec leads to in one snapshot of the catalog.
enum Selection {
  /// Serve with it. The slot is the snapshot's: use it on this loop before the next refresh, or take a lease.
  case slot(Slot)
  /// Configured and on its way: worth waiting for.
  case pending
  case refused(Status)
}

extension CatalogSnapshot {
  func select(_ spec: borrowing ModelSpec) -> Selection {
    guard spec.name.byteCount > 0 else {
      return .refused(Status(.invalidArgument, "ModelSpec has no name specified."))
    }
    guard let entry = model(spec.name) else { return .refused(spec.notFound(version: spec.version)) }
    if let label = spec.versionLabel {
      let text = String(showing: label)
      guard let version = entry.labels[text] else {
        return .refused(Status(.invalidArgument, "Unrecognized servable version label: \(text)"))
      }
      return entry.select(version: version, spec)
    }
    if let version = spec.version { return entry.select(version: version, spec) }
    if let slot = entry.latest { return .slot(slot) }
    return entry.isPending ? .pending : .refused(spec.notFound(version: nil))
  }
}

extension ModelEntry {
  fileprivate func select(version: Int64, _ spec: borrowing ModelSpec) -> Selection {
    if let slot = slot(version: version) { return .slot(slot) }
    return isPending(version: version) ? .pending : .refused(spec.notFound(version: version))
  }
}

extension ModelSpec {
  /// The word "Servable" is what TensorFlow Serving's own tests and many clients look for.
  fileprivate func notFound(version: Int64?) -> Status {
    let name = String(showing: name)
    return Status(
      .notFound,
      "Servable not found for request: " + (version.map { "Specific(\(name), \($0))" } ?? "Latest(\(name))"))
  }
}
