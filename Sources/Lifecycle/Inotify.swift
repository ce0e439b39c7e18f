// inotify(7): the kernel says that something happened in a directory. What happened is looked up afterwards, so all that is
// read of an event is where, and the name.
internal import Glibc

@safe struct Inotify: ~Copyable {
  /// To be polled; negative when the system has none to give. Then nothing can be watched, and nothing is read.
  let descriptor: Int32
  /// Events are read into it; aligned for `inotify_event`.
  private let buffer: UnsafeMutableRawBufferPointer

  /// One mask for all watches: a directory has one watch, whoever it is for.
  private static let mask = UInt32(
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
      | IN_ONLYDIR)

  /// When there is none, errno says why.
  init() {
    unsafe buffer = .allocate(byteCount: 64 * 1024, alignment: MemoryLayout<inotify_event>.alignment)
    descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    unsafe buffer.deallocate()
  }

  /// Watches a directory; the same number again for one that is watched already.
  func add(_ directory: String) -> Result<Int32, SystemError> {
    let watch = unsafe inotify_add_watch(descriptor, directory, Inotify.mask)
    return watch >= 0 ? .success(watch) : .failure(SystemError(code: errno))
  }

  func remove(_ watch: Int32) { inotify_rm_watch(descriptor, watch) }

  struct Event {
    var watch: Int32
    /// What it happened to, in the directory; empty when it is the directory itself.
    var name: String
    /// Events were lost: anything may have changed.
    var isOverflow: Bool
    /// The watch is gone, with its directory.
    var isIgnored: Bool
  }

  /// All events that wait.
  func read() -> [Event] {
    var events: [Event] = []
    while true {
      let count = unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      guard count > 0 else { return events }
      var at = 0
      // The kernel writes whole events: a header, and `len` bytes of a name that zero bytes end.
      while at < count {
        let header = unsafe buffer.load(fromByteOffset: at, as: inotify_event.self)
        at += MemoryLayout<inotify_event>.size
        let name = unsafe UnsafeRawBufferPointer(rebasing: buffer[at..<at + Int(header.len)])
        at += Int(header.len)
        events.append(
          Event(
            watch: header.wd, name: unsafe String(decoding: name.prefix { $0 != 0 }, as: UTF8.self),
            isOverflow: header.mask & UInt32(IN_Q_OVERFLOW) != 0, isIgnored: header.mask & UInt32(IN_IGNORED) != 0))
      }
    }
  }
}
