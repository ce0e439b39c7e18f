// A connection just accepted: its first bytes say what it speaks.
//
//   "PRI "…        HTTP/2, prior knowledge (RFC 9113 §3.3)
//   else           HTTP/1.1, which may offer to go on in HTTP/2
//
// Over TLS the handshake comes first, and ALPN may have said it all: "h2" needs no first bytes.
//
// Nothing is answered before that, so a connection that never speaks costs a socket and this object.
internal import Telemetry

final class Greeting: Connection {
  private static let speakTLS = """
    HTTP/1.1 400 Bad Request\r
    content-type: text/plain\r
    content-length: 32\r
    connection: close\r
    \r
    This port speaks TLS: use https.
    """ as StaticString
  private static let preface = "PRI " as StaticString
  /// What has been heard, while it is shorter than that.
  private var heard: InlineArray<4, UInt8> = [0, 0, 0, 0]
  private var heardCount = 0
  private var timer = TimerID.none

  static func accept(_ transport: consuming Transport, on loop: EventLoop, peer: String, host: any ConnectionHost) -> Greeting? {
    let isSecure = transport.tls != nil
    let greeting = Greeting(transport, state: isSecure ? .handshaking : .open, loop: loop, peer: peer, host: host)
    // Who has not said what it speaks cannot be told to come again: its age counts from there.
    guard greeting.begin(ages: false) else { return nil }
    greeting.timer = loop.schedule(afterMilliseconds: loop.limits.handshakeMilliseconds, greeting)
    return greeting
  }

  override func received(_ bytes: UnsafeRawBufferPointer) {
    let earlier = heardCount
    for unsafe byte in unsafe bytes.prefix(Greeting.preface.utf8CodeUnitCount - earlier) {
      heard[heardCount] = byte
      heardCount += 1
    }
    var isPreface = true
    for i in 0..<heardCount where unsafe heard[i] != Greeting.preface.utf8Start[i] { isPreface = false }
    if isPreface, heardCount < Greeting.preface.utf8CodeUnitCount { return }
    // `heard` stands still for the length of the call.
    unsafe heard.span.extracting(first: earlier).withUnsafeBytes {
      isPreface ? unsafe becomeHTTP2($0, bytes) : unsafe becomeHTTP1($0, bytes)
    }
  }

  private func becomeHTTP1(_ earlier: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer) {
    unsafe handOver(earlier, bytes) { [loop, peer, isSecure] transport, host in
      HTTP1Connection.accept(transport, isSecure: isSecure, on: loop, peer: peer, host: host)
    }
  }

  private func becomeHTTP2(_ earlier: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer) {
    unsafe handOver(earlier, bytes) { [loop, peer] transport, host in
      HTTP2Connection.accept(transport, on: loop, peer: peer, host: host)
    }
  }

  override func secured(_ name: TLSConfiguration.ApplicationProtocol?, _ bytes: UnsafeRawBufferPointer) {
    if name == .http2 { return unsafe becomeHTTP2(UnsafeRawBufferPointer(start: nil, count: 0), bytes) }
    if unsafe !bytes.isEmpty { unsafe received(bytes) }
  }

  override func handshakeFailed(_ error: TLSError, _ bytes: UnsafeRawBufferPointer) {
    if loop.tlsFailures.charge(now: loop.now) { Log.warn("\(error)", peer: peer) }
    // Every method of HTTP begins with a capital letter. Whoever speaks it in clear is told in clear.
    guard error.kind == .notTLS, let first = unsafe bytes.first, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first),
      unsafe !bytes.starts(with: "PRI ".utf8)
    else { return }
    let text = Greeting.speakTLS
    // The text is static.
    _ = unsafe loop.tls.sealed.append(text.utf8Start, text.utf8CodeUnitCount)
  }

  override func timerFired(_ timer: TimerID) {
    if timer == self.timer { return close("no request within \(limits.handshakeMilliseconds) ms") }
    super.timerFired(timer)
  }

  override func cleanUp(_ reason: String) { loop.cancel(timer) }
}
