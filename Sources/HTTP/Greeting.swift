// A connection just accepted: its first bytes say what it speaks.
//
//   "PRI "…        HTTP/2, prior knowledge (RFC 9113 §3.3)
//   else           HTTP/1.1, which may offer to go on in HTTP/2
//
// Nothing is answered before that, so a connection that never speaks costs a socket and this object.

final class Greeting: Connection {
  private static let preface = "PRI " as StaticString
  /// What has been heard, while it is shorter than that.
  private var heard: InlineArray<4, UInt8> = [0, 0, 0, 0]
  private var heardCount = 0
  private var timer = TimerID.none

  static func accept(_ transport: consuming Transport, on loop: EventLoop, peer: String, host: any ConnectionHost) -> Greeting? {
    let greeting = Greeting(transport, state: .open, loop: loop, peer: peer, host: host)
    guard greeting.begin() else { return nil }
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
    unsafe heard.span.extracting(first: earlier).withUnsafeBytes { heard in
      unsafe handOver(heard, bytes) { [loop, peer] transport, host in
        isPreface
          ? HTTP2Connection.accept(transport, on: loop, peer: peer, host: host)
          : HTTP1Connection.accept(transport, isSecure: false, on: loop, peer: peer, host: host)
      }
    }
  }

  override func timerFired(_ timer: TimerID) {
    if timer == self.timer { return close("no request within \(limits.handshakeMilliseconds) ms") }
    super.timerFired(timer)
  }

  override func cleanUp(_ reason: String) { loop.cancel(timer) }
}
