// Times what Classify does before a model computes: a request's bytes to dense, sparse and ragged tensors. See LoadTests/examples.sh,
// whose peer wrote the request and says which features are what.
//
//     example-bench FILE
import Engine
import Glibc
import Messages
import Tensors
import Wire

/// CPU time of this process, nanoseconds.
func now() -> Double {
  var t = timespec()
  unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)
  return Double(t.tv_sec) * 1e9 + Double(t.tv_nsec)
}

func slurp(_ path: String) -> [UInt8] {
  guard let file = unsafe fopen(path, "rb") else { fatalError("no \(path): run LoadTests/examples.sh") }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let n = unsafe fread(&buffer, 1, buffer.count, file)
    if n == 0 { return bytes }
    bytes.append(contentsOf: buffer[0..<n])
  }
}

/// The graph a model would have: one ParseExampleV2, as tf.io.parse_example writes it.
func plan() throws -> Plan {
  func name(_ i: Int) -> [UInt8] {
    let digits = String(i)
    return Array(("feature_" + String(repeating: "0", count: 3 - digits.utf8.count) + digits).utf8)
  }
  func strings(_ label: String, _ values: [[UInt8]]) -> Node {
    Node(name: label, op: "Const", attributes: ["value": .tensor(Tensor(shape: [values.count], strings: values))])
  }
  let all = Array(0..<100)
  let sparse = all.filter { $0 % 3 == 1 && $0 % 2 == 0 }
  let ragged = all.filter { $0 % 3 == 2 && $0 % 2 == 0 }
  let dense = all.filter { $0 % 3 == 0 || $0 % 2 == 1 }
  let types: [DType] = [.float, .int64, .string]
  var nodes = [
    Node(name: "examples", op: "Placeholder"), strings("names", []), strings("sparse", sparse.map(name)),
    strings("dense", dense.map(name)), strings("ragged", ragged.map(name)),
  ]
  var inputs = (0..<5).map { Endpoint(node: $0) }
  for i in dense {
    inputs.append(Endpoint(node: nodes.count))
    // No default: the feature must be there.
    let empty = types[i % 3] == .string
      ? Tensor(shape: [0], strings: []) : Tensor(dtype: types[i % 3], shape: [0], adopting: TensorBuffer(byteCount: 0))
    nodes.append(Node(name: "default\(i)", op: "Const", attributes: ["value": .tensor(empty)]))
  }
  nodes.append(
    Node(
      name: "parse", op: "ParseExampleV2", inputs: inputs,
      attributes: [
        "num_sparse": .int(sparse.count), "sparse_types": .list(sparse.map { .type(types[$0 % 3]) }),
        "Tdense": .list(dense.map { .type(types[$0 % 3]) }),
        "dense_shapes": .list(dense.map { .shape(PartialShape($0 % 3 == 0 ? [4] : [])) }),
        "ragged_value_types": .list(ragged.map { .type(types[$0 % 3]) }),
        "ragged_split_types": .list(ragged.map { _ in .type(.int64) }),
      ]))
  let session = Session(Graph(nodes: nodes))
  let outputs = 3 * sparse.count + dense.count + 2 * ragged.count
  return try session.plans([
    .init(
      feeds: [Endpoint(node: 0)], fetches: (0..<outputs).map { Endpoint(node: nodes.count - 1, output: $0) })
  ])[0]
}

/// From the request's bytes to tensors; the number of examples.
@inline(never)
func read(_ bytes: [UInt8], _ plan: Plan, _ frame: inout Frame) throws -> Int {
  let request = try ClassificationRequest(bytes.rawSpan)
  frame.begin(plan)
  var fed = try frame.feed(0, dtype: .string, shape: [request.input.count])
  var examples = request.input.examples
  var refs = unsafe fed.mutableSpan(of: StringRef.self)
  var row = 0
  while let example = try examples.nextSpan() {
    // `bytes` outlives the run.
    unsafe example.withUnsafeBytes { unsafe refs[row] = StringRef(base: $0.baseAddress, count: $0.count) }
    row += 1
  }
  try frame.run(plan)
  return row
}

let bytes = slurp(CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "examples.pb")
let plan_ = try plan()
var frame = Frame()
let rows = try read(bytes, plan_, &frame)
// Indices, values and shapes of 16 sparse features, 67 dense ones, values and splits of 17 ragged ones.
var values = 0
for i in 0..<plan_.outputCount {
  let value = frame.output(i, of: plan_)
  if (16..<32).contains(i) || (48..<48 + 67 + 17).contains(i) { values += value.count }
}
for _ in 0..<3 { _ = try read(bytes, plan_, &frame) }
var rounds = 0
let start = now()
repeat {
  _ = try read(bytes, plan_, &frame)
  rounds += 1
} while now() - start < 6e7
var times: [Double] = []
for _ in 0..<9 {
  let start = now()
  for _ in 0..<rounds { _ = try read(bytes, plan_, &frame) }
  times.append((now() - start) / Double(rounds))
}
times.sort()
print("values \(values)")
print("ours \(Double(Int(times[4] / Double(rows) * 10)) / 10)")
