import Messages
import Tensors
import Testing

@testable import Formats

struct TensorSliceTests {
  private func signed(_ number: Int64) -> [UInt8] {
    var code = OrderedCode()
    code.appendSigned(number)
    return code.bytes
  }

  /// By the table of tensorflow/core/lib/strings/ordered_code.cc: length n has n leading ones.
  @Test func `signed numbers have their known codes`() {
    #expect(signed(0) == [0x80])
    #expect(signed(-1) == [0x7F])
    #expect(signed(63) == [0xBF])
    #expect(signed(-64) == [0x40])
    #expect(signed(64) == [0xC0, 0x40])
    #expect(signed(-65) == [0x3F, 0xBF])
    #expect(signed(.max) == [0xFF, 0xC0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
    #expect(signed(.min) == [0x00, 0x3F, 0x80, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func `codes sort as their numbers`() {
    var numbers: [Int64] = [.min, .max, 0, 1, -1]
    for bit in 1..<63 { numbers += [1 << Int64(bit), (1 << Int64(bit)) - 1, -(1 << Int64(bit)), -(1 << Int64(bit)) - 1] }
    numbers = Array(Set(numbers)).sorted()
    for (a, b) in zip(numbers, numbers.dropFirst()) { #expect(signed(a).lexicographicallyPrecedes(signed(b)), "\(a), \(b)") }
  }

  @Test func `unsigned numbers and strings have their known codes`() {
    var code = OrderedCode()
    code.append(UInt64(0))
    code.append(UInt64(1))
    code.append(UInt64(0x1234))
    code.append([0x61, 0x00, 0xFF])
    #expect(code.bytes == [0, 1, 1, 2, 0x12, 0x34, 0x61, 0x00, 0xFF, 0xFF, 0x00, 0x00, 0x01])
  }

  @Test func `a spec names a part of a shape, or nothing`() {
    let slice = TensorSlice(spec: "10 4 0,5:-", of: [10, 4])
    #expect(slice?.starts == [0, 0] && slice?.shape == [5, 4])
    #expect(TensorSlice(spec: "10 4 3,7:1,2", of: [10, 4])?.starts == [3, 1])
    #expect(TensorSlice(spec: "10 4 -:-", of: [10, 4]) == TensorSlice(whole: [10, 4]))
    for wrong in [
      "10 4 0,5", "10 4", "4 10 -:-", "10 4 0,11:-", "10 4 -1,5:-", "10 4 8,3:-", "10 4 0,5:-:-", "", " ", "10 4 a,b:-",
      "10 4 9223372036854775807,9223372036854775807:-", "10  4 -:-",
    ] {
      #expect(TensorSlice(spec: wrong, of: [10, 4]) == nil, "'\(wrong)'")
    }
  }
}
