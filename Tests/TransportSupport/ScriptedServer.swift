// The server's end played frame by frame, for our client: listens, and hands out each connection as a `ScriptedPeer`.
internal import CNGHTTP2
internal import Glibc
internal import Dispatch

@safe public final class ScriptedServer: Sendable {
  private let fd: Int32
  public let port: Int

  public convenience init() throws {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        unsafe bind(fd, pointer, length) == 0 && listen(fd, 64) == 0 ? getsockname(fd, pointer, &length) : -1
      }
    }
    if code != 0 { throw PeerError.connect }
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    _ = unsafe setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    self.init(fd, Int(in_port_t(bigEndian: address.sin_port)))
  }

  private init(_ fd: Int32, _ port: Int) {
    self.fd = fd
    self.port = port
  }

  deinit { _ = close(fd) }

  /// The next connection; nothing has been said on it. Throws when none comes.
  public func acceptSilent() throws -> ScriptedPeer {
    let connection = Glibc.accept(fd, nil, nil)
    if connection < 0 { throw PeerError.timedOut }
    return ScriptedPeer(owning: connection)
  }

  /// The next connection, prefaces exchanged.
  public func accept(_ settings: [(id: Int, value: Int)] = []) throws -> ScriptedPeer {
    let peer = try acceptSilent()
    try peer.fill(ScriptedPeer.preface.count)
    peer.input.removeFirst(ScriptedPeer.preface.count)
    peer.send(Frame(Frame.settings, settings.flatMap { [UInt8($0.id >> 8), UInt8($0.id & 255)] + Frame.word($0.value) }))
    // The client's own SETTINGS stand right behind its preface; its windows count from our acknowledgement.
    peer.send(Frame(Frame.settings, flags: Frame.acknowledge))
    return peer
  }
}

/// Runs a script, which blocks, on a thread of its own.
public func script<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
  try await withCheckedThrowingContinuation { continuation in
    // A queue of its own may block: the pool gives it another thread.
    DispatchQueue(label: "script").async { continuation.resume(with: Result { try body() }) }
  }
}

/// A request as a scripted server hears it.
public struct Request: Sendable {
  public var stream = 0
  public var fields: [String: String] = [:]
  public var body: [UInt8] = []
}

extension ScriptedPeer {
  /// The next request up to its head.
  public func requestHead() throws -> Request {
    let frame = try receiveHeaders()
    return Request(stream: frame.stream, fields: decode(frame.payload))
  }

  private func receiveHeaders() throws -> Frame {
    while true {
      let frame = try receive()
      if frame.type == Frame.headers { return frame }
    }
  }

  /// The next request that is whole.
  public func request() throws -> Request {
    while true {
      let frame = try receive()
      if frame.type == Frame.headers {
        requests[frame.stream] = Request(stream: frame.stream, fields: decode(frame.payload))
      } else if frame.type == Frame.data {
        requests[frame.stream]?.body += frame.payload
      }
      guard frame.type <= Frame.headers, frame.flags & Frame.endStream != 0 else { continue }
      if let request = requests.removeValue(forKey: frame.stream) { return request }
    }
  }

  public func head(_ stream: Int, _ fields: [(String, String)] = [(":status", "200"), ("content-type", "application/grpc")]) {
    send(Frame(Frame.headers, flags: Frame.endHeaders, stream: stream, ScriptedPeer.block(fields)))
  }

  /// A gRPC message in one DATA frame.
  public func message(_ stream: Int, _ bytes: [UInt8]) {
    send(Frame(Frame.data, stream: stream, [0] + Frame.word(bytes.count) + bytes))
  }

  public func trailers(_ stream: Int, _ fields: [(String, String)]) {
    send(Frame(Frame.headers, flags: Frame.endHeaders | Frame.endStream, stream: stream, ScriptedPeer.block(fields)))
  }

  /// A whole answer: one message, status OK.
  public func answer(_ stream: Int, _ bytes: [UInt8]) {
    head(stream)
    message(stream, bytes)
    trailers(stream, [("grpc-status", "0")])
  }

  /// Trailers-Only.
  public func fail(_ stream: Int, _ code: Int, _ more: [(String, String)] = []) {
    trailers(stream, [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", String(code))] + more)
  }

  public func goAway(last: Int, _ code: Int = 0, _ text: String = "") {
    send(Frame(Frame.goAway, Frame.word(last) + Frame.word(code) + Array(text.utf8)))
  }

  public func reset(_ stream: Int, _ code: Int) { send(Frame(Frame.resetStream, stream: stream, Frame.word(code))) }
}
