// The other end of a connection, played frame by frame: says exactly what a test wants it to say, legal or not, and
// reports what it hears. Blocking, with a time-out on every read so that a silent server fails a test and hangs none.
internal import CNGHTTP2
internal import Glibc

public struct Frame: Sendable {
  public var type: UInt8
  public var flags: UInt8
  public var stream: Int
  public var payload: [UInt8]

  public static let data: UInt8 = 0, headers: UInt8 = 1, priority: UInt8 = 2, resetStream: UInt8 = 3, settings: UInt8 = 4
  public static let ping: UInt8 = 6, goAway: UInt8 = 7, windowUpdate: UInt8 = 8, continuation: UInt8 = 9
  public static let endStream: UInt8 = 1, acknowledge: UInt8 = 1, endHeaders: UInt8 = 4

  public init(_ type: UInt8, flags: UInt8 = 0, stream: Int = 0, _ payload: [UInt8] = []) {
    self.type = type
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  public var bytes: [UInt8] {
    let n = payload.count
    return [UInt8(n >> 16 & 255), UInt8(n >> 8 & 255), UInt8(n & 255), type, flags] + Frame.word(stream) + payload
  }

  public static func word(_ value: Int) -> [UInt8] {
    [UInt8(value >> 24 & 255), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
  }

  /// The error code of a RST_STREAM or GOAWAY.
  public var errorCode: Int? {
    let at = type == Frame.resetStream ? 0 : 4
    guard type == Frame.resetStream || type == Frame.goAway, payload.count >= at + 4 else { return nil }
    return payload[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
  }
}

/// A whole answer.
public struct Answer: Sendable {
  public var fields: [String: String] = [:]
  public var body: [UInt8] = []
  public var reset: Int?
}

public enum PeerError: Error { case connect, closed, timedOut }

@safe public final class ScriptedPeer {
  public static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  private var fd: Int32
  var input: [UInt8] = []
  private let inflater: OpaquePointer
  /// Requests that are not whole yet, for `request`.
  var requests: [Int: Request] = [:]
  /// Answers that nobody has asked for yet, for `answer`, and the streams of those that are whole.
  private var answers: [Int: Answer] = [:]
  private var finished: Set<Int> = []

  public convenience init(port: Int, receiveBufferBytes: Int? = nil) throws {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if let receiveBufferBytes {
      var size = Int32(receiveBufferBytes)
      _ = unsafe setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, 4)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    let code = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if code != 0 { throw PeerError.connect }
    self.init(owning: fd)
  }

  /// Takes a connected descriptor over.
  public init(owning fd: Int32) {
    self.fd = fd
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    _ = unsafe setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var made: OpaquePointer?
    _ = unsafe nghttp2_hd_inflate_new(&made)
    unsafe inflater = made!
  }

  deinit {
    close()
    unsafe nghttp2_hd_inflate_del(inflater)
  }

  public func close() {
    if fd >= 0 { _ = Glibc.close(fd) }
    fd = -1
  }

  /// Says that we send no more; the other direction stays open.
  public func shutdownWrites() { _ = shutdown(fd, Int32(SHUT_WR)) }

  // MARK: saying

  /// False when the other side is gone.
  @discardableResult
  public func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let n = unsafe bytes[sent...].withUnsafeBytes { unsafe Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if n <= 0 { return false }
      sent += n
    }
    return true
  }

  @discardableResult
  public func send(_ frames: Frame...) -> Bool { send(frames.flatMap(\.bytes)) }

  /// Preface and SETTINGS.
  public func open(_ settings: [(id: Int, value: Int)] = []) {
    send(ScriptedPeer.preface)
    send(Frame(Frame.settings, settings.flatMap { [UInt8($0.id >> 8), UInt8($0.id & 255)] + Frame.word($0.value) }))
  }

  /// A header block of literals without indexing (RFC 7541 §6.2.2).
  public static func block(_ fields: [(String, String)]) -> [UInt8] {
    fields.flatMap { [0] + string($0.0) + string($0.1) }
  }

  private static func string(_ text: String) -> [UInt8] {
    var n = text.utf8.count
    if n < 127 { return [UInt8(n)] + Array(text.utf8) }
    var bytes: [UInt8] = [127]
    n -= 127
    while n >= 128 {
      bytes.append(UInt8(n & 127 | 128))
      n >>= 7
    }
    return bytes + [UInt8(n)] + Array(text.utf8)
  }

  public static func request(_ path: String, method: String = "POST", _ more: [(String, String)] = []) -> [(String, String)] {
    [(":method", method), (":scheme", "http"), (":path", path), (":authority", "test")] + more
  }

  // MARK: hearing

  /// The next frame; throws when the connection is closed or silent.
  public func receive() throws -> Frame {
    try fill(9)
    let length = Int(input[0]) << 16 | Int(input[1]) << 8 | Int(input[2])
    try fill(9 + length)
    let frame = Frame(
      input[3], flags: input[4], stream: input[5..<9].reduce(0) { $0 << 8 | Int($1) } & 0x7fff_ffff,
      Array(input[9..<9 + length]))
    input.removeFirst(9 + length)
    return frame
  }

  func fill(_ count: Int) throws {
    while input.count < count {
      var chunk = [UInt8](repeating: 0, count: 65536)
      let n = unsafe chunk.withUnsafeMutableBytes { unsafe recv(fd, $0.baseAddress, $0.count, 0) }
      if n > 0 {
        input += chunk[..<n]
      } else if n < 0, errno == EAGAIN {
        throw PeerError.timedOut
      } else {
        throw PeerError.closed
      }
    }
  }

  /// The next `count` bytes, whatever they mean.
  public func receive(count: Int) throws -> [UInt8] {
    try fill(count)
    defer { input.removeFirst(count) }
    return Array(input[..<count])
  }

  /// Everything up to `end`, and that.
  public func receive(through end: [UInt8]) throws -> [UInt8] {
    var at = 0
    while true {
      try fill(at + end.count)
      if input[at..<at + end.count].elementsEqual(end) { return try receive(count: at + end.count) }
      at += 1
    }
  }

  /// Everything until the other side closes.
  public func receiveRest() throws -> [UInt8] {
    do { while true { try fill(input.count + 1) } } catch PeerError.closed {}
    return try receive(count: input.count)
  }

  /// Bytes as they come, at least one; throws when the connection is closed or silent.
  public func readSome() throws -> [UInt8] {
    if input.isEmpty { try fill(1) }
    defer { input = [] }
    return input
  }

  /// Everything until the other side closes or falls silent.
  public func readToEnd() -> [UInt8] {
    var bytes: [UInt8] = []
    while let more = try? readSome() { bytes += more }
    return bytes
  }

  /// Skips frames until one of `type`.
  public func receive(_ type: UInt8) throws -> Frame {
    while true {
      let frame = try receive()
      if frame.type == Frame.headers { _ = decode(frame.payload) }
      if frame.type == type { return frame }
    }
  }

  /// Everything until the other side closes: the frames heard. Throws when it stays open.
  public func receiveUntilClosed() throws -> [Frame] {
    var frames: [Frame] = []
    while true {
      do { frames.append(try receive()) } catch PeerError.closed { return frames }
    }
  }

  /// The answer on `stream`; acknowledges nothing and opens no window. What other streams are answered meanwhile is kept for
  /// whoever asks for it.
  public func answer(on stream: Int) throws -> Answer {
    while true {
      if finished.remove(stream) != nil { return answers.removeValue(forKey: stream)! }
      let frame = try receive()
      if frame.type == Frame.headers {
        answers[frame.stream, default: Answer()].fields.merge(decode(frame.payload)) { _, new in new }
      }
      if frame.type == Frame.data { answers[frame.stream, default: Answer()].body += frame.payload }
      if frame.type == Frame.resetStream { answers[frame.stream, default: Answer()].reset = frame.errorCode }
      let isLast = frame.type <= Frame.headers && frame.flags & Frame.endStream != 0
      if isLast || frame.type == Frame.resetStream { finished.insert(frame.stream) }
    }
  }

  public func decode(_ block: [UInt8]) -> [String: String] {
    var fields: [String: String] = [:]
    var block = block
    unsafe block.withUnsafeMutableBufferPointer { bytes in
      var at = 0
      while at < bytes.count {
        var pair = unsafe nghttp2_nv()
        var flags: Int32 = 0
        let n = unsafe nghttp2_hd_inflate_hd2(inflater, &pair, &flags, bytes.baseAddress! + at, bytes.count - at, 1)
        if n < 0 { return }
        at += n
        if UInt32(flags) & NGHTTP2_HD_INFLATE_EMIT.rawValue != 0 {
          let name = unsafe String(decoding: UnsafeBufferPointer(start: pair.name, count: pair.namelen), as: UTF8.self)
          fields[name] = unsafe String(decoding: UnsafeBufferPointer(start: pair.value, count: pair.valuelen), as: UTF8.self)
        }
        if UInt32(flags) & NGHTTP2_HD_INFLATE_FINAL.rawValue != 0 { _ = unsafe nghttp2_hd_inflate_end_headers(inflater) }
        if n == 0, flags == 0 { return }
      }
    }
    return fields
  }
}
