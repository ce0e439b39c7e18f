import Foundation
import TestThreads
import Testing

@Suite(.blocking) struct LayerGoldenTests {
  static let families = ["products", "einsum", "convolutions", "layers"]

  @Test(arguments: families, Golden.Feeding.allCases)
  func `every layer gives what TensorFlow gives`(family: String, feeding: Golden.Feeding) throws {
    var lines: [String] = []
    for golden in try Golden.load(family) {
      if let text = golden.difference(feeding) { lines.append("\(golden): \(text)") }
    }
    #expect(lines.isEmpty, "\(lines.count) differ:\n\(lines.prefix(60).joined(separator: "\n"))")
  }
}
