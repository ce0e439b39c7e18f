import Engine
import Messages
import Tensors
import Wire

/// A meta graph's signatures, copied out: names of tensors, not yet found in a graph.
struct SignatureDefs {
  private struct Definition {
    var name: String
    var methodName: String
    var inputs: [Signature.Parameter]
    var outputs: [Signature.Parameter]
  }

  private var definitions: [Definition] = []
  private var warnings: [String] = []
  /// All of them as they stand in the file, by name: those that cannot be called too.
  private(set) var bytes: [(name: String, bytes: [UInt8])] = []

  init(_ meta: MetaGraphDef) throws {
    // Of map entries with one key the last counts.
    var ranges: [String: WireExtent] = [:]
    var entries = meta.signatures
    while let entry = try entries.next() { ranges[String(showing: entry.key)] = entry.value.extent }
    for (name, extent) in ranges.sorted(by: { $0.key < $1.key }) {
      let signature = try SignatureDef(WireMessage(meta.graph.bytes, at: extent))
      bytes.append((name, signature.message.copy()))
      // The init op is there for the loader, and nothing is to be had from a signature without outputs.
      if name == Startup.initKey { continue }
      do {
        let defaults = try SignatureDefs.defaults(signature)
        let inputs = try SignatureDefs.parameters(signature.inputs, defaults)
        let outputs = try SignatureDefs.parameters(signature.outputs, [:])
        guard !outputs.isEmpty else { continue }
        definitions.append(
          Definition(
            name: name, methodName: String(showing: signature.methodName), inputs: inputs, outputs: outputs))
      } catch let error as Skipped {
        warnings.append("signature '\(name)' cannot be called: \(error.reason)")
      } catch var error as FormatError {
        error.place = "signature '\(name)'" + (error.place.map { ", " + $0 } ?? "")
        throw error
      }
    }
  }

  /// Why a signature is not served, and the rest of the model is.
  private struct Skipped: Error { var reason: String }

  /// In the order of the aliases.
  private static func parameters(_ map: WireMap, _ defaults: [String: Tensor]) throws -> [Signature.Parameter] {
    var parameters: [String: Signature.Parameter] = [:]
    var map = map
    while let entry = try map.next() {
      let alias = String(showing: entry.key)
      let info = try TensorInfo(entry.value)
      switch info.encoding {
      case .dense: break
      case .none: throw Skipped(reason: "'\(alias)' names no tensor")
      case .sparse: throw Skipped(reason: "'\(alias)' is a sparse tensor")
      case .composite: throw Skipped(reason: "'\(alias)' is a composite tensor")
      }
      guard let dtype = info.dtype else { throw Skipped(reason: "'\(alias)' has no type (\(info.dtypeNumber))") }
      guard let shape = info.shape.partialShape else {
        throw Skipped(reason: "'\(alias)' has \(info.shape.rank) dimensions, at most \(Shape.rankMax) are supported")
      }
      let value = defaults[alias]
      if let value, value.dtype != dtype || !shape.admits(value.shape) {
        throw FormatError(
          .invalid, "the default is \(value.dtype) \(value.shape), expected \(dtype) \(shape)", place: "input '\(alias)'")
      }
      parameters[alias] = Signature.Parameter(
        alias: alias, tensorName: String(showing: info.name), dtype: dtype, shape: shape, defaultValue: value)
    }
    return parameters.values.sorted { $0.alias < $1.alias }
  }

  private static func defaults(_ signature: SignatureDef) throws -> [String: Tensor] {
    var defaults: [String: Tensor] = [:]
    var budget = ConstantBudget(fileSize: signature.message.extent.byteCount)
    var map = signature.defaults
    while let entry = try map.next() {
      defaults[String(showing: entry.key)] = try Tensor(TensorProto(entry.value), within: &budget)
    }
    return defaults
  }

  /// What the importer must reach.
  var tensorNames: [String] { definitions.flatMap { ($0.inputs + $0.outputs).map(\.tensorName) } }

  /// The signatures, each with its plan.
  func signatures(_ session: Session, _ types: TensorTypes) throws -> (signatures: [Signature], warnings: [String]) {
    var warnings = warnings
    var callable: [Definition] = []
    var interfaces: [Session.Interface] = []
    for definition in definitions {
      do {
        let interface = Session.Interface(
          feeds: try definition.inputs.map { try endpoint(of: $0, session, types) },
          fetches: try definition.outputs.map { try endpoint(of: $0, session, types) })
        callable.append(definition)
        interfaces.append(interface)
      } catch let error as Skipped {
        warnings.append("signature '\(definition.name)' cannot be called: \(error.reason)")
      }
    }
    guard !callable.isEmpty || warnings.isEmpty else {
      throw FormatError(.unsupported, "no signature can be called: " + warnings.joined(separator: "; "))
    }
    let groups = SignatureDefs.joint(callable, interfaces)
    let plans = try session.plans(
      interfaces
        + groups.map { group in
          Session.Interface(feeds: interfaces[group[0]].feeds, fetches: group.flatMap { interfaces[$0].fetches })
        })
    var joint: [Int: Signature.Joint] = [:]
    for (group, plan) in zip(groups, plans[callable.count...]) {
      let plan = JointPlan(plan)
      var first = 0
      for member in group {
        joint[member] = Signature.Joint(plan: plan, firstOutput: first)
        first += callable[member].outputs.count
      }
    }
    let signatures = callable.enumerated().map { i, definition in
      Signature(
        name: definition.name, methodName: definition.methodName, inputs: definition.inputs,
        outputs: definition.outputs, plan: plans[i], joint: joint[i])
    }
    return (signatures, warnings)
  }

  /// The signatures that a MultiInference may ask together: those that take serialized examples from the same tensor, and
  /// nothing else.
  private static func joint(_ definitions: [Definition], _ interfaces: [Session.Interface]) -> [[Int]] {
    var groups: [Endpoint: [Int]] = [:]
    for (i, definition) in definitions.enumerated() where definition.inputs.count == 1 {
      guard definition.inputs[0].alias == "inputs", definition.inputs[0].dtype == .string else { continue }
      groups[interfaces[i].feeds[0], default: []].append(i)
    }
    return groups.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
  }

  private func endpoint(of parameter: Signature.Parameter, _ session: Session, _ types: TensorTypes) throws -> Endpoint {
    guard let endpoint = session.endpoint(parameter.tensorName) else {
      throw Skipped(reason: "the graph has no tensor '\(parameter.tensorName)' for '\(parameter.alias)'")
    }
    if let objection = types.objection(to: parameter.dtype, at: endpoint) {
      throw Skipped(reason: "tensor '\(parameter.tensorName)' for '\(parameter.alias)': \(objection)")
    }
    return endpoint
  }
}
