import Messages
import Wire

/// Whether the files of a version directory are all there. Copying a directory takes time, and its files arrive in any order.
public enum Completeness: Sendable, Equatable {
  /// Nothing is missing. Whether it is right, loading will tell.
  case complete
  /// A file is missing or not yet as long as another one says it must be.
  case incomplete(reason: String)
}

extension SavedModelLoader {
  /// Looks at what is there without loading: names and sizes of files, the graph's list of nodes, the index of the variables.
  /// What is broken rather than missing counts as complete, for `load` to refuse with its reason.
  public static func inspect(_ directory: String) -> Completeness {
    do throws(Missing) {
      try look(SavedModelFile.normalized(directory))
      return .complete
    } catch {
      return .incomplete(reason: error.reason)
    }
  }

  private struct Missing: Error { var reason: String }

  private static func look(_ directory: String) throws(Missing) {
    let binary = File.size(directory + "/saved_model.pb")
    let text = File.size(directory + "/saved_model.pbtxt")
    guard binary != nil || text != nil else { throw Missing(reason: "saved_model.pb is not there yet") }
    guard binary ?? text != 0 else { throw Missing(reason: "saved_model.pb is still empty") }
    var wants = Wants()
    do {
      let file = try SavedModelFile(in: directory)
      try wants.add(file.bytes.rawSpan, directory: file.directory)
    } catch let error as WireError where error.kind == .truncated {
      throw Missing(reason: "saved_model.pb is cut off: \(error)")
    } catch {
      // Broken: a matter for `load`.
      return
    }
    let index = directory + "/variables/variables.index"
    if wants.variables && File.size(index) == nil {
      throw Missing(reason: "variables/variables.index is not there yet, and the graph has variables")
    }
    for path in wants.assets where File.size(path) == nil { throw Missing(reason: "\(path) is not there yet") }
    if File.size(index) != nil {
      let bundle: TensorBundleIndex
      do {
        let bytes = try File(index).contents(bytesMax: WireLimits.bytesMax)
        // The footer comes last: a table cut off anywhere has none.
        guard Table.hasFooter(bytes.rawSpan) else {
          throw Missing(reason: "variables/variables.index is cut off: \(bytes.count) bytes without a footer")
        }
        bundle = try TensorBundleIndex(bytes.rawSpan, prefix: directory + "/variables/variables")
      } catch let missing as Missing {
        throw missing
      } catch {
        return
      }
      for shard in bundle.shards {
        let path = bundle.path(ofShard: shard.number)
        guard let size = File.size(path) else { throw Missing(reason: "\(path) is not there yet") }
        guard size >= shard.bytesNeeded else {
          throw Missing(reason: "\(path) has \(size) bytes of at least \(shard.bytesNeeded)")
        }
      }
    }
  }

  /// What a SavedModel needs beside its graph. All its meta graphs are asked: which one will serve is not known here.
  private struct Wants {
    var variables = false
    var assets: [String] = []

    mutating func add(_ bytes: RawSpan, directory: String) throws {
      var graphs = try SavedModel(bytes).metaGraphs
      while let message = try graphs.nextMessage() {
        let meta = try MetaGraphDef(message)
        let startup = try Startup(meta, directory: directory)
        assets += startup.assetPaths
        guard startup.wantsRestore else { continue }
        var nodes = try GraphDef(meta.graph).nodes
        while let node = try nodes.nextMessage() {
          let op = try NodeDef(node).op
          if op.equals("VarHandleOp") || op.equals("VariableV2") || op.equals("Variable") { variables = true }
        }
      }
    }
  }
}
