// What the system knows of this process, under the names that Prometheus' own clients use, so that every dashboard has them.
internal import Glibc

/// `/proc/self` at one moment.
public enum ProcessMetrics {
  private static let cpu = MetricDescription("process_cpu_seconds_total", .counter)
  private static let resident = MetricDescription("process_resident_memory_bytes", .gauge)
  private static let virtual = MetricDescription("process_virtual_memory_bytes", .gauge)
  private static let descriptors = MetricDescription("process_open_fds", .gauge)
  private static let descriptorsMax = MetricDescription("process_max_fds", .gauge)
  private static let threads = MetricDescription("process_threads", .gauge)
  private static let start = MetricDescription("process_start_time_seconds", .gauge)

  public static func pour(into snapshot: inout MetricsSnapshot) {
    if let stat = Stat(text(of: "/proc/self/stat")) {
      let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
      snapshot.add(Double(stat.cpuTicks) / ticks, to: cpu)
      snapshot.add(stat.residentPages * Int(sysconf(Int32(_SC_PAGESIZE))), to: resident)
      snapshot.add(stat.virtualBytes, to: virtual)
      snapshot.add(stat.threads, to: threads)
      if let boot = bootTime(text(of: "/proc/stat")) { snapshot.add(Double(boot) + Double(stat.startTicks) / ticks, to: start) }
    }
    if let open = openDescriptors() { snapshot.add(open, to: descriptors) }
    var limit = rlimit()
    if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      snapshot.add(Int(clamping: limit.rlim_cur), to: descriptorsMax)
    }
  }

  /// What is used of proc(5)'s `/proc/[pid]/stat`.
  struct Stat: Equatable {
    var cpuTicks: Int
    var threads: Int
    var startTicks: Int
    var virtualBytes: Int
    var residentPages: Int

    init?(_ text: String) {
      // The second field is the program's name in parentheses, and may hold anything.
      guard let end = text.lastIndex(of: ")") else { return nil }
      let fields = text[text.index(after: end)...].split(separator: " ").map { Int($0) }
      guard fields.count > 21, let user = fields[11], let system = fields[12], let threads = fields[17], let start = fields[19],
        let bytes = fields[20], let pages = fields[21]
      else { return nil }
      (cpuTicks, self.threads, startTicks, virtualBytes, residentPages) = (user + system, threads, start, bytes, pages)
    }
  }

  /// Seconds since 1970 at which the system was started: `btime` of `/proc/stat`.
  static func bootTime(_ text: String) -> Int? {
    for line in text.split(separator: "\n") where line.hasPrefix("btime ") { return Int(line.dropFirst(6)) }
    return nil
  }

  private static func openDescriptors() -> Int? {
    guard let directory = unsafe opendir("/proc/self/fd") else { return nil }
    // Open until here.
    defer { unsafe _ = closedir(directory) }
    // Without `.`, `..` and the directory's own.
    var count = -3
    while unsafe readdir(directory) != nil { count += 1 }
    return count
  }

  private static func text(of path: String) -> String {
    guard let file = unsafe fopen(path, "re") else { return "" }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      guard count > 0 else { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
