public import Tensors

/// A node as its kernel's maker sees it: attributes, what is known of the inputs, and the session it lives in.
public struct NodeContext: Sendable {
  public let node: Node
  /// The inputs that are constants of the plan; `nil` for those computed at run time.
  public let constants: [Tensor?]
  /// The number of outputs some other node or the plan reads, counted up to the highest.
  public let outputCount: Int
  /// Variables, tables, files and functions of the session.
  public let session: Session

  init(node: Node, constants: [Tensor?], outputCount: Int, session: Session) {
    self.node = node
    self.constants = constants
    self.outputCount = outputCount
    self.session = session
  }

  public func invalid(_ message: String) -> GraphError {
    GraphError(.invalid, "\(node.op): \(message)", node: node.name)
  }
  public func unsupported(_ message: String) -> GraphError {
    GraphError(.unsupported, "\(node.op): \(message)", node: node.name)
  }

  private func attribute<T>(_ name: String, _ fallback: T?, _ what: String, _ value: (Attribute) -> T?) throws(GraphError) -> T {
    guard let attribute = node.attributes[name] else {
      if let fallback { return fallback }
      throw invalid("attribute '\(name)' is missing")
    }
    guard let result = value(attribute) else { throw invalid("attribute '\(name)' is no \(what)") }
    return result
  }

  // Attributes by name. TensorFlow leaves out those that have their default: give it.
  public func int(_ name: String, default fallback: Int? = nil) throws(GraphError) -> Int {
    try attribute(name, fallback, "int") { if case .int(let v) = $0 { v } else { nil } }
  }
  public func float(_ name: String, default fallback: Float? = nil) throws(GraphError) -> Float {
    try attribute(name, fallback, "float") { if case .float(let v) = $0 { v } else { nil } }
  }
  public func bool(_ name: String, default fallback: Bool? = nil) throws(GraphError) -> Bool {
    try attribute(name, fallback, "bool") { if case .bool(let v) = $0 { v } else { nil } }
  }
  public func bytes(_ name: String, default fallback: [UInt8]? = nil) throws(GraphError) -> [UInt8] {
    try attribute(name, fallback, "string") { if case .string(let v) = $0 { v } else { nil } }
  }
  public func string(_ name: String, default fallback: String? = nil) throws(GraphError) -> String {
    try attribute(name, fallback, "string") { if case .string(let v) = $0 { String(decoding: v, as: UTF8.self) } else { nil } }
  }
  public func dtype(_ name: String, default fallback: DType? = nil) throws(GraphError) -> DType {
    try attribute(name, fallback, "type") { if case .type(let v) = $0 { v } else { nil } }
  }
  public func shape(_ name: String, default fallback: PartialShape? = nil) throws(GraphError) -> PartialShape {
    try attribute(name, fallback, "shape") { if case .shape(let v) = $0 { v } else { nil } }
  }
  public func tensor(_ name: String) throws(GraphError) -> Tensor {
    try attribute(name, nil, "tensor") { if case .tensor(let v) = $0 { v } else { nil } }
  }
  public func function(_ name: String) throws(GraphError) -> FunctionReference {
    try attribute(name, nil, "function") { if case .function(let v) = $0 { v } else { nil } }
  }
  public func functions(_ name: String) throws(GraphError) -> [FunctionReference] {
    try list(name, "functions") { if case .function(let v) = $0 { v } else { nil } }
  }
  public func ints(_ name: String, default fallback: [Int]? = nil) throws(GraphError) -> [Int] {
    try list(name, "ints", fallback) { if case .int(let v) = $0 { v } else { nil } }
  }
  public func floats(_ name: String, default fallback: [Float]? = nil) throws(GraphError) -> [Float] {
    try list(name, "floats", fallback) { if case .float(let v) = $0 { v } else { nil } }
  }
  public func dtypes(_ name: String, default fallback: [DType]? = nil) throws(GraphError) -> [DType] {
    try list(name, "types", fallback) { if case .type(let v) = $0 { v } else { nil } }
  }
  public func strings(_ name: String, default fallback: [String]? = nil) throws(GraphError) -> [String] {
    try list(name, "strings", fallback) { if case .string(let v) = $0 { String(decoding: v, as: UTF8.self) } else { nil } }
  }
  public func shapes(_ name: String, default fallback: [PartialShape]? = nil) throws(GraphError) -> [PartialShape] {
    try list(name, "shapes", fallback) { if case .shape(let v) = $0 { v } else { nil } }
  }

  private func list<T>(
    _ name: String, _ what: String, _ fallback: [T]? = nil, _ value: (Attribute) -> T?
  ) throws(GraphError) -> [T] {
    try attribute(name, fallback, "list of \(what)") {
      guard case .list(let elements) = $0 else { return nil }
      let values = elements.compactMap(value)
      return values.count == elements.count ? values : nil
    }
  }

  /// The constant at an input, or why there is none.
  public func constant(_ input: Int, _ what: String) throws(GraphError) -> Tensor {
    guard input < constants.count, let tensor = constants[input] else { throw unsupported("\(what) is not a constant") }
    return tensor
  }
}
