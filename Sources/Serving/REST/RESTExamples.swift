// Classify and Regress over REST: the body becomes the `Input` that a client of gRPC would have sent, and what comes out is
// written as lists.
internal import Catalog
internal import Engine
internal import JSON
internal import Messages
internal import RPC
internal import Tensors
internal import Wire

struct RESTExamples: InferenceRequest, ~Escapable {
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

  /// A prepared run whose examples are the body's.
  struct Run: InferenceRun {
    fileprivate(set) var inner: ExampleRun
    /// The frame refers to its examples.
    let body: ExamplesBody

    var plan: Plan { inner.plan }
    var cost: CostEstimate { inner.cost }
    var rows: Int { inner.rows }
    var wanted: UInt64 { inner.wanted }
    var metered: Signature? { inner.metered }
  }

  private var method: ExampleMethod { exchange.verb == .classify ? .classify : .regress }

  func fitsLoop(_ model: Model, _ options: ServingOptions) -> Bool { exchange.fitsLoop }

  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> Run {
    let body: ExamplesBody
    do throws(BodyError) { body = try ExamplesBody(self.body) } catch { throw Status(error) }
    let name = Array(body.signatureName.utf8)
    var run = Run(inner: try ExampleRun(name.rawSpan, method, model, options), body: body)
    // The same memory as the run's, which keeps it until the answer has been written.
    let bytes = body.input
    let input: ExampleInput
    do { input = try ExampleInput(WireMessage(bytes.rawSpan)) } catch { throw Status(unparsable: "Input", error) }
    try run.inner.feed(input, &frame)
    return run
  }

  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status) {
    var text = ResultsText(isStrict: exchange.service.options.isStrictJSON)
    switch method {
    case .classify: text.put(try run.inner.classes(frame))
    case .regress: text.put(try run.inner.regressions(frame), rows: run.rows)
    }
    reply.reply(text.end())
    withExtendedLifetime(run) {}
  }
}

extension RESTExamples {
  func answer(
    _ run: Run, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply, keeping log: PendingLog
  ) throws(Status) {
    try answer(run, version: version, options, frame, to: reply)
    let name = Array(run.body.signatureName.utf8)
    let spec = exchange.modelSpec(signatureName: name.rawSpan)
    log.submit(
      run.request(spec), try response(run, spec.answered(by: version), frame), signature: run.inner.signature.name)
  }

  private func response(_ run: Run, _ spec: borrowing ModelSpec, _ frame: borrowing Frame) throws(Status) -> [UInt8] {
    switch method {
    case .classify:
      let classes = try run.inner.classes(frame)
      let result = classes.result
      return [UInt8](wireSize: ClassificationResponse.size(result, spec)) { ClassificationResponse.append(result, spec, to: &$0) }
    case .regress:
      let values = try run.inner.regressions(frame).values
      let result = RegressionResult(values.view)
      return [UInt8](wireSize: RegressionResponse.size(result, spec)) { RegressionResponse.append(result, spec, to: &$0) }
    }
  }
}

extension RESTExamples.Run {
  /// The ClassificationRequest or RegressionRequest that the body stands for: `model_spec` 1, `input` 2 in both.
  fileprivate func request(_ spec: borrowing ModelSpec) -> [UInt8] {
    let input = body.input
    return [UInt8](wireSize: WireSize.length(1, spec.byteSize) + WireSize.length(2, input.count)) { output in
      output.appendLength(1, spec.byteSize)
      spec.append(to: &output)
      output.appendBytes(2, input.rawSpan)
    }
  }
}

extension ResultsText {
  /// For each example its classes: pairs of label and score. What the signature does not say is empty, or zero.
  fileprivate mutating func put(_ classes: Classes) {
    for row in 0..<classes.rows {
      beginClasses()
      for index in row * classes.count..<(row + 1) * classes.count {
        let score = classes.scores?.float(index) ?? 0
        if let labels = classes.labels {
          labels.view.withString(at: index) { putClass(label: $0, score: score) }
        } else {
          putClass(label: RawSpan(), score: score)
        }
      }
      endClasses()
    }
  }

  fileprivate mutating func put(_ regressions: Regressions, rows: Int) {
    for row in 0..<rows { putRegression(regressions.values.float(row)) }
  }
}

extension Value {
  /// An element of a tensor of floats.
  fileprivate func float(_ index: Int) -> Float {
    precondition(dtype == .float && index >= 0 && index < shape.count)
    // In bounds, and a float.
    return unsafe view.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: index * 4, as: Float.self)
  }
}
