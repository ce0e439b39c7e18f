// Ops on strings. A string that is part of another needs no bytes of its own; new bytes are gathered in one buffer and stand in the
// run's arena.
internal import Glibc
internal import Tensors

let stringKernels: [KernelDefinition] = [
  KernelDefinition("StringJoin") { node throws(GraphError) in
    let separator = try node.bytes("separator", default: [])
    return { frame throws(RunError) in try frame.stringJoin(separator) }
  },
  KernelDefinition("ReduceJoin") { node throws(GraphError) in
    let separator = try node.bytes("separator", default: [])
    let keeps = try node.bool("keep_dims", default: false)
    return { frame throws(RunError) in try frame.reduceJoin(separator, keeps) }
  },
  KernelDefinition("StringLength") { node throws(GraphError) in
    let isUTF8 = try node.isUTF8Unit
    return { frame throws(RunError) in
      let x = try frame.strings(0)
      let out = try frame.output(0, .int32, x.shape)
      for i in 0..<x.count { out.set(i, isUTF8 ? x.string(at: i).characterCount : x.string(at: i).byteCount) }
    }
  },
  casing("StringLower", ascii: { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 }, unicode: { $0.lowercased() }),
  casing("StringUpper", ascii: { $0 >= 97 && $0 <= 122 ? $0 - 32 : $0 }, unicode: { $0.uppercased() }),
  kernel("StringStrip") { frame throws(RunError) in
    let x = try frame.strings(0)
    let out = try frame.output(0, .string, x.shape)
    for i in 0..<x.count { unsafe out.set(i, x.ref(i).stripped) }
  },
  KernelDefinition("Substr") { node throws(GraphError) in
    let isUTF8 = try node.isUTF8Unit
    return { frame throws(RunError) in try frame.substring(isUTF8) }
  },
  KernelDefinition("StringSplit") { node throws(GraphError) in
    let skips = try node.bool("skip_empty", default: true)
    return { frame throws(RunError) in try frame.splitByCharacters(skips) }
  },
  KernelDefinition("StringSplitV2") { node throws(GraphError) in
    let limit = try node.int("maxsplit", default: -1)
    return { frame throws(RunError) in try frame.splitBySeparator(limit) }
  },
  KernelDefinition("AsString") { node throws(GraphError) in
    let format = try NumberFormat(node)
    return { frame throws(RunError) in try frame.asString(format) }
  },
  KernelDefinition("StringToNumber") { node throws(GraphError) in
    let type = try node.dtype("out_type", default: .float)
    return { frame throws(RunError) in try frame.stringToNumber(type) }
  },
  hashing("StringToHashBucketFast") { _ throws(GraphError) in { bytes in fingerprint64(bytes) } },
  hashing("StringToHashBucket") { _ throws(GraphError) in { bytes in hash64(bytes) } },
  hashing("StringToHashBucketStrong") { node throws(GraphError) in
    let key = try node.ints("key")
    guard key.count == 2 else { throw node.invalid("Key must have 2 elements") }
    let (k0, k1) = (UInt64(bitPattern: Int64(key[0])), UInt64(bitPattern: Int64(key[1])))
    return { bytes in sipHash(bytes, k0, k1) }
  },
  KernelDefinition("EncodeBase64") { node throws(GraphError) in
    let pads = try node.bool("pad", default: false)
    return { frame throws(RunError) in
      let x = try frame.strings(0)
      try frame.outputStrings(0, x.shape) { i, bytes throws(RunError) in Base64.encode(x.string(at: i), pads, into: &bytes) }
    }
  },
  kernel("DecodeBase64") { frame throws(RunError) in
    let x = try frame.strings(0)
    try frame.outputStrings(0, x.shape) { i, bytes throws(RunError) in try Base64.decode(x.string(at: i), into: &bytes) }
  },
  KernelDefinition("ReadFile", .reads) { node throws(GraphError) in
    let files = node.session.files
    return { frame throws(RunError) in
      let name = try frame.strings(0)
      guard name.count == 1 else { throw .invalidArgument("Input filename tensor must be scalar, but had shape: \(name.shape)") }
      let path = name.text(at: 0)
      guard let files else { throw RunError(.notFound, "\(path); No such file or directory") }
      let contents = try files.contents(ofFile: path)
      try frame.outputStrings(0, []) { _, bytes throws(RunError) in bytes += contents }
    }
  },
  kernel("ShardedFilename") { frame throws(RunError) in
    let name = try frame.strings(0)
    let (shard, count) = (try frame.scalar(1, "shard"), try frame.scalar(2, "num_shards"))
    func five(_ n: Int) -> String { String(repeating: "0", count: max(0, 5 - String(n).utf8.count)) + String(n) }
    guard name.count == 1 else { throw .invalidArgument("basename must be a scalar") }
    let text = "\(name.text(at: 0))-\(five(shard))-of-\(five(count))"
    try frame.outputStrings(0, []) { _, bytes throws(RunError) in bytes += text.utf8 }
  },
  KernelDefinition("Print", .none) { _ throws(GraphError) in { frame throws(RunError) in frame.forward(0, to: 0) } },
  KernelDefinition("PrintV2", .none) { _ throws(GraphError) in { _ throws(RunError) in } },
]

// MARK: How string tensors are read and made

extension Frame {
  /// An input that must hold strings.
  func strings(_ input: Int) throws(RunError) -> Value {
    let value = self.input(input)
    guard value.dtype == .string else { throw .invalidArgument("expected strings, got \(value.dtype)") }
    return value
  }

  /// An output of strings made anew: `write` appends the bytes of each in turn.
  mutating func outputStrings(
    _ index: Int, _ shape: Shape, _ write: (Int, inout [UInt8]) throws(RunError) -> Void
  ) throws(RunError) {
    let out = try output(index, .string, shape)
    var bytes: [UInt8] = []
    // Lengths first: where the bytes will stand is known only when all are there.
    for i in 0..<out.count {
      let start = bytes.count
      try write(i, &bytes)
      unsafe out.set(i, StringRef(base: nil, count: bytes.count - start))
    }
    // Kept until the run ends: the scratch is never released.
    let memory = try unsafe scratch(byteCount: bytes.count)
    unsafe bytes.withUnsafeBytes { if let from = $0.baseAddress { unsafe memory.base.copyMemory(from: from, byteCount: $0.count) } }
    var at = 0
    for i in 0..<out.count {
      let count = unsafe out.ref(i).count
      unsafe out.set(i, StringRef(base: UnsafeRawPointer(memory.base + at), count: count))
      at += count
    }
  }
}

extension Value {
  /// Where a string element's bytes are.
  /// - Precondition: the value is a string tensor.
  @unsafe func ref(_ i: Int) -> StringRef {
    precondition(dtype == .string && i >= 0 && i < count)
    return unsafe pointer(StringRef.self)[i]
  }

  /// Writes a string element. The bytes must outlive the run.
  @unsafe func set(_ i: Int, _ ref: StringRef) {
    precondition(dtype == .string && i >= 0 && i < count)
    unsafe pointer(StringRef.self)[i] = ref
  }
}

extension StringRef {
  /// A part of the string.
  /// - Precondition: `range` lies within it.
  func part(_ range: Range<Int>) -> StringRef {
    unsafe precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return unsafe StringRef(base: base.map { unsafe $0 + range.lowerBound }, count: range.count)
  }

  /// Without white space at both ends.
  var stripped: StringRef {
    var (low, high) = (0, unsafe count)
    while low < high, unsafe isSpace(buffer[low]) { low += 1 }
    while low < high, unsafe isSpace(buffer[high - 1]) { high -= 1 }
    return unsafe part(low..<high)
  }
}

/// ASCII white space, as C's `isspace` knows it.
func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte >= 9 && byte <= 13 }

extension RawSpan {
  /// The number of UTF-8 characters: bytes that do not continue one.
  fileprivate var characterCount: Int {
    var count = 0
    unsafe withUnsafeBytes { for unsafe byte in unsafe $0 where byte & 0xC0 != 0x80 { count += 1 } }
    return count
  }
}

extension NodeContext {
  fileprivate var isUTF8Unit: Bool {
    get throws(GraphError) {
      let unit = try string("unit", default: "BYTE")
      guard unit == "BYTE" || unit == "UTF8_CHAR" else { throw invalid("unit must be BYTE or UTF8_CHAR, got \(unit)") }
      return unit == "UTF8_CHAR"
    }
  }
}

private func casing(
  _ op: String, ascii: @escaping @Sendable (UInt8) -> UInt8, unicode: @escaping @Sendable (String) -> String
) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let encoding = try node.string("encoding", default: "")
    guard encoding == "" || encoding == "utf-8" else { throw node.invalid("only utf-8 or '' (no encoding) is supported") }
    return { frame throws(RunError) in
      let x = try frame.strings(0)
      try frame.outputStrings(0, x.shape) { i, bytes throws(RunError) in
        if encoding == "" {
          unsafe x.string(at: i).withUnsafeBytes { for unsafe byte in unsafe $0 { bytes.append(ascii(byte)) } }
        } else {
          bytes += unicode(x.text(at: i)).utf8
        }
      }
    }
  }
}

// MARK: Joining

extension [UInt8] {
  mutating func append(_ span: RawSpan) { unsafe span.withUnsafeBytes { unsafe append(contentsOf: $0) } }
}

extension Frame {
  fileprivate mutating func stringJoin(_ separator: [UInt8]) throws(RunError) {
    var shape = Shape()
    var isFound = false
    for i in 0..<inputCount {
      let x = try strings(i)
      if x.shape.rank == 0 { continue }
      guard !isFound || x.shape == shape else { throw .invalidArgument("Input shapes do not match: \(shape) vs. \(x.shape)") }
      shape = x.shape
      isFound = true
    }
    let count = inputCount
    var parts: [Value] = []
    for i in 0..<count { parts.append(input(i)) }
    try outputStrings(0, shape) { i, bytes throws(RunError) in
      for k in 0..<count {
        if k > 0 { bytes += separator }
        bytes.append(parts[k].string(at: parts[k].shape.rank == 0 ? 0 : i))
      }
    }
  }

  fileprivate mutating func reduceJoin(_ separator: [UInt8], _ keeps: Bool) throws(RunError) {
    let x = try strings(0)
    let axes = input(1)
    let rank = x.shape.rank
    // The axes in the order given: the first varies fastest.
    var order = Dims()
    var folded: UInt = 0
    for i in 0..<axes.count {
      let wanted = try axes.integer(at: i)
      guard let axis = axis(wanted, rank: rank) else {
        throw RunError(.outOfRange, "Invalid reduction dimension \(wanted) for input with \(rank) dimension(s)")
      }
      guard folded & (1 << UInt(axis)) == 0 else { throw .invalidArgument("Duplicate reduction dimension \(axis)") }
      folded |= 1 << UInt(axis)
      try order.append(axis)
    }
    var shape = Shape()
    var kept = Dims()
    for d in 0..<rank {
      if folded & (1 << UInt(d)) == 0 {
        shape.append(x.shape[d])
        try kept.append(d)
      } else if keeps {
        shape.append(1)
      }
    }
    if order.count == 0 { return forward(0, to: 0, shape: shape) }
    let strides = x.shape.strides
    var joined = 1
    for k in 0..<order.count { joined *= x.shape[order[k]] }
    func offset(_ flat: Int, _ dims: Dims, firstFastest: Bool) -> Int {
      var (rest, at) = (flat, 0)
      for k in 0..<dims.count {
        let d = dims[firstFastest ? k : dims.count - 1 - k]
        at += rest % x.shape[d] * strides[d]
        rest /= x.shape[d]
      }
      return at
    }
    try outputStrings(0, shape) { i, bytes throws(RunError) in
      let start = offset(i, kept, firstFastest: false)
      for k in 0..<joined {
        if k > 0 { bytes += separator }
        bytes.append(x.string(at: start + offset(k, order, firstFastest: true)))
      }
    }
  }

  // MARK: Parting

  fileprivate mutating func substring(_ isUTF8: Bool) throws(RunError) {
    let x = try strings(0)
    let (position, length) = (input(1), input(2))
    guard position.shape == length.shape else {
      throw .invalidArgument("pos and len should have the same shape, got: \(position.shape) vs. \(length.shape)")
    }
    guard let broadcast = Broadcast(x.shape, position.shape) else {
      throw .invalidArgument("Incompatible shapes: \(x.shape) vs. \(position.shape)")
    }
    let out = try output(0, .string, broadcast.shape)
    var failure: RunError? = nil
    broadcast.forEachRow { row in
      for k in 0..<row.count where failure == nil {
        let ref = unsafe x.ref(row.start[0] + (row.step[0] == 0 ? 0 : k))
        let at = row.start[1] + (row.step[1] == 0 ? 0 : k)
        let (wanted, given) = (position.int(at: at) ?? 0, length.int(at: at) ?? 0)
        // In characters the bounds are those of the bytes that begin one.
        func byte(_ character: Int, from start: Int) -> Int? {
          guard isUTF8 else { return min(start + character, unsafe ref.count) }
          var (i, left) = (start, character)
          while left > 0, unsafe i < ref.count {
            i += 1
            while unsafe i < ref.count && ref.buffer[i] & 0xC0 == 0x80 { i += 1 }
            left -= 1
          }
          return left > 0 && i >= (unsafe ref.count) ? nil : i
        }
        let total = isUTF8 ? x.string(at: row.start[0] + (row.step[0] == 0 ? 0 : k)).characterCount : unsafe ref.count
        guard wanted <= total, wanted >= -total else {
          let text = unsafe String(decoding: ref.buffer, as: UTF8.self)
          failure = .invalidArgument("pos \(wanted) out of range for string b'\(text)' at index \(row.output + k)")
          return
        }
        let first = wanted < 0 ? wanted + total : wanted
        // A negative length is a huge one.
        let count = given < 0 ? total - first : min(given, total - first)
        let low = byte(first, from: 0) ?? (unsafe ref.count)
        let high = byte(count, from: low) ?? (unsafe ref.count)
        unsafe out.set(row.output + k, ref.part(low..<max(low, high)))
      }
    }
    if let failure { throw failure }
  }

  /// Outputs the pieces of every string as a sparse matrix. `pieces` gives the ranges of one string's pieces.
  @unsafe private mutating func sparsePieces(_ x: Value, _ pieces: (StringRef, (Range<Int>) -> Void) -> Void) throws(RunError) {
    var total = 0
    for i in 0..<x.count { unsafe pieces(x.ref(i)) { _ in total += 1 } }
    let indices = try output(0, .int64, [total, 2])
    let values = try output(1, .string, [total])
    let shape = try output(2, .int64, [2])
    var (at, longest) = (0, 0)
    for i in 0..<x.count {
      let ref = unsafe x.ref(i)
      var column = 0
      unsafe pieces(ref) { range in
        indices.set(2 * at, i)
        indices.set(2 * at + 1, column)
        // A piece of the string, whose bytes outlive the run.
        unsafe values.set(at, ref.part(range))
        at += 1
        column += 1
      }
      longest = max(longest, column)
    }
    shape.set(0, x.count)
    shape.set(1, longest)
  }

  fileprivate mutating func splitByCharacters(_ skips: Bool) throws(RunError) {
    let (x, delimiter) = (try strings(0), try strings(1))
    guard x.shape.rank == 1 else { throw .invalidArgument("input must be a vector, got shape: \(x.shape)") }
    guard delimiter.shape.rank == 0 else { throw .invalidArgument("delimiter must be a scalar, got shape: \(delimiter.shape)") }
    let characters = unsafe delimiter.ref(0)
    try unsafe sparsePieces(x) { ref, found in
      let bytes = unsafe ref.buffer
      if unsafe characters.count == 0 {
        for i in 0..<bytes.count { found(i..<(i + 1)) }
        return
      }
      if unsafe bytes.isEmpty { return }
      var start = 0
      for i in 0...bytes.count {
        let ends = unsafe i == bytes.count || characters.buffer.contains(bytes[i])
        guard ends else { continue }
        if !(skips && i == start) { found(start..<i) }
        start = i + 1
      }
    }
  }

  fileprivate mutating func splitBySeparator(_ limit: Int) throws(RunError) {
    let (x, separator) = (try strings(0), try strings(1))
    guard x.shape.rank == 1 else { throw .invalidArgument("input must be a vector, got shape: \(x.shape)") }
    guard separator.shape.rank == 0 else { throw .invalidArgument("sep must be a scalar, got shape: \(separator.shape)") }
    let mark = unsafe separator.ref(0)
    try unsafe sparsePieces(x) { ref, found in
      let bytes = unsafe ref.buffer
      var splits = 0
      var start = 0
      if unsafe mark.count == 0 {
        // No separator: runs of white space, none of it kept.
        var i = 0
        while true {
          while i < bytes.count, unsafe isSpace(bytes[i]) { i += 1 }
          // After the last split allowed the rest is a piece, even when it is empty.
          if limit > 0, splits == limit { return found(i..<bytes.count) }
          if i == bytes.count { return }
          start = i
          while i < bytes.count, unsafe !isSpace(bytes[i]) { i += 1 }
          found(start..<i)
          splits += 1
        }
      }
      var i = 0
      while unsafe i + mark.count <= bytes.count, limit <= 0 || splits < limit {
        // `i + mark.count` is within the string.
        if unsafe memcmp(bytes.baseAddress! + i, mark.base!, mark.count) == 0 {
          found(start..<i)
          unsafe i += mark.count
          start = i
          splits += 1
        } else {
          i += 1
        }
      }
      found(start..<bytes.count)
    }
  }
}

// MARK: Numbers and text

/// The attributes of `AsString`.
private struct NumberFormat: Sendable {
  let precision: Int
  let conversion: Character
  let width: Int
  let fill: String

  init(_ node: NodeContext) throws(GraphError) {
    precision = try node.int("precision", default: -1)
    let scientific = try node.bool("scientific", default: false)
    let shortest = try node.bool("shortest", default: false)
    guard !(scientific && shortest) else { throw node.invalid("Cannot select both scientific and shortest notation") }
    conversion = scientific ? "e" : shortest ? "g" : "f"
    width = try node.int("width", default: -1)
    fill = try node.string("fill", default: "")
    guard ["", " ", "+", "-", "0", "#"].contains(fill) else { throw node.invalid("Fill argument not supported: \(fill)") }
    guard precision <= 300, width <= 1000 else { throw node.invalid("precision \(precision) or width \(width) is too large") }
  }

  // Numbers in C's form, `%[fill][width][.precision]conversion`.
  func text(_ value: Double) -> String {
    format("\(precision > -1 ? ".\(precision)" : "")\(conversion)", value)
  }

  private func format(_ conversion: String, _ value: any CVarArg) -> String {
    // The buffer holds the 309 digits of the largest double, its sign, and what width and precision may add.
    var buffer = [CChar](repeating: 0, count: 512 + max(width, 0) + max(precision, 0))
    let format = "%\(fill)\(width > -1 ? String(width) : "")\(conversion)"
    let count = unsafe withVaList([value]) { unsafe vsnprintf(&buffer, buffer.count, format, $0) }
    return String(decoding: buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func text(_ value: Int) -> String { format("lld", value) }
  func text(_ value: UInt64) -> String { format("llu", value) }
}

extension Frame {
  fileprivate mutating func asString(_ format: NumberFormat) throws(RunError) {
    let x = input(0)
    switch x.dtype {
    case .string: return forward(0, to: 0)
    case .float, .double, .half, .bfloat16:
      let wide = try temporary(.double, x.shape)
      try convert(x, to: wide.value)
      try outputStrings(0, x.shape) { i, bytes throws(RunError) in
        bytes += format.text(wide.value.span(of: Double.self)[i]).utf8
      }
      release(wide.scratch)
    case .bool:
      try outputStrings(0, x.shape) { i, bytes throws(RunError) in
        bytes += (x.span(of: UInt8.self)[i] != 0 ? "true" : "false").utf8
      }
    case .uint64:
      try outputStrings(0, x.shape) { i, bytes throws(RunError) in
        bytes += format.text(x.span(of: UInt64.self)[i]).utf8
      }
    default:
      try outputStrings(0, x.shape) { i, bytes throws(RunError) in
        bytes += format.text(try x.integer(at: i)).utf8
      }
    }
  }

  fileprivate mutating func stringToNumber(_ type: DType) throws(RunError) {
    let x = try strings(0)
    let out = try output(0, type, x.shape)
    for i in 0..<x.count {
      guard try unsafe out.parse(x.ref(i), at: i) else {
        throw .invalidArgument("StringToNumberOp could not correctly convert string: \(x.text(at: i))")
      }
    }
  }
}

extension Value {
  /// Writes the number a text stands for, white space around it or not; `false` when it is no number of the value's type.
  @unsafe func parse(_ text: StringRef, at i: Int) throws(RunError) -> Bool {
    precondition(i >= 0 && i < count)
    let text = unsafe String(decoding: text.stripped.buffer, as: UTF8.self)
    switch dtype {
    // Swift's numbers are C's without white space; a plain "+5" and "inf" are both. `i` is within the value.
    case .float:
      guard let value = Float(text) else { return false }
      unsafe pointer(Float.self)[i] = value
    case .double:
      guard let value = Double(text) else { return false }
      unsafe pointer(Double.self)[i] = value
    case .int32:
      guard let value = Int32(text) else { return false }
      set(i, Int(value))
    case .int64:
      guard let value = Int(text) else { return false }
      set(i, value)
    case .uint32:
      guard let value = UInt32(text) else { return false }
      set(i, Int(value))
    case .uint64:
      guard let value = UInt64(text) else { return false }
      unsafe pointer(UInt64.self)[i] = value
    default: throw unsupported("a number from text", dtype)
    }
    return true
  }
}

// MARK: Hashing into buckets

private func hashing(
  _ op: String, _ make: @escaping @Sendable (NodeContext) throws(GraphError) -> @Sendable (RawSpan) -> UInt64
) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let buckets = try node.int("num_buckets")
    guard buckets > 0 else { throw node.invalid("num_buckets must be at least 1, got \(buckets)") }
    let hash = try make(node)
    return { frame throws(RunError) in
      let x = try frame.strings(0)
      var out = try frame.output(0, .int64, x.shape)
      var values = out.mutableSpan(of: Int64.self)
      for i in 0..<x.count { values[i] = Int64(hash(x.string(at: i)) % UInt64(buckets)) }
    }
  }
}

// MARK: Base64, web-safe, as TensorFlow writes it

enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  static func encode(_ span: RawSpan, _ pads: Bool, into out: inout [UInt8]) {
    unsafe span.withUnsafeBytes { bytes in
      var i = 0
      while i < bytes.count {
        let left = bytes.count - i
        // `left` says how many of the three bytes there are.
        let word = unsafe UInt32(bytes[i]) << 16 | (left > 1 ? UInt32(bytes[i + 1]) << 8 : 0) | (left > 2 ? UInt32(bytes[i + 2]) : 0)
        for k in 0..<4 {
          if k <= left { out.append(alphabet[Int(word >> UInt32(18 - 6 * k)) & 63]) } else if pads { out.append(61) }
        }
        i += 3
      }
    }
  }

  static func decode(_ span: RawSpan, into out: inout [UInt8]) throws(RunError) {
    var word: UInt32 = 0
    var bits = 0
    var padding = 0
    let valid = unsafe span.withUnsafeBytes { bytes in
      for unsafe byte in unsafe bytes {
        if byte == 61 {
          padding += 1
          continue
        }
        guard padding == 0, let digit = alphabet.firstIndex(of: byte) else { return false }
        word = word << 6 | UInt32(digit)
        bits += 6
        if bits >= 8 {
          bits -= 8
          out.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
        }
      }
      return bits < 6 && padding <= 2
    }
    guard (span.byteCount - padding) % 4 != 1 else { throw .invalidArgument("Base64 string length cannot be 1 modulo 4.") }
    guard valid else { throw .invalidArgument("Invalid character found in base64.") }
  }
}
