// The only file with socket system calls.
internal import CLinux
internal import Glibc

/// A call to the system that failed: which, on what, and errno.
public struct SocketError: Error, Sendable, CustomStringConvertible {
  public let operation: String
  public let address: String
  public let code: Int32

  public var description: String {
    // strerror's text is copied before anybody else can ask.
    let text = unsafe String(cString: strerror(code))
    return "\(operation) \(address): \(text) (errno \(code))"
  }
}

/// Where a server listens or a client connects.
public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
  /// A numeric address or a name; port 0 lets the system choose.
  case tcp(host: String, port: Int)
  /// A path in the file system. An old socket file there is removed first.
  case unix(path: String)

  public var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// A file descriptor and the duty to close it.
struct Socket: ~Copyable, Sendable {
  private(set) var fd: Int32

  init(owning fd: Int32) { self.fd = fd }

  deinit { if fd >= 0 { _ = Glibc.close(fd) } }

  mutating func close() {
    if fd >= 0 { _ = Glibc.close(fd) }
    fd = -1
  }

  /// Gives the descriptor away.
  mutating func release() -> Int32 {
    defer { fd = -1 }
    return fd
  }

  var isOpen: Bool { fd >= 0 }
}

enum IOResult {
  case bytes(Int)
  case wouldBlock
  case end
  case failed(Int32)
}

extension Socket {
  func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
    while true {
      // The buffer is the caller's and outlives the call.
      let n = unsafe recv(fd, buffer.baseAddress, buffer.count, 0)
      if n > 0 { return .bytes(n) }
      if n == 0 { return .end }
      if errno == EINTR { continue }
      return errno == EAGAIN || errno == EWOULDBLOCK ? .wouldBlock : .failed(errno)
    }
  }

  /// Writes the pieces in order; a peer that is gone gives an error, not a signal.
  func write(_ pieces: UnsafeMutableBufferPointer<iovec>) -> IOResult {
    while true {
      let n: Int
      if pieces.count == 1 {
        n = unsafe send(fd, pieces[0].iov_base, pieces[0].iov_len, Int32(MSG_NOSIGNAL))
      } else {
        var message = unsafe msghdr()
        unsafe message.msg_iov = pieces.baseAddress
        unsafe message.msg_iovlen = pieces.count
        n = unsafe sendmsg(fd, &message, Int32(MSG_NOSIGNAL))
      }
      if n >= 0 { return .bytes(n) }
      if errno == EINTR { continue }
      return errno == EAGAIN || errno == EWOULDBLOCK ? .wouldBlock : .failed(errno)
    }
  }
}

extension Socket {
  /// One resolved address of an endpoint.
  private struct Address {
    var storage = sockaddr_storage()
    var length: socklen_t = 0
    var family: Int32 = 0
  }

  private static func resolve(_ endpoint: Endpoint, passive: Bool) throws(SocketError) -> [Address] {
    switch endpoint {
    case .unix(let path):
      var address = Address()
      address.family = AF_UNIX
      // Both arguments live through the call; a path that is too long gives length 0.
      unsafe address.length = clinux_unix_address(&address.storage, path)
      if address.length == 0 { throw SocketError(operation: "address", address: endpoint.description, code: ENAMETOOLONG) }
      return [address]
    case .tcp(let host, let port):
      guard (0...65535).contains(port) else {
        throw SocketError(operation: "address", address: endpoint.description, code: EINVAL)
      }
      var hints = unsafe addrinfo()
      unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
      unsafe hints.ai_flags = passive ? AI_PASSIVE : 0
      var list: UnsafeMutablePointer<addrinfo>?
      // The list is read and freed below, within this function.
      guard unsafe getaddrinfo(host, String(port), &hints, &list) == 0 else {
        throw SocketError(operation: "resolve", address: endpoint.description, code: EADDRNOTAVAIL)
      }
      defer { unsafe freeaddrinfo(list) }
      var addresses: [Address] = []
      var next = unsafe list
      while let entry = unsafe next {
        var address = Address()
        unsafe address.family = entry.pointee.ai_family
        unsafe address.length = entry.pointee.ai_addrlen
        unsafe memcpy(&address.storage, entry.pointee.ai_addr, Int(entry.pointee.ai_addrlen))
        addresses.append(address)
        unsafe next = entry.pointee.ai_next
      }
      return addresses
    }
  }

  private static func open(_ family: Int32, _ endpoint: Endpoint) throws(SocketError) -> Socket {
    let fd = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw SocketError(operation: "socket", address: endpoint.description, code: errno) }
    return Socket(owning: fd)
  }

  /// A listening socket. With `shared`, others of this process may listen on the same port and the kernel spreads
  /// connections over them.
  static func listen(_ endpoint: Endpoint, shared: Bool) throws(SocketError) -> Socket {
    let address = try resolve(endpoint, passive: true)[0]
    if case .unix(let path) = endpoint { unlinkSocket(path) }
    let listener = try open(address.family, endpoint)
    var storage = address.storage
    if case .tcp = endpoint {
      _ = clinux_set_option(listener.fd, SOL_SOCKET, SO_REUSEADDR, 1)
      if shared { _ = clinux_set_option(listener.fd, SOL_SOCKET, SO_REUSEPORT, 1) }
    }
    guard unsafe clinux_bind(listener.fd, &storage, address.length) == 0 else {
      throw SocketError(operation: "bind", address: endpoint.description, code: errno)
    }
    guard Glibc.listen(listener.fd, 4096) == 0 else {
      throw SocketError(operation: "listen", address: endpoint.description, code: errno)
    }
    return listener
  }

  /// Removes what an earlier process left, but only if it is a socket.
  private static func unlinkSocket(_ path: String) {
    var status = stat()
    if unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { _ = unsafe unlink(path) }
  }

  /// Starts a connection; it is established (or refused) when the socket becomes writable.
  static func connect(_ endpoint: Endpoint) throws(SocketError) -> Socket {
    var failure = SocketError(operation: "connect", address: endpoint.description, code: EADDRNOTAVAIL)
    for address in try resolve(endpoint, passive: false) {
      let socket = try open(address.family, endpoint)
      var storage = address.storage
      if unsafe clinux_connect(socket.fd, &storage, address.length) == 0 || errno == EINPROGRESS {
        if case .tcp = endpoint { socket.disableNagle() }
        return socket
      }
      failure = SocketError(operation: "connect", address: endpoint.description, code: errno)
    }
    throw failure
  }

  func accept() -> (fd: Int32, peer: String, error: Int32) {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // The kernel writes at most `length` bytes of the address.
    let fd = unsafe clinux_accept(self.fd, &address, &length)
    if fd < 0 { return (-1, "", errno) }
    return (fd, describe(&address, length), 0)
  }

  private func describe(_ address: inout sockaddr_storage, _ length: socklen_t) -> String {
    let capacity = 64
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 2 * capacity) { text in
      let host = text.baseAddress!, port = unsafe host + capacity
      unsafe clinux_describe(&address, length, host, capacity, port, capacity)
      return unsafe host[0] == 0 ? "unix" : String(cString: host) + ":" + String(cString: port)
    }
  }

  /// The socket counts as readable once `bytes` are there, or the peer has ended.
  func setLowWaterMark(_ bytes: Int) { _ = clinux_set_option(fd, SOL_SOCKET, SO_RCVLOWAT, Int32(bytes)) }

  func disableNagle() { _ = clinux_set_option(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

  var boundPort: Int { Int(clinux_bound_port(fd)) }
  var pendingError: Int32 { clinux_socket_error(fd) }
}
