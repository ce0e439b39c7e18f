import CProtoOracle
import TestThreads
import Testing
import Wire

@testable import Messages

/// What the slots of a table hold after reading an example, by way of the bulk decoding.
func readSlots(_ bytes: [UInt8], _ table: FeatureTable, _ slots: inout [FeatureSlot]) throws(WireError) -> [String] {
  var span = slots.mutableSpan
  try ExampleReader(table).read(bytes.rawSpan, into: &span)
  return slots.map { slot in
    switch slot.kind {
    case .none: return "none"
    case .bytes:
      var values: [String] = []
      slot.forEachString(of: bytes.rawSpan) { values.append(Dump.hex(bytes.rawSpan.extracting($0))) }
      if values.count != slot.count { Issue.record("\(values.count) strings of \(slot.count)") }
      return "1=" + values.joined(separator: ",")
    case .float, .int64:
      var buffer = [UInt8](repeating: 0xEE, count: slot.byteCount + 9)
      var whole = buffer.mutableSpan
      // Bytes have no padding.
      var raw = unsafe whole.mutableBytes
      slot.copyNumbers(of: bytes.rawSpan, into: &raw, at: 4)
      if buffer.prefix(4) != [0xEE, 0xEE, 0xEE, 0xEE] || buffer.suffix(5) != [0xEE, 0xEE, 0xEE, 0xEE, 0xEE] {
        Issue.record("wrote beside the values")
      }
      let size = slot.kind == .float ? 4 : 8
      let values = (0..<slot.count).map { i in
        (0..<size).reduce(UInt64(0)) { $0 | UInt64(buffer[4 + i * size + $1]) << UInt64($1 * 8) }
      }
      let isFloat = slot.kind == .float
      return (isFloat ? "2=" : "3=")
        + values.map { isFloat ? String($0, radix: 16) : String(Int64(bitPattern: $0)) }.joined(separator: ",")
    }
  }
}

/// The same by way of the views, which protobuf-c agrees with.
func readViews(_ bytes: [UInt8], _ table: FeatureTable) throws(WireError) -> [String] {
  var result = [String](repeating: "none", count: table.count)
  var extent = WireExtent.absent
  var fields = WireFields(try WireMessage(bytes.rawSpan), number: 1)
  while let range = try fields.nextRange() { try extent.append(range) }
  var features = WireMap(WireMessage(bytes.rawSpan, at: extent), number: 1)
  while let entry = try features.next() {
    let text = try Dumps.feature(entry.value)
    guard let index = table.index(of: entry.key) else { continue }
    // {kind={1=[a,b];};} to kind=a,b
    if text == "{}" {
      result[index] = "none"
    } else {
      let list = text.split(separator: "[", maxSplits: 1)
      let values = list.count > 1 ? list[1].prefix { $0 != "]" } : ""
      result[index] = "\(text.dropFirst().prefix(1))=\(values)"
    }
  }
  return result
}

@Suite(.blocking) struct ExampleReaderTests {
  static let table = FeatureTable(
    ["a", "b", "c", "ab", "ba", "cc", "aaa", "abc", "cab", ""].map { (Array($0.utf8), FeatureKind.none) })

  @Test func `random examples fill slots with what the views read, changed bytes too`() throws {
    let oracle = Oracle["Example"]
    var slots = [FeatureSlot](repeating: FeatureSlot(), count: ExampleReaderTests.table.count)
    for seed in 0..<2000 as Range<UInt64> {
      var bytes = oracle.random(seed)
      var generator = Generator(state: seed)
      if seed % 2 == 1 && !bytes.isEmpty {
        bytes[generator.below(bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
      }
      var views: [String]? = nil
      do { views = try readViews(bytes, ExampleReaderTests.table) } catch {}
      var read: [String]? = nil
      do { read = try readSlots(bytes, ExampleReaderTests.table, &slots) } catch {}
      if read != views { Issue.record("seed \(seed) \(Dump.hex(bytes.rawSpan))\n\(read ?? [])\n\(views ?? [])") }
    }
  }

  /// A feature entry as a writer writes it.
  func entry(_ name: String, _ kind: UInt32, _ list: [UInt8]) -> [UInt8] {
    field(1, field(1, name) + field(2, field(kind, list)))
  }

  func read(_ features: [UInt8]...) throws -> [String] {
    var slots = [FeatureSlot](repeating: FeatureSlot(), count: ExampleReaderTests.table.count)
    return try readSlots(features.flatMap { field(1, $0) }, ExampleReaderTests.table, &slots)
  }

  @Test func `lists of every length are read, those too long for a glance included`() throws {
    for count in [0, 1, 2, 17, 29, 30, 31, 32, 33, 100, 4000, 5000] {
      let values = (0..<count).map { Float($0) }
      let found = try read(entry("a", 2, field(1, floats(values))))
      #expect(found[0] == "2=" + values.map { String($0.bitPattern, radix: 16) }.joined(separator: ","))
      let numbers = (0..<count).map { UInt64($0) << ($0 % 64) }
      let more = try read(entry("b", 3, field(1, varints(numbers))))
      #expect(more[1] == "3=" + numbers.map { String(Int64(bitPattern: $0)) }.joined(separator: ","))
      let strings = try read(entry("c", 1, (0..<count).flatMap { field(1, [UInt8](repeating: 7, count: $0 % 300)) }))
      #expect(strings[2].split(separator: "=").last?.split(separator: ",").count ?? 0 == (count == 0 ? 1 : count))
    }
  }

  @Test func `a feature of few bytes is read wherever it stands`() throws {
    for kind in 1...4 {
      for list in [[], field(1, ""), field(1, "x"), [8, 7], field(2, "")] as [[UInt8]] {
        for padding in 0...9 {
          let bytes = field(1, entry("a", UInt32(kind), list)) + (padding > 1 ? field(7, String(repeating: "p", count: padding - 2)) : [])
          var slots = [FeatureSlot](repeating: FeatureSlot(), count: ExampleReaderTests.table.count)
          let found = try? readSlots(bytes, ExampleReaderTests.table, &slots)
          #expect(found == (try? readViews(bytes, ExampleReaderTests.table)))
        }
      }
    }
  }

  @Test func `of features with one name the last counts, across occurrences of the map too`() throws {
    let one = entry("a", 2, field(1, floats([1])))
    let two = entry("a", 3, field(1, varints([5])))
    #expect(try read(one + two)[0] == "3=5")
    #expect(try read(two, one)[0] == "2=3f800000")
    #expect(try read(one + field(1, field(1, "a")))[0] == "none")
  }

  @Test func `a feature in pieces is merged by kind`() throws {
    let pieces = field(
      1, field(1, "a") + field(2, field(2, field(1, floats([1])))) + field(2, field(2, field(1, floats([2])))))
    #expect(try read(pieces)[0] == "2=3f800000,40000000")
    let changed = field(1, field(1, "a") + field(2, field(2, field(1, floats([1])))) + field(2, field(3, field(1, 7))))
    #expect(try read(changed)[0] == "3=7")
  }

  @Test func `a feature of another kind than expected is told`() throws {
    let table = FeatureTable([(Array("a".utf8), .float), (Array("b".utf8), .bytes)])
    var slots = [FeatureSlot](repeating: FeatureSlot(), count: 2)
    _ = try readSlots(field(1, entry("a", 2, [])), table, &slots)
    #expect(table.mismatch(slots.span) == nil)
    _ = try readSlots(field(1, entry("b", 3, [])), table, &slots)
    #expect(table.mismatch(slots.span) == 1)
  }

  @Test func `the order of names is only a guess`() throws {
    var slots = ExampleReader(ExampleReaderTests.table).slots
    let names = ["a", "cc", "b", "stranger", "abc"]
    for order in [names.sorted(), names, names.reversed(), ["b", "a"], names, ["cc", "cc", "cc", "a"]] {
      let bytes = field(1, order.flatMap { entry($0, 3, field(1, varints([UInt64($0.utf8.count)]))) })
      let found = try readSlots(bytes, ExampleReaderTests.table, &slots)
      #expect(found == (try readViews(bytes, ExampleReaderTests.table)))
    }
  }
}
