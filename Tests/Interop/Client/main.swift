// interop-client --server_host=HOST --server_port=PORT --test_case=NAME: one interoperability case with our client. Leaves
// with 0 when the case held, with 1 and a reason when it did not.
import Glibc
import HTTP
import RPC

func leave(_ code: Int32, _ text: String) -> Never {
  print(text)
  exit(code)
}

let usage = """
  usage: interop-client --server_host=HOST --server_port=PORT --test_case=NAME [--ca_file=PEM] [--no_probe]
    --ca_file   speak TLS, and trust who is signed by this
    --no_probe  do not ask whether the server tells compressed requests from others
    NAME        \(Cases.all.map(\.name).joined(separator: ", "))
  """

var host = "127.0.0.1", port = 0, name = "", probes = true
var configuration = Channel.Configuration()
for argument in CommandLine.arguments.dropFirst() {
  let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
  switch (parts[0], parts.count) {
  case ("--server_host", 2): host = parts[1]
  case ("--server_port", 2): port = Int(parts[1]) ?? 0
  case ("--test_case", 2): name = parts[1]
  case ("--ca_file", 2):
    do { configuration.tls = try .client(trustedRootsFile: parts[1]) } catch { leave(2, "\(error)") }
  case ("--no_probe", 1): probes = false
  default: leave(2, "unknown argument: \(argument)\n\(usage)")
  }
}
guard let found = Cases.all.first(where: { $0.name == name }) else { leave(2, "no case '\(name)'\n\(usage)") }

signal(SIGPIPE, SIG_IGN)
let channel = Channel(to: .tcp(host: host, port: port), configuration: configuration)
do {
  try await found.run(Cases(channel: channel, probes: probes))()
} catch {
  leave(1, "\(name): \(error)")
}
channel.close()
print("\(name): passed")
