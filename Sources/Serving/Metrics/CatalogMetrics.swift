// What the catalog shows, as metrics: which versions there are, in which state, and what they hold.
internal import Catalog
internal import Engine
internal import Telemetry

extension CatalogSnapshot {
  private static let state = MetricDescription(
    "martlet_model_version_state", .gauge, labels: ["model_name", "version", "state"])
  private static let loaded = MetricDescription("martlet_model_versions_loaded", .gauge, labels: ["model_name"])
  private static let bytes = MetricDescription("martlet_model_bytes", .gauge, labels: ["model_name", "version"])
  private static let leases = MetricDescription("martlet_model_leases", .gauge, labels: ["model_name", "version"])
  private static let catalogEpoch = MetricDescription("martlet_catalog_epoch", .gauge)

  func pour(into snapshot: inout MetricsSnapshot) {
    snapshot.declare(CatalogSnapshot.state)
    for model in models {
      snapshot.add(model.slots.count, to: CatalogSnapshot.loaded, [model.name])
      for status in model.statuses {
        snapshot.add(1, to: CatalogSnapshot.state, [model.name, String(status.version), status.state.name])
      }
      for slot in model.slots {
        let labels = [model.name, String(slot.version)]
        snapshot.add(slot.model.byteCount, to: CatalogSnapshot.bytes, labels)
        snapshot.add(slot.leaseCount, to: CatalogSnapshot.leases, labels)
      }
    }
    snapshot.add(epoch, to: CatalogSnapshot.catalogEpoch)
  }
}

extension VersionState {
  fileprivate var name: String {
    switch self {
    case .unknown: "UNKNOWN"
    case .start: "START"
    case .loading: "LOADING"
    case .available: "AVAILABLE"
    case .unloading: "UNLOADING"
    case .end: "END"
    }
  }
}
