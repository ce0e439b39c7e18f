// tf.Example to tensors. Which features, of which types, is known when the plan is made; a run reads every example into numbered
// slots first (where its values stand, and how many), then knows every output's size, allocates, and copies.
//
//   examples ─► slots [example][feature] ─► sparse  indices [total, 2], values [total], shape [examples, longest]
//                                           dense   [examples, shape...], or [examples, longest, ...] padded
//                                           ragged  values [total], row splits [examples + 1]
//
// A scalar `serialized` is one example, and its outputs have no dimension for examples.
internal import Messages
internal import Tensors

let exampleKernels: [KernelDefinition] = [
  KernelDefinition("ParseExample") { node throws(GraphError) in
    let sparseCount = try node.int("Nsparse")
    let denseCount = try node.int("Ndense")
    var keys: [[UInt8]] = []
    for i in 0..<max(sparseCount, 0) + max(denseCount, 0) { keys += try node.keys(2 + i) }
    let parser = try ExampleParser(node, keys: keys, defaults: 2 + keys.count)
    return { frame throws(RunError) in try parser.run(&frame) }
  },
  KernelDefinition("ParseExampleV2") { node throws(GraphError) in
    let keys = try node.keys(2) + node.keys(3) + node.keys(4)
    let parser = try ExampleParser(node, keys: keys, defaults: 5)
    return { frame throws(RunError) in try parser.run(&frame) }
  },
  KernelDefinition("ParseSingleExample") { node throws(GraphError) in
    let keys = try (node.strings("sparse_keys") + node.strings("dense_keys")).map { Array($0.utf8) }
    let parser = try ExampleParser(node, keys: keys, defaults: 1)
    return { frame throws(RunError) in try parser.run(&frame) }
  },
]

extension NodeContext {
  /// The strings of a constant input.
  func keys(_ input: Int) throws(GraphError) -> [[UInt8]] {
    let tensor = try constant(input, "the feature keys")
    guard tensor.dtype == .string else { throw invalid("the feature keys are \(tensor.dtype)") }
    return tensor.strings
  }
}

struct ExampleParser: Sendable {
  private struct Dense: Sendable {
    var type: DType
    /// The shape of one example's value; of a variable one without the first dimension.
    var shape: Shape
    var isVariable: Bool
    /// As the graph writes it, for errors.
    var declared: PartialShape
  }

  /// What a feature of an example must be, for who looks at each of many.
  private struct Expectation: Sendable {
    var kind: FeatureKind
    /// How many values there must be; -1: any number, -2: a number that has to be looked at.
    var count: Int32
    /// Whether it must be there unless it has a default.
    var isFixed: Bool
  }

  private let reader: ExampleReader
  private let expectations: [Expectation]
  private let keys: [String]
  private let sparse: [DType]
  private let dense: [Dense]
  private let ragged: [(value: DType, split: DType)]
  /// The input that holds the first dense default.
  private let defaults: Int
  /// Whether inputs 1 holds names of the examples.
  private let hasNames: Bool

  init(_ node: NodeContext, keys: [[UInt8]], defaults: Int) throws(GraphError) {
    sparse = try node.dtypes("sparse_types", default: [])
    let denseTypes = try node.dtypes("Tdense", default: [])
    let shapes = try node.shapes("dense_shapes", default: [])
    let values = try node.dtypes("ragged_value_types", default: [])
    let splits = try node.dtypes("ragged_split_types", default: [])
    guard denseTypes.count == shapes.count else { throw node.invalid("len(dense_keys) != len(dense_shapes)") }
    guard values.count == splits.count else { throw node.invalid("len(ragged_value_types) != len(ragged_split_types)") }
    guard keys.count == sparse.count + denseTypes.count + values.count else {
      throw node.invalid("\(keys.count) keys for \(sparse.count + denseTypes.count + values.count) features")
    }
    guard Set(keys).count == keys.count else { throw node.unsupported("a feature is asked for twice") }
    for type in sparse + denseTypes + values where type != .float && type != .int64 && type != .string {
      throw node.invalid("Invalid input dtype: \(type)")
    }
    for type in splits where type != .int32 && type != .int64 { throw node.invalid("Invalid ragged_split_type: \(type)") }
    var dense: [Dense] = []
    for (type, declared) in zip(denseTypes, shapes) {
      guard let extents = declared.extents else { throw node.invalid("dense_shapes has an unknown rank") }
      let isVariable = extents.first == -1
      guard let shape = Shape(isVariable ? extents.dropFirst() : extents[...]), shape.rank < Shape.rankMax - 1 else {
        throw node.invalid("dense_shapes has unknown dimensions past the first: \(declared)")
      }
      guard !isVariable || shape.count > 0 else { throw node.invalid("dense_shapes has a stride of zero: \(declared)") }
      dense.append(Dense(type: type, shape: shape, isVariable: isVariable, declared: declared))
    }
    self.dense = dense
    var expectations = sparse.map { Expectation(kind: FeatureKind($0), count: -1, isFixed: false) }
    for feature in dense {
      let count = feature.isVariable ? -2 : Int32(clamping: feature.shape.count)
      expectations.append(Expectation(kind: FeatureKind(feature.type), count: count, isFixed: !feature.isVariable && count > 0))
    }
    expectations += values.map { Expectation(kind: FeatureKind($0), count: -1, isFixed: false) }
    self.expectations = expectations
    ragged = Array(zip(values, splits)).map { (value: $0.0, split: $0.1) }
    reader = ExampleReader(FeatureTable(keys.map { ($0, .none) }))
    self.keys = keys.map { String(decoding: $0, as: UTF8.self) }
    self.defaults = defaults
    hasNames = defaults > 1
  }

  // MARK: A run

  /// The slots of a run: `features` for each of `examples`.
  @unsafe private struct Slots {
    let base: UnsafeMutablePointer<FeatureSlot>
    let features: Int

    func callAsFunction(_ example: Int, _ feature: Int) -> UnsafeMutablePointer<FeatureSlot> {
      unsafe base + (example * features + feature)
    }
  }

  func run(_ frame: inout Frame) throws(RunError) {
    let serialized = frame.input(0)
    guard serialized.dtype == .string, serialized.shape.rank <= 1 else {
      throw .invalidArgument("Expected serialized to be a vector, got shape: \(serialized.shape)")
    }
    let isSingle = serialized.shape.rank == 0
    let count = serialized.count
    let names = hasNames ? frame.input(1) : .absent
    guard names.count == 0 || names.dtype == .string && names.count == count else {
      throw .invalidArgument(
        "Expected names have the same shape as serialized: name.shape=\(names.shape), serialized.shape=\(serialized.shape)")
    }
    for (i, feature) in dense.enumerated() {
      let value = frame.input(defaults + i)
      guard value.dtype == feature.type else {
        throw .invalidArgument("dense_defaults[\(i)].dtype() == \(value.dtype) != \(feature.type)")
      }
      guard value.count == 0 || value.count == (feature.isVariable ? 1 : feature.shape.count) else {
        throw .invalidArgument(
          "dense_defaults[\(i)].shape() == \(value.shape) is not compatible with dense_shapes_[\(i)] == \(feature.declared)")
      }
    }

    // One slot more than there are, so that no feature at all still is memory.
    let features = keys.count
    let (cells, overflow) = (count + 1).multipliedReportingOverflow(by: (features + 1) * MemoryLayout<FeatureSlot>.stride)
    let memory = try unsafe frame.scratch(byteCount: overflow ? .max : cells)
    defer { frame.release(memory) }
    // The scratch has room for `features` slots of each example; each row is initialised before it is filled.
    let base = unsafe memory.base.bindMemory(to: FeatureSlot.self, capacity: max(count * features, 1))
    let slots = unsafe Slots(base: base, features: features)

    // Which features must be there: a byte for each.
    let required = try unsafe frame.scratch(byteCount: features + 1)
    defer { frame.release(required) }
    let lacksDefault = unsafe required.base.bindMemory(to: Bool.self, capacity: features + 1)
    for feature in 0..<features {
      let isRequired = expectations[feature].isFixed && frame.input(defaults + feature - sparse.count).count == 0
      // One byte for each feature.
      unsafe (lacksDefault + feature).initialize(to: isRequired)
    }

    for example in 0..<count {
      // The row of slots of one example. It expects the order of names that the example before had.
      if example > 0 {
        unsafe slots(example, 0).initialize(from: slots(example - 1, 0), count: features)
      } else {
        unsafe reader.slots.withUnsafeBufferPointer { first in
          if let first = first.baseAddress { unsafe base.initialize(from: first, count: features) }
        }
      }
      var row = unsafe MutableSpan(_unsafeStart: slots(example, 0), count: features)
      do {
        try reader.read(serialized.string(at: example), into: &row)
      } catch {
        throw .invalidArgument("Could not parse example input, value: '\(serialized.text(at: example))'")
      }
      if unsafe !isAsExpected(slots, example, lacksDefault) { try unsafe check(frame, slots, example, isSingle) }
    }

    var feature = 0
    for (i, type) in sparse.enumerated() {
      try unsafe parseSparse(
        &frame, slots, feature, type, isSingle, indices: i, values: sparse.count + i, shape: 2 * sparse.count + i)
      feature += 1
    }
    let firstDense = 3 * sparse.count
    for (i, description) in dense.enumerated() {
      try unsafe parseDense(&frame, slots, feature, description, isSingle, fallback: defaults + i, to: firstDense + i)
      feature += 1
    }
    let firstRagged = firstDense + dense.count
    for (i, types) in ragged.enumerated() {
      try unsafe parseRagged(
        &frame, slots, feature, types, isSingle, values: firstRagged + i, splits: firstRagged + ragged.count + i)
      feature += 1
    }
  }

  /// Whether an example is, at a glance, what it must be. `false` is for `check` to explain, or to overrule.
  /// - Precondition: `lacksDefault` has an element for each feature.
  @unsafe private func isAsExpected(_ slots: Slots, _ example: Int, _ lacksDefault: UnsafePointer<Bool>) -> Bool {
    let row = unsafe slots(example, 0)
    for feature in 0..<expectations.count {
      let expected = expectations[feature]
      // A slot for each feature.
      let (kind, count) = unsafe (row[feature].kind, row[feature].count)
      if kind == .none {
        if unsafe lacksDefault[feature] { return false }
      } else if kind != expected.kind || expected.count != -1 && count != Int(expected.count) {
        return false
      }
    }
    return true
  }

  /// Holds an example against what its features must be: first those it has, then those it lacks.
  @unsafe private func check(
    _ frame: borrowing Frame, _ slots: Slots, _ example: Int, _ isSingle: Bool
  ) throws(RunError) {
    for feature in 0..<keys.count {
      let slot = unsafe slots(example, feature).pointee
      guard slot.kind != .none else { continue }
      let found = slot.kind.dtype
      let description = dense(feature)
      let wanted = description?.type ?? (feature < sparse.count ? sparse[feature] : ragged[feature - sparse.count - dense.count].value)
      func place(_ text: String) -> RunError {
        let name = isSingle ? "" : "Name: \(name(frame, example)), "
        return .invalidArgument("\(name)Key: \(keys[feature])\(isSingle ? "" : ", Index: \(example)").  \(text)")
      }
      guard found == wanted else {
        throw place(
          isSingle && description != nil
            ? "Data types don't match. Data type: \(found) but expected type: \(wanted)"
            : "Data types don't match. Expected type: \(wanted), Actual type: \(found)")
      }
      guard let description else { continue }
      let stride = description.shape.count
      if description.isVariable, slot.count % stride != 0 {
        throw isSingle
          ? .invalidArgument(
            "Error while parsing feature with key \(keys[feature]): number of elements should be divisible by \(stride), found \(slot.count) instead")
          : place("Number of \(wanted) values is not a multiple of stride length. Saw \(slot.count) values but output shape is: \(description.declared)")
      }
      if !description.isVariable, slot.count != stride {
        throw place(
          isSingle
            ? "Can't parse serialized Example: Some \(slot.kind)_list slice was not parsed."
            : "Number of \(wanted) values != expected.  Values size: \(slot.count) but output shape: \(description.declared)")
      }
    }
    for feature in 0..<keys.count where unsafe slots(example, feature).pointee.kind == .none {
      guard let description = dense(feature), !description.isVariable, description.shape.count > 0,
        frame.input(defaults + feature - sparse.count).count == 0
      else { continue }
      throw .invalidArgument(
        (isSingle ? "" : "Name: \(name(frame, example)), ")
          + "Feature: \(keys[feature]) (data type: \(description.type)) is required but could not be found.")
    }
  }

  private func dense(_ feature: Int) -> Dense? {
    let i = feature - sparse.count
    return dense.indices.contains(i) ? dense[i] : nil
  }

  private func name(_ frame: borrowing Frame, _ example: Int) -> String {
    let names = hasNames ? frame.input(1) : .absent
    return names.count > example ? names.text(at: example) : "<unknown>"
  }

  @unsafe private func parseSparse(
    _ frame: inout Frame, _ slots: Slots, _ feature: Int, _ type: DType, _ isSingle: Bool, indices: Int, values: Int,
    shape: Int
  ) throws(RunError) {
    let serialized = frame.input(0)
    var total = 0
    var longest = 0
    for example in 0..<serialized.count {
      let count = unsafe slots(example, feature).pointee.count
      total += count
      longest = max(longest, count)
    }
    let rank = isSingle ? 1 : 2
    var places = try frame.output(indices, .int64, [total, rank])
    let out = try frame.output(values, type, [total])
    let size = try frame.output(shape, .int64, [rank])
    let column = unsafe FeatureColumn(serialized, out)
    var coordinates = places.mutableSpan(of: Int.self)
    var at = 0
    for example in 0..<serialized.count {
      let slot = unsafe slots(example, feature).pointee
      guard slot.kind != .none else { continue }
      var next = at * rank
      for i in 0..<slot.count {
        if !isSingle {
          coordinates[next] = example
          next += 1
        }
        coordinates[next] = i
        next += 1
      }
      // `total` counted these values.
      unsafe column.copy(slot, example, at: at)
      at += slot.count
    }
    if !isSingle { size.set(0, serialized.count) }
    size.set(rank - 1, longest)
  }

  @unsafe private func parseDense(
    _ frame: inout Frame, _ slots: Slots, _ feature: Int, _ dense: Dense, _ isSingle: Bool, fallback: Int, to index: Int
  ) throws(RunError) {
    let serialized = frame.input(0)
    let fallback = frame.input(fallback)
    let stride = dense.shape.count
    var longest = 0
    if dense.isVariable {
      for example in 0..<serialized.count { longest = max(longest, unsafe slots(example, feature).pointee.count / stride) }
    }
    var dims = Dims()
    if !isSingle { try dims.append(serialized.count) }
    if dense.isVariable { try dims.append(longest) }
    for d in 0..<dense.shape.rank { try dims.append(dense.shape[d]) }
    let out = try frame.output(index, dense.type, try Shape(checking: dims))
    let row = dense.isVariable ? longest * stride : stride
    let size = dense.type.size
    let column = unsafe FeatureColumn(serialized, out)
    for example in 0..<serialized.count {
      let slot = unsafe slots(example, feature).pointee
      let count = slot.kind == .none ? 0 : slot.count
      // Row `example` of the output: the values, then what is left filled from the default.
      if count > 0 { unsafe column.copy(slot, example, at: example * row) }
      if slot.kind == .none, !dense.isVariable {
        unsafe out.at(example * row).copyMemory(from: fallback.base, byteCount: row * size)
      } else if count < row {
        for i in count..<row {
          if fallback.count > 0 {
            unsafe out.at(example * row + i).copyMemory(from: fallback.base, byteCount: size)
          } else {
            unsafe out.at(example * row + i).initializeMemory(as: UInt8.self, repeating: 0, count: size)
          }
        }
      }
    }
  }

  @unsafe private func parseRagged(
    _ frame: inout Frame, _ slots: Slots, _ feature: Int, _ types: (value: DType, split: DType), _ isSingle: Bool,
    values: Int, splits: Int
  ) throws(RunError) {
    let serialized = frame.input(0)
    var total = 0
    for example in 0..<serialized.count {
      total += unsafe slots(example, feature).pointee.count
    }
    let out = try frame.output(values, types.value, [total])
    let rows = try frame.output(splits, types.split, isSingle ? [0] : [serialized.count + 1])
    let column = unsafe FeatureColumn(serialized, out)
    var at = 0
    for example in 0..<serialized.count {
      if !isSingle { rows.set(example, at) }
      let slot = unsafe slots(example, feature).pointee
      guard slot.kind != .none else { continue }
      // `total` counted these values.
      unsafe column.copy(slot, example, at: at)
      at += slot.count
    }
    if !isSingle { rows.set(serialized.count, at) }
  }
}

/// Where the values of a feature go, and where they come from.
@unsafe struct FeatureColumn {
  let examples: UnsafePointer<StringRef>
  let base: UnsafeMutableRawPointer
  let byteCount: Int
  let size: Int

  init(_ serialized: Value, _ out: Value) {
    unsafe examples = UnsafePointer(serialized.pointer(StringRef.self))
    unsafe base = out.base
    unsafe byteCount = out.byteCount
    unsafe size = out.dtype.size
  }

  /// Copies an example's values to element `at` of the output.
  /// - Precondition: the output has room for them, and their type.
  @inline(__always)
  func copy(_ slot: FeatureSlot, _ example: Int, at: Int) {
    let ref = unsafe examples[example]
    guard let start = unsafe ref.base else { return }
    // The example, whose bytes outlive the run.
    let bytes = unsafe RawSpan(_unsafeStart: start, byteCount: ref.count)
    if slot.kind == .bytes {
      var to = unsafe base.assumingMemoryBound(to: StringRef.self) + at
      slot.forEachString(of: bytes) { range in
        // The range lies within the example.
        unsafe to.pointee = StringRef(base: start + Int(range.lowerBound), count: range.count)
        unsafe to += 1
      }
    } else {
      // The output holds `byteCount` bytes.
      var room = unsafe MutableRawSpan(_unsafeStart: base, byteCount: byteCount)
      slot.copyNumbers(of: bytes, into: &room, at: unsafe at * size)
    }
  }
}

extension FeatureKind {
  /// The list that holds elements of a type.
  init(_ dtype: DType) {
    switch dtype {
    case .float: self = .float
    case .int64: self = .int64
    default: self = .bytes
    }
  }

  /// The element type of the list.
  var dtype: DType {
    switch self {
    case .none: .string
    case .bytes: .string
    case .float: .float
    case .int64: .int64
    }
  }
}
