// Predict over REST: numbers go from the body's digits into tensors, and those to the run as they are.
internal import Catalog
internal import Engine
internal import JSON
internal import Messages
internal import RPC
internal import Tensors
internal import Wire

struct RESTPredict: InferenceRequest, ~Escapable {
  private let exchange: RESTExchange
  private let body: RawSpan

  @_lifetime(copy body)
  init(_ exchange: RESTExchange, _ body: RawSpan) {
    self.exchange = exchange
    self.body = body
  }

  var modelSpec: ModelSpec {
    @_lifetime(copy self)
    get {
      // The exchange outlives its request.
      unsafe _overrideLifetime(exchange.modelSpec, copying: self)
    }
  }

  /// A prepared Predict whose tensors are the body's.
  struct Run: InferenceRun {
    let signature: Signature
    let body: PredictBody
    var rows: Int {
      guard let shape = body.shapes.first, shape.rank > 0 else { return 1 }
      return shape.count == 0 ? 0 : shape[0]
    }
    var wanted: UInt64 { .max }
    var plan: Plan { signature.plan }
    var cost: CostEstimate { signature.cost }
    var metered: Signature? { signature }
  }

  func fitsLoop(_ model: Model, _ options: ServingOptions) -> Bool { exchange.fitsLoop }

  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> Run {
    let run: Run
    do throws(BodyError) { run = try read(model, options) } catch { throw Status(error) }
    try run.signature.checkPredictable(options)
    frame.begin(run.plan)
    for (index, tensor) in run.body.tensors.enumerated() {
      // The run keeps the body until its answer has been written, and the text stays where it is as long.
      unsafe frame.feed(index, dtype: tensor.dtype, shape: run.body.shapes[index], borrowing: tensor.elements)
    }
    return run
  }

  /// Finds the signature, and reads the body for it.
  private func read(_ model: Model, _ options: ServingOptions) throws(BodyError) -> Run {
    // Most bodies name their signature first of all, or none.
    let expected = RequestBody.leadingSignatureName(body) ?? ""
    if let signature = model.signature(rest: expected) {
      let read = try read(signature, options)
      if read.signatureName == expected { return Run(signature: signature, body: read) }
    }
    let name = try RequestBody.signatureName(body)
    guard let signature = model.signature(rest: name) else {
      throw BodyError("Serving signature name: \"\(name.isEmpty ? Model.defaultSignatureName : name)\" not found in signature def")
    }
    return Run(signature: signature, body: try read(signature, options))
  }

  private func read(_ signature: Signature, _ options: ServingOptions) throws(BodyError) -> PredictBody {
    guard !signature.inputs.isEmpty else {
      // What stands in the body is looked at first.
      let name = try RequestBody.signatureName(body)
      throw BodyError("Failed to get input map for signature: \(name.isEmpty ? "DEFAULT" : name)")
    }
    return try PredictBody(
      body, signature.inputs.map { JSONInput($0.alias, $0.dtype) }, tensorBytesMax: options.tensorBytesMax)
  }

  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status) {
    let plan = run.signature.plan
    let outputs = run.signature.outputs.enumerated().map { index, output in
      let value = frame.output(index, of: plan)
      return PredictText.Output(output.alias, value.dtype, value.shape)
    }
    let text: [UInt8]
    do throws(BodyError) {
      text = try PredictText.text(run.body.format, outputs, isStrict: exchange.service.options.isStrictJSON) { index, write in
        let value = frame.output(index, of: plan)
        write(value.view)
      }
    } catch {
      throw Status(error)
    }
    reply.reply(text)
    withExtendedLifetime(run) {}
  }
}

extension RESTPredict {
  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply, keeping log: PendingLog
  ) throws(Status) {
    try answer(run, version: version, options, frame, to: reply)
    let name = Array(run.body.signatureName.utf8)
    let spec = exchange.modelSpec(signatureName: name.rawSpan)
    let answered = spec.answered(by: version)
    let layout = PredictResponseLayout(PredictRun(signature: run.signature), answered, options, frame)
    log.submit(
      run.request(spec), [UInt8](wireSize: layout.byteCount) { layout.append(answered, frame, to: &$0) },
      signature: run.signature.name)
  }
}

extension RESTPredict.Run {
  /// The PredictRequest that the body stands for.
  fileprivate func request(_ spec: borrowing ModelSpec) -> [UInt8] {
    let names = signature.inputs.map { Array($0.alias.utf8) }
    var size = PredictRequest.size(spec)
    var sizes: [TensorProtoSize] = []
    for (index, name) in names.enumerated() {
      withTensor(index) { tensor in
        let tensorSize = TensorProtoSize(tensor)
        sizes.append(tensorSize)
        size += PredictRequest.size(input: name.rawSpan, tensorSize)
      }
    }
    return [UInt8](wireSize: size) { output in
      PredictRequest.append(spec, to: &output)
      for (index, name) in names.enumerated() {
        withTensor(index) { PredictRequest.append(input: name.rawSpan, $0, sizes[index], to: &output) }
      }
    }
  }

  private func withTensor(_ index: Int, _ use: (borrowing TensorView) -> Void) {
    let tensor = body.tensors[index], shape = body.shapes[index]
    // The body has the elements of its shapes, and lives as long as this call.
    let bytes = unsafe UnsafeRawBufferPointer(start: tensor.elements, count: shape.count * tensor.dtype.size)
    use(TensorView(dtype: tensor.dtype, shape: shape, bytes: unsafe bytes.bytes))
    withExtendedLifetime(body) {}
  }
}

extension Model {
  /// The signature of a name in a body; the default one for an empty name.
  fileprivate func signature(rest name: String) -> Signature? { name.isEmpty ? defaultSignature : signature(name) }
}
