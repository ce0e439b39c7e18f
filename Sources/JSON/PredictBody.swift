// The body of a Predict: rows, `{"instances": [...]}`, or columns, `{"inputs": ...}`.
//
// A body without mistakes is read once, from its first byte to its last, and its numbers go into tensors as they come. Whoever
// finds that something does not fit stops; `PredictExplanation` then reads the body again, in TensorFlow Serving's order and as
// often as it takes, to say what TensorFlow Serving would say.
public import Tensors

/// An input of a signature.
public struct JSONInput: Sendable {
  public let name: String
  public let dtype: DType
  let bytes: [UInt8]

  public init(_ name: String, _ dtype: DType) {
    self.name = name
    self.dtype = dtype
    bytes = Array(name.utf8)
  }
}

public struct PredictBody {
  public enum Format: Sendable {
    /// Each element of `instances` is an example; answered by `predictions`.
    case row
    /// `inputs` has the tensors as they are; answered by `outputs`.
    case columnar
  }

  public let format: Format
  /// The signature that the body names, an empty text if it names none.
  public let signatureName: String
  /// A tensor for each input of the signature, in the signature's order.
  public let tensors: [TensorBuilder]
  public let shapes: [Shape]

  /// Reads a body for a signature with these inputs.
  public init(_ bytes: RawSpan, _ inputs: [JSONInput], tensorBytesMax: Int) throws(BodyError) {
    do throws(ReadError) {
      try self.init(reading: bytes, inputs, tensorBytesMax)
    } catch {
      switch error {
      case .outOfMemory: throw .outOfMemory
      case .syntax(let error):
        // An error in what comes before would have been met; but what was wrong with values waits for the end of the text.
        throw BodyError(error)
      case .mismatch: throw PredictExplanation.error(bytes, inputs)
      }
    }
  }

  private init(reading bytes: RawSpan, _ inputs: [JSONInput], _ tensorBytesMax: Int) throws(ReadError) {
    var reader = JSONReader(bytes)
    guard (try? reader.enterBody()) == true else { throw .mismatch }
    let tensors = inputs.map { TensorBuilder($0.dtype, bytesMax: tensorBytesMax) }
    var format: Format?
    var signatureName: String?
    var rows = 0
    do {
      repeat {
        let name = try reader.name()
        if reader.text(name, equals: "instances") {
          if format == .row {
            try reader.skipValue()
            continue
          }
          guard format == nil else { throw ReadError.mismatch }
          format = .row
          rows = try PredictBody.readRows(&reader, inputs, tensors)
        } else if reader.text(name, equals: "inputs") {
          if format == .columnar {
            try reader.skipValue()
            continue
          }
          guard format == nil else { throw ReadError.mismatch }
          format = .columnar
          try PredictBody.readColumns(&reader, inputs, tensors)
        } else if signatureName == nil, reader.text(name, equals: "signature_name") {
          guard reader.kind == .string else { throw ReadError.mismatch }
          signatureName = reader.text(try reader.string())
        } else {
          try reader.skipValue()
        }
      } while try reader.nextMember()
    } catch let error as ReadError {
      throw error
    } catch let error as JSONSyntaxError {
      throw .syntax(error)
    } catch {
      throw .mismatch
    }
    guard let format else { throw .mismatch }
    var shapes: [Shape] = []
    for tensor in tensors {
      guard let shape = format == .row && rows > 0 ? tensor.shape(rows: rows) : tensor.shape else { throw .mismatch }
      shapes.append(shape)
    }
    self.format = format
    self.signatureName = signatureName ?? ""
    self.tensors = tensors
    self.shapes = shapes
  }

  /// Reads `instances`. Returns the number of rows when they are objects; plain ones are one tensor as they stand.
  private static func readRows(
    _ reader: inout JSONReader, _ inputs: [JSONInput], _ tensors: [TensorBuilder]
  ) throws(ReadError) -> Int {
    guard reader.kind == .array else { throw .mismatch }
    let start = reader.at
    guard reader.enterArray() else { throw .mismatch }
    let isObject: Bool
    do throws(JSONSyntaxError) {
      isObject = reader.kind == .object ? try !reader.isBase64Object() : false
    } catch {
      throw .syntax(error)
    }
    guard isObject else {
      guard inputs.count == 1 else { throw .mismatch }
      reader.at = start
      try tensors[0].read(&reader)
      return 0
    }
    var rows = 0
    do {
      repeat {
        guard reader.kind == .object, try !reader.isBase64Object(), reader.enterObject() else { throw ReadError.mismatch }
        var found = 0
        repeat {
          let name = try reader.name()
          // Names come in the same order in each row, and often in the signature's.
          let likely = found < inputs.count && reader.means(name, inputs[found].bytes)
          guard let index = likely ? found : inputs.firstIndex(where: { reader.means(name, $0.bytes) }) else {
            throw ReadError.mismatch
          }
          // Twice the same name would be one row too many.
          guard tensors[index].rowsRead == rows else { throw ReadError.mismatch }
          try tensors[index].read(&reader)
          tensors[index].rowsRead += 1
          found += 1
        } while try reader.nextMember()
        guard found == inputs.count else { throw ReadError.mismatch }
        rows += 1
      } while try reader.nextElement()
    } catch let error as ReadError {
      throw error
    } catch let error as JSONSyntaxError {
      throw .syntax(error)
    } catch {
      throw .mismatch
    }
    return rows
  }

  private static func readColumns(
    _ reader: inout JSONReader, _ inputs: [JSONInput], _ tensors: [TensorBuilder]
  ) throws(ReadError) {
    do {
      if try reader.kind != .object || reader.isBase64Object() {
        guard inputs.count == 1 else { throw ReadError.mismatch }
        try tensors[0].read(&reader)
        return
      }
      if reader.enterObject() {
        repeat {
          let name = try reader.name()
          // Names that the signature does not have are nobody's business, nor is the same name again.
          if let index = inputs.firstIndex(where: { reader.means(name, $0.bytes) }), tensors[index].rowsRead == 0 {
            try tensors[index].read(&reader)
            tensors[index].rowsRead = 1
          } else {
            try reader.skipValue()
          }
        } while try reader.nextMember()
      }
      guard tensors.allSatisfy({ $0.rowsRead == 1 }) else { throw ReadError.mismatch }
    } catch let error as ReadError {
      throw error
    } catch let error as JSONSyntaxError {
      throw .syntax(error)
    } catch {
      throw .mismatch
    }
  }
}

extension JSONReader {
  /// Whether the object that begins here is `{"b64": "…"}`.
  func isBase64Object() throws(JSONSyntaxError) -> Bool {
    var reader = JSONReader(bytes)
    reader.at = at
    return try reader.base64Object() != nil
  }
}
