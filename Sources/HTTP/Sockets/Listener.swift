// Accepting. Each loop listens on every TCP port by itself (SO_REUSEPORT); a Unix socket has one listener on the first
// loop. The kernel spreads connections by hash, which can put the few long-lived ones of a gRPC fleet on one loop: so the
// accepting loop hands a connection to the loop that has the fewest.
internal import Glibc
internal import Synchronization
internal import Telemetry

final class Listener: EventSource, TimerTarget {
  private let loop: EventLoop
  private let server: HTTPServer
  private var socket: Socket
  /// Connections begin with TLS.
  private let isSecure: Bool
  private var isPaused = false
  /// One line per shortage, not one per pause.
  private var hasWarned = false
  private var resumeTimer = TimerID.none

  init(_ socket: consuming Socket, isSecure: Bool, on loop: EventLoop, server: HTTPServer) {
    self.isSecure = isSecure
    self.socket = socket
    self.loop = loop
    self.server = server
  }

  func open() { loop.watch(self, socket.fd, .readable) }

  func close() {
    loop.cancel(resumeTimer)
    loop.unwatch(self, socket.fd)
    socket.close()
  }

  override func ready(_ flags: ReadyFlags) {
    for _ in 0..<Quantum.acceptsPerTurn {
      guard socket.isOpen, !isPaused else { return }
      let (fd, peer, error) = socket.accept()
      if fd >= 0 {
        hasWarned = false
        server.place(Socket(owning: fd), isSecure: isSecure, from: loop, peer: peer)
        continue
      }
      switch error {
      case EAGAIN, EWOULDBLOCK: return
      // Nobody can be served without a descriptor or memory: look away for a moment instead of spinning on the
      // readable listener. Connections wait in the kernel's queue.
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return pause(error)
      // accept(2): errors of the connection that just arrived, and interruptions.
      default: continue
      }
    }
  }

  private func pause(_ error: Int32) {
    isPaused = true
    server.acceptPauses.add(1, ordering: .relaxed)
    if !hasWarned { Log.warn("accept pauses: \(SocketError(operation: "accept", address: "", code: error))") }
    hasWarned = true
    loop.watch(self, socket.fd, [])
    resumeTimer = loop.schedule(afterMilliseconds: Int(Quantum.acceptPauseMilliseconds), self)
  }

  func timerFired(_ timer: TimerID) {
    isPaused = false
    if socket.isOpen { loop.watch(self, socket.fd, .readable) }
  }
}
