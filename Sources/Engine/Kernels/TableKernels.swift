// Lookup tables: from strings or integers to anything. A table is filled while the model loads and read by every run; what
// a run reads is a snapshot that never changes.
internal import Synchronization
internal import Tensors

let tableKernels: [KernelDefinition] = [
  table("HashTable"), table("HashTableV2"), table("MutableHashTable"), table("MutableHashTableV2"),
  find("LookupTableFind"), find("LookupTableFindV2"),
  size("LookupTableSize"), size("LookupTableSizeV2"),
  export("LookupTableExport"), export("LookupTableExportV2"),
  fill("InitializeTable"), fill("InitializeTableV2"), fill("LookupTableImport"), fill("LookupTableImportV2"),
  fill("LookupTableInsert", adds: true), fill("LookupTableInsertV2", adds: true),
  readFile("InitializeTableFromTextFile"), readFile("InitializeTableFromTextFileV2"),
]

/// What a table holds at a moment.
final class TableContents: Sendable {
  let keys: Tensor
  let values: Tensor
  private let slots: TensorBuffer
  private let index: HashIndex

  /// - Precondition: keys are strings or integers, as many as there are values.
  init(keys: Tensor, values: Tensor) throws(RunError) {
    precondition(keys.shape.count == values.shape.count)
    let count = HashIndex.slotCount(keys.shape.count)
    let slots = TensorBuffer(byteCount: count * 4)
    // The buffer is kept beside the index.
    let index = unsafe HashIndex(memory: slots.unsafeBase, slotCount: count)
    let all = unsafe Value(keys)
    let results = unsafe Value(values)
    for i in 0..<keys.shape.count {
      let hash = try TableContents.hash(all, i)
      if let before = index.find(hash, { TableContents.same(all, $0, all, i) }) {
        guard TableContents.same(results, before, results, i) else {
          throw RunError(
            .failedPrecondition,
            "HashTable has different value for same key. Key \(all.element(i)) has \(results.element(before)) and trying to add value \(results.element(i))")
        }
      } else {
        index.insert(hash, i)
      }
    }
    self.keys = keys
    self.values = values
    self.slots = slots
    self.index = index
  }

  var count: Int { keys.shape.count }

  /// The number of the entry with the key that stands at `i` of `wanted`.
  func find(_ wanted: Value, _ i: Int) throws(RunError) -> Int? {
    // The keys are this object's own.
    let all = unsafe Value(keys)
    return index.find(try TableContents.hash(wanted, i)) { TableContents.same(all, $0, wanted, i) }
  }

  private static func hash(_ keys: Value, _ i: Int) throws(RunError) -> UInt64 {
    if keys.dtype == .string { return HashIndex.hash(keys.string(at: i)) }
    return HashIndex.hash(UInt64(bitPattern: Int64(try keys.integer(at: i))))
  }

  /// Whether two elements are the same; both of one type.
  private static func same(_ a: Value, _ i: Int, _ b: Value, _ j: Int) -> Bool {
    if a.dtype == .string { return a.string(at: i) == b.string(at: j) }
    // Elements of one type and size.
    return unsafe RawSpan(_unsafeStart: a.at(i), byteCount: a.dtype.size)
      == RawSpan(_unsafeStart: b.at(j), byteCount: b.dtype.size)
  }
}

extension Value {
  /// An element as text, for errors.
  func element(_ i: Int) -> String { dtype == .string ? text(at: i) : int(at: i).map(String.init) ?? "?" }
}

/// A table by name.
final class LookupTable: Resource {
  let keyType: DType
  let valueType: DType
  private let contents = Mutex<TableContents?>(nil)

  init(keyType: DType, valueType: DType) {
    self.keyType = keyType
    self.valueType = valueType
  }

  /// What is in the table now.
  func snapshot() throws(RunError) -> TableContents {
    guard let contents = contents.withLock({ $0 }) else { throw RunError(.failedPrecondition, "Table not initialized.") }
    return contents
  }

  func fill(keys: Tensor, values: Tensor) throws(RunError) {
    guard keys.dtype == keyType, values.dtype == valueType else {
      throw .invalidArgument(
        "Conflicting key/value dtypes \(keys.dtype)->\(values.dtype) with \(keyType)-\(valueType) for table")
    }
    guard keys.shape.count == values.shape.count else {
      throw .invalidArgument("Expected \(keys.shape.count) values for the keys, got \(values.shape.count)")
    }
    let new = try TableContents(keys: keys, values: values)
    contents.withLock { $0 = new }
  }
}

extension Tensor {
  fileprivate static func empty(_ dtype: DType) -> Tensor {
    dtype == .string ? Tensor(shape: [0], strings: []) : Tensor(dtype: dtype, shape: [0], adopting: TensorBuffer(byteCount: 0))
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

private func table(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let (key, value) = (try node.dtype("key_dtype"), try node.dtype("value_dtype"))
    guard key == .string || key == .int64 || key == .int32 else { throw node.unsupported("keys of type \(key)") }
    guard value != .resource, value != .variant else { throw node.unsupported("values of type \(value)") }
    let resources = node.session.resources
    let handle = resources.handle("table", try node.resourceName) {
      let table = LookupTable(keyType: key, valueType: value)
      // A mutable table begins empty, the others uninitialised. Nothing cannot collide.
      if op.hasPrefix("Mutable") { try? table.fill(keys: .empty(key), values: .empty(value)) }
      return table
    }
    guard let table = resources[handle] as? LookupTable, table.keyType == key, table.valueType == value else {
      throw node.invalid("another table of that name has other types")
    }
    return { frame throws(RunError) in
      var out = try frame.output(0, .resource, [])
      var span = out.mutableSpan(of: Int.self)
      span[0] = handle
    }
  }
}

private func find(_ op: String) -> KernelDefinition {
  KernelDefinition(op, .reads) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in
      let table = try resources.table(frame.input(0))
      let (keys, fallback) = (frame.input(1), frame.input(2))
      guard keys.dtype == table.keyType, fallback.dtype == table.valueType else {
        throw .invalidArgument(
          "Conflicting key/value dtypes \(keys.dtype)->\(fallback.dtype) with \(table.keyType)-\(table.valueType) for table")
      }
      guard fallback.count == 1 || fallback.shape == keys.shape else {
        throw .invalidArgument("Expected shape [] for default value, got \(fallback.shape)")
      }
      let contents = try table.snapshot()
      // Strings of the output point into the table's values.
      frame.keep(contents.values)
      let values = unsafe Value(contents.values)
      let size = values.dtype.size
      let out = try frame.output(0, table.valueType, keys.shape)
      for i in 0..<keys.count {
        // One element of the output's type.
        if let entry = try contents.find(keys, i) {
          unsafe out.at(i).copyMemory(from: values.at(entry), byteCount: size)
        } else {
          unsafe out.at(i).copyMemory(from: fallback.at(fallback.count == 1 ? 0 : i), byteCount: size)
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

private func fill(_ op: String, adds: Bool = false) -> KernelDefinition {
  KernelDefinition(op, .writes) { node throws(GraphError) in
    let resources = node.session.resources
    return { frame throws(RunError) in
      let table = try resources.table(frame.input(0))
      let (keys, values) = (frame.input(1), frame.input(2))
      guard values.count == keys.count else {
        throw .invalidArgument("Expected shape \(keys.shape) for value, got \(values.shape)")
      }
      guard !adds else { throw .unimplemented("\(op): tables are read-only once the model is loaded") }
      try table.fill(keys: Tensor(copying: keys.view), values: Tensor(copying: values.view))
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
    guard offset >= 0 else { throw node.invalid("offset must be at least 0, got \(offset)") }
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
      lines = Array(lines.dropFirst(offset))
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
          if isKey { try keys.append(text, isNumber ? number : nil, path) } else { try values.append(text, isNumber ? number : nil, path) }
        }
      }
      try table.fill(keys: keys.tensor, values: values.tensor)
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
