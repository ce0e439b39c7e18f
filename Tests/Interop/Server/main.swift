// interop-server --port=PORT: gRPC's TestService until SIGTERM. Port 0 takes a free one; the first line says which.
import Glibc
import HTTP
import RPC

func leave(_ code: Int32, _ text: String) -> Never {
  print(text)
  exit(code)
}

var configuration = RPCServer.Configuration(host: "127.0.0.1")
var certificate: String?, key: String?
for argument in CommandLine.arguments.dropFirst() {
  let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
  switch (parts[0], parts.count) {
  case ("--port", 2): configuration.http.endpoints = [.tcp(host: "127.0.0.1", port: Int(parts[1]) ?? 0)]
  case ("--tls_certificate", 2): certificate = parts[1]
  case ("--tls_key", 2): key = parts[1]
  default: leave(2, "unknown argument: \(argument)\nusage: interop-server --port=PORT [--tls_certificate=PEM --tls_key=PEM]")
  }
}

// Blocked before there is a second thread: every thread inherits that, and only the wait below takes them.
var signals = sigset_t()
unsafe sigemptyset(&signals)
unsafe sigaddset(&signals, SIGTERM)
unsafe sigaddset(&signals, SIGINT)
unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
signal(SIGPIPE, SIG_IGN)

let server: RPCServer
do {
  if let certificate, let key { configuration.http.tls = try .server(certificateFile: certificate, keyFile: key) }
  server = try RPCServer(methods: .testService(), configuration: configuration)
  try server.start()
} catch {
  leave(1, "cannot serve: \(error)")
}
print("listening on \(server.ports[0])")
fflush(nil)

var number: Int32 = 0
unsafe sigwait(&signals, &number)
await server.drain(deadline: .seconds(5))
