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
  case pending(ModelEntry)
  case refused(Status)
}

extension CatalogSnapshot {
  func select(_ spec: borrowing ModelSpec) -> Selection {
    guard spec.isPresent else { return .refused(Status(.invalidArgument, "Missing ModelSpec")) }
    guard spec.name.byteCount > 0 else {
      return .refused(Status(.invalidArgument, "ModelSpec has no name specified."))
    }
    guard let entry = model(spec.name) else { return .refused(spec.notFound) }
    switch spec.versionChoice {
    case .none:
      if let slot = entry.latest { return .slot(slot) }
      return entry.isPending ? .pending(entry) : .refused(spec.notFound)
    case .number(let version):
      return entry.select(version: version, spec)
    case .label:
      let label = String(showing: spec.versionLabel)
      guard let version = entry.labels[label] else {
        return .refused(Status(serving: .invalidArgument, "Unrecognized servable version label: \(label)"))
      }
      return entry.select(version: version, spec)
    }
  }
}

extension ModelEntry {
  fileprivate func select(version: Int64, _ spec: borrowing ModelSpec) -> Selection {
    if let slot = slot(version: version) { return .slot(slot) }
    return isPending(version: version) ? .pending(self) : .refused(spec.notFound(version: version))
  }
}

extension ModelSpec {
  /// The model spec of the response: the name as asked, the signature and the version as chosen.
  @_lifetime(copy self)
  func answered(by version: Int64) -> ModelSpec {
    ModelSpec(
      name: name, signatureName: signatureName.byteCount > 0 ? signatureName : RawSpan(literal: "serving_default"),
      version: version)
  }

  /// The word "Servable" is what TensorFlow Serving's own tests and many clients look for.
  fileprivate var notFound: Status {
    if case .number(let version) = versionChoice { return notFound(version: version) }
    return Status(serving: .notFound, "Servable not found for request: Latest(\(String(showing: name)))")
  }

  fileprivate func notFound(version: Int64) -> Status {
    Status(serving: .notFound, "Servable not found for request: Specific(\(String(showing: name)), \(version))")
  }
}
