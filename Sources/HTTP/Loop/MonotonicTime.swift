internal import Glibc

/// A moment on the monotonic clock, in nanoseconds since boot. Deadlines are kept as moments, never as remainders.
public struct MonotonicTime: Comparable, Hashable, Sendable, BitwiseCopyable {
  public var nanoseconds: UInt64

  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  public static var now: MonotonicTime {
    var time = timespec()
    // The kernel fills the struct; CLOCK_MONOTONIC always exists on Linux.
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicTime(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
  }

  public static let distantFuture = MonotonicTime(nanoseconds: .max)

  /// This moment and `duration` nanoseconds more; saturates.
  public func advanced(byNanoseconds duration: UInt64) -> MonotonicTime {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(duration)
    return overflow ? .distantFuture : MonotonicTime(nanoseconds: sum)
  }

  public func advanced(byMilliseconds duration: UInt64) -> MonotonicTime {
    let (product, overflow) = duration.multipliedReportingOverflow(by: 1_000_000)
    return overflow ? .distantFuture : advanced(byNanoseconds: product)
  }

  /// Nanoseconds from `earlier` to here; zero if `earlier` is later.
  public func nanoseconds(since earlier: MonotonicTime) -> UInt64 {
    nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
  }

  public static func < (a: MonotonicTime, b: MonotonicTime) -> Bool { a.nanoseconds < b.nanoseconds }
}

extension Duration {
  /// Whole nanoseconds, clamped to zero and to what fits.
  public var clampedNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    if seconds < 0 || attoseconds < 0 { return 0 }
    let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
    return overflow || carry ? .max : sum
  }
}
