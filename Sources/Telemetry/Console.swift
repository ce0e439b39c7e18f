// What a program says to whoever started it: whole lines, written at once, unbuffered. Log lines go through `Log`.
internal import Glibc

public enum Console {
  /// A line to standard output.
  public static func say(_ text: String) { write(text, STDOUT_FILENO) }

  /// A line to standard error.
  public static func complain(_ text: String) { write(text, STDERR_FILENO) }

  private static func write(_ text: String, _ fd: Int32) {
    let bytes = Array((text + "\n").utf8)
    var at = 0
    while at < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(fd, $0.baseAddress! + at, $0.count - at) }
      // Nobody reads any more: there is nobody to tell.
      if count <= 0 { return }
      at += count
    }
  }
}
