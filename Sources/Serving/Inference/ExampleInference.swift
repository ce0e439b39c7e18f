// Classify and Regress, without a socket: serialized examples in, a run of a signature that takes nothing else, its one or
// two outputs checked and written. The checks stand in TensorFlow Serving's order: signature, input, types, run, outputs.
internal import Catalog
internal import Engine
internal import Messages
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Tensors
internal import Wire

/// What a signature is asked to be: tensorflow/cc/saved_model/signature_constants.h.
enum ExampleMethod {
  case classify, regress

  var name: String {
    switch self {
    case .classify: "tensorflow/serving/classify"
    case .regress: "tensorflow/serving/regress"
    }
  }
}

/// A prepared run on serialized examples.
struct ExampleRun: InferenceRun {
  let signature: Signature
  /// The examples.
  var rows = 0
  /// The place of `classes`, or of Regress's `outputs`, among the signature's outputs.
  private(set) var first: Int?
  /// The place of `scores`.
  private(set) var second: Int?

  var plan: Plan { signature.plan }
  var cost: CostEstimate { signature.cost }
  var metered: Signature? { signature }
  var wanted: UInt64 {
    if signature.outputs.count == 1 || first != nil && second != nil { return .max }
    return (first ?? second).map { 1 << UInt64($0) } ?? .max
  }

  /// The signature of a name (empty: the default), when it is one for `method`.
  init(_ name: RawSpan, _ method: ExampleMethod, _ model: Model, _ options: ServingOptions) throws(Status) {
    guard let signature = model.signature(named: name) else {
      throw Status(serving: .invalidArgument, "No signature was found with the name: \(Signature.name(name))")
    }
    try self.init(signature, method, model, options)
  }

  init(_ signature: Signature, _ method: ExampleMethod, _ model: Model, _ options: ServingOptions) throws(Status) {
    self.signature = signature
    let kind = method == .classify ? "classification" : "regression"
    if options.methodNameCheck, signature.methodName != method.name {
      throw Status(
        serving: .invalidArgument,
        "Expected \(kind) signature method_name to be \(method.name). Was: \(signature.methodName)")
    }
    guard signature.inputs.count == 1 else { throw Status(.invalidArgument, "Expected one input Tensor.") }
    let outputs = signature.outputs.count
    switch method {
    case .classify:
      guard outputs == 1 || outputs == 2 else {
        throw Status(.invalidArgument, "Expected one or two output Tensors, found \(outputs)")
      }
      first = signature.outputIndex(of: RawSpan(literal: "classes"))
      second = signature.outputIndex(of: RawSpan(literal: "scores"))
    case .regress:
      guard outputs == 1 else { throw Status(.invalidArgument, "Expected one output Tensor.") }
      first = signature.outputIndex(of: RawSpan(literal: "outputs"))
    }
    guard signature.inputs[0].alias == "inputs" else {
      throw Status(serving: .failedPrecondition, "No \(kind) inputs found in SignatureDef: \(model.text(of: signature))")
    }
    guard first != nil || second != nil else {
      throw Status(
        serving: .failedPrecondition,
        method == .classify
          ? "Expected classification signature outputs to contain at least one of \"classes\" or \"scores\". Signature was: \(model.text(of: signature))"
          : "No regression outputs found in SignatureDef: \(model.text(of: signature))")
    }
  }

  /// Feeds the frame with a request's examples, which stay where they are.
  mutating func feed(_ input: borrowing ExampleInput, _ frame: inout Frame) throws(Status) {
    frame.begin(plan)
    rows = try frame.feedExamples(input, signature)
  }
}

extension Model {
  /// The signature of a name; the default one for an empty name.
  func signature(named name: RawSpan) -> Signature? { name.byteCount == 0 ? defaultSignature : signature(name) }

  /// A signature as protobuf's text, for errors.
  fileprivate func text(of signature: Signature) -> String {
    guard let bytes = signatureDefs.first(where: { $0.name == signature.name })?.bytes,
      let message = try? Tensorflow_SignatureDef(serializedBytes: bytes)
    else { return signature.name }
    return message.textFormatString()
  }
}

extension Signature {
  /// The name a request that gives none means.
  static func name(_ name: RawSpan) -> String { name.byteCount == 0 ? Model.defaultSignatureName : String(showing: name) }
}

extension Frame {
  /// Feeds the only input of `signature`, strings, with the examples of a request: references into its bytes, or, where a
  /// context stands before each, copies in the arena. The request stays where it is until it has been answered.
  /// - Returns: how many they are, at least one.
  mutating func feedExamples(_ input: borrowing ExampleInput, _ signature: Signature) throws(Status) -> Int {
    guard input.count > 0 else { throw Status(.invalidArgument, "Input is empty.") }
    do {
      try feed(0, input)
    } catch let error as RunError {
      throw Status(error)
    } catch {
      throw Status(unparsable: "Input", error)
    }
    if let index = signature.firstWithOtherType(in: self) { throw signature.otherType(index, fedType(index)) }
    return input.count
  }

  private mutating func feed(_ index: Int, _ input: borrowing ExampleInput) throws {
    var value = try feed(index, dtype: .string, shape: [input.count])
    var examples = input.examples
    let context = input.context.extent.byteCount
    if context == 0 {
      var refs = unsafe value.mutableSpan(of: StringRef.self)
      var i = 0
      while let example = try examples.nextSpan() {
        // The request stays where it is; `input` has counted the examples.
        unsafe example.withUnsafeBytes { unsafe refs[i] = StringRef(base: $0.baseAddress, count: $0.count) }
        i += 1
      }
      return
    }
    let (contexts, overflow) = context.multipliedReportingOverflow(by: input.count)
    let total = overflow || contexts > .max / 2 ? .max : contexts + input.byteCount
    // Gone when the next run begins.
    let memory = try unsafe scratch(byteCount: total)
    // `total` bytes, just allocated.
    let room = unsafe UnsafeMutableRawBufferPointer(start: memory.base, count: total)
    var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
    var refs = unsafe value.mutableSpan(of: StringRef.self)
    var i = 0
    while let example = try examples.nextSpan() {
      unsafe refs[i] = StringRef(base: memory.base + output.byteCount, count: context + example.byteCount)
      output.appendMessage(input.context)
      output.appendBytes(example)
      i += 1
    }
    _ = unsafe output.finalize(for: room)
  }
}

// MARK: Outputs

/// What a classification came out with, checked.
struct Classes {
  /// DT_STRING, `[rows, classes]`.
  private(set) var labels: Value?
  /// DT_FLOAT, `[rows, classes]`.
  private(set) var scores: Value?
  let rows: Int
  private(set) var count = 0

  init(labels: Value?, scores: Value?, rows: Int) throws(Status) {
    self.rows = rows
    self.labels = try Classes.checked(labels, "classes", .string, rows)
    self.scores = try Classes.checked(scores, "scores", .float, rows)
    if let labels, let scores, labels.shape[1] != scores.shape[1] {
      throw Status(
        .invalidArgument,
        "Tensors class and score should match in dim_size(1). Got \(labels.shape[1]) vs. \(scores.shape[1])")
    }
    count = (labels ?? scores)?.shape[1] ?? 0
  }

  private static func checked(_ value: Value?, _ name: String, _ dtype: DType, _ rows: Int) throws(Status) -> Value? {
    guard let value else { return nil }
    guard value.shape.rank == 2 else {
      throw Status(.invalidArgument, "Expected Tensor shape: [batch_size num_classes] but got \(value.shape)")
    }
    guard value.dtype == dtype else {
      throw Status(
        .invalidArgument, "Expected \(name) Tensor of \(dtype.protoName). Got: \(value.dtype.protoName)")
    }
    guard value.shape[0] == rows else {
      throw Status(.invalidArgument, "Expected \(name) output batch size of \(rows). Got: \(value.shape[0])")
    }
    return value
  }

  /// To be written.
  var result: ClassificationResult {
    @_lifetime(borrow self)
    get {
      // Two branches of one kind each: an optional view cannot be made of an optional value by `map`.
      if let labels, let scores {
        return unsafe _overrideLifetime(
          ClassificationResult(labels: labels.view, scores: scores.view, rows: rows, classes: count), borrowing: self)
      }
      if let labels {
        return unsafe _overrideLifetime(
          ClassificationResult(labels: labels.view, scores: nil, rows: rows, classes: count), borrowing: self)
      }
      if let scores {
        return unsafe _overrideLifetime(
          ClassificationResult(labels: nil, scores: scores.view, rows: rows, classes: count), borrowing: self)
      }
      return ClassificationResult(labels: nil, scores: nil, rows: rows, classes: count)
    }
  }
}

/// What a regression came out with, checked: DT_FLOAT, `[rows]` or `[rows, 1]`.
struct Regressions {
  let values: Value

  init(_ values: Value, rows: Int) throws(Status) {
    let shape = values.shape
    guard shape.rank == 1 || shape.rank == 2 && shape[1] == 1 else {
      throw Status(
        .invalidArgument,
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got \(shape)")
    }
    guard shape[0] == rows else {
      throw Status(.invalidArgument, "Input batch size did not match output batch size: \(rows) vs. \(shape[0])")
    }
    guard values.dtype == .float else {
      throw Status(.invalidArgument, "Expected output Tensor of DT_FLOAT.  Got: \(values.dtype.protoName)")
    }
    self.values = values
  }
}

extension DType {
  /// The name in types.proto.
  fileprivate var protoName: String { "DT_\(self)".uppercased() }
}

extension Signature {
  /// The input at `index` was fed with another type than its own.
  func otherType(_ index: Int, _ type: DType) -> Status {
    Status(.invalidArgument, "Expects arg[\(index)] to be \(inputs[index].dtype) but \(type) is provided")
  }
}

// MARK: Classify

extension ClassificationRequest: InferenceMessage {
  static var messageName: String { "ClassificationRequest" }
  static var api: API { .classify }

  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> ExampleRun {
    var run = try ExampleRun(modelSpec.signatureName, .classify, model, options)
    try run.feed(input, &frame)
    return run
  }

  func answer(
    _ run: ExampleRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status) {
    let classes = try run.classes(frame)
    let spec = modelSpec.answered(by: version)
    let result = classes.result
    reply.reply(byteCount: ClassificationResponse.size(result, spec)) { output in
      ClassificationResponse.append(result, spec, to: &output)
    }
  }
}

extension ExampleRun {
  /// What a run of Classify came out with.
  func classes(_ frame: borrowing Frame) throws(Status) -> Classes {
    try Classes(
      labels: first.map { frame.output($0, of: plan) }, scores: second.map { frame.output($0, of: plan) }, rows: rows)
  }

  /// What a run of Regress came out with.
  func regressions(_ frame: borrowing Frame) throws(Status) -> Regressions {
    try Regressions(frame.output(first ?? 0, of: plan), rows: rows)
  }
}

// MARK: Regress

extension RegressionRequest: InferenceMessage {
  static var messageName: String { "RegressionRequest" }
  static var api: API { .regress }

  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> ExampleRun {
    var run = try ExampleRun(modelSpec.signatureName, .regress, model, options)
    try run.feed(input, &frame)
    return run
  }

  func answer(
    _ run: ExampleRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status) {
    let values = try run.regressions(frame).values
    let spec = modelSpec.answered(by: version)
    let result = RegressionResult(values.view)
    reply.reply(byteCount: RegressionResponse.size(result, spec)) { output in
      RegressionResponse.append(result, spec, to: &output)
    }
  }
}
