// Times what a Predict over REST does before and after a model computes: a body to a tensor, a tensor to an answer. See
// LoadTests/json.sh, whose peer wrote the body.
//
//     json-bench FILE
import Glibc
import JSON
import Tensors
import Wire

/// CPU time of this process, nanoseconds.
func now() -> Double {
  var t = timespec()
  unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)
  return Double(t.tv_sec) * 1e9 + Double(t.tv_nsec)
}

func slurp(_ path: String) -> [UInt8] {
  guard let file = unsafe fopen(path, "rb") else { fatalError("no \(path): run LoadTests/json.sh") }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let n = unsafe fread(&buffer, 1, buffer.count, file)
    if n == 0 { return bytes }
    bytes.append(contentsOf: buffer[0..<n])
  }
}

/// All that the server does with a body: the whole of it is read, for a signature with one input.
@inline(never)
func read(_ bytes: [UInt8], _ inputs: [JSONInput]) throws -> PredictBody {
  try PredictBody(bytes.rawSpan, inputs, tensorBytesMax: 1 << 30)
}

@inline(never)
func write(_ body: PredictBody, _ outputs: [PredictText.Output]) throws -> [UInt8] {
  try PredictText.text(.row, outputs, isStrict: false) { _, use in
    // The body outlives the call.
    let bytes = unsafe UnsafeRawBufferPointer(start: body.tensors[0].elements, count: body.shapes[0].count * 4)
    use(TensorView(dtype: .float, shape: body.shapes[0], bytes: unsafe bytes.bytes))
  }
}

func time(_ name: String, _ work: () throws -> Int) rethrows {
  var sink = 0
  for _ in 0..<2 { sink &+= try work() }
  var times: [Double] = []
  for _ in 0..<7 {
    let start = now()
    for _ in 0..<4 { sink &+= try work() }
    times.append((now() - start) / 4)
  }
  times.sort()
  print("\(name) \(Int(times[3]))")
  precondition(sink != 0)
}

let bytes = slurp(CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "body.json")
let inputs = [JSONInput("x", .float)]
let body = try read(bytes, inputs)
precondition(body.shapes == [[1, 224, 224, 3]])
var sum = 0.0
// As above.
unsafe UnsafeRawBufferPointer(start: body.tensors[0].elements, count: body.shapes[0].count * 4).withMemoryRebound(to: Float.self) {
  for index in $0.indices { sum += Double(unsafe $0[index]) }
}
print("sum \((sum * 1000).rounded() / 1000)")
let outputs = [PredictText.Output("y", .float, body.shapes[0])]
try time("parse") { try read(bytes, inputs).shapes[0].count }
try time("print") { try write(body, outputs).count }
