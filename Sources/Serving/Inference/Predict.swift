// Predict, without a socket: a request's bytes and a slot in, a run on a frame, the response's size and bytes out.
// The checks stand in TensorFlow Serving's order: signature, number of inputs, tensors, output filter, types, run.
//
// A request without mistakes walks its inputs once and formats nothing. Whoever finds a mistake calls the slow path, which
// looks at everything again to say what TensorFlow Serving would say.
internal import Catalog
internal import Engine
internal import Messages
internal import RPC
internal import Tensors
internal import Wire

extension PredictRequest: InferenceMessage {
  static var messageName: String { "PredictRequest" }
  static var api: API { .predict }

  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> PredictRun {
    try PredictRun(self, model, options, feeding: &frame)
  }

  func answer(
    _ run: PredictRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status) {
    let spec = modelSpec.answered(by: version)
    let layout = PredictResponseLayout(run, spec, options, frame)
    reply.reply(byteCount: layout.byteCount) { output in layout.append(spec, frame, to: &output) }
  }
}

/// A prepared Predict: which signature, and which of its outputs the request wants.
struct PredictRun: InferenceRun {
  let signature: Signature
  var wanted: UInt64 = .max
  /// The wanted outputs in the request's order; `nil` for all.
  var filter: [Int]?
  var rows = 1

  var plan: Plan { signature.plan }
  var cost: CostEstimate { signature.cost }
  var metered: Signature? { signature }
}

extension PredictRun {
  /// Finds the signature and feeds the frame with the request's tensors.
  ///
  /// Tensors that stand in `message` as kernels want them are read in place: the message must stay where it is until the
  /// response has been written.
  init(
    _ request: borrowing PredictRequest, _ model: Model, _ options: ServingOptions, feeding frame: inout Frame
  ) throws(Status) {
    signature = try PredictRun.signature(request.modelSpec, model, options)
    frame.begin(signature.plan)
    try feed(request, options, &frame)
    if request.outputFilterCount > 0 { try selectOutputs(request) }
    try checkTypes(frame)
  }

  private static func signature(
    _ spec: borrowing ModelSpec, _ model: Model, _ options: ServingOptions
  ) throws(Status) -> Signature {
    guard let signature = spec.signatureName.byteCount == 0 ? model.defaultSignature : model.signature(spec.signatureName)
    else {
      let name = spec.signatureName.byteCount == 0 ? Model.defaultSignatureName : String(showing: spec.signatureName)
      throw Status(serving: .failedPrecondition, "Serving signature key \"\(name)\" not found.")
    }
    try signature.checkPredictable(options)
    return signature
  }

  private mutating func feed(
    _ request: borrowing PredictRequest, _ options: ServingOptions, _ frame: inout Frame
  ) throws(Status) {
    var fed = InputSet(count: signature.inputs.count)
    var inputs = request.inputs
    do {
      while let entry = try inputs.next() {
        guard let index = signature.inputIndex(of: entry.key), fed.insert(index) else {
          // A stranger, or the same name again: the last of a name counts, so look again with care.
          return try feedCarefully(request, options, &frame)
        }
        let tensor = try TensorProto(entry.value)
        let elements = try tensor.elements(bytesMax: options.tensorBytesMax)
        if index == 0 { rows = elements.shape.rows }
        try frame.feed(index, elements)
      }
    } catch let error as RunError {
      throw Status(error)
    } catch {
      return try feedCarefully(request, options, &frame)
    }
    if fed.isFull { return }
    try feedCarefully(request, options, &frame)
  }

  /// A request with more inputs too many is not listed in its answer.
  private static let strangersMax = 1000

  /// The same again for a request that has fewer, more, doubled, unknown or undecodable inputs.
  private mutating func feedCarefully(
    _ request: borrowing PredictRequest, _ options: ServingOptions, _ frame: inout Frame
  ) throws(Status) {
    let expected = signature.inputs.map(\.alias)
    guard request.inputCount <= expected.count + PredictRun.strangersMax else {
      throw Status(.invalidArgument, "input size does not match signature: \(request.inputCount)!=\(expected.count)")
    }
    let names = try request.inputNames()
    let defaults = signature.inputs.filter { $0.defaultValue != nil }.map(\.alias)
    if names.count > expected.count || (names.count < expected.count && defaults.isEmpty) {
      let extra = names.filter { !expected.contains($0) }
      let missing = expected.filter { !names.contains($0) }
      throw Status(
        serving: .invalidArgument,
        "input size does not match signature: \(names.count)!=\(expected.count) len({\(names.joined(separator: ","))}) != len({\(expected.joined(separator: ","))}). Sent extra: {\(extra.joined(separator: ","))}. Missing but required: {\(missing.joined(separator: ","))}."
      )
    }
    var used: [String] = []
    for (index, input) in signature.inputs.enumerated() {
      let key = Array(input.alias.utf8)
      do {
        if let entry = try request.inputs.entry(key.rawSpan) {
          used.append(input.alias)
          let elements = try TensorProto(entry.value).elements(bytesMax: options.tensorBytesMax)
          if index == 0 { rows = elements.shape.rows }
          try frame.feed(index, elements)
          continue
        }
      } catch let error as RunError {
        throw Status(error)
      } catch {
        throw Status(serving: .invalidArgument, "tensor parsing error: \(input.alias)")
      }
      guard let value = input.defaultValue else {
        throw Status(
          serving: .invalidArgument,
          "Signature input alias: \(input.alias)(feed name: \(input.tensorName)) not found in request and no default value provided. Inputs expected to be in the request {\(names.joined(separator: ","))}, or default input alias set: \(defaults.joined(separator: ","))"
        )
      }
      frame.feed(index, value)
    }
    guard used.count == names.count else {
      throw Status(
        serving: .invalidArgument,
        "Inputs contains invalid name. Used request inputs: \(used.joined(separator: ",")), request input: \(names.joined(separator: ","))"
      )
    }
  }

  private mutating func selectOutputs(_ request: borrowing PredictRequest) throws(Status) {
    var chosen: [Int] = []
    wanted = 0
    var names = request.outputFilter
    do {
      while let name = try names.nextSpan() {
        guard let index = signature.outputIndex(of: name) else {
          let outputs = signature.outputs.map(\.alias).joined(separator: ",")
          throw Status(
            serving: .invalidArgument,
            "output tensor alias not found in signature: \(String(showing: name)) Outputs expected to be in the set {\(outputs)}.")
        }
        guard !chosen.contains(index) else {
          throw Status(serving: .invalidArgument, "duplicate output tensor alias: \(String(showing: name))")
        }
        chosen.append(index)
        wanted |= 1 << UInt64(min(index, 63))
      }
    } catch let status as Status {
      throw status
    } catch {
      throw Status(unparsable: "PredictRequest", error)
    }
    filter = chosen
  }

  private func checkTypes(_ frame: borrowing Frame) throws(Status) {
    guard let index = signature.firstWithOtherType(in: frame) else { return }
    throw signature.otherType(index, frame.fedType(index))
  }
}

extension Signature {
  /// That Predict may call this, when method names are checked.
  func checkPredictable(_ options: ServingOptions) throws(Status) {
    guard options.methodNameCheck, !Signature.predictableMethods.contains(methodName) else { return }
    throw Status(
      serving: .internal,
      "Expected prediction signature method_name to be one of {\(Signature.predictableMethods.joined(separator: ", "))}. Was: \(methodName)")
  }
}

extension PredictRequest {
  /// The names of the inputs, each once, sorted.
  fileprivate func inputNames() throws(Status) -> [String] {
    var names: Set<String> = []
    var inputs = self.inputs
    do {
      while let entry = try inputs.next() { names.insert(String(showing: entry.key)) }
    } catch {
      throw Status(unparsable: "PredictRequest", error)
    }
    return names.sorted()
  }
}

/// Which inputs have been fed. The first 64 without memory of their own.
private struct InputSet {
  private var bits: UInt64 = 0
  private var beyond: Set<Int> = []
  private var count = 0
  private let expected: Int

  init(count: Int) { expected = count }

  /// Whether `index` was not in the set.
  mutating func insert(_ index: Int) -> Bool {
    if index < 64 {
      if bits & (1 << UInt64(index)) != 0 { return false }
      bits |= 1 << UInt64(index)
    } else if !beyond.insert(index).inserted {
      return false
    }
    count += 1
    return true
  }

  var isFull: Bool { count == expected }
}

// MARK: The response

/// The response of a run that succeeded: sized first, then written once.
struct PredictResponseLayout {
  private let run: PredictRun
  private var sizes: InlineSizes
  let byteCount: Int

  init(_ run: PredictRun, _ spec: borrowing ModelSpec, _ options: ServingOptions, _ frame: borrowing Frame) {
    self.run = run
    sizes = InlineSizes()
    var total = PredictResponse.size(spec)
    for i in 0..<run.outputCount {
      let output = run.outputIndex(i)
      let value = frame.output(output, of: run.signature.plan)
      let size = TensorProtoSize(value.view, as: options.tensorContentResponses ? .content : .typedFields)
      sizes.append(size)
      total += PredictResponse.size(output: run.signature.outputKey(output), size)
    }
    byteCount = total
  }

  func append(_ spec: borrowing ModelSpec, _ frame: borrowing Frame, to output: inout OutputRawSpan) {
    for i in 0..<run.outputCount {
      let index = run.outputIndex(i)
      let value = frame.output(index, of: run.signature.plan)
      PredictResponse.append(output: run.signature.outputKey(index), value.view, sizes[i], to: &output)
    }
    PredictResponse.append(spec, to: &output)
  }
}

extension PredictRun {
  var outputCount: Int { filter?.count ?? signature.outputs.count }
  func outputIndex(_ i: Int) -> Int { filter.map { $0[i] } ?? i }
}

/// The sizes of a response's tensors; the first four without memory of their own.
private struct InlineSizes {
  private var first: [4 of TensorProtoSize?] = .init(repeating: nil)
  private var rest: [TensorProtoSize] = []
  private var count = 0

  mutating func append(_ size: TensorProtoSize) {
    if count < 4 { first[count] = size } else { rest.append(size) }
    count += 1
  }

  subscript(index: Int) -> TensorProtoSize {
    guard index < 4, let size = first[index] else { return rest[index - 4] }
    return size
  }
}
