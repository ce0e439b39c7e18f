// Where a channel goes, in gRPC's syntax ("gRPC Name Resolution"):
//
//   host:port   dns:host:port   dns:///host:port      a name, and every address it has
//   ipv4:10.0.0.1:8500,10.0.0.2:8500                  addresses as they stand
//   ipv6:[::1]:8500,[::2]:8500
//   unix:path   unix:///absolute/path                 a socket in the file system
//
// Left out: a name server of one's own (`dns://server/…`), `unix-abstract:`, `vsock:` and the rest. Unlike gRPC's, a port
// has no default: 443 would be right for no model server.
public import HTTP

public struct TargetError: Error, Hashable, CustomStringConvertible {
  public let description: String
}

public struct Target: Hashable, Sendable, CustomStringConvertible {
  /// What is to be resolved; each may stand for several addresses.
  public let endpoints: [Endpoint]
  public let description: String

  public init(_ endpoint: Endpoint) {
    endpoints = [endpoint]
    description = endpoint.description
  }

  public init(parsing text: String) throws(TargetError) {
    description = text
    let colon = text.firstIndex(of: ":")
    let scheme = colon.map { String(text[..<$0]) } ?? ""
    let rest = colon.map { String(text[text.index(after: $0)...]) } ?? ""
    func wrong(_ why: String) -> TargetError { TargetError(description: "target '\(text)': \(why)") }
    switch scheme {
    case "dns":
      var name = rest
      if name.hasPrefix("//") {
        name.removeFirst(2)
        guard let slash = name.firstIndex(of: "/") else { throw wrong("after dns:// comes a third slash and then HOST:PORT") }
        guard slash == name.startIndex else { throw wrong("names are resolved by the system, not by '\(name[..<slash])'") }
        name.removeFirst()
      }
      guard let endpoint = Endpoint(text: name), case .tcp = endpoint else { throw wrong("'\(name)' is not HOST:PORT") }
      endpoints = [endpoint]
    case "ipv4", "ipv6":
      var list: [Endpoint] = []
      for part in rest.split(separator: ",", omittingEmptySubsequences: false) {
        guard let endpoint = Endpoint(text: String(part)), case .tcp(let host, let port) = endpoint,
          let address = SocketAddress(numeric: host, port: port), address.isIPv6 == (scheme == "ipv6")
        else { throw wrong("'\(part)' is not \(scheme == "ipv4" ? "an IPv4 ADDRESS:PORT" : "an IPv6 [ADDRESS]:PORT")") }
        list.append(endpoint)
      }
      endpoints = list
    case "unix":
      var path = rest
      if path.hasPrefix("//") {
        path.removeFirst(2)
        guard path.hasPrefix("/") else { throw wrong("after unix:// comes an absolute path") }
      }
      guard SocketAddress(unix: path) != nil else { throw wrong("'\(path)' is no path for a socket: empty or too long") }
      endpoints = [.unix(path: path)]
    case "unix-abstract", "vsock", "xds", "http", "https", "grpc", "tcp":
      throw wrong("there is no scheme \(scheme): only dns, ipv4, ipv6 and unix")
    default:
      guard let endpoint = Endpoint(text: text) else { throw wrong("neither HOST:PORT nor dns:, ipv4:, ipv6: or unix:") }
      endpoints = [endpoint]
    }
  }

  /// The name a certificate is checked against: the first endpoint's, "localhost" for a Unix socket.
  var serverName: String {
    if case .tcp(let host, _) = endpoints.first { host } else { "localhost" }
  }

  /// `:authority`: the first endpoint, "localhost" for a Unix socket.
  var authority: String {
    switch endpoints.first {
    case .tcp: endpoints[0].description
    case .unix, nil: "localhost"
    }
  }
}
