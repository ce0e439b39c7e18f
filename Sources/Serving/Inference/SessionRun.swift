// SessionRun, without a socket: tensors fed and fetched by name, whether or not a signature names them. The plan is made on a
// worker when its names are asked for first; later requests with the same names find it.
internal import Catalog
internal import Engine
internal import HTTP
internal import Messages
internal import RPC
internal import Tensors
internal import Wire

/// A prepared SessionRun.
struct SessionRun: InferenceRun {
  let made: SessionPlan
  /// As the request calls them.
  let fetches: [[UInt8]]
  fileprivate(set) var rows = 1
  let hasTargets: Bool
  let deadline: MonotonicTime?

  var plan: Plan { made.plan }
  var cost: CostEstimate { made.cost }
  var wanted: UInt64 { .max }
}

extension SessionRunRequest: InferenceMessage {
  static var messageName: String { "SessionRunRequest" }
  static var api: API { .sessionRun }

  func fitsLoop(_ model: Model, _ options: ServingOptions) -> Bool {
    // A mistake is told as well here as there.
    guard let plans = model.sessionPlans, let names = try? names(model) else { return true }
    return timeoutMilliseconds <= 0 && plans.known(names.resolved) != nil
  }

  func prepare(_ model: Model, _ options: ServingOptions, feeding frame: inout Frame) throws(Status) -> SessionRun {
    var deadline: MonotonicTime?
    if timeoutMilliseconds > 0 {
      let end = MonotonicTime.now.advanced(byNanoseconds: UInt64(clamping: timeoutMilliseconds.clamped) * 1_000_000)
      if let outer = frame.interruption { frame.interruption = Timeout(outer, end) }
      deadline = end
    }
    guard let plans = model.sessionPlans else {
      throw Status(.unimplemented, "the model has no graph to run by the names of tensors")
    }
    let names = try names(model)
    let made: SessionPlan
    do { made = try plans.plan(names.resolved) } catch { throw Status(error) }
    var run = SessionRun(
      made: made, fetches: names.fetches, hasTargets: !names.resolved.targets.isEmpty, deadline: deadline)
    frame.begin(made.plan)
    var feeds = self.feeds
    var index = 0
    do {
      while let message = try feeds.nextMessage() {
        let feed = try NamedTensorProto(message)
        let elements: TensorElements
        do { elements = try TensorProto(feed.tensor).elements(bytesMax: options.tensorBytesMax) } catch {
          throw Status(serving: .invalidArgument, "tensor parsing error: \(String(showing: feed.name))")
        }
        if index == 0 { run.rows = elements.shape.rows }
        try frame.feed(index, elements)
        if let type = made.feedTypes[index], type != frame.fedType(index) {
          throw Status(.invalidArgument, "Expects arg[\(index)] to be \(type) but \(frame.fedType(index)) is provided")
        }
        index += 1
      }
    } catch let status as Status {
      throw status
    } catch let error as RunError {
      throw Status(error)
    } catch {
      throw Status(unparsable: SessionRunRequest.messageName, error)
    }
    return run
  }

  /// The names as the graph has them, and the fetches as the request has them.
  private func names(_ model: Model) throws(Status) -> (resolved: SessionPlans.Names, fetches: [[UInt8]]) {
    var signature: Signature? = nil
    if hasAliases {
      signature = model.signature(named: modelSpec.signatureName)
      guard signature != nil else {
        throw Status(
          serving: .failedPrecondition, "Serving signature key \"\(Signature.name(modelSpec.signatureName))\" not found.")
      }
    }
    var resolved = SessionPlans.Names(feeds: [], fetches: [], targets: [])
    var asked: [[UInt8]] = []
    do {
      var feeds = self.feeds, fetches = self.fetches, targets = self.targets
      while let message = try feeds.nextMessage() {
        resolved.feeds.append(try signature.tensorName(try NamedTensorProto(message).name, \.inputs, \.outputs))
      }
      while let name = try fetches.nextSpan() {
        resolved.fetches.append(try signature.tensorName(name, \.outputs, \.inputs))
        asked.append([UInt8](name))
      }
      while let name = try targets.nextSpan() {
        resolved.targets.append(try signature.tensorName(name, \.outputs, \.inputs))
      }
    } catch let status as Status {
      throw status
    } catch {
      throw Status(unparsable: SessionRunRequest.messageName, error)
    }
    return (resolved, asked)
  }

  func answer(
    _ run: SessionRun, version: Int64, _ options: ServingOptions, _ frame: borrowing Frame, to reply: some Reply
  ) throws(Status) {
    let spec = hasAliases ? modelSpec.answered(by: version) : ModelSpec(name: modelSpec.name, version: version)
    var sizes: [TensorProtoSize] = []
    var total = SessionRunResponse.size(spec)
    for (i, name) in run.fetches.enumerated() {
      let size = TensorProtoSize(
        frame.output(i, of: run.plan).view, as: options.tensorContentResponses ? .content : .typedFields)
      sizes.append(size)
      total += SessionRunResponse.size(name.rawSpan, size)
    }
    reply.reply(byteCount: total) { output in
      for (i, name) in run.fetches.enumerated() {
        SessionRunResponse.append(name.rawSpan, frame.output(i, of: run.plan).view, sizes[i], to: &output)
      }
      SessionRunResponse.append(spec, to: &output)
    }
  }
}

extension Signature? {
  /// A tensor's name: itself, or what the signature calls by that alias, in its first list or else in its second.
  fileprivate func tensorName(
    _ name: RawSpan, _ first: KeyPath<Signature, [Signature.Parameter]>, _ second: KeyPath<Signature, [Signature.Parameter]>
  ) throws(Status) -> String {
    let name = String(showing: name)
    guard let self else { return name }
    for parameter in self[keyPath: first] + self[keyPath: second] where parameter.alias == name { return parameter.tensorName }
    throw Status(serving: .invalidArgument, "tensor alias not found in signature: \(name)")
  }
}

extension Int64 {
  /// A timeout that a clock can be moved by: a year is as good as more.
  fileprivate var clamped: Int64 { Swift.min(self, 365 * 86_400_000) }
}

/// A run's own limit, beside what may end it anyhow.
private final class Timeout: Interruption {
  private let outer: any Interruption
  private let end: MonotonicTime

  init(_ outer: any Interruption, _ end: MonotonicTime) {
    self.outer = outer
    self.end = end
  }

  var reason: RunError.Code? { end <= .now ? .deadlineExceeded : outer.reason }
}
