import Testing
import Wire

@testable import Messages

@Suite struct GraphIndexTests {
  func node(_ name: String, _ op: String, _ inputs: [String] = [], _ attributes: [(String, [UInt8])] = []) -> [UInt8] {
    field(1, name) + field(2, op) + inputs.flatMap { field(3, $0) }
      + attributes.flatMap { field(5, field(1, $0.0) + field(2, $0.1)) }
  }

  func text(_ range: Range<UInt32>, _ bytes: [UInt8]) -> String { String(showing: bytes.rawSpan.extracting(range)) }

  func find(_ name: String, _ scope: Range<Int>, _ index: GraphIndex, _ bytes: [UInt8]) -> Int? {
    let key = Array(name.utf8)
    return index.node(named: key.rawSpan, in: scope, of: bytes.rawSpan)
  }

  @Test func `nodes, inputs, attributes and functions are found by name`() throws {
    let function = field(1, field(1, "f")) + field(3, node("x", "Inner")) + field(3, node("y", "Inner"))
    let bytes =
      field(1, node("x", "Placeholder", [], [("dtype", field(6, 1)), ("n", field(3, 4)), ("n", field(3, 5))]))
      + field(2, field(1, function)) + field(1, node("z", "Neg", ["x", "^x"])) + field(4, field(1, 1882))
    let index = try GraphIndex(WireMessage(bytes.rawSpan))
    #expect(index.nodes.count == 4 && index.scope == 0..<2 && index.duplicate == nil)
    #expect(index.versions.producer == 1882)
    #expect(find("x", index.scope, index, bytes) == 0)
    #expect(find("z", index.scope, index, bytes) == 1)
    #expect(find("y", index.scope, index, bytes) == nil)
    #expect(index.inputs(of: 1).map { text($0, bytes) } == ["x", "^x"])
    #expect(text(index.nodes[1].op, bytes) == "Neg")

    let key = Array("f".utf8)
    let found = index.function(named: key.rawSpan, of: bytes.rawSpan)
    let number = try #require(found)
    let scope = index.functions[number].scope
    #expect(scope == 2..<4)
    #expect(find("x", scope, index, bytes) == 2)
    #expect(find("z", scope, index, bytes) == nil)
    let nameless = index.function(named: RawSpan(), of: bytes.rawSpan)
    #expect(nameless == nil)

    let n = Array("n".utf8)
    let value = try index.attribute(n.rawSpan, of: 0, in: bytes.rawSpan)?.int
    #expect(value == 5)
    let missing = try index.attribute(n.rawSpan, of: 1, in: bytes.rawSpan)?.int
    #expect(missing == nil)
    #expect(index.attributeNames(of: 0).map { text($0, bytes) } == ["dtype", "n", "n"])
  }

  @Test func `a name given twice is told, and finds the first`() throws {
    let bytes = field(1, node("x", "A")) + field(1, node("x", "B"))
    let index = try GraphIndex(WireMessage(bytes.rawSpan))
    #expect(index.duplicate == 1)
    #expect(find("x", index.scope, index, bytes) == 0)
  }

  @Test func `many functions of one name are filed in no time`() throws {
    let function = field(1, field(1, field(1, "f")))
    let bytes = field(2, [[UInt8]](repeating: function, count: 50_000).flatMap { $0 })
    let index = try GraphIndex(WireMessage(bytes.rawSpan))
    let key = Array("f".utf8)
    let found = index.function(named: key.rawSpan, of: bytes.rawSpan)
    #expect(index.functions.count == 50_000 && found == 0)
  }

  @Test func `an empty graph has no nodes`() throws {
    let bytes: [UInt8] = []
    let index = try GraphIndex(WireMessage(bytes.rawSpan))
    #expect(index.nodes.isEmpty && find("x", index.scope, index, bytes) == nil)
  }
}
