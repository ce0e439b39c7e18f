// Small files: certificates, and what tells that one has changed.
internal import Glibc

enum FileBytes {
  /// The whole of a file.
  /// - Throws: what the system says, or that it is larger than `bytesMax`.
  static func read(_ path: String, bytesMax: Int) throws(TLSError) -> [UInt8] {
    guard let file = unsafe fopen(path, "re") else { throw failure(path, errno) }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      if count == 0 { break }
      bytes += chunk[..<count]
      if bytes.count > bytesMax { throw TLSError(.credentials, "read", path, reason: "larger than \(bytesMax) bytes") }
    }
    // A directory opens and does not read.
    if unsafe ferror(file) != 0 { throw failure(path, errno) }
    return bytes
  }

  private static func failure(_ path: String, _ code: Int32) -> TLSError {
    TLSError(.credentials, "read", path, reason: unsafe String(cString: strerror(code)))
  }
}

/// What of a file changes when its content does. Links are followed, so a Kubernetes volume, which swaps a link to a whole
/// directory, shows another inode.
struct FileFingerprint: Equatable {
  private var device: UInt = 0
  private var inode: UInt = 0
  private var size = 0
  private var modified: [Int] = []

  /// A file that cannot be seen has a fingerprint too: that of nothing.
  init(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
    size = Int(status.st_size)
    modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
  }
}
