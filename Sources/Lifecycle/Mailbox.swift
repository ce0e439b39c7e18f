// How threads of the lifecycle talk: many put messages in, one thread takes them all out, and sleeps in poll(2) between,
// beside whatever else it polls.
internal import CLinux
internal import Glibc
internal import Synchronization

final class Mailbox<Message: Sendable>: Sendable {
  private let messages = Mutex<[Message]>([])
  /// An eventfd, readable while messages wait.
  let descriptor: Int32

  init() {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    precondition(descriptor >= 0, "no eventfd can be made: \(SystemError(code: errno).text)")
  }

  deinit { close(descriptor) }

  func put(_ message: Message) {
    let wasEmpty = messages.withLock { messages in
      messages.append(message)
      return messages.count == 1
    }
    guard wasEmpty else { return }
    var one: UInt64 = 1
    // Eight bytes, as eventfd(2) wants. It is full only when it is readable anyway.
    _ = unsafe write(descriptor, &one, 8)
  }

  /// Everything that came since the last time.
  func take() -> [Message] {
    var count: UInt64 = 0
    // Eight bytes, as eventfd(2) gives; none when nobody wrote.
    _ = unsafe read(descriptor, &count, 8)
    return messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }

  /// Sleeps until there is a message, `other` is readable, or the time is up; `nil` waits for ever.
  func wait(atMost timeout: Duration?, orFor other: Int32 = -1) {
    var descriptors = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0),
    ]
    // Rounded up: waking before the time would be waking twice. poll(2) passes over a negative descriptor.
    let milliseconds = timeout.map { Int32(clamping: max(0, min($0.inMilliseconds, 3_600_000) + 1)) } ?? -1
    let isOver = timeout.map { $0 <= .zero } ?? false
    _ = unsafe poll(&descriptors, 2, isOver ? 0 : milliseconds)
  }
}
