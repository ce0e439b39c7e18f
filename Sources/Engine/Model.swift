// What an importer hands over: a model ready to serve, whatever format it came from.
internal import Synchronization
public import Tensors
internal import Wire

/// A model: its signatures, each with a plan.
public final class Model: Sendable {
  /// The signature of requests that name none.
  public static let defaultSignatureName = "serving_default"

  public let signatures: [Signature]
  private let names: ByteTable
  /// `serving_default`, when there is one.
  public let defaultSignature: Signature?
  /// The signatures as `tensorflow.SignatureDef` bytes, by name, for `GetModelMetadata`.
  public let signatureDefs: [(name: String, bytes: [UInt8])]
  /// Bytes of all constants and variables, each counted once.
  public let byteCount: Int

  /// Plans for tensors by name, whether a signature names them or not; `nil` when there is no graph to make them from.
  public let sessionPlans: SessionPlans?

  /// What an operator should know and no client: signatures that were left out, and why.
  public let warnings: [String]

  public init(
    signatures: [Signature], signatureDefs: [(name: String, bytes: [UInt8])], byteCount: Int? = nil,
    warnings: [String] = [], sessionPlans: SessionPlans? = nil
  ) {
    self.signatures = signatures
    names = ByteTable(signatures.map { Array($0.name.utf8) })
    defaultSignature = signatures.first { $0.name == Model.defaultSignatureName }
    self.signatureDefs = signatureDefs
    self.byteCount = byteCount ?? Model.byteCount(of: signatures.map(\.plan), nil)
    self.warnings = warnings
    self.sessionPlans = sessionPlans
  }

  /// The signature of that name.
  public func signature(_ name: RawSpan) -> Signature? { names.index(of: name).map { signatures[$0] } }

  /// The signature of that name.
  public func signature(_ name: String) -> Signature? { signatures.first { $0.name == name } }

  /// Bytes of the constants of some plans, packed or not, and of the variables that live on beside them, each counted once.
  public static func byteCount(of plans: [Plan], _ resources: Resources?) -> Int {
    var seen: Set<ObjectIdentifier> = []
    var sum = 0
    for tensor in plans.flatMap(\.constantTensors) + (resources?.variables.compactMap(\.tensor) ?? [])
    where seen.insert(ObjectIdentifier(tensor)).inserted {
      sum += tensor.byteCount
    }
    for packed in plans.flatMap(\.packed) where seen.insert(ObjectIdentifier(packed)).inserted { sum += packed.byteCount }
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
  /// The same in one run with other signatures, where there are some that take the same single tensor.
  public let joint: Joint?
  /// What a run has taken lately, by its number of rows.
  public let cost = CostEstimate()
  private let inputTypes: FixedArray<DType>
  private let inputNames: ByteTable
  private let outputNames: ByteTable
  private let outputKeyBytes: FixedArray<UInt8>
  private let outputKeyRanges: [Range<Int>]

  /// The `method_name`s of signatures that Predict may call when it is asked to check them.
  public static let predictableMethods = [
    "tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress",
  ]

  public init(
    name: String, methodName: String, inputs: [Parameter], outputs: [Parameter], plan: Plan, joint: Joint? = nil
  ) {
    precondition(inputs.count == plan.inputCount && outputs.count == plan.outputCount)
    self.name = name
    self.methodName = methodName
    self.inputs = inputs
    self.outputs = outputs
    self.plan = plan
    self.joint = joint
    inputTypes = FixedArray(inputs.map(\.dtype))
    inputNames = ByteTable(inputs.map { Array($0.alias.utf8) })
    outputNames = ByteTable(outputs.map { Array($0.alias.utf8) })
    outputKeyBytes = FixedArray(outputs.flatMap { Array($0.alias.utf8) })
    var end = 0
    outputKeyRanges = outputs.map { output in
      defer { end += output.alias.utf8.count }
      return end..<end + output.alias.utf8.count
    }
  }

  /// The input of that alias, by its place in `inputs`.
  public func inputIndex(of alias: RawSpan) -> Int? { inputNames.index(of: alias) }

  /// The first input that was not fed with its own type.
  public func firstWithOtherType(in frame: borrowing Frame) -> Int? {
    for i in 0..<inputTypes.count where frame.fedType(i) != inputTypes[i] { return i }
    return nil
  }

  /// The output of that alias, by its place in `outputs`.
  public func outputIndex(of alias: RawSpan) -> Int? { outputNames.index(of: alias) }

  /// An output's alias as bytes.
  @_lifetime(borrow self)
  public func outputKey(_ index: Int) -> RawSpan {
    let range = outputKeyRanges[index]
    // The bytes are a `let` of this object: they live as long as `self` is borrowed.
    let bytes = unsafe RawSpan(_unsafeStart: outputKeyBytes.base + range.lowerBound, byteCount: range.count)
    return unsafe _overrideLifetime(bytes, borrowing: self)
  }
}

/// Signatures that take the same single tensor, in one plan: its outputs are theirs, one signature's after the other's.
public final class JointPlan: Sendable {
  public let plan: Plan
  public let cost = CostEstimate()

  public init(_ plan: Plan) { self.plan = plan }
}

extension Signature {
  /// A signature's part in a joint plan.
  public struct Joint: Sendable {
    public let plan: JointPlan
    /// The place of the signature's first output among the plan's.
    public let firstOutput: Int

    public init(plan: JointPlan, firstOutput: Int) {
      self.plan = plan
      self.firstOutput = firstOutput
    }
  }
}

/// What a run takes: a moving estimate for each power of two of rows. Written and read by every thread that runs the
/// signature, without locks; a lost update is a lost sample.
public final class CostEstimate: Sendable {
  private let nanoseconds: [16 of Atomic<UInt64>]

  init() { nanoseconds = .init { _ in Atomic(0) } }

  private static func bucket(_ rows: Int) -> Int {
    rows <= 1 ? 0 : min(15, Int.bitWidth - (rows - 1).leadingZeroBitCount)
  }

  /// Nanoseconds a run of so many rows is likely to take; `nil` when nothing is known. Rows not seen so far are taken to
  /// cost in proportion to the next fewer that were.
  public func estimate(rows: Int) -> Int? {
    let wanted = CostEstimate.bucket(rows)
    var bucket = wanted
    while bucket >= 0 {
      let known = nanoseconds[bucket].load(ordering: .relaxed)
      if known > 0 {
        let (product, overflow) = known.multipliedReportingOverflow(by: 1 << UInt64(wanted - bucket))
        return overflow ? .max : Int(clamping: product)
      }
      bucket -= 1
    }
    return nil
  }

  /// A run of so many rows took so long. A longer run moves the estimate by a quarter, a shorter one by an eighth.
  public func record(rows: Int, nanoseconds taken: Int) {
    let cell = CostEstimate.bucket(rows)
    let old = nanoseconds[cell].load(ordering: .relaxed)
    let sample = UInt64(clamping: max(1, taken))
    let new = old == 0 ? sample : sample > old ? old + (sample - old + 3) / 4 : old - (old - sample) / 8
    nanoseconds[cell].store(new, ordering: .relaxed)
  }
}
