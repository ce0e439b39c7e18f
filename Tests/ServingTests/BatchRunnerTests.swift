// What becomes of a batch: without sockets, threads or time.
import HTTP
import RPC
import Telemetry
import Tensors
import Testing

@testable import Catalog
@testable import Engine
@testable import Serving

/// A request that keeps what it is answered.
private final class Asked: BatchTask, @unchecked Sendable {
  let slot: Slot
  let loop: EventLoop
  let inputs: FedInputs
  let rows: Int
  var wanted: UInt64 = .max
  var deadline: MonotonicTime?
  var limit: MonotonicTime?
  var isCancelled = false
  private let parts = SplitParts()
  private(set) var outcomes: [Outcome] = []

  enum Outcome: Equatable {
    case outputs([Tensor])
    case failed(Status)
    case abandoned

    static func == (a: Outcome, b: Outcome) -> Bool {
      switch (a, b) {
      case (.outputs(let a), .outputs(let b)):
        a.count == b.count
          && zip(a, b).allSatisfy {
            $0.shape == $1.shape && $0.dtype == $1.dtype
              && ($0.dtype == .string ? $0.strings == $1.strings : $0.array(of: Float.self) == $1.array(of: Float.self))
          }
      case (.failed(let a), .failed(let b)): a == b
      case (.abandoned, .abandoned): true
      default: false
      }
    }
  }

  init(_ slot: Slot, _ loop: EventLoop, _ tensors: [Tensor]) {
    self.slot = slot
    self.loop = loop
    var frame = Frame()
    frame.begin(slot.model.signatures[0].plan)
    for (i, tensor) in tensors.enumerated() { frame.feed(i, tensor) }
    inputs = frame.fedInputs(of: slot.model.signatures[0].plan)
    rows = tensors[0].shape[0]
  }

  var plan: Plan { slot.model.signatures[0].plan }
  var cost: CostEstimate { slot.model.signatures[0].cost }
  var byteCount: Int { 0 }
  var queued: MonotonicTime { .now }
  var isWanted: Bool { !isCancelled && !parts.hasFailed }
  func isExpired(at now: MonotonicTime) -> Bool { limit.map { $0 <= now } ?? false }

  func answer(_ options: ServingOptions, _ frame: borrowing Frame, _ time: BatchTime) -> BatchedAnswer {
    var outputs: [Tensor] = []
    for i in 0..<plan.outputCount {
      let value = frame.output(i, of: plan)
      outputs.append(Tensor(copying: value.view))
    }
    return ended(.outputs(outputs))
  }
  func fail(_ status: Status, _ time: BatchTime?) -> BatchedAnswer { ended(.failed(status)) }
  func abandon() -> BatchedAnswer { ended(.abandoned) }
  func part(_ rows: Range<Int>, _ outcome: Result<[Tensor?], Status>) -> SplitOutcome { parts.add(rows, of: self.rows, outcome) }

  private func ended(_ outcome: Outcome) -> BatchedAnswer {
    outcomes.append(outcome)
    let origin = RequestOrigin(api: .predict, entrypoint: .grpc)
    // The loop does not run: nothing is sent.
    return BatchedAnswer(
      loop: loop, send: nil, trail: RequestTrail(origin, arrived: .now), code: .ok, labels: RequestLabels(origin: origin))
  }
}

/// A thread's runner and frame, and what it has counted.
private final class Bench {
  let slot: Slot
  let loop: EventLoop
  let metrics = Metrics()
  let tracer = Tracer()
  private var runner: BatchRunner
  private var frame = Frame()

  init(_ model: Model, _ change: (inout BatchingParameters) -> Void = { _ in }) throws {
    var parameters = BatchingParameters()
    change(&parameters)
    slot = Slot(modelName: "m", version: 1, model: model, batching: parameters)
    loop = try EventLoop()
    runner = BatchRunner(ServingOptions(), BatchMeters(metrics, threadPoolName: "pool"), tracer)
  }

  func asked(_ tensors: Tensor...) -> Asked { Asked(slot, loop, tensors) }
  func asked(_ rows: [Float]) -> Asked { asked(Tensor(.float, shape: [rows.count], rows)) }

  /// Runs these tasks by the queue's rules.
  func run(_ tasks: [Asked]) throws {
    let parameters = slot.batching!
    var queue = BatchQueue<any BatchTask>(parameters)
    for task in tasks { try queue.add(task, rows: task.rows, at: .now) }
    queue.close()
    while let batch = queue.next(at: .now) { runner.run(batch, parameters, &frame) }
  }

  func count(_ name: String) -> Int {
    guard case .integer(let value) = metrics.snapshot().family(name)?.points.first?.value else { return 0 }
    return Int(value)
  }
  var runs: Int { count("/tensorflow/serving/batching_session/wrapped_run_count") }
}

extension Model {
  /// y = 2 x, for numbers that are not negative.
  fileprivate static func doubling() throws -> Model {
    try Model(Graph(nodes: [node("x", "Placeholder"), node("y", "TestDouble", 0)]), [Parameter("x")], [Parameter("y")])
  }
}

private func floats(_ shape: Shape, _ values: Float...) -> Tensor { Tensor(.float, shape: shape, values) }

@Suite struct BatchRunnerTests {
  @Test func `everybody gets their own rows of one run`() throws {
    let bench = try Bench(.doubling())
    let tasks = [bench.asked([1]), bench.asked([2, 3]), bench.asked([]), bench.asked([4])]
    try bench.run(tasks)
    #expect(tasks[0].outcomes == [.outputs([floats([1], 2)])])
    #expect(tasks[1].outcomes == [.outputs([floats([2], 4, 6)])])
    #expect(tasks[2].outcomes == [.outputs([floats([0])])])
    #expect(tasks[3].outcomes == [.outputs([floats([1], 8)])])
    #expect(bench.runs == 1)
  }

  @Test func `what fills a batch up to an allowed size is cut off again`() throws {
    let bench = try Bench(.doubling()) {
      $0.batchSizeMax = 8
      $0.allowedBatchSizes = [4, 8]
    }
    let tasks = [bench.asked([1, 2]), bench.asked([3])]
    try bench.run(tasks)
    #expect(tasks[0].outcomes == [.outputs([floats([2], 2, 4)])])
    #expect(tasks[1].outcomes == [.outputs([floats([1], 6)])])
    let padding = try #require(bench.metrics.snapshot().family("/tensorflow/serving/batching_session/padding_size"))
    #expect(padding.points.map(\.labels) == [["4"]])
    guard case .histogram(let value) = padding.points[0].value else { throw Status(.internal, "no histogram") }
    #expect(value.sum == 1)
    #expect(value.count == 1)
  }

  @Test func `nobody is padded when there is no row to pad with`() throws {
    let bench = try Bench(.doubling()) {
      $0.batchSizeMax = 8
      $0.allowedBatchSizes = [4, 8]
    }
    let tasks = [bench.asked([]), bench.asked([])]
    try bench.run(tasks)
    for task in tasks { #expect(task.outcomes == [.outputs([floats([0])])]) }
  }

  @Test func `one that fails fails alone`() throws {
    let bench = try Bench(.doubling())
    let tasks = (0..<16).map { bench.asked($0 == 11 ? [-1] : [Float($0)]) }
    try bench.run(tasks)
    for (i, task) in tasks.enumerated() where i != 11 { #expect(task.outcomes == [.outputs([floats([1], 2 * Float(i))])]) }
    #expect(tasks[11].outcomes == [.failed(Status(.invalidArgument, "-1.0 is negative\n\t [[{{node y}}]]"))])
    // In halves: 16, 8, and on the failing side 8, 4, 4, 2, 2, 1, 1.
    #expect(bench.runs == 9)
    #expect(bench.count("martlet_batch_reruns_total") == 4)
  }

  @Test func `a run that changes state is not run again`() throws {
    let model = try Model(Graph(nodes: [node("x", "Placeholder"), node("y", "TestWritingDouble", 0)]), [Parameter("x")], [Parameter("y")])
    #expect(model.signatures[0].plan.changesState)
    let bench = try Bench(model)
    let tasks = [bench.asked([1]), bench.asked([-1])]
    try bench.run(tasks)
    for task in tasks { #expect(task.outcomes == [.failed(Status(.invalidArgument, "-1.0 is negative\n\t [[{{node y}}]]"))]) }
    #expect(bench.runs == 1)
  }

  @Test func `rows that differ in shape run apart`() throws {
    let bench = try Bench(.doubling())
    let tasks = [bench.asked(floats([1, 2], 1, 2)), bench.asked(floats([1, 3], 1, 2, 3)), bench.asked(floats([1, 2], 5, 6))]
    try bench.run(tasks)
    #expect(tasks[0].outcomes == [.outputs([floats([1, 2], 2, 4)])])
    #expect(tasks[1].outcomes == [.outputs([floats([1, 3], 2, 4, 6)])])
    #expect(tasks[2].outcomes == [.outputs([floats([1, 2], 10, 12)])])
    #expect(bench.runs == 2)
  }

  @Test func `or are padded with their own first element, and stay so`() throws {
    let bench = try Bench(.doubling()) { $0.padsVariableLengthInputs = true }
    let tasks = [
      bench.asked(floats([2, 2, 1], 1, 2, 3, 4)), bench.asked(floats([1, 1, 2], 5, 6)), bench.asked(floats([1, 0, 2])),
      bench.asked(floats([1, 1, 1, 1], 7)),
    ]
    try bench.run(tasks)
    #expect(tasks[0].outcomes == [.outputs([floats([2, 2, 2], 2, 2, 4, 2, 6, 2, 8, 2)])])
    #expect(tasks[1].outcomes == [.outputs([floats([1, 2, 2], 10, 12, 10, 10)])])
    // What has no element, or another rank, cannot be.
    #expect(tasks[2].outcomes == [.outputs([floats([1, 0, 2])])])
    #expect(tasks[3].outcomes == [.outputs([floats([1, 1, 1, 1], 14)])])
    #expect(bench.runs == 3)
  }

  @Test func `strings come back to those who sent them`() throws {
    let bench = try Bench(.echo(.string)) {
      $0.batchSizeMax = 8
      $0.allowedBatchSizes = [8]
    }
    func strings(_ texts: String...) -> Tensor { Tensor(shape: [texts.count], strings: texts.map { Array($0.utf8) }) }
    let tasks = [bench.asked(strings("a", "")), bench.asked(strings("a longer one")), bench.asked(strings("b", "c"))]
    try bench.run(tasks)
    #expect(tasks[0].outcomes == [.outputs([strings("a", "")])])
    #expect(tasks[1].outcomes == [.outputs([strings("a longer one")])])
    #expect(tasks[2].outcomes == [.outputs([strings("b", "c")])])
  }

  @Test func `who waits no more is not run`() throws {
    let bench = try Bench(.doubling())
    let tasks = (0..<4).map { bench.asked([Float($0)]) }
    tasks[0].isCancelled = true
    tasks[1].deadline = .now
    tasks[2].limit = .now
    try bench.run(tasks)
    #expect(tasks[0].outcomes == [.abandoned])
    #expect(tasks[1].outcomes == [.abandoned])
    #expect(
      tasks[2].outcomes == [.failed(Status(.resourceExhausted, "Run() timeout exceeded while waiting in batching queue"))])
    #expect(tasks[3].outcomes == [.outputs([floats([1], 6)])])
    #expect(bench.count("martlet_batch_dropped_total") == 2)

    for task in tasks { task.isCancelled = true }
    try bench.run([tasks[0]])
    #expect(bench.runs == 1)
  }

  @Test func `a profile shows a batch as one, with its ops`() throws {
    let bench = try Bench(.doubling())
    #expect(bench.tracer.start())
    try bench.run([bench.asked([1]), bench.asked([2, 3])])
    let trace = try #require(bench.tracer.stop())
    let events = trace.lines.flatMap(\.events.events)
    let batch = try #require(events.first { $0.name == .request("batch m") })
    #expect(batch.details?.rows == 3)
    #expect(batch.details?.status == "OK")
    let op = try #require(events.first { $0.name == .op(node: "y", op: "TestDouble") })
    #expect(op.start >= batch.start && op.end <= batch.end)
  }

  @Test func `outputs that have no rows, or others, fail everybody`() throws {
    var bench = try Bench(
      Model(Graph(nodes: [node("x", "Placeholder"), constant("y", 1)]), [Parameter("x")], [Parameter("y")]))
    let scalar = bench.asked([1])
    try bench.run([scalar])
    #expect(scalar.outcomes == [.failed(Status(.failedPrecondition, "Batched output tensor has 0 dimensions"))])

    bench = try Bench(
      Model(Graph(nodes: [node("x", "Placeholder"), constant("y", 1, 2, 3)]), [Parameter("x")], [Parameter("y")]))
    let other = [bench.asked([1]), bench.asked([2])]
    try bench.run(other)
    for task in other {
      #expect(
        task.outcomes == [
          .failed(
            Status(
              .failedPrecondition,
              "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"))
        ])
    }
    #expect(bench.runs == 1)
  }

  @Test func `a large request is answered with all its rows, or fails once`() throws {
    let bench = try Bench(.doubling()) {
      $0.splitsLargeBatches = true
      $0.executionBatchSizeMax = 3
    }
    let tasks = [bench.asked([1, 2]), bench.asked([3, 4, 5, 6, 7, 8, 9]), bench.asked([1, 1, 1, -1, 1, 1, 1]), bench.asked([9])]
    try bench.run(tasks)
    #expect(tasks[0].outcomes == [.outputs([floats([2], 2, 4)])])
    #expect(tasks[1].outcomes == [.outputs([floats([7], 6, 8, 10, 12, 14, 16, 18)])])
    #expect(tasks[2].outcomes == [.failed(Status(.invalidArgument, "-1.0 is negative\n\t [[{{node y}}]]"))])
    #expect(tasks[3].outcomes == [.outputs([floats([1], 18)])])

    let gone = bench.asked([1, 2, 3, 4])
    gone.isCancelled = true
    try bench.run([gone])
    #expect(gone.outcomes == [.abandoned])
  }

  /// Anything together: each is answered once, with its own rows.
  @Test(arguments: 0..<60) func `whatever comes together, each gets what it would get alone`(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let pads = Bool.random(using: &random)
    let bench = try Bench(.doubling()) {
      $0.batchSizeMax = 16
      $0.executionBatchSizeMax = 16
      $0.enqueuedBatchesMax = 1000
      if Bool.random(using: &random) {
        $0.splitsLargeBatches = true
        $0.executionBatchSizeMax = Int.random(in: 1...16, using: &random)
      }
      if Bool.random(using: &random) { $0.allowedBatchSizes = [$0.executionBatchSizeMax] }
      $0.padsVariableLengthInputs = pads
    }
    var tasks: [(task: Asked, rows: Int, width: Int, values: [Float])] = []
    for _ in 0..<40 {
      let rows = Int.random(in: 0...9, using: &random), width = Int.random(in: 0...3, using: &random)
      var values = (0..<rows * width).map { _ in Float(Int.random(in: 0...99, using: &random)) }
      if !values.isEmpty, Int.random(in: 0..<8, using: &random) == 0 { values[values.count / 2] = -1 }
      let task = bench.asked(Tensor(.float, shape: [rows, width], values))
      task.isCancelled = Int.random(in: 0..<8, using: &random) == 0
      tasks.append((task, rows, width, values))
    }
    try bench.run(tasks.map(\.task))
    for (task, rows, width, values) in tasks {
      try #require(task.outcomes.count == 1)
      switch task.outcomes[0] {
      case .abandoned: #expect(task.isCancelled)
      case .failed(let status):
        // Parts that were padded to different widths cannot be put together again: as in TensorFlow Serving.
        #expect(values.contains(-1) || pads && status.code == .internal, "\(status)")
      case .outputs(let outputs):
        #expect(!task.isCancelled && !values.contains(-1))
        let shape = outputs[0].shape
        #expect(shape[0] == rows)
        #expect(pads ? shape[1] >= width : shape[1] == width)
        let got = outputs[0].array(of: Float.self)
        for r in 0..<rows {
          for c in 0..<width { #expect(got[r * shape[1] + c] == 2 * values[r * width + c]) }
        }
      }
    }
  }
}
