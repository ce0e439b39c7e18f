// An endpoint's address as the kernel takes it.
internal import CLinux
internal import Glibc

/// One resolved address: IPv4 or IPv6 with a port, or a path.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// A sockaddr of its family, as long as it is.
  private let bytes: [UInt8]
  let family: Int32
  /// `127.0.0.1:8500`, `[::1]:8500`, `unix:path`.
  public let description: String

  public var isIPv6: Bool { family == AF_INET6 }

  private init(_ storage: inout sockaddr_storage, _ length: socklen_t, _ family: Int32, _ description: String?) {
    self.family = family
    // The kernel and getaddrinfo give lengths within sockaddr_storage.
    bytes = unsafe withUnsafeBytes(of: &storage) { unsafe Array($0[..<Int(length)]) }
    self.description = description ?? SocketAddress.describe(&storage, length)
  }

  /// Nil when the path is empty or longer than the kernel takes.
  public init?(unix path: String) {
    var storage = sockaddr_storage()
    // Both arguments live through the call; a path that is too long gives length 0.
    let length = unsafe clinux_unix_address(&storage, path)
    if length == 0 || path.isEmpty { return nil }
    self.init(&storage, length, AF_UNIX, "unix:\(path)")
  }

  /// An address in digits; nil for a name. Asks nobody.
  public init?(numeric host: String, port: Int) {
    guard let first = try? SocketAddress.list(host, port, AI_NUMERICHOST).first else { return nil }
    self = first
  }

  /// Every address of `endpoint` in the system's order of preference, each once. Blocks while name servers are asked.
  /// - Parameter passive: for listening.
  static func resolve(_ endpoint: Endpoint, passive: Bool = false) throws(SocketError) -> [SocketAddress] {
    switch endpoint {
    case .unix(let path):
      guard let address = SocketAddress(unix: path) else {
        throw SocketError(operation: "address", address: endpoint.description, code: ENAMETOOLONG)
      }
      return [address]
    case .tcp(let host, let port): return try list(host, port, passive ? AI_PASSIVE : 0)
    }
  }

  private static func list(_ host: String, _ port: Int, _ flags: Int32) throws(SocketError) -> [SocketAddress] {
    let text = Endpoint.tcp(host: host, port: port).description
    guard (0...65535).contains(port) else { throw SocketError(operation: "address", address: text, code: EINVAL) }
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = flags
    var list: UnsafeMutablePointer<addrinfo>?
    // The list is read and freed below, within this function.
    let code = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else {
      let isSystem = code == EAI_SYSTEM
      // gai_strerror gives a constant.
      let reason = isSystem ? nil : unsafe String(cString: gai_strerror(code))
      throw SocketError(operation: "resolve", address: text, code: isSystem ? errno : EADDRNOTAVAIL, reason: reason)
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next {
      var storage = sockaddr_storage()
      let length = unsafe min(entry.pointee.ai_addrlen, socklen_t(MemoryLayout<sockaddr_storage>.size))
      unsafe memcpy(&storage, entry.pointee.ai_addr, Int(length))
      let address = unsafe SocketAddress(&storage, length, entry.pointee.ai_family, nil)
      if !addresses.contains(address) { addresses.append(address) }
      unsafe next = entry.pointee.ai_next
    }
    return addresses
  }

  /// The address in the kernel's form, for the length of the call.
  func withStorage<R>(_ body: (UnsafePointer<sockaddr_storage>, socklen_t) -> R) -> R {
    var storage = sockaddr_storage()
    // No more than a sockaddr_storage was ever taken.
    unsafe bytes.withUnsafeBytes { source in _ = unsafe memcpy(&storage, source.baseAddress!, source.count) }
    return unsafe withUnsafePointer(to: &storage) { unsafe body($0, socklen_t(bytes.count)) }
  }

  /// `HOST:PORT` in digits; "unix" for a socket without an address.
  static func describe(_ address: inout sockaddr_storage, _ length: socklen_t) -> String {
    let capacity = 64
    let isIPv6 = address.ss_family == sa_family_t(AF_INET6)
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 2 * capacity) { text in
      let host = text.baseAddress!, port = unsafe host + capacity
      unsafe clinux_describe(&address, length, host, capacity, port, capacity)
      if unsafe host[0] == 0 { return "unix" }
      let name = unsafe String(cString: host)
      return unsafe (isIPv6 ? "[\(name)]" : name) + ":" + String(cString: port)
    }
  }
}
