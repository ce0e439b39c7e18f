/// Whom a connection is counted for: an IPv4 address, or the /64 network that an IPv6 host has to itself (RFC 4291 §2.5.4).
/// From the text that `accept` gives, `1.2.3.4:5`, `[2001:db8::1]:5`. Nil: a Unix socket, whose peers are not counted.
enum PeerName {
  static func counted(_ peer: String) -> String? {
    guard let colon = peer.lastIndex(of: ":") else { return nil }
    var host = peer[..<colon]
    guard host.hasPrefix("[") else { return String(host) }
    host = host.dropFirst().dropLast()
    // IPv4 on a socket of both families: ::ffff:1.2.3.4.
    if host.contains("."), let last = host.lastIndex(of: ":") { return String(host[host.index(after: last)...]) }
    let halves = host.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
    var groups = halves[0].split(separator: ":").map(String.init)
    if halves.count == 2 {
      let tail = halves[1].split(separator: ":").map(String.init)
      groups += [String](repeating: "0", count: max(0, 8 - groups.count - tail.count)) + tail
    }
    return groups.prefix(4).joined(separator: ":")
  }
}
