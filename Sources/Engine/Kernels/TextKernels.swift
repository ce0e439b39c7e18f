// Ops that take text apart and put it together by rules of their own: n-grams, records of comma-separated values, templates.
internal import Glibc
internal import Tensors

let textKernels: [KernelDefinition] = [
  KernelDefinition("StringNGrams") { node throws(GraphError) in
    let ngrams = try NGrams(node)
    return { frame throws(RunError) in try frame.stringNGrams(ngrams) }
  },
  KernelDefinition("UnsortedSegmentJoin") { node throws(GraphError) in
    let separator = try node.bytes("separator", default: [])
    return { frame throws(RunError) in try frame.segmentJoin(separator) }
  },
  KernelDefinition("StringFormat") { node throws(GraphError) in
    let template = try node.string("template", default: "%s")
    let placeholder = try node.string("placeholder", default: "%s")
    let entries = try node.int("summarize", default: 3)
    guard !placeholder.isEmpty else { throw node.invalid("the placeholder is empty") }
    let pieces = template.split(separator: placeholder, omittingEmptySubsequences: false).map { Array($0.utf8) }
    guard pieces.count - 1 == node.node.inputs.count else {
      throw node.invalid(
        "num placeholders in template and num inputs must match: \(pieces.count - 1) vs. \(node.node.inputs.count)")
    }
    return { frame throws(RunError) in
      var values: [Value] = []
      for i in 0..<frame.inputCount { values.append(frame.input(i)) }
      try frame.outputStrings(0, []) { _, bytes throws(RunError) in
        bytes += pieces[0]
        for (i, value) in values.enumerated() {
          bytes += value.summary(entries)
          bytes += pieces[i + 1]
        }
      }
    }
  },
  KernelDefinition("DecodeCSV") { node throws(GraphError) in
    let format = try CSVFormat(node)
    return { frame throws(RunError) in try frame.decodeCSV(format) }
  },
  KernelDefinition("DecodePaddedRaw") { node throws(GraphError) in
    let type = try node.dtype("out_type")
    guard type != .string, type != .resource, type != .variant else { throw node.invalid("cannot decode to \(type)") }
    let isLittle = try node.bool("little_endian", default: true)
    return { frame throws(RunError) in try frame.decodePaddedRaw(type, isLittle) }
  },
  kernel("Fingerprint") { frame throws(RunError) in try frame.fingerprint() },
]

// MARK: N-grams

/// The attributes of `StringNGrams`.
private struct NGrams: Sendable {
  let separator: [UInt8]
  let widths: [Int]
  let left: [UInt8]
  let right: [UInt8]
  let padWidth: Int
  let preservesShort: Bool
  /// Wider than any text needs; a model that asks for more would only fill the memory.
  static let widthMax = 1 << 12

  init(_ node: NodeContext) throws(GraphError) {
    separator = try node.bytes("separator")
    widths = try node.ints("ngram_widths")
    left = try node.bytes("left_pad")
    right = try node.bytes("right_pad")
    padWidth = try node.int("pad_width")
    preservesShort = try node.bool("preserve_short_sequences")
    for width in widths where width <= 0 { throw node.invalid("ngram_widths must contain positive values") }
    guard widths.allSatisfy({ $0 <= NGrams.widthMax }), padWidth <= NGrams.widthMax else {
      throw node.unsupported("n-grams wider than \(NGrams.widthMax)")
    }
  }

  /// Never wider than the n-gram less one word.
  func pad(_ width: Int) -> Int { min(padWidth < 0 ? width - 1 : padWidth, width - 1) }
  func count(_ words: Int, _ width: Int) -> Int { max(0, words + 2 * pad(width) - width + 1) }

  /// How many a row of so many words gives, and whether that is the one of a row too short for any.
  func count(_ words: Int) -> (all: Int, isShort: Bool) {
    let all = widths.reduce(0) { $0 + count(words, $1) }
    return preservesShort && words > 0 && all == 0 ? (1, true) : (all, false)
  }

  /// Appends n-gram `k` of `count`, of the words from `start` on.
  func append(_ k: Int, of count: Int, width: Int, _ words: Value, _ start: Int, to bytes: inout [UInt8]) {
    let pad = pad(width)
    let (left, right) = (max(0, pad - k), max(0, pad - (count - (k + 1))))
    let tokens = width - left - right
    let first = start + (left > 0 ? 0 : k - pad)
    var isFirst = true
    func part(_ write: (inout [UInt8]) -> Void) {
      if !isFirst { bytes += separator }
      isFirst = false
      write(&bytes)
    }
    for _ in 0..<left { part { $0 += self.left } }
    for n in 0..<max(tokens, 0) { part { $0.append(words.string(at: first + n)) } }
    for _ in 0..<right { part { $0 += self.right } }
  }
}

extension Frame {
  fileprivate mutating func stringNGrams(_ ngrams: NGrams) throws(RunError) {
    let (words, splits) = (try strings(0), input(1))
    if splits.count > 0 {
      var before = try splits.integer(at: 0)
      guard before == 0 else { throw .invalidArgument("First split value must be 0, got \(before)") }
      for i in 1..<splits.count {
        let split = try splits.integer(at: i)
        guard split >= before, split <= words.count else {
          throw .invalidArgument("Invalid split value \(split), must be in [\(before), \(words.count)]")
        }
        before = split
      }
      guard before == words.count else {
        throw .invalidArgument("Last split value must be data size. Expected \(words.count), got \(before)")
      }
    }
    let out = try output(1, splits.dtype, splits.shape)
    guard words.count > 0, splits.count > 0 else {
      unsafe zero(out)
      return try outputStrings(0, words.shape) { _, _ throws(RunError) in }
    }
    func length(_ row: Int) throws(RunError) -> Int { try splits.integer(at: row + 1) - splits.integer(at: row) }
    out.set(0, 0)
    var total = 0
    for row in 0..<(splits.count - 1) {
      let (count, isShort) = ngrams.count(try length(row))
      guard !isShort || ngrams.padWidth >= 0 else {
        throw .invalidArgument(
          "Pad width should be >= 0 when preserve_short_sequences is True and ngram_widths are not provided, got \(ngrams.padWidth)")
      }
      total += count
      out.set(row + 1, total)
    }
    // The next n-gram: number `k` of the width `which` of a row.
    var (row, which, k) = (0, 0, 0)
    try outputStrings(0, [total]) { _, bytes throws(RunError) in
      while true {
        let words_ = try length(row)
        let start = try splits.integer(at: row)
        if which < ngrams.widths.count {
          let count = ngrams.count(words_, ngrams.widths[which])
          if k < count {
            ngrams.append(k, of: count, width: ngrams.widths[which], words, start, to: &bytes)
            k += 1
            return
          }
          which += 1
          k = 0
        } else if which == ngrams.widths.count, ngrams.count(words_).isShort {
          ngrams.append(0, of: 1, width: words_ + 2 * ngrams.padWidth, words, start, to: &bytes)
          which += 1
          return
        } else {
          row += 1
          which = 0
        }
      }
    }
  }

  fileprivate mutating func segmentJoin(_ separator: [UInt8]) throws(RunError) {
    let (x, ids) = (try strings(0), input(1))
    guard input(2).count > 0 else { throw .invalidArgument("Number of segments cannot be empty.") }
    let segments = try scalar(2, "num_segments")
    let rank = ids.shape.rank
    guard rank > 0 else { throw .invalidArgument("Segment_id cannot have rank 0") }
    guard rank <= x.shape.rank else {
      throw RunError(.outOfRange, "Invalid segment_id rank \(rank) for input with \(x.shape.rank) dimension(s)")
    }
    for d in 0..<rank where ids.shape[d] != x.shape[d] {
      throw .invalidArgument("Segment dimension is \(ids.shape[d]) while input dimension is \(x.shape.rank) in rank \(d)")
    }
    guard segments >= 0, segments <= Int(Int32.max) else { throw .invalidArgument("Number of segments must be non-negative.") }
    // The members of each segment, in order: counted, then placed.
    let starts = try temporary(.int64, [segments + 1])
    let members = try temporary(.int64, [ids.count])
    unsafe zero(starts.value)
    for i in 0..<ids.count {
      let id = try ids.integer(at: i)
      guard id >= 0, id < segments else {
        throw .invalidArgument("segment_ids are not allowed to exceed num_segments or to have negative values.")
      }
      starts.value.set(id, try starts.value.integer(at: id) + 1)
    }
    var sum = 0
    for s in 0...segments {
      let count = try starts.value.integer(at: s)
      starts.value.set(s, sum)
      sum += count
    }
    for i in 0..<ids.count {
      let id = try ids.integer(at: i)
      let at = try starts.value.integer(at: id)
      members.value.set(at, i)
      starts.value.set(id, at + 1)
    }
    // Each start stands at its segment's end now, which is the next one's start.
    let row = x.shape.count(from: rank)
    let all: Shape = [segments]
    try outputStrings(0, try all.joined(0..<1, x.shape, rank..<x.shape.rank)) { i, bytes throws(RunError) in
      let (segment, place) = (i / max(row, 1), i % max(row, 1))
      let begin = bytes.count
      let first = segment == 0 ? 0 : try starts.value.integer(at: segment - 1)
      for m in first..<(try starts.value.integer(at: segment)) {
        // TensorFlow leaves the separator out as long as there is nothing before it.
        if bytes.count > begin { bytes += separator }
        bytes.append(x.string(at: try members.value.integer(at: m) * row + place))
      }
    }
    release(starts.scratch)
    release(members.scratch)
  }
}

// MARK: Values as text

extension Value {
  /// The value as TensorFlow prints it (`Tensor::SummarizeValue`): of each dimension the first and last `entries`, all for -1.
  fileprivate func summary(_ entries: Int) -> [UInt8] {
    let ends = min(entries < 0 ? Int.max : entries, count)
    if ends == 0, count > 0, dtype == .bool || shape.rank == 0 { return Array((dtype == .bool ? "" : "...").utf8) }
    var text: [UInt8] = []
    func space(_ d: Int) {
      guard d < shape.rank - 1 else { return text.append(32) }
      text += [UInt8](repeating: 10, count: shape.rank - d - 1) + [UInt8](repeating: 32, count: d + 1)
    }
    func append(_ d: Int, _ at: Int) {
      if d == shape.rank { return appendElement(at, to: &text) }
      text.append(91)
      let extent = shape[d]
      let step = shape.count(from: d + 1)
      for i in 0..<min(ends, extent) {
        if i > 0 { space(d) }
        append(d + 1, at + i * step)
      }
      if ends <= extent / 2, extent > 2 * ends {
        space(d)
        text += "...".utf8
      }
      for i in max(min(ends, extent), extent - min(ends, extent))..<extent {
        space(d)
        append(d + 1, at + i * step)
      }
      text.append(93)
    }
    append(0, 0)
    return text
  }

  private func appendElement(_ i: Int, to text: inout [UInt8]) {
    guard dtype == .string else { return text += elementText(i).utf8 }
    text.append(34)
    unsafe string(at: i).withUnsafeBytes { bytes in
      for unsafe byte in unsafe bytes {
        switch byte {
        case 10: text += "\\n".utf8
        case 13: text += "\\r".utf8
        case 9: text += "\\t".utf8
        case 34, 39, 92: text += [92, byte]
        case 32..<127, 128...: text.append(byte)
        default: text += [92, 48 + byte >> 6, 48 + byte >> 3 & 7, 48 + byte & 7]
        }
      }
    }
    text.append(34)
  }

  /// The value as TensorFlow's errors show a tensor (`Tensor::DebugString`).
  var debugText: String {
    let values = (0..<min(3, count)).map { dtype == .string ? text(at: $0) : elementText($0) }
    return "Tensor<type: \(dtype.name) shape: \(shape) values: \(values.joined(separator: " "))\(count > 3 ? "..." : "")>"
  }

  private func elementText(_ i: Int) -> String {
    func shortest(_ value: Double, _ digits: Int, _ more: Int, _ isSame: (Double) -> Bool) -> String {
      func format(_ digits: Int) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = unsafe withVaList([digits, value]) { unsafe vsnprintf(&buffer, buffer.count, "%.*g", $0) }
        return String(decoding: buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      }
      if value.isNaN { return "nan" }
      let text = format(digits)
      return Double(text).map(isSame) == true ? text : format(more)
    }
    switch dtype {
    case .bool: return span(of: UInt8.self)[i] != 0 ? "1" : "0"
    case .float:
      let value = span(of: Float.self)[i]
      return shortest(Double(value), 6, 9) { Float($0) == value }
    case .half, .bfloat16:
      let value = dtype == .half ? span(of: Half.self)[i].double : span(of: BFloat16.self)[i].double
      return shortest(value, 6, 9) { Float($0) == Float(value) }
    case .double:
      let value = span(of: Double.self)[i]
      return shortest(value, 15, 17) { $0 == value }
    case .uint64: return String(span(of: UInt64.self)[i])
    default: return int(at: i).map(String.init) ?? "?"
    }
  }
}

// MARK: Records

/// The attributes of `DecodeCSV`.
private struct CSVFormat: Sendable {
  let types: [DType]
  let delimiter: UInt8
  let quotes: Bool
  let missing: [UInt8]
  /// The fields that are wanted, rising; empty for all.
  let columns: [Int]

  init(_ node: NodeContext) throws(GraphError) {
    types = try node.dtypes("OUT_TYPE")
    let delimiter = try node.bytes("field_delim", default: [44])
    guard delimiter.count == 1 else { throw node.invalid("field_delim should be only 1 char") }
    self.delimiter = delimiter[0]
    quotes = try node.bool("use_quote_delim", default: true)
    missing = try node.bytes("na_value", default: [])
    columns = try node.ints("select_cols", default: [])
    guard columns.isEmpty || columns.count == types.count else { throw node.invalid("select_cols should match output size") }
    guard columns.allSatisfy({ $0 >= 0 }), zip(columns, columns.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw node.invalid("select_cols should be strictly increasing indices")
    }
    for (i, type) in types.enumerated() where ![.float, .double, .int32, .int64, .string].contains(type) {
      throw node.invalid("csv: data type \(type) not supported in field \(i)")
    }
  }

  /// A field: where it stands in its record, and whether pairs of quotes in it stand for one.
  struct Field {
    var range: Range<Int>
    var isEscaped = false
  }

  /// The wanted fields of a record (tensorflow/core/kernels/decode_csv_op.cc).
  @unsafe func fields(of record: UnsafeRawBufferPointer, into fields: inout [Field]) throws(RunError) {
    fields.removeAll(keepingCapacity: true)
    var (i, parsed) = (0, 0)
    func isWanted() -> Bool { columns.isEmpty || fields.count < columns.count && columns[fields.count] == parsed }
    while i < record.count {
      if unsafe record[i] == 10 || record[i] == 13 {
        i += 1
        continue
      }
      var field = Field(range: i..<i)
      if quotes, unsafe record[i] == 34 {
        i += 1
        let start = i
        // A quote that ends the field is followed by the delimiter or the end.
        while i < record.count - 1, unsafe record[i] != 34 || record[i + 1] != delimiter {
          if unsafe record[i] != 34 {
            i += 1
          } else {
            guard unsafe record[i + 1] == 34 else {
              throw .invalidArgument("Quote inside a string has to be escaped by another quote")
            }
            field.isEscaped = true
            i += 2
          }
        }
        guard i < record.count, unsafe record[i] == 34, i == record.count - 1 || (unsafe record[i + 1] == delimiter) else {
          throw .invalidArgument("Quoted field has to end with quote followed by delim or end")
        }
        field.range = start..<i
        i += 2
      } else {
        let start = i
        while i < record.count, unsafe record[i] != delimiter {
          guard unsafe !(quotes && record[i] == 34), unsafe record[i] != 10, unsafe record[i] != 13 else {
            throw .invalidArgument("Unquoted fields cannot have quotes/CRLFs inside")
          }
          i += 1
        }
        field.range = start..<i
        i += 1
      }
      let wanted = isWanted()
      parsed += 1
      if wanted {
        fields.append(field)
        if fields.count == columns.count { return }
      }
    }
    // Behind a delimiter at the end stands one more field, with nothing in it.
    if record.count > 0, unsafe record[record.count - 1] == delimiter, isWanted() {
      fields.append(Field(range: record.count..<record.count))
    }
  }
}

extension Frame {
  fileprivate mutating func decodeCSV(_ format: CSVFormat) throws(RunError) {
    let records = try strings(0)
    for (f, type) in format.types.enumerated() {
      let fallback = input(1 + f)
      guard fallback.count < 2 else {
        throw .invalidArgument("There should only be 1 default per field but field \(f) has \(fallback.count)")
      }
      guard fallback.dtype == type else { throw .invalidArgument("expected \(type), got \(fallback.dtype)") }
    }
    var outputs: [Value] = []
    for (f, type) in format.types.enumerated() { outputs.append(try output(f, type, records.shape)) }
    var fields: [CSVFormat.Field] = []
    for i in 0..<records.count {
      let record = unsafe records.ref(i)
      try unsafe format.fields(of: record.buffer, into: &fields)
      guard fields.count == outputs.count else {
        throw .invalidArgument("Expect \(outputs.count) fields but have \(fields.count) in record \(i)")
      }
      for (f, field) in fields.enumerated() {
        let (out, fallback) = (outputs[f], input(1 + f))
        // A part of the record, whose bytes outlive the run, unless quotes have to go.
        let text = field.isEscaped ? try unsafe unescaped(record.part(field.range)) : unsafe record.part(field.range)
        if unsafe text.count == 0 || text.buffer.elementsEqual(format.missing) {
          guard fallback.count == 1 else { throw .invalidArgument("Field \(f) is required but missing in record \(i)!") }
          // One element of the output's type.
          unsafe out.at(i).copyMemory(from: fallback.base, byteCount: out.dtype.size)
        } else if out.dtype == .string {
          unsafe out.set(i, text)
        } else if try unsafe !out.parse(text, at: i) {
          throw .invalidArgument(
            "Field \(f) in record \(i) is not a valid \(out.dtype.name): \(unsafe String(decoding: text.buffer, as: UTF8.self))")
        }
      }
    }
  }

  /// The text with each pair of quotes as one. The bytes are kept until the run ends.
  @unsafe private mutating func unescaped(_ text: StringRef) throws(RunError) -> StringRef {
    let memory = try unsafe scratch(byteCount: text.count)
    var (count, i) = (0, 0)
    while unsafe i < text.count {
      // Never more bytes than there are in the text.
      unsafe memory.base.storeBytes(of: text.buffer[i], toByteOffset: count, as: UInt8.self)
      count += 1
      unsafe i += text.buffer[i] == 34 ? 2 : 1
    }
    return unsafe StringRef(base: UnsafeRawPointer(memory.base), count: count)
  }

  fileprivate mutating func decodePaddedRaw(_ type: DType, _ isLittle: Bool) throws(RunError) {
    let x = try strings(0)
    guard input(1).shape.rank == 0 else { throw .invalidArgument("k must be scalar, got shape \(input(1).shape)") }
    let length = try scalar(1, "fixed_length")
    let size = type.size
    guard length > 0 else { throw .invalidArgument("fixed_length (\(length)) must be greater than zero.") }
    guard length % size == 0 else {
      throw .invalidArgument("fixed_length (\(length)) must be a multiple of the size of out_type (\(size))")
    }
    var dims = Dims(x.shape)
    try dims.append(length / size)
    let out = try output(0, type, try Shape(checking: dims))
    unsafe zero(out)
    for i in 0..<x.count {
      let text = unsafe x.ref(i)
      // A row of the output takes the first bytes of a string.
      if let from = unsafe text.base { unsafe (out.base + i * length).copyMemory(from: from, byteCount: min(text.count, length)) }
    }
    if !isLittle { unsafe out.swapBytes() }
  }

  fileprivate mutating func fingerprint() throws(RunError) {
    let (x, method) = (input(0), try strings(1))
    guard method.shape.rank == 0 else { throw .invalidArgument("`method` should be a scalar string: \(method.shape)") }
    guard method.text(at: 0) == "farmhash64" else {
      throw .invalidArgument("Unsupported fingerprint method: \(method.text(at: 0))")
    }
    guard x.shape.rank > 0 else { throw .invalidArgument("`data` should have at least one dimension: \(x.shape)") }
    guard x.dtype != .resource, x.dtype != .variant else { throw unsupported("Fingerprint", x.dtype) }
    let rows = x.shape[0]
    let row = x.shape.count(from: 1)
    let out = try output(0, .uint8, [rows, 8])
    func put(_ hash: UInt64, _ base: UnsafeMutableRawPointer, _ at: Int) {
      // Eight bytes for each hash there is room for.
      unsafe base.storeBytes(of: hash.littleEndian, toByteOffset: at * 8, as: UInt64.self)
    }
    guard x.dtype == .string else {
      for r in 0..<rows {
        // The bytes of a row.
        let bytes = unsafe RawSpan(_unsafeStart: x.at(r * row), byteCount: row * x.dtype.size)
        unsafe put(fingerprint64(bytes), out.base, r)
      }
      return
    }
    // Rows of several strings: the fingerprint of their fingerprints.
    let inner = try temporary(.uint64, [row])
    for r in 0..<rows {
      for k in 0..<row { unsafe put(fingerprint64(x.string(at: r * row + k)), inner.value.base, k) }
      if row == 1 {
        unsafe out.at(r * 8).copyMemory(from: inner.value.base, byteCount: 8)
      } else {
        unsafe put(fingerprint64(RawSpan(_unsafeStart: inner.value.base, byteCount: row * 8)), out.base, r)
      }
    }
    release(inner.scratch)
  }
}
