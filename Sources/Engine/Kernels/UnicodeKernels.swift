// Text as code points and back. Encodings are those of ICU's that models use: UTF-8, -16 and -32, Latin-1 and ASCII. What is no
// character counts as one U+FFFD for each maximal part of a sequence that could have become one, as the Unicode Standard
// recommends (§3.9, table 3-7) and ICU does.
internal import Tensors

let unicodeKernels: [KernelDefinition] = [
  KernelDefinition("UnicodeTranscode") { node throws(GraphError) in
    let (input, policy) = (try TextEncoding(node, "input_encoding"), try MalformedText(node))
    let output = try TextEncoding(node, output: "output_encoding")
    return { frame throws(RunError) in
      let x = try frame.strings(0)
      try frame.outputStrings(0, x.shape) { i, bytes throws(RunError) in
        try unsafe input.decode(x.ref(i).buffer) { character, _, isMalformed throws(RunError) in
          // To this op a control character that is to go is malformed, too.
          guard let kept = try policy.keep(character, isMalformed || policy.replacesControls && character <= 0x1F) else { return }
          output.append(kept, to: &bytes)
        }
      }
    }
  },
  decoding("UnicodeDecode"), decoding("UnicodeDecodeWithOffsets"),
  KernelDefinition("UnicodeEncode") { node throws(GraphError) in
    let (output, policy) = (try TextEncoding(node, output: "output_encoding"), try MalformedText(node))
    return { frame throws(RunError) in try frame.unicodeEncode(output, policy) }
  },
]

/// What is done with what is no character: the attributes `errors`, `replacement_char`, `replace_control_characters`.
private struct MalformedText: Sendable {
  enum Policy: Sendable { case strict, replace, ignore }
  let policy: Policy
  let replacement: UInt32
  let replacesControls: Bool

  init(_ node: NodeContext) throws(GraphError) {
    switch try node.string("errors", default: "replace") {
    case "strict": policy = .strict
    case "replace": policy = .replace
    case "ignore": policy = .ignore
    default: throw node.invalid("errors policy must be one of 'strict', 'replace', or 'ignore'")
    }
    let replacement = try node.int("replacement_char", default: 0xFFFD)
    guard replacement >= 0, replacement <= 0x10FFFF else {
      throw node.invalid("replacement_char out of unicode codepoint range")
    }
    self.replacement = UInt32(replacement)
    replacesControls = try node.bool("replace_control_characters", default: false)
  }

  /// The character to go on with; `nil` for none.
  func keep(_ character: UInt32, _ isMalformed: Bool) throws(RunError) -> UInt32? {
    if isMalformed, policy == .strict { throw .invalidArgument("Invalid formatting on input string") }
    guard isMalformed || replacesControls && character <= 0x1F else { return character }
    return policy == .ignore ? nil : replacement
  }
}

private enum TextEncoding: Sendable {
  case utf8
  case utf16(isBig: Bool)
  case utf32(isBig: Bool)
  case latin1
  case ascii

  /// By one of the names ICU knows it by; letters of either case, and signs between them count for nothing.
  init(_ node: NodeContext, _ attribute: String) throws(GraphError) {
    let name = try node.string(attribute)
    switch String(name.lowercased().filter { $0.isLetter || $0.isNumber }) {
    case "utf8": self = .utf8
    case "utf16be", "utf16": self = .utf16(isBig: true)
    case "utf16le": self = .utf16(isBig: false)
    case "utf32be", "utf32": self = .utf32(isBig: true)
    case "utf32le": self = .utf32(isBig: false)
    case "iso88591", "latin1", "l1": self = .latin1
    case "usascii", "ascii": self = .ascii
    default: throw node.unsupported("Could not create converter for input encoding: \(name)")
    }
  }

  init(_ node: NodeContext, output attribute: String) throws(GraphError) {
    switch try node.string(attribute) {
    case "UTF-8": self = .utf8
    case "UTF-16-BE": self = .utf16(isBig: true)
    case "UTF-32-BE": self = .utf32(isBig: true)
    case let other: throw node.invalid("Unrecognized output encoding: \(other)")
    }
  }

  /// Calls `body` with every character, the bytes it took, and whether it stands for what is none.
  @unsafe func decode(
    _ bytes: UnsafeRawBufferPointer, _ body: (_ character: UInt32, _ length: Int, _ isMalformed: Bool) throws(RunError) -> Void
  ) throws(RunError) {
    var i = 0
    while i < bytes.count {
      let (character, length): (UInt32?, Int)
      switch self {
      case .utf8: unsafe (character, length) = TextEncoding.utf8(bytes, i)
      case .utf16(let isBig): unsafe (character, length) = TextEncoding.utf16(bytes, i, isBig)
      case .utf32(let isBig):
        if i + 4 <= bytes.count {
          let word = unsafe bytes.loadUnaligned(fromByteOffset: i, as: UInt32.self)
          let value = isBig ? UInt32(bigEndian: word) : UInt32(littleEndian: word)
          (character, length) = (value <= 0x10FFFF && value & ~0x7FF != 0xD800 ? value : nil, 4)
        } else {
          (character, length) = (nil, bytes.count - i)
        }
      case .latin1: unsafe (character, length) = (UInt32(bytes[i]), 1)
      case .ascii: unsafe (character, length) = (bytes[i] < 0x80 ? UInt32(bytes[i]) : nil, 1)
      }
      try body(character ?? 0xFFFD, length, character == nil)
      i += length
    }
  }

  /// The character at `i`, or `nil` and the length of what could have begun one.
  @unsafe private static func utf8(_ bytes: UnsafeRawBufferPointer, _ i: Int) -> (UInt32?, Int) {
    let first = unsafe bytes[i]
    // The second byte's range depends on the first; the others' does not.
    let (count, low, high): (Int, UInt8, UInt8)
    switch first {
    case 0..<0x80: return (UInt32(first), 1)
    case 0xC2...0xDF: (count, low, high) = (2, 0x80, 0xBF)
    case 0xE0: (count, low, high) = (3, 0xA0, 0xBF)
    case 0xED: (count, low, high) = (3, 0x80, 0x9F)
    case 0xE1...0xEF: (count, low, high) = (3, 0x80, 0xBF)
    case 0xF0: (count, low, high) = (4, 0x90, 0xBF)
    case 0xF1...0xF3: (count, low, high) = (4, 0x80, 0xBF)
    case 0xF4: (count, low, high) = (4, 0x80, 0x8F)
    default: return (nil, 1)
    }
    var value = UInt32(first) & (0x7F >> UInt32(count))
    for k in 1..<count {
      guard i + k < bytes.count else { return (nil, k) }
      let byte = unsafe bytes[i + k]
      guard byte >= (k == 1 ? low : 0x80), byte <= (k == 1 ? high : 0xBF) else { return (nil, k) }
      value = value << 6 | UInt32(byte & 0x3F)
    }
    return (value, count)
  }

  @unsafe private static func utf16(_ bytes: UnsafeRawBufferPointer, _ i: Int, _ isBig: Bool) -> (UInt32?, Int) {
    func unit(_ at: Int) -> UInt32? {
      guard at + 2 <= bytes.count else { return nil }
      let word = unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self)
      return UInt32(isBig ? UInt16(bigEndian: word) : UInt16(littleEndian: word))
    }
    guard let first = unit(i) else { return (nil, bytes.count - i) }
    if first & 0xF800 != 0xD800 { return (first, 2) }
    guard first < 0xDC00 else { return (nil, 2) }
    guard let second = unit(i + 2) else { return (nil, bytes.count - i) }
    guard second & 0xFC00 == 0xDC00 else { return (nil, 2) }
    return (0x10000 + (first & 0x3FF) << 10 + second & 0x3FF, 4)
  }

  /// Appends a code point. One that is no character becomes U+FFFD where the encoding cannot hold it.
  func append(_ character: UInt32, to bytes: inout [UInt8]) {
    let isSurrogate = character & ~0x7FF == 0xD800
    switch self {
    case .utf16:
      guard character >= 0x10000 else {
        bytes += [UInt8(truncatingIfNeeded: character >> 8), UInt8(truncatingIfNeeded: character)]
        return
      }
      let (high, low) = (0xD800 + (character - 0x10000) >> 10, 0xDC00 + (character - 0x10000) & 0x3FF)
      for unit in [high, low] { bytes += [UInt8(truncatingIfNeeded: unit >> 8), UInt8(truncatingIfNeeded: unit)] }
    case .utf32:
      for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: character >> shift)) }
    default:
      let character = isSurrogate ? 0xFFFD : character
      switch character {
      case 0..<0x80: bytes.append(UInt8(character))
      case 0x80..<0x800: bytes += [0xC0 | UInt8(character >> 6), 0x80 | UInt8(character & 0x3F)]
      case 0x800..<0x10000:
        bytes += [0xE0 | UInt8(character >> 12), 0x80 | UInt8(character >> 6 & 0x3F), 0x80 | UInt8(character & 0x3F)]
      default:
        bytes += [
          0xF0 | UInt8(character >> 18 & 7), 0x80 | UInt8(character >> 12 & 0x3F), 0x80 | UInt8(character >> 6 & 0x3F),
          0x80 | UInt8(character & 0x3F),
        ]
      }
    }
  }
}

private func decoding(_ op: String) -> KernelDefinition {
  KernelDefinition(op) { node throws(GraphError) in
    let (encoding, policy) = (try TextEncoding(node, "input_encoding"), try MalformedText(node))
    let type = try node.dtype("Tsplits", default: .int64)
    let hasOffsets = op.hasSuffix("Offsets")
    return { frame throws(RunError) in
      let x = try frame.strings(0)
      let splits = try frame.output(0, type, [x.count + 1])
      splits.set(0, 0)
      // Counted, then written.
      var total = 0
      for i in 0..<x.count {
        try unsafe encoding.decode(x.ref(i).buffer) { character, _, isMalformed throws(RunError) in
          if try policy.keep(character, isMalformed) != nil { total += 1 }
        }
        splits.set(i + 1, total)
      }
      var characters = try frame.output(1, .int32, [total])
      let offsets = hasOffsets ? try frame.output(2, .int64, [total]) : nil
      var values = characters.mutableSpan(of: Int32.self)
      var at = 0
      for i in 0..<x.count {
        var offset = 0
        try unsafe encoding.decode(x.ref(i).buffer) { character, length, isMalformed throws(RunError) in
          if let kept = try policy.keep(character, isMalformed) {
            values[at] = Int32(bitPattern: kept)
            offsets?.set(at, offset)
            at += 1
          }
          offset += length
        }
      }
    }
  }
}

extension Frame {
  fileprivate mutating func unicodeEncode(_ encoding: TextEncoding, _ policy: MalformedText) throws(RunError) {
    let (characters, splits) = (input(0), input(1))
    guard characters.dtype == .int32 else { throw .invalidArgument("expected int32, got \(characters.dtype)") }
    guard splits.count > 0 else { throw .invalidArgument("Input_splits should contain elements, but given input_values has 0 elements") }
    guard try splits.integer(at: 0) == 0 else {
      throw .invalidArgument("First value in input_splits must be zero.")
    }
    for i in 1..<splits.count {
      guard try splits.integer(at: i) >= splits.integer(at: i - 1) else {
        throw .invalidArgument("Values in input_splits must be equal or in ascending order.")
      }
    }
    guard try splits.integer(at: splits.count - 1) == characters.count else {
      throw .invalidArgument("Last value in input_splits must be equal to length of input_tensor.")
    }
    let values = characters.span(of: Int32.self)
    try outputStrings(0, [splits.count - 1]) { i, bytes throws(RunError) in
      for k in try splits.integer(at: i)..<(try splits.integer(at: i + 1)) {
        let isCharacter = values[k] >= 0 && values[k] <= 0x10FFFF
        if !isCharacter, policy.policy == .strict { throw .invalidArgument("Code point value out of valid Unicode range.") }
        if !isCharacter, policy.policy == .ignore { continue }
        encoding.append(isCharacter ? UInt32(bitPattern: values[k]) : policy.replacement, to: &bytes)
      }
    }
  }
}
