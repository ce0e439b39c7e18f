// The threads of the process: few, named, joined by whoever started them. Tasks and actors are not for what a request
// passes through; event loops, workers and loaders are system threads.
internal import CLinux
internal import Glibc

/// A running thread. Whoever started it joins it, once.
public final class SystemThread: Sendable {
  private let handle: pthread_t

  /// How the scheduler should treat the thread beside those that serve.
  public enum Priority: Sendable {
    case serving
    /// Gets the CPU that serving threads leave.
    case background
  }

  private final class Start {
    let name: String
    let priority: Priority
    let body: @Sendable () -> Void

    init(_ name: String, _ priority: Priority, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.priority = priority
      self.body = body
    }
  }

  /// Starts a thread.
  /// - Parameter name: what `ps -L` and profilers show; the kernel keeps 15 bytes.
  public init(named name: String, priority: Priority = .serving, _ body: @escaping @Sendable () -> Void) {
    var handle = pthread_t()
    // The new thread takes the box over and releases it.
    let start = unsafe Unmanaged.passRetained(Start(name, priority, body)).toOpaque()
    let code = unsafe pthread_create(
      &handle, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        // Signals belong to the main thread.
        clinux_block_all_signals()
        unsafe clinux_name_thread(start.name)
        // Who may not change it runs as the others do.
        if start.priority == .background { _ = clinux_nice_thread(10) }
        start.body()
        return nil
      }, start)
    precondition(code == 0, "no thread can be started: error \(code)")
    self.handle = handle
  }

  /// The calling thread, whoever started it: its number and its name, as `ps -L` shows them.
  public static var current: (id: Int, name: String) {
    // The kernel writes at most 16 bytes, the last of them zero.
    let name = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16) { buffer in
      unsafe clinux_thread_name(buffer.baseAddress!)
      return unsafe String(cString: buffer.baseAddress!)
    }
    return (Int(clinux_thread_id()), name)
  }

  /// Waits for the thread's end.
  public func join() { pthread_join(handle, nil) }
}

/// A counting semaphore of the C library.
@safe public final class Semaphore: @unchecked Sendable {
  /// Initialised in `init`, destroyed in `deinit`; `sem_t` itself is made to be shared between threads.
  @unsafe private let semaphore: UnsafeMutablePointer<sem_t>

  public init() {
    unsafe semaphore = .allocate(capacity: 1)
    unsafe sem_init(semaphore, 0, 0)
  }

  deinit {
    unsafe sem_destroy(semaphore)
    unsafe semaphore.deallocate()
  }

  public func signal() { unsafe sem_post(semaphore) }

  public func wait() {
    // A signal handler may interrupt the wait.
    while unsafe sem_wait(semaphore) != 0 {}
  }

  /// Waits that long at most; returns whether there was a signal.
  @discardableResult public func wait(atMost duration: Duration) -> Bool {
    let (seconds, attoseconds) = max(.zero, min(duration, .seconds(1_000_000_000))).components
    return unsafe clinux_sem_wait(semaphore, seconds * 1_000_000_000 + attoseconds / 1_000_000_000) == 0
  }
}
