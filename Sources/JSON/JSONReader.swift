// The reader of JSON text. It builds nothing: whoever reads asks for what should come next and gets it, or a range of the
// text to look at, or an error.
//
//     '{' enterObject ─► name ─► a value ─► nextMember ─► name ─► … '}'        '[' enterArray ─► a value ─► nextElement … ']'
//
// Errors and their places are RapidJSON's. As there, the bare tokens NaN, Infinity, Inf and -Infinity are numbers, strings
// are bytes that nobody checks for UTF-8, and a NUL is the end of the text.
internal import CKernels

public struct JSONReader: ~Escapable {
  /// Arrays and objects within each other. Nothing here recurses with the input; the limit keeps what is read by walking it
  /// again and again from taking forever.
  public static let depthMax = 512

  public let bytes: RawSpan
  /// Where the reader stands.
  public internal(set) var at: Int

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) {
    self.bytes = bytes
    at = 0
    // A byte order mark says nothing in UTF-8.
    if bytes.byteCount >= 3, byte(0) == 0xef, byte(1) == 0xbb, byte(2) == 0xbf { at = 3 }
  }

  @inline(__always)
  func byte(_ offset: Int) -> UInt8 {
    // Callers ask for offsets inside the text only.
    unsafe bytes.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  /// The byte at the reader's place, NUL at the end.
  @inline(__always)
  public var next: UInt8 { at < bytes.byteCount ? byte(at) : 0 }

  func error(_ kind: JSONSyntaxError.Kind) -> JSONSyntaxError { JSONSyntaxError(kind, at: at) }

  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func skipSpace() {
    while at < bytes.byteCount {
      let next = byte(at)
      guard next == 0x20 || next == 0x0a || next == 0x0d || next == 0x09 else { return }
      at &+= 1
    }
  }

  @inline(__always)
  @_lifetime(self: copy self)
  mutating func consume(_ character: UInt8) -> Bool {
    guard next == character else { return false }
    at &+= 1
    return true
  }

  // MARK: Objects and arrays

  /// Steps into the object that begins here. False: it is empty, and behind the reader.
  @_lifetime(self: copy self)
  public mutating func enterObject() -> Bool {
    at &+= 1
    skipSpace()
    return !consume(UInt8(ascii: "}"))
  }

  /// The name of a member; the reader then stands before its value.
  @_lifetime(self: copy self)
  public mutating func name() throws(JSONSyntaxError) -> JSONString {
    guard next == UInt8(ascii: "\"") else { throw error(.missingName) }
    let name = try string()
    skipSpace()
    guard consume(UInt8(ascii: ":")) else { throw error(.missingColon) }
    skipSpace()
    return name
  }

  /// After a member's value: whether another member follows. If not, the object is behind the reader.
  @_lifetime(self: copy self)
  public mutating func nextMember() throws(JSONSyntaxError) -> Bool {
    skipSpace()
    if consume(UInt8(ascii: ",")) {
      skipSpace()
      return true
    }
    guard consume(UInt8(ascii: "}")) else { throw error(.missingCommaInObject) }
    return false
  }

  /// Steps into the array that begins here. False: it is empty, and behind the reader.
  @_lifetime(self: copy self)
  public mutating func enterArray() -> Bool {
    at &+= 1
    skipSpace()
    return !consume(UInt8(ascii: "]"))
  }

  /// After an element: whether another one follows. If not, the array is behind the reader.
  @_lifetime(self: copy self)
  public mutating func nextElement() throws(JSONSyntaxError) -> Bool {
    skipSpace()
    if consume(UInt8(ascii: ",")) {
      skipSpace()
      return true
    }
    guard consume(UInt8(ascii: "]")) else { throw error(.missingCommaInArray) }
    return false
  }

  // MARK: Values

  /// What begins at the reader's place, by its first byte.
  public var kind: JSONKind {
    switch next {
    case UInt8(ascii: "{"): .object
    case UInt8(ascii: "["): .array
    case UInt8(ascii: "\""): .string
    case UInt8(ascii: "t"): .true
    case UInt8(ascii: "f"): .false
    case UInt8(ascii: "n"): .null
    default: .number
    }
  }

  /// Reads `true`, `false` or `null`, whichever begins here.
  @_lifetime(self: copy self)
  public mutating func word() throws(JSONSyntaxError) {
    let word: StaticString =
      switch next {
      case UInt8(ascii: "t"): "true"
      case UInt8(ascii: "f"): "false"
      default: "null"
      }
    // The literal's bytes are there as long as the program.
    for i in 0..<word.utf8CodeUnitCount where !consume(unsafe word.utf8Start[i]) { throw error(.invalidValue) }
  }

  /// Reads a number, or one of the tokens that stand for what is no number.
  @_lifetime(self: copy self)
  public mutating func number() throws(JSONSyntaxError) -> JSONNumber {
    let start = at
    let scanned = scan()
    switch scanned.fault {
    case CK_JSON_VALID:
      at = start + scanned.count
      return JSONNumber(
        range: start..<at, isNegative: scanned.is_negative, magnitude: scanned.is_integer ? scanned.magnitude : nil)
    case CK_JSON_TOO_BIG: throw JSONSyntaxError(.numberTooBig, at: start)
    case CK_JSON_NO_FRACTION: throw JSONSyntaxError(.missingFraction, at: start + scanned.count)
    case CK_JSON_NO_EXPONENT: throw JSONSyntaxError(.missingExponent, at: start + scanned.count)
    default: break
    }
    at = start + scanned.count
    if consume(UInt8(ascii: "N")) {
      guard consume(UInt8(ascii: "a")), consume(UInt8(ascii: "N")) else { throw error(.invalidValue) }
      return JSONNumber(range: start..<at, isNegative: scanned.is_negative, special: .nan)
    }
    guard consume(UInt8(ascii: "I")), consume(UInt8(ascii: "n")), consume(UInt8(ascii: "f")) else {
      throw error(.invalidValue)
    }
    if next == UInt8(ascii: "i") {
      for character in "inity".utf8 where !consume(character) { throw error(.invalidValue) }
    }
    return JSONNumber(range: start..<at, isNegative: scanned.is_negative, special: .infinity)
  }

  @inline(__always)
  private func scan() -> ck_json_number {
    let at = at
    return unsafe bytes.withUnsafeBytes { text in
      // An empty text has no address, and no number either.
      guard at < text.count, let base = text.baseAddress else {
        return ck_json_number(fault: CK_JSON_INVALID, count: 0, is_negative: false, is_integer: false, magnitude: 0)
      }
      return unsafe ck_json_scan(base.assumingMemoryBound(to: UInt8.self) + at, text.count - at)
    }
  }

  /// The nearest double of a number.
  func double(_ number: JSONNumber) -> Double {
    switch number.special {
    case .nan: return .nan
    case .infinity: return number.isNegative ? -.infinity : .infinity
    case nil:
      return unsafe bytes.withUnsafeBytes { text in
        // The range is one that `number` found.
        unsafe ck_json_double(
          text.baseAddress!.assumingMemoryBound(to: UInt8.self) + number.range.lowerBound, number.range.count)
      }
    }
  }

  /// The nearest float: one rounding, not two.
  func float(_ number: JSONNumber) -> Float {
    switch number.special {
    case .nan: return .nan
    case .infinity: return number.isNegative ? -.infinity : .infinity
    case nil:
      return unsafe bytes.withUnsafeBytes { text in
        // As above.
        unsafe ck_json_float(
          text.baseAddress!.assumingMemoryBound(to: UInt8.self) + number.range.lowerBound, number.range.count)
      }
    }
  }

  /// Reads any value and keeps nothing of it.
  @_lifetime(self: copy self)
  public mutating func skipValue() throws(JSONSyntaxError) {
    // A bit for each level: an object or an array.
    var isObject = [8 of UInt64](repeating: 0)
    var depth = 0
    while true {
      switch kind {
      case .object, .array:
        let object = next == UInt8(ascii: "{")
        guard depth < JSONReader.depthMax else { throw error(.nestedTooDeep) }
        let word = depth >> 6, bit = UInt64(1) << UInt64(depth & 63)
        if object { isObject[word] |= bit } else { isObject[word] &= ~bit }
        if object ? enterObject() : enterArray() {
          depth += 1
          if object { _ = try name() }
          continue
        }
      case .string: _ = try string()
      case .number: _ = try number()
      case .true, .false, .null: try word()
      }
      // What ended may be the last of its array, and that of its own.
      while true {
        if depth == 0 { return }
        let level = depth - 1
        if isObject[level >> 6] & 1 << UInt64(level & 63) != 0 {
          if try nextMember() {
            _ = try name()
            break
          }
        } else if try nextElement() {
          break
        }
        depth -= 1
      }
    }
  }
}

/// What a value is, named as RapidJSON names types.
public enum JSONKind: String, Sendable {
  case object = "Object"
  case array = "Array"
  case string = "String"
  case number = "Number"
  case `true` = "True"
  case `false` = "False"
  case null = "Null"
}

/// A number where it stands.
public struct JSONNumber: Sendable {
  enum Special { case nan, infinity }

  let range: Range<Int>
  let isNegative: Bool
  /// The value of an integer without its sign; `nil` when there is a fraction or an exponent, or more digits than 64 bits hold.
  let magnitude: UInt64?
  let special: Special?

  init(range: Range<Int>, isNegative: Bool, magnitude: UInt64?) {
    self.range = range
    self.isNegative = isNegative
    self.magnitude = magnitude
    special = nil
  }

  init(range: Range<Int>, isNegative: Bool, special: Special) {
    self.range = range
    self.isNegative = isNegative
    magnitude = nil
    self.special = special
  }

  /// The number as an integer of some type, if it is one.
  func integer<T: FixedWidthInteger>(_ type: T.Type) -> T? {
    guard let magnitude else { return nil }
    if !isNegative { return T(exactly: magnitude) }
    if magnitude == 0 { return 0 }
    guard T.isSigned, magnitude <= UInt64(T.max.magnitude) + 1 else { return nil }
    return T(truncatingIfNeeded: 0 &- magnitude)
  }
}
