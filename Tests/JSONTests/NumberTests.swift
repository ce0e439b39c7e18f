import CKernels
import Foundation
import JSON
import Tensors
import TestThreads
import Testing
import Wire

private func isNumeric(_ byte: UInt8) -> Bool { "0123456789.eE+-".utf8.contains(byte) }

@Suite(.blocking) struct NumberTests {
  @Test func `numbers are rounded correctly, alone and in runs, to doubles and to floats`() throws {
    let cases = try lines(of: "numbers.jsonl").map { ($0[0]!, UInt64($0[1]!, radix: 16)!, UInt32($0[2]!, radix: 16)!) }
    #expect(cases.count > 3000)
    for (text, double, float) in cases {
      let bytes = Array(text.utf8)
      #expect(unsafe ck_json_double(bytes, bytes.count).bitPattern == double, "\(text)")
      #expect(unsafe ck_json_float(bytes, bytes.count).bitPattern == float, "\(text)")
    }
    // In runs they take the short ways, and each neighbour another one.
    for gap in [", ", ",", ",\n          "] {
      for stride in [1, 3, 7, 64] {
        var random = Random(state: UInt64(stride))
        let usable = cases.filter { Double(bitPattern: $0.1).isFinite && Float(bitPattern: $0.2).isFinite && !isLossy($0.0) }
          .shuffled(using: &random)
        let text = String(repeating: " ", count: 200) + usable.map(\.0).joined(separator: gap) + String(repeating: "]", count: 300)
        var bytes = Array(text.utf8)
        try checkRun(&bytes, gap, usable.map(\.1), CK_JSON_F64, UInt64.self)
        try checkRun(&bytes, gap, usable.map(\.2), CK_JSON_F32, UInt32.self)
      }
    }
  }

  /// Integers that a float does not hold end a run.
  private func isLossy(_ text: String) -> Bool {
    guard let value = Double(text), !text.contains("."), !text.lowercased().contains("e") else { return false }
    return abs(value) > 16_777_215 && text.count <= 21
  }

  /// Reads all of a run, however often it stops, by both ways.
  private func checkRun<T: FixedWidthInteger>(
    _ bytes: inout [UInt8], _ gap: String, _ expected: [T], _ type: ck_json_type, _ element: T.Type
  ) throws {
    for unsafe read in unsafe [ck_json_numbers, ck_json_numbers_portable] {
      var found: [T] = []
      var at = 200
      var stops = 0
      while found.count < expected.count, bytes.count - at > 330 {
        var out = [T](repeating: 0, count: expected.count)
        let firstGap = bytes[200...].firstIndex { !isNumeric($0) }!
        let (count, next) = unsafe bytes.withUnsafeBufferPointer { text -> (Int, Int) in
          // The array is not empty, and the tensor has room for all that are expected.
          var run = unsafe ck_json_run(
            text: text.baseAddress!, count: text.count, at: at, gap: firstGap, gap_count: gap.utf8.count, row_gap: 0,
            row_gap_count: 0, row: 0, column: 0)
          let count = unsafe read(&run, type, &out, expected.count)
          return (count, unsafe run.at)
        }
        try #require(count > 0, "stopped at \(at)")
        stops += 1
        found += out[..<count]
        at = next + gap.utf8.count
      }
      #expect(found.elementsEqual(expected[..<found.count]))
      #expect(found.count > expected.count - 150 && stops < 5)
    }
  }

  @Test func `both ways read rows of any length alike, whatever their numbers look like`() throws {
    var random = Random(state: 5)
    for round in 0..<400 {
      let row = Int.random(in: 1...40, using: &random), rows = Int.random(in: 1...60, using: &random)
      let style = Int.random(in: 0..<8, using: &random)
      // Powers of ten near each other, and all over.
      let reach = [2, 15, 45].randomElement(using: &random)!
      let (gap, rowGap) = [(",", "],["), (", ", "], ["), (",\n            ", "\n        ],\n        [\n            ")].randomElement(using: &random)!
      func number() -> String {
        let odd = Int.random(in: 0..<200, using: &random)
        if odd == 0 { return ["-0", "0", "1e5", "-1.5E-7", "123456789012345678901234", "0.000000000000000000000000000000000000001", "1.0"].randomElement(using: &random)! }
        switch style {
        case 0: return "\(Int.random(in: 0...255, using: &random))"
        case 1: return "\(Double(Int.random(in: -99999...99999, using: &random)) / 1000)"
        case 2: return "\(Float.random(in: -1...1, using: &random))"
        case 3: return "\(Double.random(in: 0...1, using: &random))"
        case 4: return String(format: "%.6e", Double.random(in: -1...1, using: &random))
        case 5, 6:
          let digits = Int.random(in: 0...(style == 5 ? 7 : 14), using: &random)
          let value = Double.random(in: -1...1, using: &random) * pow(10, Double(Int.random(in: -reach...min(reach, 37), using: &random)))
          return String(format: Bool.random(using: &random) ? "%.\(digits)e" : "%.\(digits)E", value)
        default: return "\(Double.random(in: -1e9...1e9, using: &random))"
        }
      }
      let prefix = "{\"some_other_member_to_make_the_beginning_longer\": \"" + String(repeating: "x", count: 80) + "\", \"inputs\": "
      let text = prefix + "[[" + (0..<rows).map { _ in (0..<row).map { _ in number() }.joined(separator: gap) }.joined(separator: rowGap) + "]]}"
      let bytes = Array((text + String(repeating: " ", count: 120)).utf8)
      let first = prefix.utf8.count + 2
      let numberEnd = bytes[first...].firstIndex { !isNumeric($0) }!
      let rowEnd = bytes.firstIndex(of: UInt8(ascii: "]"))!
      for (type, size) in [(CK_JSON_F32, 4), (CK_JSON_F64, 8), (CK_JSON_I32, 4)] {
        var results: [[UInt8]] = [], ends: [Int] = []
        for unsafe read in unsafe [ck_json_numbers, ck_json_numbers_portable] {
          var out = [UInt8](repeating: 0xee, count: (row * rows + 8) * size)
          let count = unsafe bytes.withUnsafeBufferPointer { text -> Int in
            var run = unsafe ck_json_run(
              text: text.baseAddress!, count: text.count, at: first, gap: row > 1 ? numberEnd : rowEnd - (rowGap.hasPrefix("\n") ? 9 : 0),
              gap_count: row > 1 ? gap.utf8.count : rowGap.utf8.count, row_gap: 0, row_gap_count: 0, row: row, column: 0)
            if rows > 1 {
              unsafe run.row_gap = rowEnd - (rowGap.hasPrefix("\n") ? 9 : 0)
              unsafe run.row_gap_count = rowGap.utf8.count
            }
            return unsafe read(&run, type, &out, row * rows)
          }
          results.append(Array(out[..<(count * size)]))
          ends.append(count)
        }
        // The vectors stop a little earlier near the end of the text; up to there they agree.
        let common = results.map(\.count).min()!
        #expect(results[0][..<common] == results[1][..<common], "round \(round), \(type)")
      }
    }
  }
}
