// What runs once, before a model serves: restore, which fills the variables from the bundle, and init, which fills tables and
// whatever else the exporter thought of. All of it is named by the meta graph, in places that changed over the years.
import Engine
import Messages
import Tensors
import Wire

struct Startup {
  private let directory: String
  private var restoreOp: String?
  private var filenameTensor = ""
  private var initOp: String?
  private var assets: [(tensor: String, path: String)] = []
  /// Whether the bundle's index is there. Without one TensorFlow takes the model for one without variables.
  let isRestored: Bool

  /// The bundle's path without `.index`.
  var prefix: String { directory + "/variables/variables" }

  static let initKey = "__saved_model_init_op"

  init(_ meta: MetaGraphDef, directory: String) throws {
    self.directory = directory
    isRestored = File.size(directory + "/variables/variables.index") != nil

    let saver = try SaverDef(meta.saver)
    if !saver.restoreOpName.isEmpty {
      // SaverDef.CheckpointFormatVersion: only V1 is another format than bundles.
      guard saver.version != 1 || !isRestored else {
        throw FormatError(.unsupported, "the saver reads checkpoints of version 1, before tensor bundles")
      }
      restoreOp = String(showing: saver.restoreOpName)
      filenameTensor = String(showing: saver.filenameTensorName)
    }

    // TF2 names its init op in a signature, TF1 in a collection, older TF1 in another.
    if let entry = try meta.signatures.entry(Array(Startup.initKey.utf8).rawSpan),
      let output = try SignatureDef(entry.value).outputs.entry(Array(Startup.initKey.utf8).rawSpan)
    {
      initOp = String(showing: try TensorInfo(output.value).name)
    }
    for key in ["saved_model_main_op", "legacy_init_op"] where initOp == nil {
      guard let entry = try meta.collections.entry(Array(key.utf8).rawSpan) else { continue }
      let collection = try CollectionDef(entry.value)
      guard collection.kind == .nodes else { continue }
      var names = collection.values
      if let name = try names.nextSpan() { initOp = String(showing: name) }
    }

    // TF2 lists assets in a field, TF1 in a collection.
    var fields = meta.assets
    while let message = try fields.nextMessage() { try add(AssetFileDef(message)) }
    if let entry = try meta.collections.entry(Array("saved_model_assets".utf8).rawSpan) {
      let collection = try CollectionDef(entry.value)
      if collection.kind == .any {
        var values = collection.values
        while let message = try values.nextMessage() {
          try add(AssetFileDef(WireMessage(AnyMessage(message).value)))
        }
      }
    }
  }

  private mutating func add(_ asset: borrowing AssetFileDef) throws {
    let tensor = String(showing: asset.tensor.name)
    guard !tensor.isEmpty, !assets.contains(where: { $0.tensor == tensor }) else { return }
    guard assets.count < 10_000 else { throw FormatError(.unsupported, "more than 10000 assets") }
    assets.append((tensor, directory + "/assets/" + String(showing: asset.filename)))
  }

  /// What the importer must reach for all of this.
  var tensorNames: [String] {
    var names: [String] = []
    if isRestored, let restoreOp { names += [restoreOp, filenameTensor] }
    if let initOp { names.append(initOp) }
    return names.filter { !$0.isEmpty }
  }

  /// Files the version directory must have beside the graph: assets.
  var assetPaths: [String] { assets.map(\.path) }
  var wantsRestore: Bool { restoreOp != nil }

  func openBundle() throws -> TensorBundle? { isRestored && restoreOp != nil ? try TensorBundle(prefix: prefix) : nil }

  /// - Parameter restored: called between restoring and initialising.
  func run(_ session: Session, _ types: TensorTypes, restored: () -> Void) throws {
    // Assets whose tensors neither restore nor init reach were not imported.
    var feeds: [Endpoint] = []
    var values: [Tensor] = []
    for asset in assets {
      guard let endpoint = session.endpoint(asset.tensor), !feeds.contains(endpoint) else { continue }
      try check(asset.tensor, endpoint, types)
      feeds.append(endpoint)
      values.append(Tensor(shape: [], strings: [Array(asset.path.utf8)]))
    }
    if isRestored, let restoreOp {
      guard let target = session.node(restoreOp) else { throw missing("restore op", restoreOp) }
      guard let filename = session.endpoint(filenameTensor) else { throw missing("filename tensor", filenameTensor) }
      try check(filenameTensor, filename, types)
      let interface = Session.Interface(feeds: feeds + [filename], fetches: [], targets: [target])
      _ = try session.run(interface, feeding: values + [Tensor(shape: [], strings: [Array(prefix.utf8)])])
    }
    restored()
    if let initOp, !initOp.isEmpty {
      guard let target = session.node(initOp) else { throw missing("init op", initOp) }
      _ = try session.run(Session.Interface(feeds: feeds, fetches: [], targets: [target]), feeding: values)
    }
  }

  /// Paths are fed to string tensors.
  private func check(_ name: String, _ endpoint: Endpoint, _ types: TensorTypes) throws {
    if let objection = types.objection(to: .string, at: endpoint) {
      throw FormatError(.invalid, "tensor '\(name)' takes no path: \(objection)")
    }
  }

  private func missing(_ what: String, _ name: String) -> FormatError {
    FormatError(.invalid, "the graph has no node for the \(what) '\(name)'")
  }
}
