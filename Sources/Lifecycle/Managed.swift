// One model, configured or on its way out: what was found for it, its versions, and what the catalog shows of it.
internal import Catalog

struct Managed {
  var configuration: ModelConfiguration
  /// No longer configured, and out of the catalog; here until everything is unloaded.
  var isRemoved = false {
    didSet { if isRemoved { entry = nil } }
  }
  /// What the last look at the base path found; `nil` before the first.
  private(set) var scan: Scan?
  /// A look that found nothing where there had been versions, and until when it is not believed.
  private var doubted: (scan: Scan, due: Duration)?
  private(set) var harnesses: [Int64: Harness] = [:]
  /// Numbered files: reported, never loaded.
  private var misplaced: [VersionStatus] = []
  /// Oldest first.
  private var ended: [VersionStatus] = []
  /// What the catalog shows.
  private(set) var entry: ModelEntry?
  /// Loads at loader threads.
  var jobs = 0

  init(_ configuration: ModelConfiguration) { self.configuration = configuration }

  subscript(version: Int64) -> Harness? {
    get { harnesses[version] }
    _modify { yield &harnesses[version] }
  }

  /// Forgets what was found: the base path is another.
  mutating func forgetScan() {
    scan = nil
    doubted = nil
  }

  /// Whether a look finds no version any more, while some of those that were there are loaded or on their way.
  func isEmptied(by next: Scan) -> Bool {
    guard case .listed(let children) = next, !children.contains(where: \.isDirectory) else { return false }
    return harnesses.values.contains { $0.isAspired && !$0.isEnded }
  }

  mutating func doubt(_ scan: Scan, until due: Duration) { doubted = (scan, due) }

  /// Something else was found meanwhile. Returns whether there was a doubt.
  mutating func trust() -> Bool {
    defer { doubted = nil }
    return doubted != nil
  }

  /// The doubted look, once it is believed.
  mutating func believed(at now: Duration) -> Scan? {
    guard let doubted, doubted.due <= now else { return nil }
    self.doubted = nil
    return doubted.scan
  }

  /// Gives up the versions that are in other directories than they were, to be taken up anew. Returns them.
  mutating func giveUpReplaced(by next: Scan) -> [Int64] {
    func inodes(_ scan: Scan?) -> [Int64: UInt64] {
      Dictionary(scan.children.filter(\.isDirectory).map { ($0.version, $0.inode) }, uniquingKeysWith: { $1 })
    }
    let (before, after) = (inodes(scan), inodes(next))
    let replaced = harnesses.values.filter { $0.slot != nil && after[$0.version] != nil && after[$0.version] != before[$0.version] }
    for harness in replaced { harnesses[harness.version]?.aspire(false) }
    return replaced.map(\.version).sorted()
  }

  /// Notes what a look found. Returns the versions that are new, with their directories. A base path that is gone or
  /// unreadable changes nothing: what is loaded goes on serving.
  mutating func found(_ scan: Scan) -> [Harness] {
    self.scan = scan
    return aspire()
  }

  /// Takes up and gives up versions, as the policy wants of those found. Returns those that are new.
  mutating func aspire() -> [Harness] {
    guard isRemoved || scan.isListing else { return [] }
    let (found, _) = Scan.directories(scan.children)
    misplaced = scan.children.filter { !$0.isDirectory && found[$0.version] == nil }.map { child in
      VersionStatus(
        version: child.version, state: .end, errorCode: 9,
        errorMessage: "\(configuration.basePath)/\(child.name) is a file, but a version is a directory")
    }
    let aspired = isRemoved ? [] : configuration.policy.aspired(found.keys)
    var new: [Harness] = []
    for version in aspired.sorted() {
      let directory = configuration.basePath + "/" + (found[version] ?? "")
      if harnesses[version] != nil {
        harnesses[version]?.directory = directory
        harnesses[version]?.aspire(true)
      } else {
        let harness = Harness(version: version, directory: directory)
        harnesses[version] = harness
        new.append(harness)
        ended.removeAll { $0.version == version }
      }
    }
    for version in harnesses.keys where !aspired.contains(version) { harnesses[version]?.aspire(false) }
    return new
  }

  /// Queues the attempts whose time has come; returns their versions.
  mutating func due(at now: Duration) -> [Int64] {
    var due: [Int64] = []
    for version in harnesses.keys where harnesses[version]?.due(at: now) == true { due.append(version) }
    return due.sorted()
  }

  /// When `due` has something to do.
  var deadline: Duration? { (harnesses.values.compactMap(\.deadline) + (doubted.map { [$0.due] } ?? [])).min() }

  /// What the policy wants next.
  var action: PolicyAction? { availabilityPreservingAction(harnesses.values.map(\.snapshot)) }

  /// Moves versions that ended, and are not asked for, to those only remembered. Returns them.
  mutating func bury(endedMax: Int) -> [Harness] {
    let buried = harnesses.values.filter { $0.isEnded && !$0.isAspired }.sorted { $0.version < $1.version }
    for harness in buried {
      harnesses[harness.version] = nil
      ended.append(harness.status)
    }
    if ended.count > endedMax { ended.removeFirst(ended.count - endedMax) }
    return buried
  }

  /// Makes the entry anew; returns whether the catalog shows something else now.
  mutating func refreshEntry(_ limits: Manager.Limits) -> Bool {
    let live = harnesses.values.map(\.status)
    let known = Set(live.map(\.version))
    let past = ended + misplaced.filter { file in !ended.contains { $0.version == file.version } }
    let next = ModelEntry(
      name: configuration.name, statuses: live + past.filter { !known.contains($0.version) },
      slots: harnesses.values.compactMap(\.slot), labels: configuration.labels, isDiscovering: isDiscovering(limits),
      logging: configuration.logging)
    if let entry, entry.shows(next) { return false }
    entry = next
    return true
  }

  /// A path that is not there yet, and one without a single version so far, may be filled.
  private func isDiscovering(_ limits: Manager.Limits) -> Bool {
    switch scan {
    case nil: limits.scans
    case .missing, .failed: limits.polls
    case .listed: limits.polls && harnesses.isEmpty && ended.isEmpty && misplaced.isEmpty
    }
  }
}

extension Optional<Scan> {
  var children: [Child] { if case .listed(let children) = self { children } else { [] } }
  fileprivate var isListing: Bool { if case .listed = self { true } else { false } }
}

extension ModelEntry {
  fileprivate func shows(_ other: ModelEntry) -> Bool {
    statuses == other.statuses && labels == other.labels && isDiscovering == other.isDiscovering && logging == other.logging
      && slots.elementsEqual(other.slots, by: ===)
  }
}
