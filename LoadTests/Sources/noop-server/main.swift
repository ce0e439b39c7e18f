// A gRPC server that answers Predict with the same bytes each time: what the transport costs, and nothing else.
//   noop-server [--port=N] [--loops=N] [--response-bytes=N] [--certificate=FILE --key=FILE] [--chore-microseconds=N]
import Glibc
import HTTP
import RPC

func option(_ name: String, _ fallback: Int) -> Int {
  for argument in CommandLine.arguments.dropFirst() where argument.hasPrefix("--\(name)=") {
    if let value = Int(argument.dropFirst(name.count + 3)) { return value }
  }
  return fallback
}

func text(_ name: String) -> String? {
  CommandLine.arguments.first { $0.hasPrefix("--\(name)=") }.map { String($0.dropFirst(name.count + 3)) }
}

final class Constant: UnaryHandler {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func handle(_ call: UnaryCall) {
    call.reply(byteCount: bytes.count) { output in
      for byte in bytes { output.append(byte) }
    }
  }
}

/// half_plus_two's answer to `[1, 2, 5]`: outputs { "y": DT_FLOAT [3] 2.5 3 4.5 }.
let predict: [UInt8] = [
  0x0a, 0x1d, 0x0a, 0x01, 0x79, 0x12, 0x18, 0x08, 0x01, 0x12, 0x04, 0x12, 0x02, 0x08, 0x03, 0x2a, 0x0e, 0x0a, 0x0c, 0x00,
  0x00, 0x20, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x90, 0x40,
]
let size = option("response-bytes", predict.count)

var methods = MethodTable()
methods.register(
  path: "/tensorflow.serving.PredictionService/Predict",
  Constant(size == predict.count ? predict : [UInt8](repeating: 7, count: size)))
var configuration = RPCServer.Configuration(host: "127.0.0.1", port: option("port", 0))
configuration.http.loops = option("loops", 1)
configuration.http.limits.choreMicrosecondsPerTurn = option(
  "chore-microseconds", configuration.http.limits.choreMicrosecondsPerTurn)
if let certificate = text("certificate"), let key = text("key") {
  configuration.http.tls = try CertificateStore.server(certificateFile: certificate, keyFile: key)
}

let server = try RPCServer(methods: methods, configuration: configuration)
try server.start()
print("listening on \(server.ports[0])")
fflush(nil)  // All streams: no global is named.

// SIGTERM ends it in order, so that whoever counts something can print it.
var signals = sigset_t()
var number: Int32 = 0
unsafe sigemptyset(&signals)
unsafe sigaddset(&signals, SIGTERM)
unsafe sigprocmask(SIG_BLOCK, &signals, nil)
unsafe sigwait(&signals, &number)
await server.drain(deadline: .zero)
