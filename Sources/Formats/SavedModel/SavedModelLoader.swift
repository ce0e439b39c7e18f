// From a version directory to a model that can serve, as TensorFlow's `LoadSavedModel` does it:
//
//   saved_model.pb ─► meta graph by tags ─► Graph ─► Session
//   variables/     ─► TensorBundle ───────────────► restore ─► init ─► a plan for each signature ─► Model
//   assets/        ─► paths, fed to restore and init ──┘
//
// What is not needed for that (training functions, savers) is not even imported: the importer starts from the tensors
// that signatures, restore and init name. Everything but the plans is gone when `load` returns.
public import Engine
import Messages
import Tensors
import Wire

/// Loads SavedModels.
public struct SavedModelLoader: Sendable {
  /// The tags of the meta graph to serve: exactly these.
  public let tags: Set<String>

  public init(tags: Set<String> = ["serve"]) { self.tags = tags }

  /// The stages of a load that TensorFlow times, by its names.
  public enum Stage: String, Sendable {
    /// Reading the files and restoring the variables.
    case restore = "restore_graph"
    /// Running the init op, and making the plans.
    case initialise = "init_graph"
  }

  /// Loads the SavedModel in a version directory.
  /// - Parameter timing: told how long each stage of a load that succeeded has taken.
  public func load(_ directory: String, timing: (Stage, Duration) -> Void = { _, _ in }) throws(FormatError) -> Model {
    let start = ContinuousClock.now
    var restored = start
    let file = try SavedModelFile(in: directory)
    do {
      let model = try load(file) { restored = .now }
      timing(.restore, start.duration(to: restored))
      timing(.initialise, restored.duration(to: .now))
      return model
    } catch {
      throw FormatError(error, in: file.path)
    }
  }

  /// A session that has been restored and initialised, and what it was made from.
  private struct Started {
    var session: Session
    var types: TensorTypes
    var interfaces: SignatureDefs
    var startup: Startup
    var bundle: TensorBundle?
  }

  /// Many kinds of error arise on the way; `load` above makes one of them.
  private func load(_ file: SavedModelFile, restored: () -> Void) throws -> Model {
    let loaded: (signatures: [Signature], warnings: [String])
    let signatureDefs: [(name: String, bytes: [UInt8])]
    let sessionPlans: SessionPlans
    weak let resources: Resources?
    do {
      let started = try start(file, restored: restored)
      let session = started.session
      resources = session.resources
      do { loaded = try started.interfaces.signatures(session, started.types) } catch {
        throw explained(error, started)
      }
      if !started.startup.isRestored, let name = session.resources.firstWithoutValue {
        throw FormatError(
          .notFound, "the file is missing, and nothing else gives variable '\(name)' a value",
          file: started.startup.prefix + ".index")
      }
      signatureDefs = started.interfaces.bytes
      sessionPlans = self.sessionPlans(started, file.directory)
    }
    return Model(
      signatures: loaded.signatures, signatureDefs: signatureDefs,
      byteCount: Model.byteCount(
        of: loaded.signatures.flatMap { [$0.plan] + ($0.joint.map { [$0.plan.plan] } ?? []) }, resources),
      warnings: loaded.warnings, sessionPlans: sessionPlans)
  }

  /// - Parameter entire: import the whole graph where that can be done, not only what signatures need.
  private func start(_ file: SavedModelFile, entire: Bool = false, restored: () -> Void = {}) throws -> Started {
    let bytes = file.bytes.rawSpan
    let meta = try MetaGraphDef(WireMessage(bytes, at: try metaGraph(bytes)))
    let interfaces = try SignatureDefs(meta)
    let startup = try Startup(meta, directory: file.directory)
    let names = interfaces.tensorNames + startup.tensorNames
    var imported: (graph: Graph, types: TensorTypes)?
    if entire {
      var importer = try GraphImporter(meta)
      imported = try? importer.graph(reaching: names, andAllElse: true)
    }
    if imported == nil {
      var importer = try GraphImporter(meta)
      imported = try importer.graph(reaching: names)
    }
    guard let (graph, types) = imported else { preconditionFailure("the importer returned or threw") }
    let bundle = try startup.openBundle()
    let session = Session(graph, checkpoint: bundle, files: AssetFiles(directory: file.directory))
    let started = Started(session: session, types: types, interfaces: interfaces, startup: startup, bundle: bundle)
    do { try startup.run(session, types, restored: restored) } catch { throw explained(error, started) }
    return started
  }

  /// The engine tells that a read failed; the bundle knows why.
  private func explained(_ error: any Error, _ started: Started) -> any Error {
    started.bundle?.failure ?? GraphImporter.listingMissing(error, started.session.graph, started.session.registry)
  }

  private func sessionPlans(_ started: Started, _ directory: String) -> SessionPlans {
    // The session of a model that requests change is the only one with its state.
    if started.session.hasState {
      let types = started.types
      let opened = SessionPlans.Opened(session: started.session, types: { types[$0] })
      return SessionPlans { () throws(GraphError) in opened }
    }
    return SessionPlans { [self] () throws(GraphError) in
      do {
        let started = try start(try SavedModelFile(in: directory), entire: true)
        let types = started.types
        return SessionPlans.Opened(session: started.session, types: { types[$0] })
      } catch { throw GraphError(.failed, "\(FormatError(error, in: directory))") }
    }
  }

  /// Where the meta graph with the wanted tags stands.
  private func metaGraph(_ bytes: RawSpan) throws -> Range<UInt32> {
    var available: [String] = []
    var found: Range<UInt32>? = nil
    var graphs = try SavedModel(bytes).metaGraphs
    while let range = try graphs.nextRange() {
      let meta = try MetaGraphDef(WireMessage(bytes, at: range))
      var tags: Set<String> = []
      var names = try MetaInfoDef(meta.metaInfo).tags
      while let name = try names.nextSpan() { tags.insert(String(showing: name)) }
      if tags == self.tags, found == nil { found = range }
      available.append(SavedModelLoader.text(tags))
    }
    guard let found else {
      throw FormatError(
        .notFound,
        "Could not find meta graph def matching supplied tags: \(SavedModelLoader.text(tags)). The file has "
          + (available.isEmpty ? "no meta graph" : "those with tags " + available.joined(separator: ", ")))
    }
    return found
  }

  private static func text(_ tags: Set<String>) -> String { "{ " + tags.sorted().joined(separator: ", ") + " }" }
}

extension FormatError {
  /// Whatever went wrong while a file was made into a model.
  init(_ error: any Error, in file: String) {
    switch error {
    case let error as FormatError:
      self = error
      if self.file == nil && error.kind != .notFound { self.file = file }
    case let error as WireError:
      self.init(.corrupt, "\(error)", file: file)
    case let error as TensorProtoError:
      self.init(.invalid, "\(error)", file: file)
    case let error as GraphError:
      let kind: Kind =
        switch error.kind {
        case .unsupported: .unsupported
        case .invalid: .invalid
        case .failed: .failed
        }
      self.init(kind, error.message, file: file, place: error.node.map { "node '\($0)'" })
    default:
      self.init(.invalid, "\(error)", file: file)
    }
  }
}
