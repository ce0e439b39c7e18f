// The three questions put to the file system: what is in a directory, what is known of a path, and why not.
internal import Glibc

/// A failed system call.
struct SystemError: Error, Equatable {
  /// `errno`.
  var code: Int32

  var text: String { unsafe String(cString: strerror(code)) }
}

/// A name in a directory.
struct DirectoryEntry {
  var name: String
  /// Links followed.
  var isDirectory: Bool
  /// Which file it is, whatever its name; of a link, the link.
  var inode: UInt64

  /// All but `.` and `..`, in no order.
  static func all(in path: String) -> Result<[DirectoryEntry], SystemError> {
    guard let stream = unsafe opendir(path) else { return .failure(SystemError(code: errno)) }
    // `stream` is open until here; each entry is used before the next is read, as readdir(3) asks.
    defer { unsafe _ = closedir(stream) }
    var entries: [DirectoryEntry] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else { break }
      let (type, inode) = unsafe (Int(entry.pointee.d_type), UInt64(entry.pointee.d_ino))
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        // `d_name` ends in a zero byte within its 256.
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      // Links, and file systems that do not tell, are asked for.
      let isUnclear = type == Int(DT_LNK) || type == Int(DT_UNKNOWN)
      let isDirectory = isUnclear ? FileStatus(path + "/" + name)?.isDirectory == true : type == Int(DT_DIR)
      entries.append(DirectoryEntry(name: name, isDirectory: isDirectory, inode: inode))
    }
    return errno == 0 ? .success(entries) : .failure(SystemError(code: errno))
  }
}

/// What stat(2) says of a path, links followed.
struct FileStatus {
  var isDirectory: Bool
  var size: Int64
  /// Nanoseconds since 1970: of the content, and of anything at all.
  var modified: Int64
  var changed: Int64
  /// Which file it is, whatever its name.
  var inode: UInt64

  /// `nil` when there is nothing at `path` or it cannot be asked.
  init?(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    isDirectory = status.st_mode & S_IFMT == S_IFDIR
    size = Int64(status.st_size)
    modified = FileStatus.nanoseconds(status.st_mtim)
    changed = FileStatus.nanoseconds(status.st_ctim)
    inode = UInt64(status.st_ino)
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000).partialValue &+ Int64(time.tv_nsec)
  }
}
