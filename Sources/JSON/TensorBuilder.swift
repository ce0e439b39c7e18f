// A tensor that grows while JSON is read: numbers go from their digits into the tensor's memory, once.
//
// Its shape is found on the way. The first value says how deep values lie, the first array of each depth that ends says how
// long arrays of that depth are; from then on everything must agree. The rows of a large tensor look alike, so most of it is
// read by `ck_json_numbers`, which compares what lies between numbers with what lay there before; what does not look alike
// comes back here.
internal import CKernels
internal import Glibc
public import Tensors

/// Why a tensor could not be read.
enum ReadError: Error {
  case syntax(JSONSyntaxError)
  /// Well-formed as far as it was read, and not this tensor. Whoever explains it reads it again, with more patience.
  case mismatch
  case outOfMemory
}

@safe public final class TensorBuilder {
  public let dtype: DType
  /// More memory than this is not used.
  let bytesMax: Int
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0
  /// Elements read.
  private(set) var count = 0

  /// Dimensions of a value that `read` reads; `nil` before the first.
  private var rank: Int?
  /// Extents, -1 where no array of that depth has ended yet.
  private var extents = [8 of Int](repeating: -1)
  private var texts = TextArena()

  /// Values read, for whoever reads several.
  var rowsRead = 0

  /// How the fast path fares: after little success it is left alone for a while.
  private var pause = 0
  private var pauses = 0

  public init(_ dtype: DType, bytesMax: Int) {
    self.dtype = dtype
    self.bytesMax = bytesMax
    unsafe base = nil
  }

  deinit { unsafe free(base) }

  /// The type of JSON numbers that go straight into this one's memory.
  private var kernelType: ck_json_type? {
    switch dtype {
    case .float: CK_JSON_F32
    case .double: CK_JSON_F64
    case .int8: CK_JSON_I8
    case .uint8: CK_JSON_U8
    case .int16: CK_JSON_I16
    case .uint16: CK_JSON_U16
    case .int32: CK_JSON_I32
    case .uint32: CK_JSON_U32
    case .int64: CK_JSON_I64
    case .uint64: CK_JSON_U64
    default: nil
    }
  }

  /// The types that JSON can say.
  public static func canRead(_ dtype: DType) -> Bool {
    switch dtype {
    case .float, .double, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .string, .bool, .half, .bfloat16:
      true
    default: false
    }
  }

  // MARK: What was read

  /// The shape of what has been read, as one value.
  public var shape: Shape {
    var shape = Shape()
    for d in 0..<(rank ?? 0) { shape.append(max(extents[d], 0)) }
    return shape
  }

  /// The shape with a dimension in front: how many values have been read.
  public func shape(rows: Int) -> Shape? {
    guard (rank ?? 0) < Shape.rankMax else { return nil }
    var shape = Shape()
    shape.append(rows)
    for d in 0..<(rank ?? 0) { shape.append(max(extents[d], 0)) }
    return shape
  }

  /// The elements, aligned for vector loads. Strings are references into the text that was read and into this object.
  /// - Precondition: this object outlives whoever looks.
  @unsafe public var elements: UnsafeRawPointer {
    // Where there is nothing, nobody reads; but a place it has to be.
    unsafe UnsafeRawPointer(base ?? UnsafeMutableRawPointer(bitPattern: TensorBuffer.alignment)!)
  }

  public var byteCount: Int { count * dtype.size }

  // MARK: Reading

  /// Reads a value of any depth and appends its elements.
  func read(_ reader: inout JSONReader) throws(ReadError) {
    var counts = [9 of Int](repeating: 0)
    var depth = 0
    // The places of the last gaps: between numbers, and between rows of them.
    var gap = 0..<0, rowGap = 0..<0, behind = -1, closed = 0
    while true {
      if reader.next == UInt8(ascii: "[") {
        guard depth < rank ?? Shape.rankMax else { throw .mismatch }
        counts[depth] = 0
        depth += 1
        if reader.enterArray() { continue }
        // Nothing: this is how deep values would lie, if there were any.
        if rank == nil { rank = depth }
        try close(&depth, &counts)
      } else {
        if let rank {
          guard rank == depth else { throw .mismatch }
        } else {
          rank = depth
        }
        if behind >= 0 {
          if closed == 0 { gap = behind..<reader.at } else if closed == 1 { rowGap = behind..<reader.at }
        }
        let row = depth > 0 ? max(extents[depth - 1], 0) : 0
        // In rows of one number, all gaps are those between rows.
        let between = row == 1 ? rowGap : gap
        var read = 0
        // Short texts are not worth its preparations.
        if !between.isEmpty, reader.bytes.byteCount - reader.at > 256 {
          read = try run(&reader, between, rowGap, row: row, column: counts[depth - 1])
        }
        if read > 0 {
          let column = counts[depth - 1] + read
          // Rows that the run went across; the last one is not closed yet.
          let rows = row > 0 ? (column - 1) / row : 0
          counts[depth - 1] = column - rows * row
          if rows > 0 { counts[depth - 2] += rows }
        } else {
          try append(&reader)
          if depth > 0 { counts[depth - 1] += 1 }
        }
        behind = reader.at
      }
      closed = 0
      // What ended may be the last of its array, and that of its own.
      while true {
        if depth == 0 { return }
        do throws(JSONSyntaxError) {
          if try reader.nextElement() { break }
        } catch {
          throw .syntax(error)
        }
        closed += 1
        try close(&depth, &counts)
      }
    }
  }

  /// An array has ended: it is as long as the others of its depth.
  private func close(_ depth: inout Int, _ counts: inout [9 of Int]) throws(ReadError) {
    depth -= 1
    if extents[depth] < 0 { extents[depth] = counts[depth] }
    guard extents[depth] == counts[depth] else { throw .mismatch }
    if depth > 0 { counts[depth - 1] += 1 }
  }

  /// Reads numbers as long as they follow each other like the ones before; none when it is not worth trying.
  private func run(
    _ reader: inout JSONReader, _ gap: Range<Int>, _ rowGap: Range<Int>, row: Int, column: Int
  ) throws(ReadError) -> Int {
    guard let type = kernelType else { return 0 }
    if pause > 0 {
      pause -= 1
      return 0
    }
    var total = 0, position = reader.at, column = column
    while true {
      try reserve(more: max(64, total == 0 ? (reader.bytes.byteCount - position) / 4 : count))
      let room = capacity / dtype.size - count
      let read = unsafe reader.bytes.withUnsafeBytes { text -> Int in
        // The text is not empty: a gap was found in it.
        var run = unsafe ck_json_run(
          text: text.baseAddress!.assumingMemoryBound(to: UInt8.self), count: text.count, at: position, gap: gap.lowerBound,
          gap_count: gap.count, row_gap: rowGap.lowerBound, row_gap_count: rowGap.count, row: row, column: column)
        // `reserve` made room for `room` elements behind `count`.
        let read = unsafe ck_json_numbers(&run, type, base! + count * dtype.size, room)
        position = unsafe run.at
        column = unsafe run.column
        return read
      }
      count += read
      total += read
      // A full tensor goes on in a larger one, if the gap behind its last number can be stepped over here.
      guard read == room, row == 0 || column > 0, position + gap.count < reader.bytes.byteCount else { break }
      var next = position
      for offset in gap where reader.byte(offset) == reader.byte(next) { next += 1 }
      guard next == position + gap.count else { break }
      position = next
    }
    if total > 0 { reader.at = position }
    if total < 8 {
      pauses = min(pauses + 1, 6)
      pause = 1 << pauses
    } else {
      pauses = 0
    }
    return total
  }

  /// Room for `more` elements behind the last.
  private func reserve(more: Int) throws(ReadError) {
    let needed = (count + more) * dtype.size
    guard needed > capacity else { return }
    guard count * dtype.size < bytesMax else { throw .outOfMemory }
    let size = min(max(needed, capacity * 2, 256), max(bytesMax, 256))
    guard size >= count * dtype.size + min(more, 1) * dtype.size else { throw .outOfMemory }
    var fresh: UnsafeMutableRawPointer?
    guard unsafe posix_memalign(&fresh, TensorBuffer.alignment, size) == 0, let memory = unsafe fresh else {
      throw .outOfMemory
    }
    // Both hold `count` elements at least.
    if let old = unsafe base { unsafe memcpy(memory, old, count * dtype.size) }
    unsafe free(base)
    unsafe base = memory
    capacity = size
  }

  private func store<T: BitwiseCopyable>(_ value: T) throws(ReadError) {
    if (count + 1) * MemoryLayout<T>.size > capacity { try reserve(more: 1) }
    // There is room for one more.
    unsafe base!.storeBytes(of: value, toByteOffset: count * MemoryLayout<T>.size, as: T.self)
    count += 1
  }

  /// Reads one value that is no array.
  private func append(_ reader: inout JSONReader) throws(ReadError) {
    do {
      switch reader.kind {
      case .number:
        let number = try reader.number()
        switch dtype {
        case .float: try store(try number.float(in: reader))
        case .double: try store(try number.double(in: reader))
        case .half: try store(try number.half(in: reader))
        case .bfloat16: try store(try number.bfloat16(in: reader))
        case .int8: try store(try number.whole(Int8.self))
        case .uint8: try store(try number.whole(UInt8.self))
        case .int16: try store(try number.whole(Int16.self))
        case .uint16: try store(try number.whole(UInt16.self))
        case .int32: try store(try number.whole(Int32.self))
        case .uint32: try store(try number.whole(UInt32.self))
        case .int64: try store(try number.whole(Int64.self))
        case .uint64: try store(try number.whole(UInt64.self))
        default: throw ReadError.mismatch
        }
      case .true, .false:
        guard dtype == .bool else { throw ReadError.mismatch }
        let value = reader.next == UInt8(ascii: "t")
        try reader.word()
        try store(value)
      case .string:
        guard dtype == .string else { throw ReadError.mismatch }
        try appendText(try reader.string(), reader)
      case .object:
        guard dtype == .string, let string = try reader.base64Object() else { throw ReadError.mismatch }
        try appendBase64(string, reader)
      case .null, .array: throw ReadError.mismatch
      }
    } catch let error as ReadError {
      throw error
    } catch let error as JSONSyntaxError {
      throw .syntax(error)
    } catch {
      throw .mismatch
    }
  }

  private func appendText(_ string: JSONString, _ reader: borrowing JSONReader) throws(ReadError) {
    if string.isPlain {
      // The text stays where it is until the tensor has been used: the promise of `elements`.
      let ref = unsafe reader.raw(string).withUnsafeBytes { unsafe StringRef(base: $0.baseAddress, count: $0.count) }
      return try unsafe store(ref)
    }
    guard let room = unsafe texts.room(string.range.count) else { throw .outOfMemory }
    let count = unsafe reader.decode(string, into: room)
    try unsafe store(StringRef(base: room, count: count))
  }

  private func appendBase64(_ string: JSONString, _ reader: borrowing JSONReader) throws(ReadError) {
    guard let room = unsafe texts.room(string.range.count) else { throw .outOfMemory }
    // An escaped character is a rare guest in base64, and none that it knows but "\/".
    var decoded: Int?
    if string.isPlain {
      decoded = unsafe Base64.decode(reader.raw(string), into: room)
    } else {
      let text = reader.decoded(string)
      decoded = unsafe text.withUnsafeBytes { unsafe Base64.decode($0.bytes, into: room) }
    }
    guard let count = decoded else { throw .mismatch }
    try unsafe store(StringRef(base: room, count: count))
  }
}

extension JSONNumber {
  /// An integer that a float may not have all of, or a number beyond the largest, is refused, as TensorFlow Serving does.
  fileprivate func float(in reader: borrowing JSONReader) throws(ReadError) -> Float {
    if let magnitude, magnitude > 1 << 24 - 1 { throw .mismatch }
    let value = reader.float(self)
    guard value.isFinite || special != nil else { throw .mismatch }
    return value
  }

  fileprivate func double(in reader: borrowing JSONReader) throws(ReadError) -> Double {
    if let magnitude, magnitude > 1 << 53 - 1 { throw .mismatch }
    return reader.double(self)
  }

  fileprivate func half(in reader: borrowing JSONReader) throws(ReadError) -> UInt16 {
    let value = reader.double(self)
    let bits = HalfBits.half(value)
    if magnitude != nil, Double(HalfBits.value(ofHalf: bits)) != value { throw .mismatch }
    guard special != nil || bits & 0x7c00 != 0x7c00 else { throw .mismatch }
    return bits
  }

  fileprivate func bfloat16(in reader: borrowing JSONReader) throws(ReadError) -> UInt16 {
    let value = reader.double(self)
    let bits = HalfBits.bfloat16(value)
    if magnitude != nil, Double(HalfBits.value(ofBFloat16: bits)) != value { throw .mismatch }
    guard special != nil || bits & 0x7f80 != 0x7f80 else { throw .mismatch }
    return bits
  }

  fileprivate func whole<T: FixedWidthInteger>(_ type: T.Type) throws(ReadError) -> T {
    guard let value = integer(type) else { throw .mismatch }
    return value
  }
}

extension JSONReader {
  /// The text of `{"b64": "…"}`, read to its end; `nil`, and nothing read, for any other object.
  @_lifetime(self: copy self)
  mutating func base64Object() throws(JSONSyntaxError) -> JSONString? {
    let start = at
    if enterObject() {
      let name = try name()
      if means(name, base64Name), kind == .string {
        let string = try string()
        if try !nextMember() { return string }
      }
    }
    at = start
    return nil
  }
}

private let base64Name = Array("b64".utf8)

/// Memory for strings that do not stand in the text as they are. What it gives stays where it is until it goes.
@safe struct TextArena: ~Copyable {
  private var blocks: [UnsafeMutableRawPointer]
  private var free = 0
  private var used = 0

  init() { unsafe blocks = [] }

  deinit { for unsafe block in unsafe blocks { unsafe Glibc.free(block) } }

  /// `count` bytes for the caller to write.
  @unsafe mutating func room(_ count: Int) -> UnsafeMutableRawPointer? {
    if count > free {
      let size = max(count, 4096)
      guard let block = unsafe malloc(size) else { return nil }
      unsafe blocks.append(block)
      free = size
      used = 0
    }
    guard let block = unsafe blocks.last else { return unsafe UnsafeMutableRawPointer(bitPattern: 16) }
    defer {
      used += count
      free -= count
    }
    return unsafe block + used
  }
}
