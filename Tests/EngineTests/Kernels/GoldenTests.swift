import Foundation
import TestThreads
import Testing

@Suite(.blocking) struct GoldenTests {
  static let families = ["elementwise", "reductions", "shapes", "arrays", "gathers", "examples", "selections", "strings", "sparse", "sparse_tensors", "regexes", "texts", "unicode", "crosses", "counts", "ragged", "sequences", "sets", "protos", "randoms"]

  /// The differences, each op's first few.
  private func report(_ family: String, _ feeding: Golden.Feeding) throws -> [String] {
    var seen: [String: Int] = [:]
    var lines: [String] = []
    for golden in try Golden.load(family) {
      guard let text = golden.difference(feeding) else { continue }
      seen[golden.op, default: 0] += 1
      if seen[golden.op]! <= 6 { lines.append("\(golden): \(text)") }
    }
    return lines
  }

  @Test(arguments: families, Golden.Feeding.allCases)
  func `every op gives what TensorFlow gives`(family: String, feeding: Golden.Feeding) throws {
    let lines = try report(family, feeding)
    #expect(lines.isEmpty, "\(lines.count) differ:\n\(lines.joined(separator: "\n"))")
  }
}
