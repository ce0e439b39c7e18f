import Engine
import Messages
import Tensors
import Wire

extension Attribute {
  /// Functions as attributes of functions, and so on: TensorFlow writes two or three levels.
  static let depthMax = 32

  /// A copy of an attribute on the wire. `nil` when it holds nothing, or a type or shape that no kernel here could use: one
  /// that needs it will miss it.
  init?(_ value: AttrValue, within budget: inout ConstantBudget, depth: Int = 0) throws {
    switch value.kind {
    case .none: return nil
    case .string:
      guard let string = value.string else { return nil }
      self = .string(Array(string))
    case .int:
      guard let int = value.int else { return nil }
      self = .int(Int(int))
    case .float:
      guard let float = value.float else { return nil }
      self = .float(float)
    case .bool:
      guard let bool = value.bool else { return nil }
      self = .bool(bool)
    case .type:
      guard let type = value.type else { return nil }
      self = .type(type)
    case .shape:
      guard let shape = try value.shape()?.partialShape else { return nil }
      self = .shape(shape)
    case .tensor:
      guard let tensor = try value.tensor() else { return nil }
      self = .tensor(try Tensor(tensor, within: &budget))
    case .placeholder:
      guard let name = value.string else { return nil }
      self = .placeholder(String(showing: name))
    case .function:
      guard let function = try value.function() else { return nil }
      self = .function(try FunctionReference(function, within: &budget, depth: depth + 1))
    case .list:
      guard let list = value.list() else { return nil }
      self = .list(try Attribute.elements(list, within: &budget, depth: depth))
    }
  }

  private static func elements(
    _ list: AttrList, within budget: inout ConstantBudget, depth: Int
  ) throws -> [Attribute] {
    var elements: [Attribute] = []
    var strings = list.strings
    while let string = try strings.nextSpan() { elements.append(.string(Array(string))) }
    elements += try list.ints().map { .int(Int($0)) }
    elements += try list.floats().map { .float($0) }
    elements += try list.bools().map { .bool($0) }
    for number in try list.typeNumbers() {
      guard let type = DType(wire: Int(number)) else { throw FormatError(.invalid, "\(number) is no type of tensor elements") }
      elements.append(.type(type))
    }
    var shapes = list.shapes
    while let message = try shapes.nextMessage() {
      // A shape no tensor here has is one that is not known.
      elements.append(.shape(try TensorShapeProto(message).partialShape ?? PartialShape(nil)))
    }
    var tensors = list.tensors
    while let message = try tensors.nextMessage() {
      elements.append(.tensor(try Tensor(TensorProto(message), within: &budget)))
    }
    var functions = list.functions
    while let message = try functions.nextMessage() {
      elements.append(.function(try FunctionReference(NameAttrList(message), within: &budget, depth: depth + 1)))
    }
    return elements
  }

  /// Every function the attribute names.
  func forEachFunction(_ body: (String) -> Void) {
    switch self {
    case .function(let reference):
      body(reference.name)
      for attribute in reference.attributes.values { attribute.forEachFunction(body) }
    case .list(let elements): for element in elements { element.forEachFunction(body) }
    default: break
    }
  }
}

extension FunctionReference {
  init(_ function: NameAttrList, within budget: inout ConstantBudget, depth: Int) throws {
    guard depth <= Attribute.depthMax else {
      throw FormatError(.invalid, "functions as attributes of functions, more than \(Attribute.depthMax) deep")
    }
    var attributes: [String: Attribute] = [:]
    var map = function.attributes
    while let entry = try map.next() {
      let name = String(showing: entry.key)
      guard !name.hasPrefix("_") else { continue }
      attributes[name] = try Attribute(AttrValue(entry.value), within: &budget, depth: depth)
    }
    self.init(name: String(showing: function.name), attributes: attributes)
  }
}
