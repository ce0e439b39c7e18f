internal import CLinux
internal import Glibc

/// How many processors this process can really use: its affinity mask, cut by the cgroup's quota.
public enum CPUs {
  public static var usable: Int {
    let affinity = Int(clinux_affinity_count())
    // cgroup v2, then v1. A container sees its own group at the root of the mount.
    let quota = quotaV2(SystemFile.read("/sys/fs/cgroup/cpu.max"))
      ?? quotaV1(SystemFile.read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), SystemFile.read("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
    return max(1, min(affinity, quota ?? affinity))
  }

  /// `"150000 100000"` is one and a half CPUs: two loops. `"max 100000"` is no quota.
  static func quotaV2(_ text: String?) -> Int? {
    let fields = (text ?? "").split(whereSeparator: \.isWhitespace)
    guard fields.count == 2, let quota = Int(fields[0]), let period = Int(fields[1]) else { return nil }
    return processors(quota, period)
  }

  static func quotaV1(_ quota: String?, _ period: String?) -> Int? {
    func number(_ text: String?) -> Int? { (text ?? "").split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) } }
    guard let quota = number(quota), let period = number(period) else { return nil }
    return processors(quota, period)
  }

  private static func processors(_ quota: Int, _ period: Int) -> Int? {
    quota > 0 && period > 0 ? quota / period + (quota % period == 0 ? 0 : 1) : nil
  }
}
