// Lookup tables: from strings or integers to anything. What a run reads of a table is a snapshot that never changes: a table is
// filled while the model loads, and where a request inserts or removes, it leaves a new snapshot behind. Reading is for every
// request, writing for the few models that count in tables; it costs a copy.
internal import Synchronization
internal import Tensors

let tableKernels: [KernelDefinition] = [
  table("HashTable", .initialized), table("HashTableV2", .initialized),
  table("MutableHashTable", .mutable), table("MutableHashTableV2", .mutable),
  table("MutableHashTableOfTensors", .mutable), table("MutableHashTableOfTensorsV2", .mutable),
  // A table without a name is its node's here: it is filled when the model loads, and there for each request. In TensorFlow it is another
  // one in every run, so that nothing is in it.
  table("AnonymousHashTable", .initialized), table("AnonymousMutableHashTable", .mutable),
  table("AnonymousMutableHashTableOfTensors", .mutable), denseTable("AnonymousMutableDenseHashTable", deletes: true),
  denseTable("MutableDenseHashTable", deletes: false), denseTable("MutableDenseHashTableV2", deletes: true),
  find("LookupTableFind"), find("LookupTableFindV2"),
  size("LookupTableSize"), size("LookupTableSizeV2"),
  export("LookupTableExport"), export("LookupTableExportV2"),
  writing("InitializeTable") { table, keys, values throws(RunError) in try table.fill(keys, values) },
  writing("InitializeTableV2") { table, keys, values throws(RunError) in try table.fill(keys, values) },
  writing("LookupTableImport") { table, keys, values throws(RunError) in try table.fill(keys, values) },
  writing("LookupTableImportV2") { table, keys, values throws(RunError) in try table.fill(keys, values) },
  writing("LookupTableInsert") { table, keys, values throws(RunError) in try table.insert(keys, values) },
  writing("LookupTableInsertV2") { table, keys, values throws(RunError) in try table.insert(keys, values) },
  writing("LookupTableRemoveV2") { table, keys, _ throws(RunError) in try table.remove(keys) },
  readFile("InitializeTableFromTextFile"), readFile("InitializeTableFromTextFileV2"),
]

/// What a table holds at a moment: rows of `keySize` elements, and as many of `valueSize`.
final class TableContents: Sendable {
  let keys: Tensor
  let values: Tensor
  private let keySize: Int
  private let slots: TensorBuffer
  private let index: HashIndex

  /// - Precondition: keys are strings or integers, `count` rows of each.
  init(count: Int, keys: Tensor, keySize: Int, values: Tensor, valueSize: Int) throws(RunError) {
    precondition(keys.shape.count == count * keySize && values.shape.count == count * valueSize)
    let slotCount = HashIndex.slotCount(count)
    let slots = TensorBuffer(byteCount: slotCount * 4)
    // The buffer is kept beside the index.
    let index = unsafe HashIndex(memory: slots.unsafeBase, slotCount: slotCount)
    let all = unsafe Value(keys)
    let results = unsafe Value(values)
    for i in 0..<count {
      let hash = try TableContents.hash(all, i, keySize)
      if let before = index.find(hash, { TableContents.same(all, $0, all, i, keySize) }) {
        guard TableContents.same(results, before, results, i, valueSize) else {
          throw RunError(
            .failedPrecondition,
            "HashTable has different value for same key. Key \(all.element(i)) has \(results.element(before)) and trying to add value \(results.element(i))")
        }
      } else {
        index.insert(hash, i)
      }
    }
    self.count = count
    self.keys = keys
    self.values = values
    self.keySize = keySize
    self.slots = slots
    self.index = index
  }

  let count: Int

  /// The number of the entry with the key that is row `i` of `wanted`.
  func find(_ wanted: Value, _ i: Int) throws(RunError) -> Int? {
    // The keys are this object's own.
    let all = unsafe Value(keys)
    return index.find(try TableContents.hash(wanted, i, keySize)) { TableContents.same(all, $0, wanted, i, keySize) }
  }

  fileprivate static func hash(_ keys: Value, _ row: Int, _ size: Int) throws(RunError) -> UInt64 {
    var result: UInt64 = 0
    for i in row * size..<(row + 1) * size {
      let one =
        keys.dtype == .string
        ? HashIndex.hash(keys.string(at: i)) : HashIndex.hash(UInt64(bitPattern: Int64(try keys.integer(at: i))))
      result = size == 1 ? one : HashIndex.hash(result ^ one)
    }
    return result
  }

  /// Whether two rows are the same; both of one type.
  fileprivate static func same(_ a: Value, _ i: Int, _ b: Value, _ j: Int, _ size: Int) -> Bool {
    if a.dtype == .string, size == 1 { return a.string(at: i) == b.string(at: j) }
    if a.dtype == .string { return (0..<size).allSatisfy { a.string(at: i * size + $0) == b.string(at: j * size + $0) } }
    // Rows of one type and size.
    return unsafe RawSpan(_unsafeStart: a.at(i * size), byteCount: size * a.dtype.size)
      == RawSpan(_unsafeStart: b.at(j * size), byteCount: size * b.dtype.size)
  }
}

extension Value {
  /// An element as text, for errors.
  func element(_ i: Int) -> String { dtype == .string ? text(at: i) : int(at: i).map(String.init) ?? "?" }
}

/// A table by name.
final class LookupTable: Resource {
  /// What may become of a table after it was made.
  enum Kind: Equatable {
    /// It is filled once.
    case initialized
    /// It begins empty, and entries come and go.
    case mutable
  }

  let kind: Kind
  let keyType: DType
  let keyShape: Shape
  let valueType: DType
  let valueShape: Shape
  /// Keys that stand for no entry in what TensorFlow's dense tables save, and may not be asked for, with what they are called.
  private let reserved: [(key: Tensor, name: String)]
  private let contents = Mutex<TableContents?>(nil)

  init(
    _ kind: Kind, keyType: DType, keyShape: Shape = [], valueType: DType, valueShape: Shape = [],
    reserved: [(key: Tensor, name: String)] = []
  ) throws(RunError) {
    self.kind = kind
    self.keyType = keyType
    self.keyShape = keyShape
    self.valueType = valueType
    self.valueShape = valueShape
    self.reserved = reserved
    if kind == .mutable {
      let empty = try build([], from: [])
      contents.withLock { $0 = empty }
    }
  }

  /// What is in the table now.
  func snapshot() throws(RunError) -> TableContents {
    guard let contents = contents.withLock({ $0 }) else { throw RunError(.failedPrecondition, "Table not initialized.") }
    return contents
  }

  /// The rows of keys that came in.
  func rows(_ keys: Value) throws(RunError) -> Int {
    guard keys.dtype == keyType else { throw conflict(keys.dtype, valueType) }
    let (rank, outer) = (keyShape.rank, keys.shape.rank - keyShape.rank)
    guard outer >= 0, (0..<rank).allSatisfy({ keys.shape[outer + $0] == keyShape[$0] }) else {
      throw .invalidArgument("Input key shape \(keys.shape) must end with the table's key shape \(keyShape)")
    }
    return keys.shape.count(upTo: outer)
  }

  /// Throws for a key that stands for no entry.
  func checkReserved(_ keys: Value, _ row: Int) throws(RunError) {
    // The tensors are this object's own.
    for (key, name) in reserved where TableContents.same(unsafe Value(key), 0, keys, row, keyShape.count) {
      throw .invalidArgument("Using the \(name) as a table key is not allowed")
    }
  }

  func conflict(_ key: DType, _ value: DType) -> RunError {
    .invalidArgument("Conflicting key/value dtypes \(key)->\(value) with \(keyType)-\(valueType) for table")
  }

  private func check(_ keys: Value, _ values: Value) throws(RunError) -> Int {
    guard values.dtype == valueType else { throw conflict(keys.dtype, values.dtype) }
    let rows = try rows(keys)
    guard values.count == rows * valueShape.count else {
      throw .invalidArgument("Expected shape \(try expected(keys)) for value, got \(values.shape)")
    }
    return rows
  }

  /// The shape of the values of these keys.
  func expected(_ keys: Value) throws(RunError) -> Shape {
    try keys.shape.joined(0..<max(keys.shape.rank - keyShape.rank, 0), valueShape, 0..<valueShape.rank)
  }

  /// Makes the table hold these entries and no others.
  func fill(_ keys: Value, _ values: Value) throws(RunError) {
    let count = try check(keys, values)
    let rows = (0..<count).filter { row in
      !reserved.contains { TableContents.same(unsafe Value($0.key), 0, keys, row, keyShape.count) }
    }
    let entries = try last(rows.map { (0, $0) }, of: [keys])
    // A key may come twice with one value; another value is a mistake of the file's.
    if kind == .initialized, entries.count < rows.count { _ = try build(rows.map { (0, $0) }, from: [(keys, values)]) }
    let new = try build(entries, from: [(keys, values)])
    contents.withLock { $0 = new }
  }

  /// Adds entries, or gives those that are there new values.
  func insert(_ keys: Value, _ values: Value) throws(RunError) {
    try checkMutable("Insert")
    let count = try check(keys, values)
    for row in 0..<count { try checkReserved(keys, row) }
    try change { old throws(RunError) in
      // Later entries push out earlier ones of their key.
      let sources = [(unsafe Value(old.keys), unsafe Value(old.values)), (keys, values)]
      let entries = (0..<old.count).map { (0, $0) } + (0..<count).map { (1, $0) }
      return try build(try last(entries, of: sources.map(\.0)), from: sources)
    }
  }

  func remove(_ keys: Value) throws(RunError) {
    try checkMutable("Remove")
    let count = try rows(keys)
    for row in 0..<count { try checkReserved(keys, row) }
    try change { old throws(RunError) in
      var gone: Set<Int> = []
      for row in 0..<count { if let entry = try old.find(keys, row) { gone.insert(entry) } }
      if gone.isEmpty { return old }
      let kept = (0..<old.count).filter { !gone.contains($0) }.map { (0, $0) }
      return try build(kept, from: [(unsafe Value(old.keys), unsafe Value(old.values))])
    }
  }

  private func checkMutable(_ what: String) throws(RunError) {
    guard kind == .mutable else { throw .unimplemented("\(what) not supported by InitializableLookupTable implementations") }
  }

  /// Puts what `make` makes of the contents in their place, with nobody in between.
  private func change(_ make: (TableContents) throws(RunError) -> TableContents) throws(RunError) {
    let failure: RunError? = contents.withLock { contents in
      guard let old = contents else { return RunError(.failedPrecondition, "Table not initialized.") }
      do throws(RunError) { contents = try make(old) } catch { return error }
      return nil
    }
    if let failure { throw failure }
  }

  private typealias Entry = (source: Int, row: Int)

  /// Of entries with one key the last, at the place of the first.
  private func last(_ entries: [Entry], of keys: [Value]) throws(RunError) -> [Entry] {
    let size = keyShape.count
    let slotCount = HashIndex.slotCount(entries.count)
    let slots = TensorBuffer(byteCount: slotCount * 4)
    defer { withExtendedLifetime(slots) {} }
    // The buffer lives until the end of the function.
    let index = unsafe HashIndex(memory: slots.unsafeBase, slotCount: slotCount)
    var kept: [Entry] = []
    for entry in entries {
      let hash = try TableContents.hash(keys[entry.source], entry.row, size)
      let same = index.find(hash) { TableContents.same(keys[kept[$0].source], kept[$0].row, keys[entry.source], entry.row, size) }
      if let same {
        kept[same] = entry
      } else {
        index.insert(hash, kept.count)
        kept.append(entry)
      }
    }
    return kept
  }

  private func build(_ entries: [Entry], from sources: [(keys: Value, values: Value)]) throws(RunError) -> TableContents {
    try TableContents(
      count: entries.count, keys: try gather(entries, sources.map(\.keys), keyType, keyShape), keySize: keyShape.count,
      values: try gather(entries, sources.map(\.values), valueType, valueShape), valueSize: valueShape.count)
  }

  /// Rows of several values as one tensor of their own.
  private func gather(_ entries: [Entry], _ sources: [Value], _ dtype: DType, _ row: Shape) throws(RunError) -> Tensor {
    let shape = try Shape([entries.count])!.joined(0..<1, row, 0..<row.rank)
    let size = row.count * dtype.size
    let buffer = TensorBuffer(byteCount: shape.count * dtype.size)
    let value = unsafe Value(dtype: dtype, shape: shape, base: buffer.unsafeBase)
    for (i, entry) in entries.enumerated() {
      // Rows of one size, within their values.
      unsafe (value.base + i * size).copyMemory(from: sources[entry.source].base + entry.row * size, byteCount: size)
    }
    // Strings are copied with their bytes; numbers stay where they are.
    return dtype == .string ? Tensor(copying: value.view) : Tensor(dtype: dtype, shape: shape, adopting: buffer)
  }
}

extension Resources {
  fileprivate func table(_ handle: Value) throws(RunError) -> LookupTable {
    guard handle.dtype == .resource, handle.count == 1 else { throw .invalidArgument("expected a resource, got \(handle.dtype)") }
    guard let table = self[handle.span(of: Int.self)[0]] as? LookupTable else {
      throw RunError(.notFound, "the resource is no lookup table")
    }
    return table
  }
}

extension NodeContext {
  /// The kernel that gives the handle of the node's table.
  fileprivate func table(
    _ kind: LookupTable.Kind, keyShape: Shape = [], valueShape: Shape = [], reserved: [(key: Tensor, name: String)] = []
  ) throws(GraphError) -> Kernel.Body {
    let (key, value) = (try dtype("key_dtype"), try dtype("value_dtype"))
    guard key == .string || key == .int64 || key == .int32 else { throw unsupported("keys of type \(key)") }
    guard value != .resource, value != .variant else { throw unsupported("values of type \(value)") }
    for (tensor, name) in reserved where tensor.dtype != key || tensor.shape != keyShape {
      throw invalid("\(name) is \(tensor.dtype) \(tensor.shape), expected \(key) \(keyShape)")
    }
    let new: LookupTable
    do {
      new = try LookupTable(
        kind, keyType: key, keyShape: keyShape, valueType: value, valueShape: valueShape, reserved: reserved)
    } catch { throw invalid(error.message) }
    let handle = session.resources.handle("table", try resourceName) { new }
    guard let table = session.resources[handle] as? LookupTable, table.kind == kind, table.keyType == key,
      table.valueType == value, table.keyShape == keyShape, table.valueShape == valueShape
    else { throw invalid("another table of that name has other types") }
    return { frame throws(RunError) in
      var out = try frame.output(0, .resource, [])
      var span = out.mutableSpan(of: Int.self)
      span[0] = handle
    }
  }

  fileprivate var valueShape: Shape {
    get throws(GraphError) {
      guard let shape = try shape("value_shape", default: PartialShape([])).shape, shape.rank <= 1 else {
        throw invalid("Default value must be a vector, got shape \(try shape("value_shape"))")
      }
      return shape
    }
  }
}

private func table(_ op: String, _ kind: LookupTable.Kind) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    try node.table(kind, valueShape: op.contains("OfTensors") ? try node.valueShape : [])
  }
}

/// TensorFlow's dense tables keep free places by a key that nobody uses.
private func denseTable(_ op: String, deletes: Bool) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let empty = try node.constant(0, "empty_key")
    guard empty.shape.rank <= 1 else { throw node.invalid("Empty key must be a scalar or a vector, got shape \(empty.shape)") }
    var reserved = [(key: empty, name: "empty_key")]
    if deletes { reserved.append((try node.constant(1, "deleted_key"), "deleted_key")) }
    return try node.table(.mutable, keyShape: empty.shape, valueShape: try node.valueShape, reserved: reserved)
  }
}

private func find(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in
      let table = try resources.table(frame.input(0))
      let (keys, fallback) = (frame.input(1), frame.input(2))
      guard keys.dtype == table.keyType, fallback.dtype == table.valueType else {
        throw table.conflict(keys.dtype, fallback.dtype)
      }
      let count = try table.rows(keys)
      let shape = try table.expected(keys)
      let row = table.valueShape.count
      guard fallback.shape == table.valueShape || fallback.shape == shape || row == 1 && fallback.count == 1 else {
        throw .invalidArgument("Expected shape \(table.valueShape) or \(shape) for default value, got \(fallback.shape)")
      }
      let contents = try table.snapshot()
      // Strings of the output point into the table's values.
      frame.keep(contents.values)
      let values = unsafe Value(contents.values)
      let size = row * values.dtype.size
      let out = try frame.output(0, table.valueType, shape)
      for i in 0..<count {
        try table.checkReserved(keys, i)
        // One row of the output's type.
        if let entry = try contents.find(keys, i) {
          unsafe out.at(i * row).copyMemory(from: values.at(entry * row), byteCount: size)
        } else {
          unsafe out.at(i * row).copyMemory(from: fallback.at(fallback.count == row ? 0 : i * row), byteCount: size)
        }
      }
    }
  }
}

private func size(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in
      try frame.output(integer: try resources.table(frame.input(0)).snapshot().count, .int64)
    }
  }
}

private func export(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in
      let contents = try resources.table(frame.input(0)).snapshot()
      frame.output(0, contents.keys)
      frame.output(1, contents.values)
    }
  }
}

private func writing(
  _ op: String, _ write: @escaping @Sendable (_ table: LookupTable, _ keys: Value, _ values: Value) throws(RunError) -> Void
) -> KernelDefinition {
  KernelDefinition(op, .writes) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in
      try write(try resources.table(frame.input(0)), frame.input(1), frame.input(2))
    }
  }
}

// MARK: Tables from text files

/// Which part of a line a key or a value is (`InitializeTableFromTextFile`'s key_index and value_index).
private enum Column: Sendable {
  case wholeLine
  case lineNumber
  case field(Int)

  init?(_ index: Int) {
    switch index {
    case -2: self = .wholeLine
    case -1: self = .lineNumber
    case 0...: self = .field(index)
    default: return nil
    }
  }

  func text(_ line: ArraySlice<UInt8>, _ fields: [ArraySlice<UInt8>]) -> ArraySlice<UInt8>? {
    switch self {
    case .wholeLine, .lineNumber: line
    case .field(let i): i < fields.count ? fields[i] : nil
    }
  }
}

private func readFile(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .writes) { node throws(GraphError) in
    guard let key = Column(try node.int("key_index")) else { throw node.invalid("Invalid key_index") }
    guard let value = Column(try node.int("value_index")) else { throw node.invalid("Invalid value_index") }
    let limit = try node.int("vocab_size", default: -1)
    let offset = try node.int("offset", default: 0)
    guard let delimiter = try node.bytes("delimiter", default: [9]).first else { throw node.invalid("the delimiter is empty") }
    let resources = node.session.resources
    let files = node.session.files
    return { frame throws(RunError) in
      let table = try resources.table(frame.input(0))
      let name = frame.input(1)
      guard name.dtype == .string, name.count == 1 else { throw .invalidArgument("filename should be a single string, but got \(name.shape)") }
      let path = name.text(at: 0)
      guard let files else { throw RunError(.notFound, "\(path); No such file or directory") }
      let bytes = try files.contents(ofFile: path)
      var lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
      // The last line break ends a line and begins none.
      if lines.last?.isEmpty == true { lines.removeLast() }
      if limit > 0 {
        guard lines.count >= limit else {
          throw .invalidArgument("Invalid vocab_size in \(path): expected \(limit) but got \(lines.count)")
        }
        lines = Array(lines.prefix(limit))
      }
      var keys = ColumnBuilder(type: table.keyType)
      var values = ColumnBuilder(type: table.valueType)
      for (number, raw) in lines.enumerated() {
        let line = raw.last == 13 ? raw.dropLast() : raw
        guard !line.isEmpty else { throw .invalidArgument("Invalid content in \(path): empty line found at position \(number + 1).") }
        let fields = line.split(separator: delimiter, omittingEmptySubsequences: false)
        for (column, isKey) in [(key, true), (value, false)] {
          guard let text = column.text(line, fields) else {
            throw .invalidArgument(
              "Invalid number of columns in \(path) line \(number) (\(String(decoding: line, as: UTF8.self))) : expected at least \(column) got \(fields.count)")
          }
          var isNumber = false
          if case .lineNumber = column { isNumber = true }
          if isKey { try keys.append(text, isNumber ? number + offset : nil, path) } else { try values.append(text, isNumber ? number + offset : nil, path) }
        }
      }
      let (keyTensor, valueTensor) = (keys.tensor, values.tensor)
      // Both live until the table has taken its copies.
      try unsafe table.fill(Value(keyTensor), Value(valueTensor))
      withExtendedLifetime((keyTensor, valueTensor)) {}
    }
  }
}

/// Gathers a column of text into a tensor.
private struct ColumnBuilder {
  let type: DType
  private var strings: [[UInt8]] = []
  private var integers: [Int64] = []
  private var numbers: [Double] = []

  init(type: DType) { self.type = type }

  mutating func append(_ text: ArraySlice<UInt8>, _ lineNumber: Int?, _ path: String) throws(RunError) {
    let string = String(decoding: text, as: UTF8.self)
    func bad() -> RunError { .invalidArgument("Field \(string) in \(path) is not a valid \(type).") }
    switch type {
    case .string: strings.append(lineNumber.map { Array(String($0).utf8) } ?? Array(text))
    case .int64, .int32:
      guard let value = lineNumber.map(Int64.init) ?? Int64(string), type == .int64 || Int32(exactly: value) != nil else { throw bad() }
      integers.append(value)
    case .float, .double:
      guard let value = lineNumber.map(Double.init) ?? Double(string) else { throw bad() }
      numbers.append(value)
    default: throw .invalidArgument("Data type \(type) not supported.")
    }
  }

  var tensor: Tensor {
    switch type {
    case .string: Tensor(shape: Shape([strings.count])!, strings: strings)
    case .int32: Tensor(type, shape: Shape([integers.count])!, integers.map { Int32(truncatingIfNeeded: $0) })
    case .float: Tensor(type, shape: Shape([numbers.count])!, numbers.map { Float($0) })
    case .double: Tensor(type, shape: Shape([numbers.count])!, numbers)
    default: Tensor(.int64, shape: Shape([integers.count])!, integers)
    }
  }
}
