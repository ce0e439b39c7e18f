// martlet-predict: one question to a model server from the command line, and the answer in words.
//
//   martlet-predict 127.0.0.1:8500 half_plus_two x=1,2,5
//   martlet-predict unix:/run/martlet.sock digits --signature=serving_default image:float[1,8,8]=0,0,5,13,...
internal import Client
internal import Glibc
internal import HTTP
internal import RPC
internal import Telemetry
internal import Tensors

func leave(_ code: Int32, _ text: String) -> Never {
  Console.complain(text)
  exit(code)
}

let usage = """
  usage: martlet-predict SERVER MODEL [--signature=NAME] [--version=N] [--label=NAME] [--output=NAME]... [--timeout=SECONDS]
                         [--tls] [--ca=FILE] [--cert=FILE --key=FILE] [--server-name=NAME] INPUT...
    SERVER  HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT,..., ipv6:[ADDRESS]:PORT,... or unix:PATH
    INPUT   name=values, name:type=values or name:type[extents]=values; values separated by commas
            x=1,2,5    ids:int64[2,2]=1,2,3,4    words:string=to,be
            the type is float and the shape a vector unless given
    TLS     --ca says whom to trust instead of the system's roots, --cert and --key who we are
  """

let question: Question
let client: PredictionClient
do {
  question = try readArguments(Array(CommandLine.arguments.dropFirst()))
  client = PredictionClient(question.target, configuration: try question.configuration())
} catch {
  leave(2, "\(error.description)\n\(usage)")
}
do {
  let prediction = try await client.predict(question.query, timeout: question.timeout)
  Console.say("\(prediction.model) version \(prediction.version), \(prediction.signature)")
  for (name, tensor) in prediction.outputs.sorted(by: { $0.key < $1.key }) {
    Console.say("  \(name): \(tensor.dtype)\(tensor.shape) = \(text(tensor))")
  }
} catch {
  leave(1, "\(question.target): \(error)")
}
