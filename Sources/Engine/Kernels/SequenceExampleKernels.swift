// tf.SequenceExample to tensors: a context, which is read as an example is (`ExampleKernels.swift`), and lists of features, a step each.
// Where the values stand, and how many, is found first, for all examples; then every output's size is known.
//
//   lists [example][list] ─► sparse  indices [total, 3], values [total], shape [examples, steps, longest]
//                            dense   [examples, steps, shape...] padded, and how many steps each example has
//                            ragged  values [total], splits of examples [examples + 1], splits of steps [all steps + 1]
//
// A scalar `serialized` is one example, and its outputs have no dimension for examples.
internal import Messages
internal import Tensors

let sequenceExampleKernels: [KernelDefinition] = [
  KernelDefinition("ParseSequenceExampleV2") { node throws(GraphError) in
    var keys: [[[UInt8]]] = []
    for input in 2..<8 { keys.append(try node.keys(input)) }
    let assumed = try node.constant(8, "feature_list_dense_missing_assumed_empty")
    guard assumed.dtype == .bool, assumed.shape.rank <= 1, assumed.shape.count == keys[6 - 2].count else {
      throw node.invalid("feature_list_dense_missing_assumed_empty is \(assumed.dtype) \(assumed.shape)")
    }
    let empties = assumed.array(of: UInt8.self)
    var parser = try SequenceParser(
      node, contexts: keys[0] + keys[1] + keys[2], lists: keys[3] + keys[4] + keys[5], names: 1, defaults: 9)
    parser.mayBeMissing = empties.map { $0 != 0 }
    return { [parser] frame throws(RunError) in try parser.run(&frame) }
  },
  KernelDefinition("ParseSequenceExample") { node throws(GraphError) in
    func keys(_ name: String) throws(GraphError) -> [[UInt8]] { try node.strings(name, default: []).map { Array($0.utf8) } }
    let dense = try keys("feature_list_dense_keys")
    var parser = try SequenceParser(
      node, contexts: try keys("context_sparse_keys") + keys("context_dense_keys"), lists: try keys("feature_list_sparse_keys") + dense, names: 1,
      defaults: 2)
    let empties = try keys("feature_list_dense_missing_assumed_empty")
    parser.mayBeMissing = dense.map { empties.contains($0) }
    return { [parser] frame throws(RunError) in try parser.run(&frame) }
  },
  KernelDefinition("ParseSingleSequenceExample") { node throws(GraphError) in
    var keys: [[[UInt8]]] = []
    var input = 2
    for name in ["Ncontext_sparse", "Ncontext_dense", "Nfeature_list_sparse", "Nfeature_list_dense"] {
      var family: [[UInt8]] = []
      for _ in 0..<max(0, try node.int(name, default: 0)) {
        family += try node.keys(input)
        input += 1
      }
      keys.append(family)
    }
    let empties = try node.keys(1)
    var parser = try SequenceParser(
      node, contexts: keys[0] + keys[1], lists: keys[2] + keys[3], names: input + keys[1].count, defaults: input)
    parser.mayBeMissing = keys[3].map { empties.contains($0) }
    parser.isOld = true
    return { [parser] frame throws(RunError) in try parser.run(&frame) }
  },
]

private struct SequenceParser: Sendable {
  /// A family of features: those of the context, or the lists.
  struct Family: Sendable {
    var keys: [String]
    var sparse: [DType]
    var dense: [(type: DType, shape: Shape)]
    var ragged: [(value: DType, split: DType)]

    init(
      _ node: NodeContext, _ keys: [[UInt8]], sparse: String, dense: String, shapes: String, values: String, splits: String
    ) throws(GraphError) {
      self.sparse = try node.dtypes(sparse, default: [])
      let types = try node.dtypes(dense, default: [])
      let declared = try node.shapes(shapes, default: [])
      let values = try node.dtypes(values, default: [])
      let splits = try node.dtypes(splits, default: [])
      guard types.count == declared.count, values.count == splits.count, keys.count == self.sparse.count + types.count + values.count else {
        throw node.invalid("\(keys.count) keys, \(types.count) types and \(declared.count) shapes for \(self.sparse.count + types.count + values.count) features")
      }
      guard Set(keys).count == keys.count else { throw node.unsupported("a feature is asked for twice") }
      for type in self.sparse + types + values where type != .float && type != .int64 && type != .string {
        throw node.invalid("Invalid input dtype: \(type)")
      }
      for type in splits where type != .int32 && type != .int64 { throw node.invalid("Invalid ragged_split_type: \(type)") }
      var shapesOfDense: [(type: DType, shape: Shape)] = []
      for (type, declared) in zip(types, declared) {
        guard let shape = declared.shape, shape.rank < Shape.rankMax - 1 else { throw node.unsupported("a shape that is not known: \(declared)") }
        shapesOfDense.append((type, shape))
      }
      self.dense = shapesOfDense
      ragged = zip(values, splits).map { ($0, $1) }
      self.keys = keys.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The type a feature must have.
    func type(_ feature: Int) -> DType {
      if feature < sparse.count { return sparse[feature] }
      if feature < sparse.count + dense.count { return dense[feature - sparse.count].type }
      return ragged[feature - sparse.count - dense.count].value
    }

    /// The shape it must have, if it is dense.
    func shape(_ feature: Int) -> Shape? { dense.indices.contains(feature - sparse.count) ? dense[feature - sparse.count].shape : nil }
  }

  private let contexts: Family
  private let lists: Family
  private let contextReader: ExampleReader
  private let listReader: FeatureListReader
  /// The input that holds the examples' names, and the first of those that hold the context's dense defaults.
  private let names: Int
  private let defaults: Int
  /// For each dense list, whether it may be missing.
  var mayBeMissing: [Bool] = []
  /// `ParseSingleSequenceExample`, which gives no lengths and words its errors otherwise.
  var isOld = false

  init(_ node: NodeContext, contexts: [[UInt8]], lists: [[UInt8]], names: Int, defaults: Int) throws(GraphError) {
    self.contexts = try Family(
      node, contexts, sparse: "context_sparse_types", dense: "Tcontext_dense", shapes: "context_dense_shapes",
      values: "context_ragged_value_types", splits: "context_ragged_split_types")
    self.lists = try Family(
      node, lists, sparse: "feature_list_sparse_types", dense: "feature_list_dense_types", shapes: "feature_list_dense_shapes",
      values: "feature_list_ragged_value_types", splits: "feature_list_ragged_split_types")
    contextReader = ExampleReader(FeatureTable(contexts.map { ($0, .none) }))
    listReader = FeatureListReader(FeatureTable(lists.map { ($0, .none) }))
    self.names = names
    self.defaults = defaults
  }

  // MARK: A run

  /// What one example holds.
  private struct Sequence {
    var context: [FeatureSlot]
    /// The steps of each list; `nil` for one that is missing.
    var lists: [[FeatureSlot]?]
  }

  func run(_ frame: inout Frame) throws(RunError) {
    let serialized = frame.input(0)
    guard serialized.dtype == .string, serialized.shape.rank <= 1 else {
      throw .invalidArgument("Expected serialized to be a scalar or vector, got shape: \(serialized.shape)")
    }
    let isSingle = serialized.shape.rank == 0
    let names = frame.input(self.names)
    guard names.count == 0 || names.dtype == .string && names.count == serialized.count else {
      throw .invalidArgument("example_names must be empty or have the correct number of elements")
    }
    for (i, feature) in contexts.dense.enumerated() {
      let value = frame.input(defaults + i)
      guard value.dtype == feature.type else {
        throw .invalidArgument("context_dense_defaults[\(i)].dtype() == \(value.dtype) != context_dense_types_[\(i)] == \(feature.type)")
      }
      guard value.count == 0 || value.count == feature.shape.count else {
        throw .invalidArgument("context_dense_defaults[\(i)].shape() == \(value.shape) != context_dense_shapes_[\(i)] == \(feature.shape)")
      }
    }
    var sequences: [Sequence] = []
    sequences.reserveCapacity(serialized.count)
    for example in 0..<serialized.count {
      var sequence = Sequence(context: contextReader.slots, lists: [])
      do {
        var slots = sequence.context.mutableSpan
        try contextReader.read(serialized.string(at: example), into: &slots)
        sequence.lists = try listReader.read(serialized.string(at: example))
      } catch {
        throw .invalidArgument(
          isOld
            ? "Could not parse example input, value: '\(serialized.text(at: example))'"
            : "Invalid protocol message input, example id: \(name(names, example))")
      }
      sequences.append(sequence)
    }
    for (example, sequence) in sequences.enumerated() { try check(sequence, name(names, example), isSingle, frame) }
    for (i, feature) in contexts.dense.enumerated() { try checkCounts(sequences, i, feature.shape.count, frame) }
    try unsafe fill(&frame, sequences, isSingle)
  }

  private func name(_ names: Value, _ example: Int) -> String { names.count > example ? names.text(at: example) : "<unknown>" }

  private func check(_ sequence: Sequence, _ name: String, _ isSingle: Bool, _ frame: borrowing Frame) throws(RunError) {
    for (feature, slot) in sequence.context.enumerated() {
      let key = contexts.keys[feature]
      let type = contexts.type(feature)
      if slot.kind != .none {
        guard slot.kind.dtype == type else {
          throw .invalidArgument("Name: \(name), Context feature: \(key).  Data types don't match. Expected type: \(type)")
        }
        if isOld, let shape = contexts.shape(feature), slot.count != shape.count {
          throw .invalidArgument("Name: \(name), Key: \(key), Index: 0.  Number of \(type) values != expected.  values size: \(slot.count) but output shape: \(shape)")
        }
      } else if isOld || !isSingle, let shape = contexts.shape(feature), shape.count > 0,
        frame.input(defaults + feature - contexts.sparse.count).count == 0
      {
        throw .invalidArgument(
          isOld ? "Name: \(name), Context feature '\(key)' is required but could not be found." : "Feature: \(key) (data type: \(type)) is required but could not be found.")
      }
    }
    for (list, steps) in sequence.lists.enumerated() {
      let key = lists.keys[list]
      let type = lists.type(list)
      let shape = lists.shape(list)
      guard let steps else {
        if shape != nil, !mayBeMissing[list - lists.sparse.count] {
          throw .invalidArgument(
            "Name: \(name), Feature list '\(key)' is required but could not be found.  Did you mean to include it in feature_list_dense_missing_assumed_empty or feature_list_dense_defaults?")
        }
        continue
      }
      for (step, slot) in steps.enumerated() where slot.kind != .none && slot.kind.dtype != type {
        throw .invalidArgument("Name: \(name), Feature list: \(key), Index: \(step).  Data types don't match. Expected type: \(type)")
      }
      guard let shape else { continue }
      if isSingle, !isOld, shape.count > 0 {
        let total = steps.reduce(0) { $0 + $1.count }
        guard total % shape.count == 0 else {
          let declared = PartialShape([-1] + shape.array)
          throw .invalidArgument("Feature list '\(key)' has an unexpected number of values.  Total values size: \(total) is not consistent with output shape: \(declared)")
        }
      }
      for (step, slot) in steps.enumerated() where slot.count != shape.count {
        throw .invalidArgument(
          "Name: \(name), Key: \(key), Index: \(step).  Number of \(isOld ? "\(type) " : "")values != expected.  values size: \(slot.count) but output shape: \(shape)")
      }
    }
  }

  /// Holds the longest of a dense feature of the context, in all examples, against what it must be, then each.
  private func checkCounts(_ sequences: [Sequence], _ dense: Int, _ expected: Int, _ frame: borrowing Frame) throws(RunError) {
    let fallback = frame.input(defaults + dense).count
    let counts = sequences.map { sequence in
      let slot = sequence.context[contexts.sparse.count + dense]
      return slot.kind == .none ? fallback : slot.count
    }
    let longest = counts.max() ?? 0
    for found in [longest] + counts where found != expected {
      throw .invalidArgument("Inconsistent max number of elements for feature \(contexts.keys[contexts.sparse.count + dense]): expected \(expected), but found \(found)")
    }
  }

  // MARK: Outputs

  /// - Precondition: the slots are those of the examples of input 0, and as `check` wants them.
  @unsafe private func fill(_ frame: inout Frame, _ sequences: [Sequence], _ isSingle: Bool) throws(RunError) {
    let examples = sequences.count
    let outer = isSingle ? [] : [examples]
    var output = 0
    // The context: one step each.
    for i in contexts.sparse.indices {
      try unsafe sparse(&frame, sequences.map { [$0.context[i]] }, contexts.sparse[i], isSingle, hasSteps: false, i, of: contexts.sparse.count)
    }
    output = 3 * contexts.sparse.count
    for (i, dense) in contexts.dense.enumerated() {
      let out = try frame.output(output, dense.type, try shape(outer, dense.shape))
      let column = unsafe FeatureColumn(frame.input(0), out)
      let fallback = frame.input(defaults + i)
      let stride = dense.shape.count
      for (example, sequence) in sequences.enumerated() where stride > 0 {
        let slot = sequence.context[contexts.sparse.count + i]
        // A row of the output: `check` and `checkCounts` saw as many values, or a default of as many.
        if slot.kind == .none {
          unsafe out.at(example * stride).copyMemory(from: fallback.base, byteCount: stride * dense.type.size)
        } else {
          unsafe column.copy(slot, example, at: example * stride)
        }
      }
      output += 1
    }
    for (i, ragged) in contexts.ragged.enumerated() {
      let slots = sequences.map { [$0.context[contexts.sparse.count + contexts.dense.count + i]] }
      try unsafe values(&frame, slots, ragged.value, as: output + i)
      try splits(&frame, slots.map { $0[0].count }, ragged.split, isSingle, as: output + contexts.ragged.count + i)
    }
    output += 2 * contexts.ragged.count

    for i in lists.sparse.indices {
      try unsafe sparse(&frame, sequences.map { $0.lists[i] ?? [] }, lists.sparse[i], isSingle, hasSteps: true, output + i, of: lists.sparse.count)
    }
    output += 3 * lists.sparse.count
    for (i, dense) in lists.dense.enumerated() {
      let steps = sequences.map { $0.lists[lists.sparse.count + i] ?? [] }
      let longest = steps.map(\.count).max() ?? 0
      let out = try frame.output(output + i, dense.type, try shape(outer + [longest], dense.shape))
      // What the steps of an example leave free is zeros and empty strings.
      unsafe frame.zero(out)
      let column = unsafe FeatureColumn(frame.input(0), out)
      let stride = dense.shape.count
      for (example, steps) in steps.enumerated() {
        for (step, slot) in steps.enumerated() where slot.count > 0 {
          // A step of the output; `check` saw as many values.
          unsafe column.copy(slot, example, at: (example * longest + step) * stride)
        }
      }
      if !isOld {
        let lengths = try frame.output(output + lists.dense.count + i, .int64, try shape(outer, []))
        for (example, steps) in steps.enumerated() { lengths.set(example, steps.count) }
      }
    }
    output += (isOld ? 1 : 2) * lists.dense.count
    for (i, ragged) in lists.ragged.enumerated() {
      let steps = sequences.map { $0.lists[lists.sparse.count + lists.dense.count + i] ?? [] }
      try unsafe values(&frame, steps, ragged.value, as: output + i)
      try splits(&frame, steps.map(\.count), ragged.split, isSingle, as: output + lists.ragged.count + i)
      try splits(&frame, steps.joined().map(\.count), ragged.split, false, as: output + 2 * lists.ragged.count + i)
    }
  }

  private func shape(_ outer: [Int], _ inner: Shape) throws(RunError) -> Shape {
    var dims = Dims()
    for extent in outer + inner.array { try dims.append(extent) }
    return try Shape(checking: dims)
  }

  /// All values of a feature, one behind the other.
  /// - Precondition: as `fill`.
  @unsafe private func values(_ frame: inout Frame, _ steps: [[FeatureSlot]], _ type: DType, as output: Int) throws(RunError) {
    let out = try frame.output(output, type, [steps.joined().reduce(0) { $0 + $1.count }])
    let column = unsafe FeatureColumn(frame.input(0), out)
    var at = 0
    for (example, steps) in steps.enumerated() {
      for slot in steps where slot.count > 0 {
        // The output has room for all.
        unsafe column.copy(slot, example, at: at)
        at += slot.count
      }
    }
  }

  private func splits(_ frame: inout Frame, _ lengths: [Int], _ type: DType, _ isSingle: Bool, as output: Int) throws(RunError) {
    // TensorFlow leaves those of a single example as they come; here they are zero.
    let out = try frame.output(output, type, isSingle ? [] : [lengths.count + 1])
    out.set(0, 0)
    var end = 0
    for (i, length) in lengths.enumerated() where !isSingle {
      end += length
      out.set(i + 1, end)
    }
  }

  /// Three outputs, `count` apart.
  /// - Precondition: as `fill`.
  @unsafe private func sparse(
    _ frame: inout Frame, _ steps: [[FeatureSlot]], _ type: DType, _ isSingle: Bool, hasSteps: Bool, _ output: Int, of count: Int
  ) throws(RunError) {
    let total = steps.joined().reduce(0) { $0 + $1.count }
    let rank = (isSingle ? 0 : 1) + (hasSteps ? 1 : 0) + 1
    var places = try frame.output(output, .int64, [total, rank])
    var coordinates = places.mutableSpan(of: Int.self)
    try unsafe values(&frame, steps, type, as: output + count)
    let size = try frame.output(output + 2 * count, .int64, [rank])
    var next = 0
    for (example, steps) in steps.enumerated() {
      for (step, slot) in steps.enumerated() {
        for i in 0..<slot.count {
          if !isSingle { coordinates[next] = example }
          if hasSteps { coordinates[next + rank - 2] = step }
          coordinates[next + rank - 1] = i
          next += rank
        }
      }
    }
    let extents = [isSingle ? nil : steps.count, hasSteps ? steps.map(\.count).max() ?? 0 : nil, steps.joined().map(\.count).max() ?? 0]
    for (d, extent) in extents.compactMap({ $0 }).enumerated() { size.set(d, extent) }
  }
}
