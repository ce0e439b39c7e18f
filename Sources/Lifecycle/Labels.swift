// Which labels a new configuration may assign: TensorFlow Serving's rule (`ServerCore::UpdateModelVersionLabelMap`), but for
// two cases where that one only gets in the way.
//
//   the label                            may be given to
//   ─────────────────────────────────    ─────────────────────────────────────────────────────────────────────────────
//   of a model that is new               any version: it answers once that version does. (TensorFlow Serving: only to
//                                        one that is available, which none is then; the start fails.)
//   stays where it is                    that version, available or not. (TensorFlow Serving: only if it is available;
//                                        an outage of one model then blocks every change of all others.)
//   is not in use                        an available version; any, with allow_version_labels_for_unavailable_models
//   is in use for another version        an available version
//
// A request by a label that leads to a version that is on its way waits for it, as any request does.

/// A label that may not be assigned, in TensorFlow Serving's words.
public struct RefusedLabel: Error, Sendable, Equatable, CustomStringConvertible {
  public var model: String
  public var label: String
  public var version: Int64

  public var description: String {
    "Request to assign label to version \(version) of model \(model), which is not currently available for inference"
  }
}

extension ModelConfiguration {
  /// The first label that may not be assigned.
  /// - Parameters:
  ///   - current: what holds for the model so far; `nil` when it is new.
  ///   - allowsUnavailable: `allow_version_labels_for_unavailable_models`.
  func refusedLabel(replacing current: ModelConfiguration?, allowsUnavailable: Bool, isAvailable: (Int64) -> Bool) -> RefusedLabel? {
    guard let current else { return nil }
    for (label, version) in labels.sorted(by: { $0.key < $1.key }) where !isAvailable(version) {
      let inUse = current.labels[label]
      if inUse == version || inUse == nil && allowsUnavailable { continue }
      return RefusedLabel(model: name, label: label, version: version)
    }
    return nil
  }
}
