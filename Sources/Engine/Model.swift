// What an importer hands over: a model ready to serve, whatever format it came from.
public import Tensors

/// A model: its signatures, each with a plan.
public final class Model: Sendable {
  public let signatures: [String: Signature]
  /// The signatures as `tensorflow.SignatureDef` bytes, by name, for `GetModelMetadata`.
  public let signatureDefs: [(name: String, bytes: [UInt8])]
  /// Bytes of all constants and variables, each counted once.
  public let byteCount: Int

  /// What an operator should know and no client: signatures that were left out, and why.
  public let warnings: [String]

  public init(
    signatures: [Signature], signatureDefs: [(name: String, bytes: [UInt8])], byteCount: Int? = nil,
    warnings: [String] = []
  ) {
    self.signatures = Dictionary(signatures.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
    self.signatureDefs = signatureDefs
    self.byteCount = byteCount ?? Model.byteCount(of: signatures.map(\.plan), nil)
    self.warnings = warnings
  }

  /// Bytes of the constants of some plans and of the variables that live on beside them, each counted once.
  public static func byteCount(of plans: [Plan], _ resources: Resources?) -> Int {
    var seen: Set<ObjectIdentifier> = []
    var sum = 0
    for tensor in plans.flatMap(\.constantTensors) + (resources?.variables.compactMap(\.tensor) ?? [])
    where seen.insert(ObjectIdentifier(tensor)).inserted {
      sum += tensor.byteCount
    }
    return sum
  }
}

/// A way to call a model: named tensors in, named tensors out.
public final class Signature: Sendable {
  /// A named tensor of a signature.
  public struct Parameter: Sendable {
    /// The alias requests and responses use.
    public var alias: String
    /// The tensor's name in the graph (`serving_default_x:0`); it stands in error texts.
    public var tensorName: String
    public var dtype: DType
    public var shape: PartialShape
    /// What a request that leaves the input out gets (`SignatureDef.defaults`).
    public var defaultValue: Tensor?

    public init(
      alias: String, tensorName: String, dtype: DType, shape: PartialShape, defaultValue: Tensor? = nil
    ) {
      self.alias = alias
      self.tensorName = tensorName
      self.dtype = dtype
      self.shape = shape
      self.defaultValue = defaultValue
    }
  }

  public let name: String
  /// `tensorflow/serving/predict` and its siblings.
  public let methodName: String
  /// In the order of the plan's inputs.
  public let inputs: [Parameter]
  /// In the order of the plan's outputs.
  public let outputs: [Parameter]
  public let plan: Plan

  public init(name: String, methodName: String, inputs: [Parameter], outputs: [Parameter], plan: Plan) {
    precondition(inputs.count == plan.inputCount && outputs.count == plan.outputCount)
    self.name = name
    self.methodName = methodName
    self.inputs = inputs
    self.outputs = outputs
    self.plan = plan
  }
}
