import Engine
import Tensors
import TestThreads
import Testing

/// Files that exist only here.
private final class Files: FileReader {
  let contents: [String: String]
  init(_ contents: [String: String]) { self.contents = contents }
  func contents(ofFile path: String) throws(RunError) -> [UInt8] {
    guard let text = contents[path] else { throw RunError(.notFound, "\(path); No such file or directory") }
    return Array(text.utf8)
  }
}

@Suite(.blocking) struct TableTests {
  private static func strings(_ values: String...) -> Tensor {
    Tensor(shape: Shape([values.count])!, strings: values.map { Array($0.utf8) })
  }
  private static func scalar(_ value: String) -> Tensor { Tensor(shape: [], strings: [Array(value.utf8)]) }
  private static func const(_ name: String, _ tensor: Tensor) -> Node {
    Node(name: name, op: "Const", attributes: ["value": .tensor(tensor)])
  }

  /// A table from strings to integers, an initialiser, and a lookup of whatever is fed.
  private func session(_ initialiser: Node, _ inputs: [Tensor], _ files: [String: String] = [:], _ op: String = "HashTableV2") -> Session {
    var nodes = [
      Node(name: "table", op: op, attributes: ["key_dtype": .type(.string), "value_dtype": .type(.int64), "shared_name": .string(Array("t".utf8))]),
      Node(name: "keys", op: "Placeholder"),
      Self.const("default", Tensor(.int64, shape: [], [Int64(-1)])),
      Node(name: "find", op: "LookupTableFindV2", inputs: [0, 1, 2].map { Endpoint(node: $0) }),
      Node(name: "size", op: "LookupTableSizeV2", inputs: [Endpoint(node: 0)]),
      Node(name: "export", op: "LookupTableExportV2", inputs: [Endpoint(node: 0)]),
    ]
    var fill = initialiser
    fill.name = "fill"
    fill.inputs = [Endpoint(node: 0)]
    for (i, tensor) in inputs.enumerated() {
      fill.inputs.append(Endpoint(node: nodes.count))
      nodes.append(Self.const("input\(i)", tensor))
    }
    nodes.append(fill)
    return Session(Graph(nodes: nodes), files: Files(files))
  }

  private func initialise(_ session: Session) throws {
    _ = try session.run(.init(feeds: [], fetches: [], targets: [session.node("fill")!]))
  }

  private func find(_ session: Session, _ keys: Tensor) throws -> [Int64] {
    let outputs = try session.run(
      .init(feeds: [session.endpoint("keys")!], fetches: [session.endpoint("find")!]), feeding: [keys])
    return outputs[0].array(of: Int64.self)
  }

  private let pairs = Node(name: "", op: "LookupTableImportV2")

  private func fromFile(_ key: Int, _ value: Int, vocabulary: Int = -1) -> Node {
    Node(
      name: "", op: "InitializeTableFromTextFileV2",
      attributes: ["key_index": .int(key), "value_index": .int(value), "vocab_size": .int(vocabulary)])
  }

  @Test func `a table gives the value of each key, and the default for the others`() throws {
    let session = session(pairs, [Self.strings("a", "bb", ""), Tensor(.int64, shape: [3], [Int64(1), 2, 3])])
    try initialise(session)
    #expect(try find(session, Self.strings("bb", "x", "", "a", "a")) == [2, -1, 3, 1, 1])
    let outputs = try session.run(
      .init(feeds: [], fetches: [session.endpoint("size")!, session.endpoint("export")!, session.endpoint("export:1")!]))
    #expect(outputs[0].array(of: Int64.self) == [3])
    #expect(outputs[1].strings.map { String(decoding: $0, as: UTF8.self) } == ["a", "bb", ""])
    #expect(outputs[2].array(of: Int64.self) == [1, 2, 3])
  }

  @Test func `a table nobody filled is an error, a mutable one is empty`() throws {
    let tensors = [Self.strings("a"), Tensor(.int64, shape: [1], [Int64(1)])]
    #expect(throws: GraphError(.failed, "Table not initialized.\n\t [[{{node find}}]]")) {
      try find(session(pairs, tensors), Self.strings("a"))
    }
    #expect(try find(session(pairs, tensors, [:], "MutableHashTableV2"), Self.strings("a")) == [-1])
  }

  @Test func `one key with two values is refused`() throws {
    let session = session(pairs, [Self.strings("a", "a"), Tensor(.int64, shape: [2], [Int64(1), 2])])
    #expect(
      throws: GraphError(
        .failed, "HashTable has different value for same key. Key a has 1 and trying to add value 2\n\t [[{{node fill}}]]")
    ) { try initialise(session) }
  }

  @Test func `a vocabulary file numbers its lines`() throws {
    let session = session(fromFile(-2, -1), [Self.scalar("/vocab.txt")], ["/vocab.txt": "red\ngreen\r\nblue\n"])
    try initialise(session)
    #expect(try find(session, Self.strings("green", "blue", "white", "red")) == [1, 2, -1, 0])
  }

  @Test func `columns of a file are keys and values`() throws {
    let session = session(fromFile(1, 0), [Self.scalar("/map.txt")], ["/map.txt": "7\tx\n8\ty"])
    try initialise(session)
    #expect(try find(session, Self.strings("x", "y", "7")) == [7, 8, -1])
  }

  @Test(arguments: [
    ("", "/none; No such file or directory", -1, "/none"), ("a\n\nb\n", "Invalid content in /f: empty line found at position 2.", -1, "/f"),
    ("a\n", "Invalid vocab_size in /f: expected 3 but got 1", 3, "/f"),
  ])
  func `a file that is not as the graph says is refused`(text: String, error: String, vocabulary: Int, path: String) throws {
    let session = session(fromFile(-2, -1, vocabulary: vocabulary), [Self.scalar(path)], ["/f": text])
    #expect(throws: GraphError(.failed, error + "\n\t [[{{node fill}}]]")) { try initialise(session) }
  }

  @Test func `a vocabulary of ten thousand words finds each`() throws {
    let words = (0..<10_000).map { "word\($0)" }
    let session = session(fromFile(-2, -1), [Self.scalar("/v")], ["/v": words.joined(separator: "\n")])
    try initialise(session)
    let keys = Tensor(shape: [10_000], strings: words.reversed().map { Array($0.utf8) })
    #expect(try find(session, keys) == (0..<10_000).reversed().map { Int64($0) })
  }

  @Test func `a table without a name is filled when the model loads, and there for every request`() throws {
    let filled = session(pairs, [Self.strings("a", "b"), Tensor(.int64, shape: [2], [Int64(1), 2])], [:], "AnonymousHashTable")
    try initialise(filled)
    for _ in 0..<2 { #expect(try find(filled, Self.strings("b", "c")) == [2, -1]) }
    let empty = session(pairs, [Self.strings("a"), Tensor(.int64, shape: [1], [Int64(1)])], [:], "AnonymousMutableHashTable")
    #expect(try find(empty, Self.strings("a")) == [-1])
  }
}
