// interop-server --port=PORT: gRPC's TestService until SIGTERM. Port 0 takes a free one; the first line says which.
import Glibc
import HTTP
import RPC

var port = 0
for argument in CommandLine.arguments.dropFirst() {
  let parts = argument.split(separator: "=", maxSplits: 1)
  guard parts.count == 2, parts[0] == "--port", let number = Int(parts[1]) else {
    print("unknown argument: \(argument)\nusage: interop-server --port=PORT")
    exit(2)
  }
  port = number
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
  server = try RPCServer(methods: .testService(), configuration: RPCServer.Configuration(host: "127.0.0.1", port: port))
  try server.start()
} catch {
  print("cannot serve: \(error)")
  exit(1)
}
print("listening on \(server.ports[0])")
fflush(nil)

var number: Int32 = 0
unsafe sigwait(&signals, &number)
await server.drain(deadline: .seconds(5))
