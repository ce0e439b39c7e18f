// Writes records to a log's files. What goes wrong is reported and tried again later; it never reaches who was served.
internal import Glibc
internal import Records
internal import Telemetry
internal import Wire

/// One log's files on the disk. Used by one thread.
struct RecordFileWriter: ~Copyable {
  private let directory: String
  private let stem: String
  private let limits: RequestLogLimits
  /// `nil` until the directory has been read.
  private var files: RecordFiles?
  private var descriptor: Int32 = -1
  /// Seconds since 1970 before which nothing is tried again.
  private var notBefore = 0
  /// A full disk is told once, and again when this is over.
  private var silentUntil = 0

  private static let retrySeconds = 5
  private static let silenceSeconds = 60

  init(prefix: String, _ limits: RequestLogLimits) {
    let slash = prefix.lastIndex(of: "/")
    directory = slash.map { $0 == prefix.startIndex ? "/" : String(prefix[..<$0]) } ?? "."
    stem = slash.map { String(prefix[prefix.index(after: $0)...]) } ?? prefix
    self.limits = limits
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Appends a record. False: it is lost, and the operator has been told.
  mutating func write(_ record: [UInt8], at seconds: Int, _ model: String) -> Bool {
    if seconds < notBefore, notBefore - seconds <= RecordFileWriter.retrySeconds { return false }
    do throws(Failure) {
      try append(TFRecord.head(byteCount: record.count) + record + TFRecord.tail(record.rawSpan), at: seconds)
      return true
    } catch {
      if descriptor >= 0 { close(descriptor) }
      descriptor = -1
      if let empty = files?.failed(record.count + TFRecord.overheadBytes) { unsafe _ = unlink(directory + "/" + empty) }
      notBefore = seconds + RecordFileWriter.retrySeconds
      if seconds >= silentUntil || silentUntil - seconds > RecordFileWriter.silenceSeconds {
        silentUntil = seconds + RecordFileWriter.silenceSeconds
        Log.error("requests are not logged: \(error.operation) \(error.path): \(unsafe String(cString: strerror(error.code)))", model: model)
      }
      return false
    }
  }

  private struct Failure: Error {
    let operation: String
    let path: String
    let code: Int32
  }

  private mutating func append(_ bytes: [UInt8], at seconds: Int) throws(Failure) {
    if files == nil { files = RecordFiles(stem: stem, limits, found: try list()) }
    for action in files!.admit(bytes.count, at: seconds) {
      switch action {
      case .begin(let name):
        if descriptor >= 0 { close(descriptor) }
        let path = directory + "/" + name
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o640)
        if descriptor < 0 { throw Failure(operation: "open", path: path, code: errno) }
      case .delete(let name):
        // One that somebody else took away is as good as deleted.
        let path = directory + "/" + name
        if unsafe unlink(path) != 0, errno != ENOENT { throw Failure(operation: "unlink", path: path, code: errno) }
      }
    }
    try writeAll(bytes)
  }

  /// A record that fits only in part is taken back: a file ends with a whole one.
  private func writeAll(_ bytes: [UInt8]) throws(Failure) {
    let start = lseek(descriptor, 0, SEEK_END)
    var at = 0
    while at < bytes.count {
      // The rest of the array, which stays for the call.
      let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress! + at, $0.count - at) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let code = count == 0 ? ENOSPC : errno
        if at > 0 { _ = ftruncate(descriptor, start) }
        throw Failure(operation: "write", path: directory + "/" + (files?.files.last?.name ?? ""), code: code)
      }
      at += count
    }
  }

  private func list() throws(Failure) -> [RecordFiles.File] {
    guard let stream = unsafe opendir(directory) else { throw Failure(operation: "opendir", path: directory, code: errno) }
    // Open until here; each entry is used before the next is read, as readdir(3) asks.
    defer { unsafe _ = closedir(stream) }
    var found: [RecordFiles.File] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        // `d_name` ends in a zero byte within its 256.
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      var status = stat()
      if name.hasPrefix(stem), unsafe stat(directory + "/" + name, &status) == 0 {
        found.append(RecordFiles.File(name: name, byteCount: Int(status.st_size)))
      }
    }
    return found
  }
}
