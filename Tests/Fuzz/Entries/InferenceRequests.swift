// The requests of Classify, Regress, MultiInference and SessionRun. The first two are the same on the wire.

import Messages
import Tensors
import Wire

func readClassify(_ message: WireMessage) throws(WireError) -> Int {
  let request = try ClassificationRequest(message)
  let same = try RegressionRequest(message)
  precondition(same.input.count == request.input.count && same.modelSpec.name.hasSameBytes(as: request.modelSpec.name))
  return try request.modelSpec.name.byteCount &+ readInput(request.input)
}

func readInput(_ input: borrowing ExampleInput) throws(WireError) -> Int {
  var sum = input.context.extent.byteCount
  var count = 0
  var bytes = 0
  var examples = input.examples
  while let example = try examples.nextSpan() {
    count += 1
    bytes += example.byteCount
    sum &+= example.byteCount
  }
  precondition(count == input.count && bytes == input.byteCount)
  return sum
}

func readMultiInference(_ message: WireMessage) throws(WireError) -> Int {
  let request = try MultiInferenceRequest(message)
  var sum = request.modelSpec.name.byteCount
  var count = 0
  var tasks = request.tasks
  while let next = try tasks.nextMessage() {
    let task = try InferenceTask(next)
    sum &+= task.methodName.byteCount &+ task.modelSpec.signatureName.byteCount
    precondition(count > 0 || task.modelSpec.name.hasSameBytes(as: request.modelSpec.name))
    count += 1
  }
  precondition(count == request.taskCount)
  return try sum &+ readInput(request.input)
}

func readSessionRun(_ message: WireMessage) throws(WireError) -> Int {
  let request = try SessionRunRequest(message)
  var sum = Int(truncatingIfNeeded: request.timeoutMilliseconds) &+ (request.hasAliases ? 1 : 0)
  var feeds = request.feeds
  while let next = try feeds.nextMessage() {
    let feed = try NamedTensorProto(next)
    sum &+= feed.name.byteCount &+ (try readTensor(feed.tensor))
  }
  var fetches = request.fetches
  while let name = try fetches.nextSpan() { sum &+= String(showing: name).utf8.count }
  var targets = request.targets
  while let name = try targets.nextSpan() { sum &+= name.byteCount }
  return sum
}
