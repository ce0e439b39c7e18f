// A GraphDef made walkable in one pass: where each node's name, op, inputs and attributes stand in the file's bytes, and
// which node has which name. Nothing is copied out of the file; the index is a few flat arrays that point into it.
//
//     nodes       [ n0 n1 n2 … | f0.n0 f0.n1 … | f1.n0 … ]     the graph's own first, then each function's body
//                     │   └──────────────┐
//     inputs      [ a:0 b:0 ^c | … ]     │                     a node owns a stretch of each
//     attributes  [ T dtype shape | … ] ◄┘
//
// A scope is a stretch of `nodes`: the graph's, or one function's. Names are unique within one.

public import Wire

/// Where everything in a graph stands. Keep the bytes beside it: each question takes them again.
public struct GraphIndex: Sendable {
  public struct Node: Sendable {
    public var name: Range<UInt32> = 0..<0
    public var op: Range<UInt32> = 0..<0
    public var device: Range<UInt32> = 0..<0
    var inputs: Range<UInt32> = 0..<0
    var attributes: Range<UInt32> = 0..<0
  }

  /// An entry of a node's `attr` map, and its key within.
  struct Attribute: Sendable {
    var key: Range<UInt32>
    var entry: Range<UInt32>
  }

  public struct Function: Sendable {
    /// `signature.name`.
    public var name: Range<UInt32>
    /// The FunctionDef's bytes.
    public var definition: Range<UInt32>
    /// The scope of its body.
    public var scope: Range<Int>
  }

  /// All nodes: those of the graph, then those of its functions.
  public private(set) var nodes: [Node] = []
  /// The scope of the graph's own nodes.
  public private(set) var scope = 0..<0
  public private(set) var functions: [Function] = []
  public private(set) var versions = VersionDef()
  /// A node with a name that an earlier one of its scope has; such a graph is invalid. The earlier one is found by it.
  public private(set) var duplicate: Int?
  var inputs: [Range<UInt32>] = []
  var attributes: [Attribute] = []
  /// Node numbers plus one, by the hash of name and scope; zero where empty. A power of two, at most half full.
  var table: [UInt32] = []
  let seed = ByteHash.seed
  /// The same for functions, by name.
  var functionTable: [UInt32] = []

  /// Reads a GraphDef.
  public init(_ graph: WireMessage) throws(WireError) {
    let bytes = graph.bytes
    var library = WireExtent.absent
    var versions = WireExtent.absent
    // Nodes of real graphs take some 200 bytes.
    nodes.reserveCapacity(graph.extent.byteCount / 192)
    inputs.reserveCapacity(graph.extent.byteCount / 128)
    attributes.reserveCapacity(graph.extent.byteCount / 64)
    var reader = WireReader(graph)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try readNode(bytes, at: try reader.lengthDelimited())
      case .length(2): try library.append(try reader.lengthDelimited())
      case .length(4): try versions.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.versions = try VersionDef(WireMessage(bytes, at: versions))
    scope = 0..<nodes.count
    var fields = WireFields(WireMessage(bytes, at: library), number: 1)
    while let range = try fields.nextRange() { try readFunction(bytes, at: range) }
    fileNames(bytes)
  }

  @inline(__always)
  mutating func readNode(_ bytes: RawSpan, at range: Range<UInt32>) throws(WireError) {
    var node = Node()
    let firstInput = UInt32(inputs.count)
    let firstAttribute = UInt32(attributes.count)
    var reader = WireReader(bytes, at: range)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): node.name = try reader.lengthDelimited()
      case .length(2): node.op = try reader.lengthDelimited()
      case .length(3): inputs.append(try reader.lengthDelimited())
      case .length(4): node.device = try reader.lengthDelimited()
      case .length(5):
        let entry = try reader.lengthDelimited()
        var key: Range<UInt32> = 0..<0
        var fields = WireReader(bytes, at: entry)
        while let tag = try fields.nextTag() {
          switch tag {
          case .length(1): key = try fields.lengthDelimited()
          default: try fields.skip(tag)
          }
        }
        attributes.append(Attribute(key: key, entry: entry))
      default: try reader.skip(tag)
      }
    }
    node.inputs = firstInput..<UInt32(inputs.count)
    node.attributes = firstAttribute..<UInt32(attributes.count)
    nodes.append(node)
  }

  mutating func readFunction(_ bytes: RawSpan, at range: Range<UInt32>) throws(WireError) {
    var signature = WireExtent.absent
    let first = nodes.count
    var reader = WireReader(bytes, at: range)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try signature.append(try reader.lengthDelimited())
      case .length(3): try readNode(bytes, at: try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    var name: Range<UInt32> = 0..<0
    var fields = WireReader(WireMessage(bytes, at: signature))
    while let tag = try fields.nextTag() {
      switch tag {
      case .length(1): name = try fields.lengthDelimited()
      default: try fields.skip(tag)
      }
    }
    functions.append(Function(name: name, definition: range, scope: first..<nodes.count))
  }

  // MARK: Names

  @inline(__always)
  func slot(_ name: RawSpan, _ scopeStart: Int) -> UInt64 {
    ByteHash.hash(name, seed: seed &+ UInt64(truncatingIfNeeded: scopeStart))
  }

  static func capacity(_ count: Int) -> Int {
    var capacity = 4
    while capacity < count * 2 { capacity *= 2 }
    return capacity
  }

  mutating func fileNames(_ bytes: RawSpan) {
    table = [UInt32](repeating: 0, count: GraphIndex.capacity(nodes.count))
    file(scope, bytes)
    for function in functions { file(function.scope, bytes) }
    functionTable = [UInt32](repeating: 0, count: GraphIndex.capacity(functions.count))
    let mask = functionTable.count - 1
    for (number, function) in functions.enumerated() {
      let name = bytes.extracting(function.name)
      var at = Int(truncatingIfNeeded: slot(name, 0)) & mask
      while functionTable[at] != 0 {
        let other = functions[Int(functionTable[at]) - 1]
        if bytes.extracting(other.name).hasSameBytes(as: name) { break }
        at = (at + 1) & mask
      }
      // Of functions with one name the first is found.
      if functionTable[at] == 0 { functionTable[at] = UInt32(number) + 1 }
    }
  }

  mutating func file(_ scope: Range<Int>, _ bytes: RawSpan) {
    let mask = table.count - 1
    for number in scope {
      let name = bytes.extracting(nodes[number].name)
      var at = Int(truncatingIfNeeded: slot(name, scope.lowerBound)) & mask
      while true {
        let other = Int(table[at]) - 1
        if other < 0 {
          table[at] = UInt32(number) + 1
          break
        }
        if other >= scope.lowerBound, bytes.extracting(nodes[other].name).hasSameBytes(as: name) {
          if duplicate == nil { duplicate = number }
          break
        }
        at = (at + 1) & mask
      }
    }
  }

  /// The node of a scope that has a name.
  public func node(named name: RawSpan, in scope: Range<Int>, of bytes: RawSpan) -> Int? {
    let mask = table.count - 1
    var at = Int(truncatingIfNeeded: slot(name, scope.lowerBound)) & mask
    while true {
      let number = Int(table[at]) - 1
      if number < 0 { return nil }
      if scope.contains(number), bytes.extracting(nodes[number].name).hasSameBytes(as: name) { return number }
      at = (at + 1) & mask
    }
  }

  /// The function that has a name: its index in `functions`.
  public func function(named name: RawSpan, of bytes: RawSpan) -> Int? {
    let mask = functionTable.count - 1
    var at = Int(truncatingIfNeeded: slot(name, 0)) & mask
    while true {
      let number = Int(functionTable[at]) - 1
      if number < 0 { return nil }
      if bytes.extracting(functions[number].name).hasSameBytes(as: name) { return number }
      at = (at + 1) & mask
    }
  }

  // MARK: Of a node

  /// A node's inputs as the graph spells them: `node`, `node:port`, or `^node` for control.
  public func inputs(of node: Int) -> ArraySlice<Range<UInt32>> {
    let range = nodes[node].inputs
    return inputs[Int(range.lowerBound)..<Int(range.upperBound)]
  }

  /// A node's attribute; of entries with one name the last counts.
  @_lifetime(copy bytes)
  public func attribute(_ name: RawSpan, of node: Int, in bytes: RawSpan) throws(WireError) -> AttrValue? {
    let range = nodes[node].attributes
    var number = Int(range.upperBound)
    while number > Int(range.lowerBound) {
      number -= 1
      let attribute = attributes[number]
      if bytes.extracting(attribute.key).hasSameBytes(as: name) {
        return try AttrValue(WireMapEntry(WireMessage(bytes, at: attribute.entry)).value)
      }
    }
    return nil
  }

  /// A node's attributes, in the order of the file: names and how to get their values.
  public func attributeNames(of node: Int) -> [Range<UInt32>] {
    let range = nodes[node].attributes
    return attributes[Int(range.lowerBound)..<Int(range.upperBound)].map(\.key)
  }
}
