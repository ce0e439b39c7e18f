internal import Glibc

/// How much memory this process may use: the machine's, cut by the cgroup's limit.
public enum Memory {
  /// Read once: limits are derived from it.
  public static let usable: Int = limit(physical: physical, [
    // cgroup v2, then v1. A container sees its own group at the root of the mount.
    SystemFile.read("/sys/fs/cgroup/memory.max"), SystemFile.read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
  ])

  /// The least of them; "max" and what is no number are no limit.
  static func limit(physical: Int, _ groups: [String?]) -> Int {
    groups.reduce(physical) { least, text in
      let number = (text ?? "").split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
      return min(least, number.flatMap { $0 > 0 ? $0 : nil } ?? least)
    }
  }

  private static var physical: Int { max(1, sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))) }
}

/// A small file of the kernel's.
enum SystemFile {
  static func read(_ path: String) -> String? {
    let fd = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if fd < 0 { return nil }
    let file = Socket(owning: fd)
    var bytes = [UInt8](repeating: 0, count: 256)
    // The array's own memory, for the length of the call.
    let n = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(file.fd, $0.baseAddress, $0.count) }
    return n > 0 ? String(decoding: bytes[..<n], as: UTF8.self) : nil
  }
}
