import Glibc
import HTTP
import RPC

struct OptionError: Error, CustomStringConvertible {
  let description: String
}

struct Options {
  var target = ""
  var path = ""
  var body: [UInt8] = []
  var connections = 1
  var streams = 1
  var loops = 1
  var seconds = 5.0
  var warmup = 1.0
  var rate: Double?
  /// How many, instead of for how long.
  var calls: Int?
  var call = CallOptions()
  var configuration = Channel.Configuration()

  init(_ arguments: [String]) throws {
    configuration.connectionsPerAddressMax = 1
    var usesTLS = false
    var ca: String?, cert: String?, key: String?
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      let value = parts.count == 2 ? parts[1] : ""
      func number() throws -> Double {
        guard let number = Double(value), number >= 0 else { throw OptionError(description: "\(argument): not a number") }
        return number
      }
      switch parts[0] {
      case "--target": target = value
      case "--path": path = value
      case "--body": body = try Options.read(value)
      case "--connections": connections = max(1, Int(try number()))
      case "--streams": streams = max(1, Int(try number()))
      case "--loops": loops = max(1, Int(try number()))
      case "--seconds": seconds = try number()
      case "--warmup": warmup = try number()
      case "--rate": rate = try number()
      case "--calls": calls = max(1, Int(try number()))
      case "--timeout": call.timeout = .milliseconds(Int(try number() * 1000))
      case "--tls": usesTLS = true
      case "--ca": ca = value
      case "--cert": cert = value
      case "--key": key = value
      case "--server-name": configuration.tlsServerName = value
      default: throw OptionError(description: "there is no option \(argument)")
      }
    }
    if usesTLS {
      configuration.tls = try CertificateStore.client(trustedRootsFile: ca, certificateFile: cert, keyFile: key)
    }
    loops = min(loops, connections)
    if calls != nil, rate != nil { throw OptionError(description: "--calls is for a closed loop, --rate for an open one") }
    if target.isEmpty || path.isEmpty { throw OptionError(description: "--target and --path are needed") }
  }

  private static func read(_ path: String) throws -> [UInt8] {
    guard let file = unsafe fopen(path, "rb") else { throw OptionError(description: "cannot open \(path)") }
    // Open until the end of this function; at most 64 KB are read into as many bytes.
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let n = unsafe fread(&chunk, 1, chunk.count, file)
      if n == 0 { return bytes }
      bytes += chunk[..<n]
    }
  }
}
