// A run: a flat loop over steps, each a kernel with its operands as integers. A frame is the memory of one run at a time:
// an arena for what steps produce and a stack of values. An event loop or a worker keeps one frame and uses it for every plan.
//
//   values   [ plan's slots ][ slots of a function called by a step ][ ... ]
//             ^ base
//   operand  >= 0: values[base + operand]      < 0: constants[~operand] of the running plan
public import Tensors

/// When a run should give up before its end.
public protocol Interruption: AnyObject, Sendable {
  /// Called between steps. The code to end the run with, or `nil` to go on.
  var reason: RunError.Code? { get }
}

/// Gives up when some time is over: for runs at load, which nobody's deadline ends.
final class TimeLimit: Interruption {
  private let end: Int
  init(seconds: Int) { end = monotonicNanoseconds() + seconds * 1_000_000_000 }
  var reason: RunError.Code? { monotonicNanoseconds() < end ? nil : .deadlineExceeded }
}

/// The memory of one run at a time, and the kernel's face to it.
@safe public struct Frame: ~Copyable {
  var arena: Arena
  /// Valid for `capacity` values; those at and past `top` are not initialised by anybody.
  @unsafe private var values: UnsafeMutablePointer<Value>
  private var capacity: Int
  private var top = 0
  private var base = 0
  private var depth = 0
  /// The running plan's constants; the plan outlives the run.
  @unsafe private var constants: UnsafePointer<Value>
  /// The running plan's operands; the plan outlives the run.
  @unsafe private var operands: UnsafePointer<Int32>
  private var step = Step.none
  /// What the run reads and does not own otherwise: variables' values, which another thread may replace meanwhile.
  private var borrowed: [Tensor] = []
  /// What `output` shows instead of what the run has left; see `show`.
  private var shownRows: Range<Int>?
  private var shownTensors: [Tensor?] = []
  /// Asked between steps when set.
  public var interruption: (any Interruption)?
  /// Told of every step when set.
  public var observer: (any StepObserver)?

  /// Functions may call functions; a model that recurses without end is stopped here.
  static let depthMax = 64

  /// - Parameters:
  ///   - bytesMax: the most memory one run may hold; past it the run fails with `RESOURCE_EXHAUSTED`.
  ///   - bytesKept: the memory that stays allocated between runs.
  public init(bytesMax: Int = 4 << 30, bytesKept: Int = 64 << 20) {
    arena = Arena(bytesMax: bytesMax, bytesKept: bytesKept)
    capacity = 256
    unsafe values = .allocate(capacity: capacity)
    // Dangling on purpose: no step runs before `begin` has set both.
    unsafe constants = UnsafePointer(values)
    unsafe operands = UnsafePointer(bitPattern: 16)!
  }

  deinit { unsafe values.deallocate() }

  /// The memory allocated for runs, in a run or between two.
  public var bytesHeld: Int { arena.bytesHeld }

  // MARK: A run from outside

  /// Starts a run: what the run before left is gone.
  public mutating func begin(_ plan: borrowing Plan) {
    arena.reset()
    borrowed.removeAll(keepingCapacity: true)
    showAll()
    base = 0
    depth = 0
    top = plan.slotCount
    reserve(top)
    enter(plan)
  }

  /// Feeds an input with bytes that stand elsewhere.
  /// - Precondition: `bytes` are aligned for `dtype`, hold exactly `shape.count` elements, and stay where they are until
  ///   the outputs have been read: the caller's promise, hence `@unsafe`.
  @unsafe public mutating func feed(_ input: Int, dtype: DType, shape: Shape, borrowing bytes: UnsafeRawPointer) {
    unsafe values[input] = Value(dtype: dtype, shape: shape, base: UnsafeMutableRawPointer(mutating: bytes))
  }

  /// Feeds an input with a tensor, kept alive for the run.
  public mutating func feed(_ input: Int, _ tensor: Tensor) {
    borrowed.append(tensor)
    unsafe values[input] = Value(tensor)
  }

  /// Feeds an input from the arena. The elements are whatever the caller writes into the value returned.
  public mutating func feed(_ input: Int, dtype: DType, shape: Shape) throws(RunError) -> Value {
    let block = try arena.allocate(byteCount: shape.count * dtype.size)
    let value = unsafe Value(dtype: dtype, shape: shape, base: arena.base(of: block), block: block)
    unsafe values[input] = value
    return value
  }

  /// The type of an input that was fed.
  public func fedType(_ input: Int) -> DType { unsafe values[input].dtype }

  /// All that `begin` and `feed` have brought here, for a run on another frame.
  public func fedInputs(of plan: borrowing Plan) -> FedInputs {
    FedInputs((0..<plan.inputCount).map { unsafe values[$0] }, arena, borrowed)
  }

  /// Runs the plan that `begin` named, every input fed.
  /// - Parameter wanted: a bit for each output (those past 62 share the last bit); steps no wanted output needs are left out.
  public mutating func run(_ plan: borrowing Plan, wanted: UInt64 = .max) throws(RunError) {
    try steps(of: plan, wanted: wanted)
  }

  /// An output, once `run` has returned.
  public func output(_ index: Int, of plan: borrowing Plan) -> Value {
    // The tensor stays in the list until the next run begins.
    if index < shownTensors.count, let tensor = shownTensors[index] { return unsafe Value(tensor) }
    let operand = plan.outputs[index]
    let value = unsafe operand >= 0 ? values[Int(operand)] : plan.constantValues[~Int(operand)]
    return shownRows.map { value.rows($0) } ?? value
  }

  /// From now on `output` shows these rows of each output: one request's part of a run that answers several.
  /// - Precondition: the outputs that are asked for have so many rows.
  public mutating func show(rows: Range<Int>) { shownRows = rows }

  /// From now on `output` shows these tensors, one for each output that is asked for.
  public mutating func show(_ tensors: [Tensor?]) { shownTensors = tensors }

  /// From now on `output` shows the outputs as the run has left them.
  public mutating func showAll() {
    shownRows = nil
    if !shownTensors.isEmpty { shownTensors = [] }
  }

  // MARK: The loop

  private mutating func enter(_ plan: borrowing Plan) {
    unsafe constants = UnsafePointer(plan.constantValues.base)
    unsafe operands = UnsafePointer(plan.operands.base)
  }

  private mutating func reserve(_ count: Int) {
    guard count > capacity else { return }
    let grown = max(count, capacity * 2)
    let moved = UnsafeMutablePointer<Value>.allocate(capacity: grown)
    unsafe moved.update(from: values, count: capacity)
    unsafe values.deallocate()
    unsafe values = moved
    capacity = grown
  }

  private mutating func steps(of plan: borrowing Plan, wanted: UInt64) throws(RunError) {
    for i in 0..<plan.steps.count {
      let next = plan.steps[i]
      if next.neededBy & wanted != 0 {
        if let reason = interruption?.reason { throw Frame.stopped(reason) }
        step = next
        // What the kernel leaves unwritten reads as an empty tensor.
        for output in 0..<Int(next.outputCount) {
          unsafe values[base + Int(next.firstOutput) + output].clear()
        }
        if next.life != .always, isDead(next) {
          for output in 0..<outputCount { kill(output) }
        } else {
          // The plan owns its kernels and is borrowed for the run.
          let reference = plan.kernels[i]
          let start = observer == nil ? 0 : UInt64(monotonicNanoseconds())
          do throws(RunError) {
            try unsafe reference.kernel.body(&self)
          } catch {
            throw error.at(node: plan.names[i])
          }
          if let observer { observer.ran(plan.names[i], plan.ops[i], from: start, to: UInt64(monotonicNanoseconds())) }
        }
      }
      for j in Int(next.firstRelease)..<Int(next.firstRelease + next.releaseCount) {
        let release = plan.releases[j]
        // A step left out produced nothing to release.
        if release.producedFor & wanted != 0 {
          let block = unsafe values[base + Int(release.slot)].block
          if block >= 0 { arena.release(block) }
        }
      }
    }
    if plan.mayDie { try checkOutputs(of: plan, wanted: wanted) }
  }

  /// Whether what must be alive for the step to run is not.
  private func isDead(_ step: Step) -> Bool {
    var dead = 0
    for i in 0..<inputCount where input(i).isDead { dead += 1 }
    return step.life == .everyInput ? dead > 0 : dead == inputCount
  }

  /// An output that is needed and dead has no value to give.
  private func checkOutputs(of plan: borrowing Plan, wanted: UInt64) throws(RunError) {
    for i in 0..<plan.outputs.count where wanted & 1 << UInt64(min(i, 63)) != 0 {
      let operand = plan.outputs[i]
      // Outputs are slots of the plan that has just run.
      if operand >= 0, unsafe values[base + Int(operand)].isDead {
        throw .invalidArgument("Retval[\(i)] does not have value")
      }
    }
  }

  private static func stopped(_ reason: RunError.Code) -> RunError {
    RunError(reason, "the run was stopped before it ended")
  }

  // MARK: What a kernel sees

  /// How many inputs the step has.
  public var inputCount: Int { Int(step.inputCount) }
  /// How many outputs the step has.
  public var outputCount: Int { Int(step.outputCount) }

  /// An input of the step; an empty tensor for one that the node does not have.
  public func input(_ index: Int) -> Value {
    guard index >= 0 && index < inputCount else { return .absent }
    let operand = unsafe operands[Int(step.firstInput) + index]
    return unsafe operand >= 0 ? values[base + Int(operand)] : constants[~Int(operand)]
  }

  /// An output of the step, newly allocated, contents unspecified. Fill it through the value returned.
  public mutating func output(_ index: Int, _ dtype: DType, _ shape: Shape) throws(RunError) -> Value {
    let (byteCount, overflow) = shape.count.multipliedReportingOverflow(by: dtype.size)
    let block = try arena.allocate(byteCount: overflow ? .max : byteCount)
    return set(index, unsafe Value(dtype: dtype, shape: shape, base: arena.base(of: block), block: block))
  }

  /// An output of the step that may take the memory of `input`, when nobody else reads that any more and the sizes
  /// agree. An element-wise kernel writes where it has just read.
  public mutating func output(
    _ index: Int, _ dtype: DType, _ shape: Shape, reusing input: Int
  ) throws(RunError) -> Value {
    let source = self.input(input)
    if source.block >= 0, step.lastUse(of: input), arena.uses(of: source.block) == 1,
      shape.count <= source.byteCount / dtype.size
    {
      arena.retain(source.block)
      return set(index, unsafe Value(dtype: dtype, shape: shape, base: source.base, block: source.block))
    }
    return try output(index, dtype, shape)
  }

  /// An output of the step that is no tensor: a scalar of type variant, with a block of `byteCount` bytes behind it.
  mutating func outputVariant(_ index: Int, byteCount: Int) throws(RunError) -> Value {
    let block = try arena.allocate(byteCount: byteCount)
    return set(index, unsafe Value(dtype: .variant, shape: [], base: arena.base(of: block), block: block))
  }

  /// Makes an input output 0 when nobody else reads it any more: its memory may then be written. `nil` when somebody does.
  mutating func take(_ input: Int) -> Value? {
    let value = self.input(input)
    guard value.block >= 0, step.lastUse(of: input), arena.uses(of: value.block) == 1 else { return nil }
    forward(input, to: 0)
    return value
  }

  /// The bytes of the arena's block a value stands in; zero when it stands elsewhere.
  func byteCount(of value: Value) -> Int { value.block >= 0 ? arena.byteCount(of: value.block) : 0 }

  /// An output of the step that is an input under another shape (`Reshape`, `Identity`): no bytes move.
  public mutating func forward(_ input: Int, to index: Int, shape: Shape? = nil, dtype: DType? = nil) {
    var value = self.input(input)
    if let shape { value.shape = shape }
    if let dtype { value.dtype = dtype }
    if value.block >= 0 { arena.retain(value.block) }
    _ = set(index, value)
  }

  /// Makes an output of the step dead: who reads it is left out of the run.
  mutating func kill(_ index: Int) {
    if index < outputCount { unsafe values[base + Int(step.firstOutput) + index].die() }
  }

  /// Keeps a tensor that a step reads alive for the run.
  mutating func keep(_ tensor: Tensor) { borrowed.append(tensor) }

  /// An output of the step that is a tensor somebody owns: a variable's value. It is kept alive for the run.
  public mutating func output(_ index: Int, _ tensor: Tensor) {
    var value = unsafe Value(tensor)
    value.owner = borrowed.count
    borrowed.append(tensor)
    _ = set(index, value)
  }

  /// The tensor an input is, whole and unchanged, when a step before gave one that somebody owns (`RestoreV2`): a variable
  /// takes it over without a copy.
  func owner(of index: Int) -> Tensor? {
    let value = input(index)
    guard let owner = value.owner, borrowed[owner].dtype == value.dtype, borrowed[owner].shape == value.shape else {
      return nil
    }
    return borrowed[owner]
  }

  /// Memory for the step alone, gone with the run; aligned to a cache line, contents unspecified.
  @unsafe public mutating func scratch(byteCount: Int) throws(RunError) -> Scratch {
    let block = try arena.allocate(byteCount: byteCount)
    return unsafe Scratch(base: arena.base(of: block), block: block)
  }

  /// Gives scratch memory back before the run ends.
  public mutating func release(_ scratch: Scratch) { arena.release(scratch.block) }

  /// An output past the last that anybody reads is written to memory nobody looks at.
  private mutating func set(_ index: Int, _ value: Value) -> Value {
    precondition(index >= 0)
    if index < outputCount { unsafe values[base + Int(step.firstOutput) + index] = value }
    return value
  }

  /// Runs a function's plan on values of this run: what `If`, `While` and calls are made of.
  /// The results are returned with a use each, which the caller gives on by `adopt` or back by `release`.
  /// - Parameter giving: whether the caller's use of each argument goes over to the function, which may then write over it.
  public mutating func call(_ plan: borrowing Plan, _ arguments: [Value], giving: Bool = false) throws(RunError) -> [Value] {
    guard arguments.count == plan.inputCount else {
      throw .internal("a function of \(plan.inputCount) arguments is called with \(arguments.count)")
    }
    guard depth < Frame.depthMax else {
      throw RunError(.invalidArgument, "functions call each other more than \(Frame.depthMax) deep")
    }
    // A loop over functions without steps is to end as well.
    if let reason = interruption?.reason { throw Frame.stopped(reason) }
    let outer = unsafe (base: base, top: top, step: step, constants: constants, operands: operands)
    base = top
    top += plan.slotCount
    depth += 1
    reserve(top)
    for (i, argument) in arguments.enumerated() {
      if argument.block >= 0, !giving { arena.retain(argument.block) }
      unsafe values[base + i] = argument
    }
    enter(plan)
    defer {
      unsafe (base, top, step, constants, operands) = outer
      depth -= 1
    }
    try steps(of: plan, wanted: .max)
    var results: [Value] = []
    results.reserveCapacity(plan.outputs.count)
    for i in 0..<plan.outputs.count {
      let operand = plan.outputs[i]
      let value = unsafe operand >= 0 ? values[base + Int(operand)] : constants[~Int(operand)]
      if value.block >= 0 { arena.retain(value.block) }
      results.append(value)
    }
    for i in 0..<plan.leftovers.count {
      let block = unsafe values[base + Int(plan.leftovers[i])].block
      if block >= 0 { arena.release(block) }
    }
    return results
  }

  /// Makes a value that `call` returned an output of the step; its use goes over to the output.
  public mutating func adopt(_ value: Value, as index: Int) { _ = set(index, value) }

  /// Gives back the use of a value that `call` returned.
  public mutating func release(_ value: Value) { if value.block >= 0 { arena.release(value.block) } }
}

/// Memory a step borrowed for itself.
@safe public struct Scratch {
  /// Valid until the scratch is released or the run ends.
  @unsafe public let base: UnsafeMutableRawPointer
  let block: Int32
}
