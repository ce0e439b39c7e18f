// The bodies of answers.
public import Tensors

/// The outputs of a Predict.
public enum PredictText {
  /// An output: its name in the signature, its type and its shape.
  public struct Output: Sendable {
    let name: String
    let dtype: DType
    let shape: Shape
    /// TensorFlow Serving's convention for strings that are bytes.
    var isBytes: Bool { dtype == .string && name.hasSuffix("_bytes") }

    public init(_ name: String, _ dtype: DType, _ shape: Shape) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
    }
  }

  /// `predictions`, a value or an object for each row, or `outputs`, a tensor or an object of tensors.
  /// - Parameter view: lends the tensor of an output.
  public static func text(
    _ format: PredictBody.Format, _ outputs: [Output], isStrict: Bool, _ view: (Int, (borrowing TensorView) -> Void) -> Void
  ) throws(BodyError) -> [UInt8] {
    guard !outputs.isEmpty else { throw BodyError("Cannot convert empty tensor map to JSON") }
    for output in outputs where !JSONText.canWrite(output.dtype) {
      throw BodyError("Failed to write JSON value for tensor type: \(output.dtype)")
    }
    let elements = outputs.reduce(0) { $0 + $1.shape.count }
    var text = JSONText(isStrict: isStrict, capacity: 64 + elements * 8)
    switch format {
    case .row: try putRows(outputs, &text, view)
    case .columnar: putColumns(outputs, &text, view)
    }
    text.put("\n}")
    return text.bytes
  }

  private static func putRows(
    _ outputs: [Output], _ text: inout JSONText, _ view: (Int, (borrowing TensorView) -> Void) -> Void
  ) throws(BodyError) {
    var rows = 0
    for output in outputs {
      guard output.shape.rank > 0 else { throw BodyError("Tensor name: \(output.name) has no shape information ") }
      guard output.shape[0] > 0 else {
        throw BodyError("Tensor name: \(output.name) has invalid batch size: \(output.shape[0])")
      }
      guard rows == 0 || rows == output.shape[0] else {
        throw BodyError("Tensor name: \(output.name) has inconsistent batch size: \(output.shape[0]) expecting: \(rows)")
      }
      rows = output.shape[0]
    }
    text.put("{\n    \"predictions\": [")
    for row in 0..<rows {
      if row > 0 { text.put(outputs.count > 1 ? "," : ", ") }
      if outputs.count > 1 { text.put("\n        {") }
      for (i, output) in outputs.enumerated() {
        let indent = outputs.count > 1 ? 12 : 8
        if outputs.count > 1 {
          if i > 0 { text.put(",") }
          text.newLine(12)
          text.quote(output.name)
          text.put(": ")
        }
        view(i) {
          text.put($0, from: 1, first: row * output.shape.count(from: 1), asBytes: output.isBytes, indent: indent)
        }
      }
      if outputs.count > 1 { text.put("\n        }") }
    }
    text.put("\n    ]")
  }

  private static func putColumns(
    _ outputs: [Output], _ text: inout JSONText, _ view: (Int, (borrowing TensorView) -> Void) -> Void
  ) {
    text.put("{\n    \"outputs\": ")
    if outputs.count > 1 { text.put("{") }
    for (i, output) in outputs.enumerated() {
      let indent = outputs.count > 1 ? 8 : 4
      if outputs.count > 1 {
        if i > 0 { text.put(",") }
        text.newLine(8)
        text.quote(output.name)
        text.put(": ")
      }
      // The first dimension on lines of its own, the rest on one line each.
      view(i) { view in
        guard view.shape.rank > 1 else {
          return text.put(view, from: 0, first: 0, asBytes: output.isBytes, indent: indent)
        }
        text.put("[")
        for row in 0..<view.shape[0] {
          if row > 0 { text.put(",") }
          text.newLine(indent + 4)
          text.put(view, from: 1, first: row * view.shape.count(from: 1), asBytes: output.isBytes, indent: indent + 4)
        }
        if view.shape[0] > 0 { text.newLine(indent) }
        text.put("]")
      }
    }
    if outputs.count > 1 { text.put("\n    }") }
  }
}

/// The results of Classify and Regress.
public struct ResultsText {
  private var text: JSONText
  private var count = 0

  public init(isStrict: Bool) {
    text = JSONText(isStrict: isStrict)
    text.put("{\n    \"results\": [")
  }

  /// The next example's classes follow, by `putClass`, until `endClasses`.
  public mutating func beginClasses() {
    separate()
    text.put("[")
    classes = 0
  }

  private var classes = 0

  public mutating func putClass(label: RawSpan, score: Float) {
    if classes > 0 { text.put(", ") }
    classes += 1
    text.put("[")
    unsafe label.withUnsafeBytes { unsafe text.bytes.append(quoting: $0) }
    text.put(", ")
    text.put(score)
    text.put("]")
  }

  public mutating func endClasses() { text.put("]") }

  /// The next example's regression.
  public mutating func putRegression(_ value: Float) {
    separate()
    text.put(value)
  }

  private mutating func separate() {
    if count > 0 { text.put(", ") }
    count += 1
  }

  public consuming func end() -> [UInt8] {
    text.put("\n    ]\n}")
    return text.bytes
  }
}
