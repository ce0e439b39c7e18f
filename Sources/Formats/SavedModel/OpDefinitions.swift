// What an op takes and gives. A graph names an output by number (`split:1`), a function's body by the name of the output
// argument and a number within it (`split:output:1`): to make one of the other, the definition of the op is needed.
import Messages
import Tensors
import Wire

/// An argument of an op: a tensor, or a list of tensors as long as an attribute says.
struct OpArgument: Sendable, Equatable {
  enum Element: Sendable, Equatable {
    case type(DType)
    /// The type an attribute names.
    case attribute(String)
  }
  enum Length: Sendable, Equatable {
    case one
    /// As many as an int attribute says.
    case number(String)
    /// As many as an attribute lists types; each of its own.
    case types(String)
  }
  var name: String
  var element: Element?
  var length: Length = .one
}

/// The arguments of an op or a function.
struct OpDefinition: Sendable, Equatable {
  enum Default: Sendable, Equatable {
    case type(DType)
    case number(Int)
  }

  var inputs: [OpArgument] = []
  var outputs: [OpArgument] = []
  /// Of the attributes arguments depend on, those that may be left out.
  var defaults: [String: Default] = [:]
}

extension OpDefinition {
  init(_ op: OpDef) throws(WireError) {
    var inputs = op.inputArguments
    while let message = try inputs.nextMessage() { self.inputs.append(OpArgument(try OpArgDef(message))) }
    var outputs = op.outputArguments
    while let message = try outputs.nextMessage() { self.outputs.append(OpArgument(try OpArgDef(message))) }
    var attributes = op.attributes
    while let message = try attributes.nextMessage() {
      let attribute = try OpAttrDef(message)
      let value = try AttrValue(attribute.defaultValue)
      if let type = value.type { defaults[String(showing: attribute.name)] = .type(type) }
      if let number = value.int { defaults[String(showing: attribute.name)] = .number(Int(number)) }
    }
  }

  /// The definitions a file carries for its own ops (`meta_info_def.stripped_op_list`: OpList.op 1).
  static func stripped(_ metaInfo: WireMessage) throws(WireError) -> [String: OpDefinition] {
    var definitions: [String: OpDefinition] = [:]
    var lists = WireFields(metaInfo, number: 2)
    while let list = try lists.nextMessage() {
      var ops = WireFields(list, number: 1)
      while let message = try ops.nextMessage() {
        let op = try OpDef(message)
        definitions[String(showing: op.name)] = try OpDefinition(op)
      }
    }
    return definitions
  }
}

extension OpArgument {
  init(_ argument: borrowing OpArgDef) {
    name = String(showing: argument.name)
    if !argument.typeAttribute.isEmpty {
      element = .attribute(String(showing: argument.typeAttribute))
    } else {
      element = DType(wire: Int(argument.typeNumber)).map(Element.type)
    }
    if !argument.typeListAttribute.isEmpty {
      length = .types(String(showing: argument.typeListAttribute))
    } else if !argument.numberAttribute.isEmpty {
      length = .number(String(showing: argument.numberAttribute))
    }
  }
}
