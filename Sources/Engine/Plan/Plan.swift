// What runs: kernels in order, their operands as integers, and for each step the slots nobody reads after it.
public import Tensors

/// A kernel made ready for one node: attributes read, constants packed. `body` is called once a step; it reads its inputs
/// from the frame and allocates its outputs there.
public final class Kernel: Sendable {
  public typealias Body = @Sendable (inout Frame) throws(RunError) -> Void
  let body: Body

  public init(_ body: @escaping Body) { self.body = body }
}

/// A kernel without a reference count: the plan that lists it owns it.
@safe struct KernelReference: BitwiseCopyable {
  unowned(unsafe) let kernel: Kernel
}

/// A step's place in the plan's arrays.
struct Step: BitwiseCopyable {
  var firstInput: Int32
  var inputCount: Int32
  var firstOutput: Int32
  var outputCount: Int32
  var firstRelease: Int32
  var releaseCount: Int32
  /// The inputs (by bit; those past 31 never) whose value nobody reads after this step.
  var lastUses: UInt32
  /// Whether the step runs whatever its inputs are.
  var life = Life.always
  /// The outputs of the plan (by bit) this step works for.
  var neededBy: UInt64

  /// What must be alive for a step to run.
  enum Life: UInt8 { case always, everyInput, anyInput }

  static let none = Step(
    firstInput: 0, inputCount: 0, firstOutput: 0, outputCount: 0, firstRelease: 0, releaseCount: 0, lastUses: 0,
    neededBy: 0)

  func lastUse(of input: Int) -> Bool { input < 32 && lastUses & (1 << UInt32(input)) != 0 }
}

/// A slot whose last reader is the step it is listed at.
struct Release: BitwiseCopyable {
  var slot: Int32
  /// The outputs (by bit) its producer worked for: without them it was never written.
  var producedFor: UInt64
}

/// A subgraph ready to run: immutable, shared by every thread that runs it.
public final class Plan: Sendable {
  /// Inputs stand in slots `0..<inputCount`, in the order they were asked for.
  public let inputCount: Int
  let slotCount: Int
  let steps: FixedArray<Step>
  let operands: FixedArray<Int32>
  let releases: FixedArray<Release>
  let outputs: FixedArray<Int32>
  /// Slots still in use after the last step: what `call` gives back once it has taken the results.
  let leftovers: FixedArray<Int32>
  let constantValues: FixedArray<Value>
  let kernels: FixedArray<KernelReference>
  /// The nodes' names, for errors.
  public let names: [String]
  /// The ops of the steps, for people and tests.
  public let ops: [String]
  /// Whether a run is its steps, once each, and leaves nothing behind: no loops, no state that is changed. How long it takes
  /// is bounded by what it writes, and running it again does no harm.
  public let isPlain: Bool
  /// Whether a run may change what later runs see: a variable, a table.
  public let changesState: Bool
  /// Whether an output may be dead.
  let mayDie: Bool
  private let owners: [Kernel]
  private let constants: [Tensor]
  /// What the kernels keep of constants in a form of their own; several plans may share it.
  let packed: [any PackedStorage]

  init(
    inputCount: Int, slotCount: Int, steps: [Step], operands: [Int32], releases: [Release], outputs: [Int32],
    leftovers: [Int32], constants: [Tensor], packed: [any PackedStorage] = [], kernels: [Kernel], names: [String], ops: [String],
    isPlain: Bool, changesState: Bool, mayDie: Bool = false
  ) {
    self.inputCount = inputCount
    self.slotCount = slotCount
    self.steps = FixedArray(steps)
    self.operands = FixedArray(operands)
    self.releases = FixedArray(releases)
    self.outputs = FixedArray(outputs)
    self.leftovers = FixedArray(leftovers)
    self.constants = constants
    self.packed = packed
    // The plan keeps the constants it points to.
    constantValues = FixedArray(constants.map { unsafe Value($0) })
    owners = kernels
    self.kernels = FixedArray(kernels.map { KernelReference(kernel: $0) })
    self.names = names
    self.ops = ops
    self.isPlain = isPlain
    self.changesState = changesState
    self.mayDie = mayDie
  }

  /// How many values the plan gives.
  public var outputCount: Int { outputs.count }

  /// The constants the plan reads, for accounting; several plans may share one.
  public var constantTensors: [Tensor] { constants }
}
