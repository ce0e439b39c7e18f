// MultiInference, without a socket: several signatures that take the same examples, in one run of a plan that computes them
// all (`Signature.joint`). TensorFlow Serving's checks in its order, task by task; the first task's model spec chooses the
// version for all.
internal import Catalog
internal import Engine
internal import Messages
internal import RPC
internal import Wire

/// A prepared MultiInference.
struct MultiInferenceRun: InferenceRun {
  /// A task: what is asked of one signature.
  struct Task {
    var run: ExampleRun
    var method: ExampleMethod
    /// For the result's model spec.
    let signatureName: [UInt8]
    /// The place of the signature's first output among the plan's.
    var firstOutput = 0
  }

  private(set) var tasks: [Task]
  let plan: Plan
  let cost: CostEstimate
  fileprivate(set) var rows = 0
  private(set) var wanted: UInt64
  /// What is asked for changes little from request to request: what a run took tells what the next will take.
  var isTypical: Bool { true }

  /// - Precondition: there is a task.
  fileprivate init(_ tasks: [Task]) throws(Status) {
    let first = tasks[0].run
    self.tasks = tasks
    guard tasks.count > 1 else {
      (plan, cost, wanted) = (first.plan, first.cost, first.wanted)
      return
    }
    guard let joint = first.signature.joint?.plan else { throw MultiInferenceRun.otherInput }
    (plan, cost, wanted) = (joint.plan, joint.cost, 0)
    for i in tasks.indices {
      guard let place = tasks[i].run.signature.joint, place.plan === joint else { throw MultiInferenceRun.otherInput }
      self.tasks[i].firstOutput = place.firstOutput
      for output in [tasks[i].run.first, tasks[i].run.second] {
        if let output { wanted |= 1 << UInt64(min(place.firstOutput + output, 63)) }
      }
    }
  }

  private static var otherInput: Status {
    Status(.invalidArgument, "Input tensor must be the same for all Signatures.")
  }

  /// What a task's outputs are, checked.
  fileprivate func classes(_ task: Task, _ frame: borrowing Frame) throws(Status) -> Classes {
    try Classes(
      labels: task.run.first.map { frame.output(task.firstOutput + $0, of: plan) },
      scores: task.run.second.map { frame.output(task.firstOutput + $0, of: plan) }, rows: rows)
  }

  fileprivate func regressions(_ task: Task, _ frame: borrowing Frame) throws(Status) -> Regressions {
    try Regressions(frame.output(task.firstOutput + (task.run.first ?? 0), of: plan), rows: rows)
  }
}

extension MultiInferenceRequest: InferenceMessage {
  static var messageName: String { "MultiInferenceRequest" }
  static var api: API { .multiInference }

  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> MultiInferenceRun {
    var run = try MultiInferenceRun(try checkedTasks(model, options))
    frame.begin(run.plan)
    run.rows = try frame.feedExamples(input, run.tasks[0].run.signature)
    return run
  }

  /// The tasks' model specs and methods, in the order of the request.
  private func checkedTasks(_ model: Model, _ options: ServingOptions) throws(Status) -> [MultiInferenceRun.Task] {
    var checked: [MultiInferenceRun.Task] = []
    do {
      var tasks = self.tasks
      while let message = try tasks.nextMessage() {
        let task = try InferenceTask(message)
        checked.append(try self.checked(task, model, options, after: checked))
      }
    } catch let status as Status {
      throw status
    } catch {
      throw Status(unparsable: MultiInferenceRequest.messageName, error)
    }
    return checked
  }

  private func checked(
    _ task: borrowing InferenceTask, _ model: Model, _ options: ServingOptions, after: [MultiInferenceRun.Task]
  ) throws(Status) -> MultiInferenceRun.Task {
    let spec = task.modelSpec
    guard spec.name.byteCount > 0 else {
      throw Status(.invalidArgument, "Found ModelSpec with an empty model name.")
    }
    guard spec.name.hasSameBytes(as: modelSpec.name) else {
      throw Status(.invalidArgument, "All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    }
    guard let signature = model.signature(named: spec.signatureName) else {
      throw Status(
        serving: .invalidArgument, "Requested signature not found in model graph: \(Signature.name(spec.signatureName))")
    }
    guard !after.contains(where: { $0.run.signature === signature }) else {
      throw Status(serving: .invalidArgument, "Duplicate evaluation of signature: \(signature.name)")
    }
    guard let method = ExampleMethod(task.methodName) else {
      throw Status(
        serving: .unimplemented, "Unsupported signature method_name: \(String(showing: task.methodName))")
    }
    return MultiInferenceRun.Task(
      run: try ExampleRun(signature, method, model, options), method: method, signatureName: Array(signature.name.utf8))
  }

  func answer(
    _ run: MultiInferenceRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status) {
    // All is checked before the first byte is written.
    var size = 0
    for task in run.tasks {
      let spec = ModelSpec(name: modelSpec.name, signatureName: task.signatureName.rawSpan, version: version)
      switch task.method {
      case .classify: size += InferenceResult.size(try run.classes(task, frame).result, spec)
      case .regress: size += InferenceResult.size(RegressionResult(try run.regressions(task, frame).values.view), spec)
      }
    }
    reply.reply(byteCount: size) { output in
      for task in run.tasks {
        let spec = ModelSpec(name: modelSpec.name, signatureName: task.signatureName.rawSpan, version: version)
        switch task.method {
        case .classify:
          guard let classes = try? run.classes(task, frame) else { continue }
          InferenceResult.append(classes.result, spec, to: &output)
        case .regress:
          guard let values = try? run.regressions(task, frame).values else { continue }
          InferenceResult.append(RegressionResult(values.view), spec, to: &output)
        }
      }
    }
  }
}

extension ExampleMethod {
  /// The method of a task, by its name.
  init?(_ name: RawSpan) {
    if name.hasSameBytes(as: RawSpan(literal: "tensorflow/serving/classify")) {
      self = .classify
    } else if name.hasSameBytes(as: RawSpan(literal: "tensorflow/serving/regress")) {
      self = .regress
    } else {
      return nil
    }
  }
}
