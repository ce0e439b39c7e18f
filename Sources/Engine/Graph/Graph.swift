// A model as the importers leave it: one immutable value, nodes in any order, edges by index.
// Nothing here runs. Rewrites (`Optimize/`) read one graph and return another; `Plan/` turns the last one into integers.
public import Tensors

/// One output of a node.
public struct Endpoint: Sendable, Hashable {
  public var node: Int
  public var output: Int

  public init(node: Int, output: Int = 0) {
    self.node = node
    self.output = output
  }
}

/// An operation and where its inputs come from. Device strings are not kept: there is one device.
public struct Node: Sendable {
  /// The name TensorFlow gave it, unique in its graph; it stands in error texts.
  public var name: String
  /// The op's registered name (`MatMul`), or the name of a function of the library, called directly.
  public var op: String
  public var inputs: [Endpoint]
  /// Nodes that must have run before this one although no tensor flows.
  public var controls: [Int]
  public var attributes: [String: Attribute]

  public init(
    name: String, op: String, inputs: [Endpoint] = [], controls: [Int] = [], attributes: [String: Attribute] = [:]
  ) {
    self.name = name
    self.op = op
    self.inputs = inputs
    self.controls = controls
    self.attributes = attributes
  }
}

/// The value of a node's attribute (`tensorflow.AttrValue`).
public enum Attribute: Sendable {
  case string([UInt8])
  case int(Int)
  case float(Float)
  case bool(Bool)
  case type(DType)
  case shape(PartialShape)
  case tensor(Tensor)
  case function(FunctionReference)
  /// A name to be replaced by the attribute of that name of whoever calls the function (`$T` in a function's body).
  case placeholder(String)
  case list([Attribute])
}

/// A function by name, with the attributes its body's placeholders take.
public struct FunctionReference: Sendable {
  public var name: String
  public var attributes: [String: Attribute]

  public init(name: String, attributes: [String: Attribute] = [:]) {
    self.name = name
    self.attributes = attributes
  }
}

/// A function of the library. Its body is a graph whose first `argumentCount` nodes are the arguments (op `_Arg`).
public struct Function: Sendable {
  public var name: String
  public var argumentCount: Int
  public var body: [Node]
  /// What the function returns, in the order of its signature.
  public var results: [Endpoint]
  /// Nodes that must run whenever the function is called, needed or not (`control_ret`).
  public var controlResults: [Int]

  public init(name: String, argumentCount: Int, body: [Node], results: [Endpoint], controlResults: [Int] = []) {
    self.name = name
    self.argumentCount = argumentCount
    self.body = body
    self.results = results
    self.controlResults = controlResults
  }
}

/// Nodes and the functions they may call.
public struct Graph: Sendable {
  public var nodes: [Node]
  public var functions: [String: Function]

  public init(nodes: [Node], functions: [String: Function] = [:]) {
    self.nodes = nodes
    self.functions = functions
  }

  /// The index of each node by its name.
  public func indexByName() -> [String: Int] {
    Dictionary(nodes.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}

/// Why a graph cannot become a plan. Found at load, never by a request.
public struct GraphError: Error, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// There is no kernel for an op.
    case unsupported
    /// An attribute, an edge or a function is not as the op wants it.
    case invalid
    /// The model's own restore or initialisation failed.
    case failed
  }
  public var kind: Kind
  public var message: String
  /// The node it happened at.
  public var node: String?

  public init(_ kind: Kind, _ message: String, node: String? = nil) {
    self.kind = kind
    self.message = message
    self.node = node
  }

  public var description: String { node.map { "\(message) (node '\($0)')" } ?? message }
}
