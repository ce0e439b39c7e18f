import Testing
import Wire

@testable import Messages

@Suite struct FeatureListReaderTests {
  static let reader = FeatureListReader(FeatureTable(["a", "b"].map { (Array($0.utf8), .none) }))

  /// What the steps of each list hold.
  func read(_ bytes: [UInt8]) throws(WireError) -> [[String]?] {
    var result: [[String]?] = []
    for steps in try Self.reader.read(bytes.rawSpan) {
      result.append(
        steps?.map { slot in
          var values: [String] = []
          switch slot.kind {
          case .none: break
          case .bytes: slot.forEachString(of: bytes.rawSpan) { values.append(String(showing: bytes.rawSpan.extracting($0))) }
          case .float, .int64:
            var buffer = [UInt8](repeating: 0, count: slot.byteCount)
            var whole = buffer.mutableSpan
            // Bytes have no padding.
            var raw = unsafe whole.mutableBytes
            slot.copyNumbers(of: bytes.rawSpan, into: &raw)
            let size = slot.kind == .float ? 4 : 8
            for i in 0..<slot.count { values.append(String(buffer[i * size])) }
          }
          if values.count != slot.count { Issue.record("\(values.count) values of \(slot.count)") }
          return values.joined(separator: ",")
        })
    }
    return result
  }

  /// A sequence example of lists, each an entry's name and its features.
  func sequence(_ lists: (name: String, features: [[UInt8]])...) -> [UInt8] {
    field(1, field(1, "context")) + field(2, lists.flatMap { list in field(1, field(1, list.name) + field(2, list.features.flatMap { field(1, $0) })) })
  }

  @Test func `a list has a slot for each step, in every form protobuf allows`() throws {
    let packed = field(3, field(1, varints([7, 8])))
    let single = field(3, field(1, 9))
    let pieces = field(3, field(1, varints([1]))) + field(3, field(1, 2) + field(1, 3))
    let strings = field(1, field(1, "x") + field(1, "") + field(9, "?") + field(1, "yz"))
    let both = try read(sequence(("a", [packed, [], single, pieces]), ("stranger", [packed]), ("b", [strings, field(1, "")])))
    #expect(both == [["7,8", "", "9", "1,2,3"], ["x,,yz", ""]])
  }

  @Test func `of lists with one name the last counts, and one that is missing is told from an empty one`() throws {
    let one = field(3, field(1, varints([1])))
    #expect(try read(sequence(("a", [one, one]), ("a", [one]))) == [["1"], nil])
    #expect(try read(sequence(("a", [one])) + sequence(("b", []))) == [["1"], []])
    #expect(try read([]) == [nil, nil])
  }

  @Test func `a sequence cut anywhere is refused or shorter, and never more than it was`() {
    let bytes = sequence(("a", [field(3, field(1, varints([300, 70000]))), field(2, field(1, [0, 0, 128, 63]))]), ("b", [field(1, field(1, "text"))]))
    for count in 0..<bytes.count {
      let lists = (try? read(Array(bytes.prefix(count)))) ?? nil
      #expect(lists == nil || lists == [nil, nil])
    }
  }
}
