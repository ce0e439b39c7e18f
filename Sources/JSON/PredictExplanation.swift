// What is wrong with a Predict's body, in TensorFlow Serving's words and order (tensorflow_serving/util/json_tensor.cc). There
// the whole text becomes a tree before anybody looks at it; here the text is walked again wherever the tree would be.
internal import Tensors

enum PredictExplanation {
  static func error(_ bytes: RawSpan, _ inputs: [JSONInput]) -> BodyError {
    do throws(BodyError) {
      try explain(bytes, inputs)
    } catch {
      return error
    }
    // Nothing that TensorFlow Serving would mind; something of ours, then.
    return BodyError("the tensors of the request have more than \(Shape.rankMax) dimensions, or members twice")
  }

  private static func explain(_ bytes: RawSpan, _ inputs: [JSONInput]) throws(BodyError) {
    let index = try BodyIndex(bytes, ["signature_name", "instances", "inputs"])
    _ = try RequestBody.signatureName(bytes, at: index[0])
    let reader = JSONReader(bytes)
    if let instances = index[1] {
      if index[2] != nil { throw reader.bodyError("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ") }
      guard reader.kind(at: instances) == .array else { throw reader.bodyError("Excepting 'instances' to be an list/array") }
      guard reader.elements(at: instances).count > 0 else { throw reader.bodyError("No values in 'instances' array") }
      try explainRows(reader, instances, inputs)
    } else if let columns = index[2] {
      try explainColumns(reader, columns, inputs)
    } else {
      throw BodyError("Missing 'inputs' or 'instances' key")
    }
  }

  private static func explainRows(_ reader: borrowing JSONReader, _ instances: Int, _ inputs: [JSONInput]) throws(BodyError) {
    let elements = reader.elements(at: instances)
    if reader.kind(at: elements[0]) != .object, inputs.count > 1 {
      throw BodyError(
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map")
    }
    let areObjects = reader.isPlainObject(at: elements[0])
    let names = Set(inputs.map(\.name))
    var shapes: [String: [Int]] = [:]
    for (row, element) in elements.enumerated() {
      guard areObjects else {
        if reader.isPlainObject(at: element) {
          throw BodyError("Expecting value/list but got object at item \(row) of input list")
        }
        do throws(BodyError) {
          try explainItem(reader, element, inputs[0], &shapes)
        } catch {
          throw BodyError("Failed to process element: \(row) of 'instances' list. Error: \(error.quoted)")
        }
        continue
      }
      guard reader.isPlainObject(at: element) else {
        throw BodyError("Expecting object but got list at item \(row) of input list")
      }
      var found: Set<String> = []
      for member in reader.members(at: element) {
        found.insert(member.name)
        do throws(BodyError) {
          guard let input = inputs.first(where: { $0.name == member.name }) else {
            throw BodyError("JSON object: does not have named input: \(member.name)")
          }
          try explainItem(reader, member.value, input, &shapes)
        } catch {
          throw BodyError("Failed to process element: \(row) key: \(member.name) of 'instances' list. Error: \(error.quoted)")
        }
      }
      if found != names {
        throw BodyError(
          "Failed to process element: \(row) of 'instances' list. JSON object: \(reader.described(at: element)) keys must be equal to: \(names.sorted().joined(separator: ","))"
        )
      }
    }
  }

  private static func explainColumns(_ reader: borrowing JSONReader, _ columns: Int, _ inputs: [JSONInput]) throws(BodyError) {
    guard reader.isPlainObject(at: columns) else {
      if inputs.count > 1 {
        throw BodyError(
          "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map")
      }
      try explainTensor(reader, columns, inputs[0].dtype, reader.denseShape(at: columns))
      return
    }
    let members = reader.members(at: columns)
    for input in inputs {
      guard let member = members.first(where: { $0.name == input.name }) else {
        throw BodyError("Missing named input: \(input.name) in 'inputs' object.")
      }
      try explainTensor(reader, member.value, input.dtype, reader.denseShape(at: member.value))
    }
  }

  /// A value of one row.
  private static func explainItem(
    _ reader: borrowing JSONReader, _ item: Int, _ input: JSONInput, _ shapes: inout [String: [Int]]
  ) throws(BodyError) {
    let shape = reader.denseShape(at: item)
    try explainTensor(reader, item, input.dtype, shape)
    guard let before = shapes[input.name] else {
      shapes[input.name] = shape
      return
    }
    let size = before.reduce(1, *), got = shape.reduce(1, *)
    if size != got { throw BodyError("Expecting tensor size: \(size) but got: \(got)") }
    if before != shape {
      func text(_ shape: [Int]) -> String { "[" + shape.map(String.init).joined(separator: ",") + "]" }
      throw BodyError("Expecting shape \(text(before)) but got: \(text(shape))")
    }
  }

  private static func explainTensor(
    _ reader: borrowing JSONReader, _ value: Int, _ dtype: DType, _ shape: [Int]
  ) throws(BodyError) {
    if shape.count > Shape.rankMax { throw BodyError("Tensors have at most \(Shape.rankMax) dimensions; got: \(shape.count)") }
    try explainLevel(reader, value, 0, dtype, shape)
  }

  private static func explainLevel(
    _ reader: borrowing JSONReader, _ value: Int, _ level: Int, _ dtype: DType, _ shape: [Int]
  ) throws(BodyError) {
    guard reader.kind(at: value) == .array else {
      if level != shape.count {
        throw BodyError(
          "JSON Value: \(reader.described(at: value)) found at incorrect level: \(level + 1) in the JSON DOM. Expected at level: \(shape.count)"
        )
      }
      return try explainValue(reader, value, dtype)
    }
    if level >= shape.count { throw BodyError("Encountered list at unexpected level: \(level) expected < \(shape.count)") }
    let elements = reader.elements(at: value)
    if elements.count != shape[level] {
      throw BodyError(
        "Encountered list at unexpected size: \(elements.count) at level: \(level) expected size: \(shape[level])")
    }
    for element in elements { try explainLevel(reader, element, level + 1, dtype, shape) }
  }

  private static func explainValue(_ reader: borrowing JSONReader, _ value: Int, _ dtype: DType) throws(BodyError) {
    let kind = reader.kind(at: value)
    func typeError() -> BodyError {
      BodyError("JSON Value: \(reader.described(at: value)) Type: \(kind.rawValue) is not of expected type: \(dtype)")
    }
    var walker = JSONReader(reader.bytes)
    walker.at = value
    if kind == .object {
      guard dtype == .string else { throw typeError() }
      // All of it has been read before without an error.
      guard let string = (try? walker.base64Object()) ?? nil else {
        throw BodyError("JSON Value: \(reader.described(at: value)) not formatted correctly for base64 data")
      }
      let text = walker.decoded(string)
      if Base64.decode(text) == nil { throw BodyError("Unable to base64 decode") }
      return
    }
    guard TensorBuilder.canRead(dtype) else {
      throw BodyError(.unimplemented, "Conversion of JSON Value: \(reader.described(at: value)) to type: \(dtype)")
    }
    switch dtype {
    case .string: if kind != .string { throw typeError() }
    case .bool: if kind != .true && kind != .false { throw typeError() }
    default:
      guard kind == .number else { throw typeError() }
      let single = TensorBuilder(dtype, bytesMax: 4096)
      do throws(ReadError) {
        try single.read(&walker)
      } catch {
        switch dtype {
        case .float, .double, .half, .bfloat16:
          throw BodyError("Cannot convert JSON value: \(reader.described(at: value)) to \(dtype) without loss of precision.")
        default: throw typeError()
        }
      }
    }
  }
}

// MARK: Walks over text that has been read without an error

extension JSONReader {
  fileprivate func bodyError(_ text: String) -> BodyError {
    BodyError("JSON Value: \(described(at: bodyStart)) \(text)")
  }

  func kind(at place: Int) -> JSONKind {
    var reader = JSONReader(bytes)
    reader.at = place
    return reader.kind
  }

  /// Where the elements of an array begin.
  func elements(at place: Int) -> [Int] {
    var reader = JSONReader(bytes)
    reader.at = place
    var places: [Int] = []
    guard reader.kind == .array, reader.enterArray() else { return [] }
    repeat {
      places.append(reader.at)
      guard (try? reader.skipValue()) != nil else { return places }
    } while (try? reader.nextElement()) == true
    return places
  }

  func members(at place: Int) -> [(name: String, value: Int)] {
    var reader = JSONReader(bytes)
    reader.at = place
    var members: [(String, Int)] = []
    guard reader.kind == .object, reader.enterObject() else { return [] }
    repeat {
      guard let name = try? reader.name() else { return members }
      members.append((reader.text(name), reader.at))
      guard (try? reader.skipValue()) != nil else { return members }
    } while (try? reader.nextMember()) == true
    return members
  }

  /// An object that is not `{"b64": "…"}`.
  fileprivate func isPlainObject(at place: Int) -> Bool {
    var reader = JSONReader(bytes)
    reader.at = place
    return reader.kind == .object && (try? reader.isBase64Object()) != true
  }

  /// The extents along the first elements.
  fileprivate func denseShape(at place: Int) -> [Int] {
    var shape: [Int] = []
    var place = place
    while kind(at: place) == .array {
      // More dimensions than we have are one too many, however many they are.
      if shape.count > Shape.rankMax { break }
      let elements = elements(at: place)
      shape.append(elements.count)
      guard let first = elements.first else { break }
      place = first
    }
    return shape
  }
}
