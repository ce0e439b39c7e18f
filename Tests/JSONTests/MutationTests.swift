import Foundation
import FuzzEntries
@testable import JSON
import Tensors
import TestThreads
import Testing
import Wire

/// A reader of numeric tensors by recursion, number after number: what `TensorBuilder` does in another way.
private struct Walker {
  var shape: [Int]?
  var values: [Double] = []

  mutating func read(_ reader: inout JSONReader, depth: Int, shape found: inout [Int]) throws -> Bool {
    guard reader.kind == .array else {
      found = []
      guard reader.kind == .number else { return false }
      let start = reader.at
      _ = try reader.number()
      let text = String(decoding: (start..<reader.at).map { reader.bytes.unsafeByte($0) }, as: UTF8.self)
      guard let value = Double(text), value.isFinite else { return false }
      if !text.contains("."), !text.lowercased().contains("e"), abs(value) > 9_007_199_254_740_991, text.count < 20 { return false }
      values.append(value)
      return true
    }
    var count = 0
    var inner: [Int]?
    if reader.enterArray() {
      repeat {
        var shape: [Int] = []
        guard try read(&reader, depth: depth + 1, shape: &shape) else { return false }
        if let inner, inner != shape { return false }
        inner = shape
        count += 1
      } while try reader.nextElement()
    }
    found = [count] + (inner ?? [])
    return true
  }
}

extension RawSpan {
  fileprivate func unsafeByte(_ at: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: at, as: UInt8.self) }
}

@Suite(.blocking) struct MutationTests {
  private static let inputs = [
    [JSONInput("x", .float)], [JSONInput("x", .double)], [JSONInput("x", .uint8)], [JSONInput("x", .string)],
    [JSONInput("x", .bool)], [JSONInput("a", .int64), JSONInput("b", .string)],
  ]

  private static func document(_ random: inout Random) -> [UInt8] {
    let row = Int.random(in: 1...9, using: &random), rows = Int.random(in: 1...40, using: &random)
    let separators = [(",", "],["), (", ", "], ["), (",\n      ", "\n    ],\n    [\n      ")].randomElement(using: &random)!
    let style = Int.random(in: 0..<4, using: &random)
    func number() -> String {
      switch style {
      case 0: "\(Int.random(in: 0...255, using: &random))"
      case 1: "\(Double(Int.random(in: -9999...9999, using: &random)) / 100)"
      case 2: "\(Double.random(in: -1...1, using: &random))"
      default: "\(Int.random(in: -9...9, using: &random)).5e\(Int.random(in: -9...9, using: &random))"
      }
    }
    let text = (0..<rows).map { _ in (0..<row).map { _ in number() }.joined(separator: separators.0) }.joined(separator: separators.1)
    let prefix = "{\"comment\": \"" + String(repeating: "-", count: Int.random(in: 0...200, using: &random)) + "\", "
    return Array((prefix + "\"inputs\": [[" + text + "]], \"end\": \"" + String(repeating: " ", count: 200) + "\"}").utf8)
  }

  private static func mutate(_ text: inout [UInt8], _ random: inout Random) {
    let alphabet = Array("{}[]\",:.-+eE0123456789 \\ub64nINfa\n\u{0}".utf8)
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let at = Int.random(in: 0..<max(text.count, 1), using: &random)
      guard at < text.count else { return }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: text.remove(at: at)
      case 1: text.insert(alphabet.randomElement(using: &random)!, at: at)
      case 2: text[at] = alphabet.randomElement(using: &random)!
      default: if Int.random(in: 0..<10, using: &random) == 0 { text.removeSubrange(at...) } else { text[at] = UInt8.random(in: 0...255, using: &random) }
      }
    }
  }

  @Test func `damaged bodies are refused or read, and never harm`() {
    var random = Random(state: 17)
    for _ in 0..<1500 {
      var text = MutationTests.document(&random)
      MutationTests.mutate(&text, &random)
      for inputs in MutationTests.inputs { _ = try? parse(text, inputs) }
      _ = try? ExamplesBody(text.rawSpan)
    }
  }

  @Test(arguments: [FuzzEntry.predictBody, .examplesBody])
  func `damaged bodies of the fuzzers' corpus are refused or read, and answers are requests again`(entry: FuzzEntry) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Fuzz/Corpus/\(entry.rawValue)")
    var random = Random(state: 4711)
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil).sorted(by: { $0.path < $1.path }) {
      let seed = [UInt8](try Data(contentsOf: file))
      for _ in 0..<40 {
        var text = seed
        MutationTests.mutate(&text, &random)
        entry(text.rawSpan)
      }
    }
  }

  @Test func `runs of numbers are read as one by one, and refused where those are`() {
    var random = Random(state: 99)
    for round in 0..<1500 {
      var text = MutationTests.document(&random)
      if round % 3 > 0 { MutationTests.mutate(&text, &random) }
      var expected: ([Int], [Double])?
      guard let place = try? MutationTests.inputsValue(text) else { continue }
      var walker = Walker()
      var reader = JSONReader(text.rawSpan)
      reader.at = place
      var shape: [Int] = []
      if (try? walker.read(&reader, depth: 0, shape: &shape)) == true, shape.count <= 8 { expected = (shape, walker.values) }
      let parsed = try? parse(text, [JSONInput("x", .double)])
      #expect(parsed?.shapes.first == expected?.0, "round \(round): \(String(decoding: text, as: UTF8.self))")
      #expect(parsed?.numbers.first == expected?.1, "round \(round)")
    }
  }

  /// Where the value of `inputs` begins, if it is the only one and the rest is whole.
  private static func inputsValue(_ text: [UInt8]) throws -> Int? {
    var reader = JSONReader(text.rawSpan)
    reader.skipSpace()
    guard reader.kind == .object, reader.enterObject() else { return nil }
    var place: Int?
    repeat {
      let name = try reader.name()
      if reader.text(name) == "instances" { return nil }
      if reader.text(name) == "inputs", place == nil { place = reader.at }
      try reader.skipValue()
    } while try reader.nextMember()
    return place
  }
}
