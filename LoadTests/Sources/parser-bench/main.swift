// Times our parser on the payloads the other parsers are timed on, in the form they print: see LoadTests/parser.sh.
//
//     parser-bench DIRECTORY    with a.pb, b.pb (PredictRequest), c.pb (tf.Example), d.pb (saved_model.pb)
import Glibc
import Messages
import Tensors
import Wire

/// The payload to time alone.
let only = CommandLine.arguments.count > 2 ? CommandLine.arguments[2] : ""

/// CPU time of this process, nanoseconds.
func now() -> Double {
  var t = timespec()
  unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)
  return Double(t.tv_sec) * 1e9 + Double(t.tv_nsec)
}

func pad(_ text: String, _ width: Int, left: Bool = true) -> String {
  let fill = String(repeating: " ", count: max(0, width - text.utf8.count))
  return left ? text + fill : fill + text
}

/// Median and minimum over nine bursts of at least 60 ms.
@inline(never)
func bench(_ what: String, _ how: String, _ count: Int, _ body: () throws -> Int) rethrows {
  guard only.isEmpty || what.hasPrefix(only) else { return }
  var sum = 0
  for _ in 0..<3 { sum &+= try body() }
  let start = now()
  var rounds = 0
  repeat {
    sum &+= try body()
    rounds += 1
  } while now() - start < 6e7
  var times: [Double] = []
  for _ in 0..<9 {
    let start = now()
    for _ in 0..<rounds { sum &+= try body() }
    times.append((now() - start) / Double(rounds))
  }
  guard sum != 0 else { fatalError("\(what): nothing was read") }
  times.sort()
  func ns(_ x: Double) -> String { pad(x < 1000 ? String(Double(Int(x * 10)) / 10) : String(Int(x)), 12, left: false) }
  print(
    pad(what, 34), pad(how, 26), pad(String(count), 9, left: false), "B  median", ns(times[4]), "ns  min", ns(times[0]),
    "ns")
}

func slurp(_ path: String) -> [UInt8] {
  guard let file = unsafe fopen(path, "rb") else { fatalError("no \(path): run LoadTests/parser.sh") }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let n = unsafe fread(&buffer, 1, buffer.count, file)
    if n == 0 { return bytes }
    bytes.append(contentsOf: buffer[0..<n])
  }
}

/// Bytes to validated tensors, elements where they stand.
@inline(never)
func readRequest(_ bytes: [UInt8]) throws -> Int {
  let request = try PredictRequest(bytes.rawSpan)
  var found = 0
  var inputs = request.inputs
  while let input = try inputs.next() {
    let elements = try TensorProto(input.value).elements(bytesMax: 1 << 30)
    found &+= elements.contiguousRange?.count ?? 0
  }
  return found
}

/// The same, and the elements copied out.
@inline(never)
func copyRequest(_ bytes: [UInt8], into buffer: inout [UInt8]) throws -> Int {
  let request = try PredictRequest(bytes.rawSpan)
  var found = 0
  var inputs = request.inputs
  while let input = try inputs.next() {
    let elements = try TensorProto(input.value).elements(bytesMax: buffer.count)
    var span = buffer.mutableSpan
    var raw = unsafe span.mutableBytes
    elements.copyElements(into: &raw)
    found &+= elements.byteCount
  }
  return found
}

/// Bytes to typed values by feature number: floats and integers decoded, strings as ranges.
@inline(never)
func readExample(
  _ reader: ExampleReader, _ bytes: [UInt8], _ slots: inout [FeatureSlot], _ numbers: inout [UInt8],
  _ strings: inout [Range<UInt32>]
) throws -> Int {
  let source = bytes.rawSpan
  var slots = slots.mutableSpan
  try reader.read(source, into: &slots)
  var span = numbers.mutableSpan
  var raw = unsafe span.mutableBytes
  var strings = strings.mutableSpan
  var at = 0
  var stringCount = 0
  var values = 0
  for i in 0..<slots.count {
    let slot = slots[i]
    values &+= slot.count
    switch slot.kind {
    case .none: break
    case .bytes:
      slot.forEachString(of: source) { range in
        strings[stringCount] = range
        stringCount &+= 1
      }
    case .float, .int64:
      slot.copyNumbers(of: source, into: &raw, at: at)
      at &+= slot.byteCount
    }
  }
  return values
}

/// Bytes to a graph one can walk.
@inline(never)
func readModel(_ bytes: [UInt8]) throws -> Int {
  var found = 0
  let model = try SavedModel(bytes.rawSpan)
  var metaGraphs = model.metaGraphs
  while let message = try metaGraphs.nextMessage() {
    let metaGraph = try MetaGraphDef(message)
    found &+= try GraphIndex(metaGraph.graph).nodes.count
  }
  return found
}

let directory = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "payloads"
let a = slurp(directory + "/a.pb")
let b = slurp(directory + "/b.pb")
let c = slurp(directory + "/c.pb")
let d = slurp(directory + "/d.pb")
var buffer = [UInt8](repeating: 0, count: 1 << 20)

try bench("a PredictRequest tensor_content", "martlet view", a.count) { try readRequest(a) }
try bench("a PredictRequest tensor_content", "martlet copied", a.count) { try copyRequest(a, into: &buffer) }
try bench("b PredictRequest float_val", "martlet view", b.count) { try readRequest(b) }
try bench("b PredictRequest float_val", "martlet copied", b.count) { try copyRequest(b, into: &buffer) }

// The features of c.pb: feature_000 to feature_099, by turns float, int64, bytes.
let reader = ExampleReader(
  FeatureTable(
    (0..<100).map { i in
      let digits = String(i)
      let name = "feature_" + String(repeating: "0", count: 3 - digits.utf8.count) + digits
      return (Array(name.utf8), [FeatureKind.float, .int64, .bytes][i % 3])
    }))
var slots = [FeatureSlot](repeating: FeatureSlot(), count: 100)
var numbers = [UInt8](repeating: 0, count: 1 << 16)
var strings = [Range<UInt32>](repeating: 0..<0, count: 1 << 12)
let values = try readExample(reader, c, &slots, &numbers, &strings)
guard values > 400 else { fatalError("c.pb holds other features than expected: \(values) values") }
try bench("c tf.Example 100 features", "martlet \(values) values", c.count) {
  try readExample(reader, c, &slots, &numbers, &strings)
}

let nodes = try readModel(d)
try bench("d saved_model.pb resnet50", "martlet \(nodes) nodes", d.count) { try readModel(d) }
