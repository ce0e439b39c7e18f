// Model files are read, not mapped: a mapped file that somebody truncates kills the process that touches the missing pages.
import Glibc
import Tensors

/// A regular file, open for reading.
final class File: Sendable {
  let path: String
  /// The size when it was opened.
  let byteCount: Int
  private let descriptor: CInt

  init(_ path: String) throws(FormatError) {
    // O_NONBLOCK: opening a FIFO that somebody left here must not wait for a writer.
    // The path is a string of ours, which outlives the call.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw File.error(errno, path) }
    var status = stat()
    // `status` is a struct of ours, which the call fills.
    guard unsafe fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw File.error(code, path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw FormatError(.invalid, "not a regular file", file: path)
    }
    self.path = path
    self.descriptor = descriptor
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Fills a stretch of `destination` with the bytes from `offset` on.
  func read(into destination: inout MutableRawSpan, _ range: Range<Int>, at offset: Int) throws(FormatError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= destination.byteCount)
    var filled = 0
    while filled < range.count {
      // The kernel writes at most as many bytes as are left of the stretch, which lies in the span.
      let count = unsafe destination.withUnsafeMutableBytes { buffer in
        unsafe pread(
          descriptor, buffer.baseAddress! + range.lowerBound + filled, range.count - filled, off_t(offset + filled))
      }
      if count > 0 {
        filled += count
      } else if count == 0 {
        throw FormatError(
          .corrupt, "the file ends at byte \(offset + filled), expected \(offset + range.count) bytes", file: path)
      } else if errno != EINTR {
        throw File.error(errno, path)
      }
    }
  }

  /// Fills an array.
  func read(into bytes: inout [UInt8], at offset: Int) throws(FormatError) {
    var span = bytes.mutableSpan
    let range = 0..<span.count
    // A span of bytes is a span of raw bytes.
    var raw = unsafe span.mutableBytes
    try read(into: &raw, range, at: offset)
  }

  /// All of the file.
  func contents(bytesMax: Int) throws(FormatError) -> [UInt8] {
    guard byteCount <= bytesMax else {
      throw FormatError(.unsupported, "\(byteCount) bytes; at most \(bytesMax) are read", file: path)
    }
    var bytes = [UInt8](repeating: 0, count: byteCount)
    try read(into: &bytes, at: 0)
    return bytes
  }

  /// The size of a regular file; `nil` when there is none.
  static func size(_ path: String) -> Int? {
    var status = stat()
    // `status` is a struct of ours, which the call fills.
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Int(status.st_size)
  }

  private static func error(_ code: CInt, _ path: String) -> FormatError {
    // The C library's text lives until the next call of this thread.
    let text = unsafe String(cString: strerror(code))
    return FormatError(code == ENOENT || code == ENOTDIR ? .notFound : .unreadable, text, file: path)
  }
}
