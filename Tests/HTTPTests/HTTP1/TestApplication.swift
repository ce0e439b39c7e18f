// The server behind the HTTP/1.1 tests: an application that does what the path says, and a log of what happened to it.
import Glibc
import Synchronization

@testable import HTTP

let largeBytes = 2 << 20

/// What the tests ask of the application, and what they learn.
final class TestLog: Sendable {
  let opened = Atomic<Int>(0)
  let closed = Atomic<Int>(0)
  let closedWell = Atomic<Int>(0)
  private let waiting = Mutex<[@Sendable () -> Void]>([])

  /// Something on a loop waits for the test to let it go on.
  func wait(_ loop: EventLoop, _ job: @escaping () -> Void) {
    // It is made on the loop and runs there; in between it only waits.
    nonisolated(unsafe) let job = job
    waiting.withLock { $0.append { loop.enqueue { unsafe job() } } }
  }

  /// Lets the first of them go on, when it has come.
  func release() throws {
    try until("something that waits") { waiting.withLock { !$0.isEmpty } }
    waiting.withLock { $0.removeFirst() }()
  }

  func until(_ what: String, _ condition: () -> Bool) throws {
    let end = MonotonicTime.now.advanced(byMilliseconds: 10_000)
    while !condition() {
      if MonotonicTime.now > end { throw Late(what: what) }
      sched_yield()
    }
  }

  struct Late: Error { let what: String }
}

/// The path says what is done.
final class TestApplication: HTTPApplication {
  let log: TestLog
  let loop: EventLoop
  let ok = StaticFields([(":status", "200")])
  let noContent = StaticFields([(":status", "204")])
  let notModified = StaticFields([(":status", "304")])
  let forbidden = StaticFields([(":status", "403")])
  let trailers = StaticFields([("x-end", "yes")])

  init(_ log: TestLog, _ loop: EventLoop) {
    self.log = log
    self.loop = loop
  }

  func opened(_ stream: HTTPStream) {
    log.opened.add(1, ordering: .relaxed)
    let exchange = Exchange(self, stream.head.text(.path) ?? "")
    stream.handler = exchange
    switch exchange.path {
    case "/forbidden": stream.respond(forbidden, FieldList())
    case "/stream", "/forever": stream.begin(ok, FieldList())
    case "/pieces":
      stream.begin(ok, FieldList())
      exchange.writable(stream)
    case "/unchanged-pieces":
      stream.begin(notModified, FieldList())
      stream.write(exchange.piece(of: 10))
      stream.end(trailers, FieldList())
    case "/paused":
      stream.pause()
      log.wait(loop) { stream.resume() }
    case "/reset": stream.reset(.internalError)
    default: break
    }
  }

  final class Exchange: StreamHandler {
    static let pieces = 400
    let application: TestApplication
    let path: String
    private var received = ByteBuffer()
    private var piecesLeft = pieces

    init(_ application: TestApplication, _ path: String) {
      self.application = application
      self.path = path
    }

    func received(_ bytes: RawSpan, on stream: HTTPStream) {
      switch path {
      case "/stream":
        var piece = ByteBuffer()
        _ = piece.append(bytes)
        stream.write(piece)
      case "/pausing":
        if stream.isPaused { _ = received.append(byteCount: 1) { $0.append(UInt8(ascii: "!")) } }
        _ = received.append(bytes)
        stream.pause()
        application.log.wait(application.loop) { stream.resume() }
      case "/fails": stream.reset(.internalError)
      default: _ = received.append(bytes)
      }
    }

    func ended(_ stream: HTTPStream) {
      switch path {
      case "/stream":
        var more = FieldList()
        more.append("x-trailer", stream.trailers.value(of: "x-sent") ?? "none")
        stream.end(nil, more)
      case "/later":
        application.log.wait(application.loop) { [application] in stream.respond(application.ok, trailers: nil) }
      case "/none": stream.respond(application.noContent, trailers: nil)
      case "/unchanged": stream.respond(application.notModified, trailers: nil)
      case "/trailers": answer(stream, trailers: application.trailers)
      case "/large":
        _ = stream.body.append(byteCount: largeBytes) { output in for i in 0..<largeBytes { output.append(UInt8(truncatingIfNeeded: i)) } }
        stream.respond(application.ok, trailers: nil)
      case "/forbidden", "/pieces", "/unchanged-pieces", "/forever", "/reset", "/fails": break
      default: answer(stream, trailers: nil)
      }
    }

    private func answer(_ stream: HTTPStream, trailers: StaticFields?) {
      swap(&stream.body, &received)
      stream.respond(application.ok, trailers: trailers)
    }

    func writable(_ stream: HTTPStream) {
      guard path == "/pieces" else { return }
      while piecesLeft > 0 {
        let piece = piece(of: 20_000)
        piecesLeft -= 1
        if !stream.write(piece) { return }
      }
      stream.end()
    }

    func piece(of count: Int) -> ByteBuffer {
      var piece = ByteBuffer()
      _ = piece.append(byteCount: count) { output in
        for _ in 0..<count { output.append(UInt8(truncatingIfNeeded: piecesLeft)) }
      }
      return piece
    }

    func closed(_ stream: HTTPStream, _ error: StreamError) {
      application.log.closed.add(1, ordering: .relaxed)
      if error == .none { application.log.closedWell.add(1, ordering: .relaxed) }
    }
  }
}
