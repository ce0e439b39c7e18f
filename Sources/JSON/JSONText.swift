// Writing JSON as TensorFlow Serving writes it: members on lines of their own, four spaces deeper each time; arrays of numbers
// on one line. Numbers are printed with as few digits as tell them from their neighbours, and with a point or an exponent
// if they are floats: a reader that tells types by their looks gets the same type for all of a list.
internal import CKernels
internal import Glibc
public import Tensors

public struct JSONText {
  public internal(set) var bytes: [UInt8] = []
  /// NaN and the infinities become strings, as in protobuf's JSON: the tokens that stand for them else are no JSON.
  let isStrict: Bool

  public init(isStrict: Bool = false, capacity: Int = 256) {
    self.isStrict = isStrict
    bytes.reserveCapacity(capacity)
  }

  public mutating func put(_ text: StaticString) {
    // The literal's bytes are there as long as the program.
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  public mutating func newLine(_ indent: Int) {
    bytes.append(UInt8(ascii: "\n"))
    for _ in 0..<indent { bytes.append(UInt8(ascii: " ")) }
  }

  public mutating func quote(_ text: String) { bytes.append(quoting: Array(text.utf8)) }

  /// Appends JSON from elsewhere.
  public mutating func append(raw text: String) { bytes.append(contentsOf: text.utf8) }

  /// `{ "error": … }`.
  public static func error(_ message: String) -> [UInt8] {
    var text = JSONText()
    text.put("{\n    \"error\": ")
    text.quote(message)
    text.put("\n}")
    return text.bytes
  }

  mutating func put(_ value: Float) { unsafe withUnsafeBytes(of: value) { unsafe put(floats: $0, row: 1) } }

  /// Floats written at once, on the stack.
  private static let floatsAtOnce = 256

  /// Puts floats with a comma between each two, and brackets as well between rows of so many; none before the first and none
  /// behind the last.
  private mutating func put(floats: UnsafeRawBufferPointer, row: Int) {
    let count = floats.count / 4
    let atOnce = min(count, JSONText.floatsAtOnce), isStrict = isStrict
    let capacity = atOnce * Int(CK_JSON_FLOAT_BYTES) + Int(CK_JSON_FLOAT_SLACK)
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { room in
      // Without floats there is nowhere to read from.
      guard let source = floats.baseAddress, let target = room.baseAddress else { return }
      var first = 0
      while first < count {
        let next = min(count, first + atOnce)
        var written = unsafe ck_json_print_floats(source + first * 4, next - first, first % row, row, isStrict, target)
        if next == count { written -= count % row == 0 ? 4 : 2 }
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: target, count: written))
        first = next
      }
    }
  }

  mutating func put(_ value: Double) {
    if value.isFinite { bytes.append(number: value) } else { putSpecial(isNaN: value.isNaN, isNegative: value < 0) }
  }

  private mutating func putSpecial(isNaN: Bool, isNegative: Bool) {
    if isStrict { bytes.append(UInt8(ascii: "\"")) }
    put(isNaN ? "NaN" : isNegative ? "-Infinity" : "Infinity")
    if isStrict { bytes.append(UInt8(ascii: "\"")) }
  }

  mutating func put(_ value: some FixedWidthInteger) { bytes.append(integer: Int64(truncatingIfNeeded: value)) }

  /// A string: as text, or as `{"b64": …}` when it is meant as bytes or is no text.
  mutating func put(_ text: RawSpan, asBytes: Bool, indent: Int) {
    let isText = unsafe !asBytes && text.withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) != nil }
    if isText {
      unsafe text.withUnsafeBytes { unsafe bytes.append(quoting: $0) }
      return
    }
    bytes.append(UInt8(ascii: "{"))
    newLine(indent + 4)
    put("\"b64\": \"")
    unsafe text.withUnsafeBytes { unsafe bytes.append(base64: $0) }
    put("\"")
    newLine(indent)
    bytes.append(UInt8(ascii: "}"))
  }

  // MARK: Tensors

  /// The element of a tensor that `canWrite` admits.
  private mutating func put(_ view: borrowing TensorView, elements: Range<Int>, asBytes: Bool, indent: Int) {
    precondition(elements.lowerBound >= 0 && elements.upperBound <= view.shape.count)
    // Each loop reads elements that are there, of the size of their type.
    switch view.dtype {
    case .float:
      unsafe view.bytes.withUnsafeBytes {
        unsafe put(floats: UnsafeRawBufferPointer(rebasing: $0[elements.lowerBound * 4..<elements.upperBound * 4]), row: elements.count)
      }
    case .double: each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 8, as: Double.self)) }
    case .half:
      each(elements) {
        unsafe $0.put(HalfBits.value(ofHalf: view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 2, as: UInt16.self)))
      }
    case .bfloat16:
      each(elements) {
        unsafe $0.put(HalfBits.value(ofBFloat16: view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 2, as: UInt16.self)))
      }
    case .int8, .qint8, .int4, .int2:
      each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1, as: Int8.self)) }
    case .uint8, .quint8, .uint4, .uint2:
      each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1, as: UInt8.self)) }
    case .int16, .qint16:
      each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 2, as: Int16.self)) }
    case .uint16, .quint16:
      each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 2, as: UInt16.self)) }
    case .int32, .qint32:
      each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 4, as: Int32.self)) }
    case .uint32:
      each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 4, as: UInt32.self)) }
    case .int64:
      each(elements) { unsafe $0.put(view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 8, as: Int64.self)) }
    case .uint64:
      each(elements) {
        unsafe $0.bytes.append(unsigned: view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1 * 8, as: UInt64.self))
      }
    case .bool:
      each(elements) {
        let value = unsafe view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: $1, as: UInt8.self)
        $0.put(value != 0 ? "true" : "false")
      }
    case .string:
      each(elements) { text, i in view.withString(at: i) { text.put($0, asBytes: asBytes, indent: indent) } }
    default: preconditionFailure("no JSON for \(view.dtype)")
    }
  }

  @inline(__always)
  private mutating func each(_ elements: Range<Int>, _ body: (inout JSONText, Int) -> Void) {
    var isFirst = true
    for element in elements {
      if isFirst {
        isFirst = false
      } else {
        bytes.append(UInt8(ascii: ","))
        bytes.append(UInt8(ascii: " "))
      }
      body(&self, element)
    }
  }

  public static func canWrite(_ dtype: DType) -> Bool {
    switch dtype {
    case .float, .double, .half, .bfloat16, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .bool, .string,
      .qint8, .quint8, .qint16, .quint16, .qint32, .int4, .uint4, .int2, .uint2:
      true
    default: false
    }
  }

  /// The part of a tensor below one index of its first `dimension` dimensions, on one line.
  /// - Parameter first: the number of that part's first element.
  public mutating func put(
    _ view: borrowing TensorView, from dimension: Int, first: Int, asBytes: Bool, indent: Int
  ) {
    guard dimension < view.shape.rank else {
      return put(view, elements: first..<first + 1, asBytes: asBytes, indent: indent)
    }
    bytes.append(UInt8(ascii: "["))
    let extent = view.shape[dimension]
    if dimension == view.shape.rank - 2, view.dtype == .float, case let row = view.shape[dimension + 1], extent * row > 0 {
      // Short rows are many.
      precondition(first >= 0 && first + extent * row <= view.shape.count)
      put("[")
      unsafe view.bytes.withUnsafeBytes {
        unsafe put(floats: UnsafeRawBufferPointer(rebasing: $0[first * 4..<(first + extent * row) * 4]), row: row)
      }
      put("]")
    } else if dimension == view.shape.rank - 1 {
      put(view, elements: first..<first + extent, asBytes: asBytes, indent: indent)
    } else {
      let size = view.shape.count(from: dimension + 1)
      for i in 0..<extent {
        if i > 0 { put(", ") }
        put(view, from: dimension + 1, first: first + i * size, asBytes: asBytes, indent: indent)
      }
    }
    bytes.append(UInt8(ascii: "]"))
  }
}

extension Array where Element == UInt8 {
  /// A quoted string. Bytes that are no UTF-8 stay what they are.
  mutating func append(quoting text: some Sequence<UInt8>) {
    append(UInt8(ascii: "\""))
    for byte in text {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        append(UInt8(ascii: "\\"))
        append(byte)
      case 0x20...: append(byte)
      case 0x08: append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "b")])
      case 0x0c: append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "f")])
      case 0x0a: append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "n")])
      case 0x0d: append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "r")])
      case 0x09: append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "t")])
      default:
        append(contentsOf: "\\u00".utf8)
        append(hexDigits[Int(byte >> 4)])
        append(hexDigits[Int(byte & 15)])
      }
    }
    append(UInt8(ascii: "\""))
  }

  /// A finite number: Swift prints the shortest text that reads back as the same.
  mutating func append(number value: Double) {
    var text = value.description
    text.withUTF8 { unsafe append(contentsOf: $0) }
  }

  mutating func append(integer value: Int64) {
    if value < 0 { append(UInt8(ascii: "-")) }
    append(unsigned: value.magnitude)
  }

  mutating func append(unsigned value: UInt64) {
    var digits = [20 of UInt8](repeating: 0), at = 20, rest = value
    repeat {
      let (next, digit) = rest.quotientAndRemainder(dividingBy: 10)
      at -= 1
      digits[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
      rest = next
    } while rest > 0
    while at < 20 {
      append(digits[at])
      at += 1
    }
  }

  mutating func append(base64 bytes: UnsafeRawBufferPointer) {
    let alphabet = Base64.alphabet
    var at = 0
    while at < bytes.count {
      let count = Swift.min(3, bytes.count - at)
      var group = 0
      for i in 0..<3 { group = group << 8 | (i < count ? Int(unsafe bytes[at + i]) : 0) }
      for i in 0..<4 { append(i <= count ? alphabet[group >> (18 - 6 * i) & 63] : UInt8(ascii: "=")) }
      at += 3
    }
  }
}

private let hexDigits = Array("0123456789ABCDEF".utf8)
