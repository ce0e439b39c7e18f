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

  /// Many kinds of error arise on the way; `load` above makes one of them.
  private func load(_ file: SavedModelFile, restored: () -> Void) throws -> Model {
    let bytes = file.bytes.rawSpan
    let meta = try MetaGraphDef(WireMessage(bytes, at: try metaGraph(bytes)))
    let interfaces = try SignatureDefs(meta)
    let startup = try Startup(meta, directory: file.directory)
    var importer = try GraphImporter(meta)
    let (graph, types) = try importer.graph(reaching: interfaces.tensorNames + startup.tensorNames)

    let bundle = try startup.openBundle()
    let loaded: (signatures: [Signature], warnings: [String])
    weak let resources: Resources?
    do {
      let session = Session(graph, checkpoint: bundle, files: AssetFiles(directory: file.directory))
      resources = session.resources
      do {
        try startup.run(session, types, restored: restored)
        loaded = try interfaces.signatures(session, types)
      } catch {
        // The engine tells that a read failed; the bundle knows why.
        throw bundle?.failure ?? GraphImporter.listingMissing(error, graph, session.registry)
      }
      if !startup.isRestored, let name = session.resources.firstWithoutValue {
        throw FormatError(
          .notFound, "the file is missing, and nothing else gives variable '\(name)' a value", file: startup.prefix + ".index")
      }
    }
    return Model(
      signatures: loaded.signatures, signatureDefs: interfaces.bytes,
      byteCount: Model.byteCount(of: loaded.signatures.map(\.plan), resources), warnings: loaded.warnings)
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
