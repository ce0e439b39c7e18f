// Who is healthy, as gRPC's health service tells it. A value: events in, changed statuses out.
//
//   name                             SERVING while
//   ──────────────────────────────   ────────────────────────────────────────────────────────────────────────────────
//   ""                               traffic is welcome: the ports are open, the server has been ready once, some model
//                                    can answer, and no drain has begun
//   a service that runs models       the same
//   any other registered service     the ports are open and no drain has begun: it answers about models that load, too
//   a model's name                   the same, and a version of it is available
//   a model's name/version           the same, and that version is available
//
// Ready means: every configured model has an available version or will not get one by itself, and at least one can answer
// (or none is configured: then there is nothing to wait for). A base path that does not exist yet is waited for.
//
// The empty name is what readiness probes and balancers ask for, and what they take away is the whole server. So a start
// is strict: a rollout stops at a server that is still loading, or whose models all fail. And a running server is lenient:
// a model that is added, reloaded, broken or removed later changes its own names and nobody else's, as long as one model
// can answer. Who wants a probe to be strict about one model asks for that model's name.
//
// Of a name that is a service and a model, the service counts.
internal import Catalog

/// `grpc.health.v1.HealthCheckResponse.ServingStatus`, with its numbers.
enum HealthStatus: Int, Sendable {
  case serving = 1
  case notServing = 2
  /// Told to watchers of a name that nobody has.
  case unknownService = 3
}

/// What health needs to know of a configured model.
struct ModelHealth: Sendable, Equatable {
  var name: String
  /// Each version that is known, and whether it answers requests.
  var versions: [Int64: Bool]
  /// A version may become available without anybody doing anything.
  var isPending: Bool

  var isAvailable: Bool { versions.values.contains(true) }
}

extension ModelHealth {
  init(_ entry: ModelEntry) {
    self.init(name: entry.name, versions: [:], isPending: entry.isPending)
    for status in entry.statuses { versions[status.version] = false }
    for slot in entry.slots { versions[slot.version] = true }
  }
}

struct HealthState: Sendable {
  enum Event {
    /// The ports are open.
    case opened
    /// What is configured, and what of it is there: anew, all of it.
    case models([ModelHealth])
    case draining
  }

  private enum Phase { case closed, open, draining }

  private let services: [String]
  private let modelServices: Set<String>
  private var phase = Phase.closed
  /// `nil` before the first are known.
  private var models: [ModelHealth]?
  private var hasBeenReady = false

  /// By name.
  private(set) var statuses: [String: HealthStatus] = [:]

  /// - Parameters:
  ///   - services: every registered service.
  ///   - modelServices: those of them that cannot do anything without a model.
  init(services: [String], modelServices: Set<String>) {
    self.services = services
    self.modelServices = modelServices
    statuses = judged()
  }

  /// Returns whether any status is another now.
  mutating func receive(_ event: Event) -> Bool {
    switch event {
    case .opened: if phase == .closed { phase = .open }
    case .draining: phase = .draining
    case .models(let models): self.models = models
    }
    hasBeenReady = hasBeenReady || isReady
    let judged = judged()
    defer { statuses = judged }
    return judged != statuses
  }

  var isDraining: Bool { phase == .draining }

  private var isReady: Bool {
    guard let models else { return false }
    return models.allSatisfy { $0.isAvailable || !$0.isPending } && canAnswer
  }

  private var canAnswer: Bool {
    guard let models else { return false }
    return models.isEmpty || models.contains(where: \.isAvailable)
  }

  private func judged() -> [String: HealthStatus] {
    let isOpen = phase == .open
    let isWelcoming = isOpen && hasBeenReady && canAnswer
    var statuses: [String: HealthStatus] = [:]
    for model in models ?? [] {
      statuses[model.name] = HealthStatus(isOpen && model.isAvailable)
      for (version, isAvailable) in model.versions {
        statuses["\(model.name)/\(version)"] = HealthStatus(isOpen && isAvailable)
      }
    }
    for service in services { statuses[service] = HealthStatus(modelServices.contains(service) ? isWelcoming : isOpen) }
    statuses[""] = HealthStatus(isWelcoming)
    return statuses
  }
}

extension HealthStatus {
  fileprivate init(_ isServing: Bool) { self = isServing ? .serving : .notServing }
}

/// What one watcher has been told. It hears what is the case when it can listen, not every step on the way there.
struct HealthWatch {
  let name: String
  private(set) var told: HealthStatus?

  init(_ name: String) { self.name = name }

  /// What to tell now; `nil`: it knows.
  mutating func news(_ statuses: [String: HealthStatus]) -> HealthStatus? {
    let status = statuses[name] ?? .unknownService
    guard status != told else { return nil }
    told = status
    return status
  }
}
