// The only file with socket system calls.
internal import CLinux
internal import Glibc

/// A call to the system that failed: which, on what, and errno.
public struct SocketError: Error, Sendable, CustomStringConvertible {
  public let operation: String
  public let address: String
  public let code: Int32
  /// What went wrong, where errno does not say it.
  public let reason: String?

  init(operation: String, address: String, code: Int32, reason: String? = nil) {
    self.operation = operation
    self.address = address
    self.code = code
    self.reason = reason
  }

  public var description: String {
    if let reason { return "\(operation) \(address): \(reason)" }
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

  /// Fills the pieces in order.
  func read(into pieces: UnsafeMutableBufferPointer<iovec>) -> IOResult {
    var message = unsafe msghdr()
    unsafe message.msg_iov = pieces.baseAddress
    unsafe message.msg_iovlen = pieces.count
    while true {
      // The pieces are the caller's and outlive the call.
      let n = unsafe recvmsg(fd, &message, 0)
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
  private static func open(_ family: Int32, _ endpoint: Endpoint) throws(SocketError) -> Socket {
    let fd = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw SocketError(operation: "socket", address: endpoint.description, code: errno) }
    return Socket(owning: fd)
  }

  /// A listening socket. With `shared`, others of this process may listen on the same port and the kernel spreads
  /// connections over them.
  static func listen(_ endpoint: Endpoint, shared: Bool) throws(SocketError) -> Socket {
    let address = try SocketAddress.resolve(endpoint, passive: true)[0]
    if case .unix(let path) = endpoint { unlinkSocket(path) }
    let listener = try open(address.family, endpoint)
    if case .tcp = endpoint {
      _ = clinux_set_option(listener.fd, SOL_SOCKET, SO_REUSEADDR, 1)
      if shared { _ = clinux_set_option(listener.fd, SOL_SOCKET, SO_REUSEPORT, 1) }
    }
    guard unsafe address.withStorage({ unsafe clinux_bind(listener.fd, $0, $1) }) == 0 else {
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
  static func connect(_ address: SocketAddress) throws(SocketError) -> Socket {
    let fd = socket(address.family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw SocketError(operation: "socket", address: address.description, code: errno) }
    let socket = Socket(owning: fd)
    // A Unix socket whose queue is full says EAGAIN: to us a server that is not there, tried again after the back-off.
    let code = unsafe address.withStorage { unsafe clinux_connect(fd, $0, $1) == 0 ? 0 : errno }
    guard code == 0 || code == EINPROGRESS else {
      throw SocketError(operation: "connect", address: address.description, code: code)
    }
    if address.family != AF_UNIX { socket.disableNagle() }
    return socket
  }

  func accept() -> (fd: Int32, peer: String, error: Int32) {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // The kernel writes at most `length` bytes of the address.
    let fd = unsafe clinux_accept(self.fd, &address, &length)
    if fd < 0 { return (-1, "", errno) }
    return (fd, SocketAddress.describe(&address, length), 0)
  }

  /// Says that nothing more comes; the other direction stays open.
  func shutdownWrites() { _ = shutdown(fd, Int32(SHUT_WR)) }

  /// The socket counts as readable once `bytes` are there, or the peer has ended.
  func setLowWaterMark(_ bytes: Int) { _ = clinux_set_option(fd, SOL_SOCKET, SO_RCVLOWAT, Int32(bytes)) }

  /// A peer this near fills a buffer of megabytes as fast as any.
  private static let nearMicroseconds = 1000

  /// Bounds what the kernel holds for a peer on this machine or beside it. Its own tuning is made for long ways: left to
  /// itself the buffer of a near peer that sends much grows until it fits no cache any more.
  func boundReceiveBuffer(_ bytes: Int) {
    let roundTrip = clinux_round_trip_min(fd)
    if roundTrip < 0 || roundTrip > Socket.nearMicroseconds { return }
    // The kernel doubles it, for its own bookkeeping.
    _ = clinux_set_option(fd, SOL_SOCKET, SO_RCVBUF, Int32(bytes / 2))
  }

  func disableNagle() { _ = clinux_set_option(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

  var boundPort: Int { Int(clinux_bound_port(fd)) }
  var pendingError: Int32 { clinux_socket_error(fd) }
}
