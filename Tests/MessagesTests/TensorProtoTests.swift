import Tensors
import Testing
import Wire

@testable import Messages

/// The elements in memory, or why there are none.
enum Outcome: Equatable {
  case elements([UInt8])
  case strings([[UInt8]])
  case wire(WireError.Kind)
  case tensor(TensorProtoError)
}

func decode(_ bytes: [UInt8], bytesMax: Int = 1 << 20) -> Outcome {
  let proto: TensorProto
  do { proto = try TensorProto(WireMessage(bytes.rawSpan)) } catch { return .wire(error.kind) }
  do {
    let elements = try proto.elements(bytesMax: bytesMax)
    if elements.dtype == .string {
      var strings: [[UInt8]] = []
      var source = elements.strings
      while let next = source.next() { strings.append(Array(next)) }
      return .strings(strings)
    }
    var buffer = TensorBuffer(byteCount: elements.byteCount)
    var span = buffer.mutableBytes
    elements.copyElements(into: &span)
    let result = Array(buffer.bytes)
    if let contiguous = elements.contiguousBytes, Array(contiguous) != result {
      Issue.record("the elements in place are not those copied")
    }
    return .elements(result)
  } catch {
    return .tensor(error)
  }
}

func tensor(_ dtype: DType, _ extents: [Int64], _ values: [UInt8]...) -> [UInt8] {
  field(1, UInt64(dtype.rawValue)) + field(2, shape(extents)) + values.joined()
}

@Suite struct TensorProtoTests {
  @Test func `tensor_content is taken as it is, and wins over typed values`() {
    let content = floats([1, 2, 3, 4])
    #expect(decode(tensor(.float, [2, 2], field(4, content), field(5, floats([9])))) == .elements(content))
    #expect(decode(tensor(.float, [2, 2], field(4, []), field(5, floats([9])))) == .elements(floats([9, 9, 9, 9])))
  }

  @Test func `tensor_content must be exactly as long as the elements`() {
    for count in [1, 15, 17] {
      let content = [UInt8](repeating: 1, count: count)
      #expect(
        decode(tensor(.float, [2, 2], field(4, content))) == .tensor(.contentSize(expected: 16, actual: count)))
    }
  }

  @Test func `typed values are filled with the last, or with zeros, and cut`() {
    #expect(decode(tensor(.float, [3], field(5, floats([1, 2])))) == .elements(floats([1, 2, 2])))
    #expect(decode(tensor(.float, [3])) == .elements(floats([0, 0, 0])))
    #expect(decode(tensor(.float, [3], field(5, floats([1, 2, 3, 4])))) == .elements(floats([1, 2, 3])))
    #expect(decode(tensor(.float, [], field(5, floats([7])))) == .elements(floats([7])))
    #expect(
      decode(tensor(.int64, [5], field(10, varints([1, 300]))))
        == .elements(littleEndian([1, 300, 300, 300, 300] as [Int64])))
    #expect(decode(tensor(.int64, [2])) == .elements(littleEndian([0, 0] as [Int64])))
    #expect(decode(tensor(.string, [3], field(8, "a"), field(8, "bc"))) == .strings([[97], [98, 99], [98, 99]]))
    #expect(decode(tensor(.string, [2])) == .strings([[], []]))
    #expect(decode(tensor(.string, [1], field(8, "a"), field(8, "b"))) == .strings([[97]]))
  }

  @Test func `values come packed, one by one, and mixed, in their order`() {
    let one = [0x2D] + floats([1])
    #expect(
      decode(tensor(.float, [4], one, field(5, floats([2, 3])), [0x2D] + floats([4])))
        == .elements(floats([1, 2, 3, 4])))
    #expect(
      decode(tensor(.int32, [4], field(7, 1), field(7, varints([2, 3])), field(7, 4)))
        == .elements(littleEndian([1, 2, 3, 4] as [Int32])))
  }

  @Test func `only the field of the type counts, wherever it stands`() {
    let bytes = field(7, varints([5])) + field(5, floats([1, 2])) + field(2, shape([2])) + field(1, 1)
    #expect(decode(bytes) == .elements(floats([1, 2])))
    #expect(decode(tensor(.double, [1], field(5, floats([1])))) == .elements([UInt8](repeating: 0, count: 8)))
  }

  @Test func `each type is decoded to its memory`() {
    let minus = UInt64(bitPattern: -2)
    #expect(
      decode(tensor(.int32, [2], field(7, varints([minus, 1 << 40 | 3]))))
        == .elements(littleEndian([-2, 3] as [Int32])))
    #expect(
      decode(tensor(.int16, [2], field(7, varints([minus, 70000])))) == .elements(littleEndian([-2, 4464] as [Int16])))
    #expect(decode(tensor(.int8, [2], field(7, varints([minus, 300])))) == .elements([0xFE, 44]))
    #expect(decode(tensor(.uint8, [2], field(7, varints([255, 256])))) == .elements([255, 0]))
    #expect(decode(tensor(.uint16, [1], field(7, varints([65535])))) == .elements([255, 255]))
    #expect(decode(tensor(.uint32, [1], field(16, varints([1 << 31])))) == .elements([0, 0, 0, 0x80]))
    #expect(decode(tensor(.uint64, [1], field(17, varints([.max])))) == .elements([UInt8](repeating: 255, count: 8)))
    #expect(decode(tensor(.bool, [4], field(11, varints([1, 0, 300])))) == .elements([1, 0, 1, 1]))
    #expect(decode(tensor(.half, [2], field(13, varints([0x3C00])))) == .elements([0, 0x3C, 0, 0x3C]))
    #expect(decode(tensor(.bfloat16, [1], field(13, varints([0x3F80])))) == .elements([0x80, 0x3F]))
    #expect(decode(tensor(.complex64, [2], field(9, floats([1, 2])))) == .elements(floats([1, 2, 1, 2])))
    #expect(decode(tensor(.complex64, [2], field(9, floats([1, 2, 3])))) == .elements(floats([1, 2, 1, 2])))
    #expect(decode(tensor(.complex64, [1], field(9, floats([1])))) == .elements(floats([0, 0])))
    #expect(decode(tensor(.float8e5m2, [3], field(18, [1, 2]))) == .elements([1, 2, 2]))
    #expect(decode(tensor(.double, [1], field(6, littleEndian([UInt64(7)])))) == .elements(littleEndian([UInt64(7)])))
    #expect(decode(tensor(.int4, [2], field(7, varints([3, minus])))) == .elements([3, 0xFE]))
  }

  @Test func `of float8_val, a single bytes field, the last counts`() {
    #expect(decode(tensor(.float8e5m2, [2], field(18, [1, 2]), field(18, [3]))) == .elements([3, 3]))
    #expect(decode(tensor(.float8e5m2, [2], field(18, [1, 2]), field(18, []))) == .elements([0, 0]))
  }

  @Test func `strings in tensor_content are all lengths, then all bytes`() {
    #expect(decode(tensor(.string, [3], field(4, [1, 0, 2] + Array("abc".utf8)))) == .strings([[97], [], [98, 99]]))
    for wrong in [
      [1, 0, 2, 97, 98], [1, 0, 2, 97, 98, 99, 100], [1, 0], [0x80], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0],
    ]
      as [[UInt8]]
    {
      #expect(decode(tensor(.string, [3], field(4, wrong))) == .tensor(.contentStrings))
    }
  }

  @Test func `a shape that is none is named`() {
    #expect(decode(tensor(.float, [2, -1])) == .tensor(.negativeExtent(dimension: 1, extent: -1)))
    #expect(decode(field(1, 1) + field(2, field(3, 1))) == .tensor(.unknownRank))
    #expect(decode(tensor(.float, [Int64](repeating: 1, count: 9))) == .tensor(.rankTooHigh(9)))
    #expect(decode(tensor(.float, [1 << 40, 1 << 40])) == .tensor(.tooManyElements))
    #expect(decode(tensor(.float, [1 << 40])) == .tensor(.tooLarge(elements: 1 << 40, bytesMax: 1 << 20)))
    #expect(decode(tensor(.double, [.max])) == .tensor(.tooLarge(elements: .max, bytesMax: 1 << 20)))
    #expect(decode(tensor(.string, [1 << 40])) == .tensor(.tooLarge(elements: 1 << 40, bytesMax: 1 << 20)))
  }

  @Test func `a tensor without elements has none, whatever else it says`() {
    #expect(decode(tensor(.float, [2, 0], field(4, [1, 2, 3]))) == .elements([]))
    #expect(decode(tensor(.string, [0], field(8, "a"))) == .strings([]))
  }

  @Test func `a type that is none or cannot be sent is named`() {
    #expect(decode(field(2, shape([1]))) == .tensor(.invalidType(0)))
    #expect(decode(field(1, 99)) == .tensor(.invalidType(99)))
    #expect(decode(tensor(.resource, [])) == .tensor(.unsupportedType(.resource)))
    #expect(decode(tensor(.variant, [])) == .tensor(.unsupportedType(.variant)))
  }

  @Test func `packed fields that are no whole number of values are refused`() {
    #expect(decode(tensor(.float, [1], field(5, [1, 2, 3]))) == .wire(.packedLength))
    #expect(decode(tensor(.double, [1], field(6, [1, 2, 3, 4]))) == .wire(.packedLength))
    #expect(decode(tensor(.int32, [1], field(7, [0x80]))) == .wire(.truncated))
    #expect(decode(tensor(.int32, [1], field(7, [UInt8](repeating: 0x80, count: 11) + [0]))) == .wire(.varintTooLong))
  }

  @Test func `a typed field of another wire type is unknown`() {
    #expect(decode(tensor(.float, [1], field(5, 7), field(5, floats([2])))) == .elements(floats([2])))
  }

  @Test func `a tensor in pieces is merged`() throws {
    // As the value of a map entry that came twice.
    let first = field(1, 1) + field(2, shape([4])) + field(5, floats([1, 2]))
    let second = field(5, floats([3]))
    let entry = field(1, "x") + field(2, first) + field(2, second)
    let request = field(2, entry)
    var inputs = try PredictRequest(request.rawSpan).inputs
    guard let input = try inputs.next() else {
      Issue.record("no input")
      return
    }
    #expect(decode(input.value.copy()) == .elements(floats([1, 2, 3, 3])))
    let elements = try TensorProto(input.value).elements(bytesMax: 64)
    let isInPlace = elements.contiguousRange != nil
    #expect(!isInPlace)
    var buffer = TensorBuffer(byteCount: elements.byteCount)
    var span = buffer.mutableBytes
    elements.copyElements(into: &span)
    #expect(Array(buffer.bytes) == floats([1, 2, 3, 3]))
  }

  @Test func `what stands as memory wants it is used in place`() throws {
    let bytes = tensor(.float, [2], field(5, floats([1, 2, 3])))
    let elements = try TensorProto(WireMessage(bytes.rawSpan)).elements(bytesMax: 8)
    let range = elements.contiguousRange ?? 0..<0
    #expect(Array(bytes[range]) == floats([1, 2]))
    let short = tensor(.float, [2], field(5, floats([1])))
    let shortRange = try TensorProto(WireMessage(short.rawSpan)).elements(bytesMax: 8).contiguousRange
    #expect(shortRange == nil)
    let ints = tensor(.int32, [1], field(7, varints([1])))
    let intsRange = try TensorProto(WireMessage(ints.rawSpan)).elements(bytesMax: 8).contiguousRange
    #expect(intsRange == nil)
  }

  @Test func `string references point into the message`() throws {
    let bytes = tensor(.string, [3], field(8, "ab"), field(8, "c"))
    let elements = try TensorProto(WireMessage(bytes.rawSpan)).elements(bytesMax: 64)
    var buffer = TensorBuffer(byteCount: elements.byteCount)
    var span = buffer.mutableBytes
    // The references die before the message.
    unsafe elements.copyStringRefs(into: &span)
    let view = TensorView(dtype: .string, shape: [3], bytes: buffer.bytes)
    #expect((0..<3).map { i in view.withString(at: i) { Array($0) } } == [[97, 98], [99], [99]])
  }

  // MARK: Writing

  static let samples: [Tensor] = [
    Tensor(.float, shape: [2, 2], [1, -2, 3.5, .nan] as [Float]),
    Tensor(.double, shape: [1], [1e300]),
    Tensor(.int32, shape: [3], [-1, 0, .max] as [Int32]),
    Tensor(.int64, shape: [3], [.min, 0, 300] as [Int64]),
    Tensor(.uint64, shape: [1], [UInt64.max]),
    Tensor(.uint32, shape: [1], [UInt32.max]),
    Tensor(.int16, shape: [2], [-300, 300] as [Int16]),
    Tensor(.int8, shape: [2], [-3, 3] as [Int8]),
    Tensor(.uint8, shape: [2], [200, 3] as [UInt8]),
    Tensor(.uint16, shape: [1], [65000] as [UInt16]),
    Tensor(.bool, shape: [3], [1, 0, 1] as [UInt8]),
    Tensor(.half, shape: [1], [0x3C00] as [UInt16]),
    Tensor(.bfloat16, shape: [], [0x3F80] as [UInt16]),
    Tensor(.complex64, shape: [1], [UInt64(7)]),
    Tensor(.float, shape: [0, 3], [] as [Float]),
  ]

  @Test(arguments: [TensorEncoding.typedFields, .content])
  func `what is written is as long as its size says and reads back`(encoding: TensorEncoding) throws {
    for sample in TensorProtoTests.samples {
      let size = TensorProtoSize(sample.view, as: encoding)
      let bytes = [UInt8](wireSize: size.byteSize) { size.append(sample.view, to: &$0) }
      #expect(bytes.count == size.byteSize)
      #expect(decode(bytes) == .elements(Array(sample.view.bytes)), "\(sample.dtype)")
      let proto = try TensorProto(WireMessage(bytes.rawSpan))
      let (dtype, shape) = (proto.dtype, try proto.shape.shape())
      #expect(dtype == sample.dtype && shape == sample.shape)
    }
    let strings: [[UInt8]] = [[], [1, 2], [UInt8](repeating: 7, count: 300)]
    let sample = Tensor(shape: [3], strings: strings)
    let size = TensorProtoSize(sample.view, as: encoding)
    let bytes = [UInt8](wireSize: size.byteSize) { size.append(sample.view, to: &$0) }
    #expect(bytes.count == size.byteSize)
    #expect(decode(bytes) == .strings(strings))
  }
}
