// How long to leave a server alone after a connection could not be made ("gRPC Connection Backoff Protocol"): one second
// after the first failure, 1.6 times as long after each further one, at most two minutes, give or take a fifth so that the
// clients of a server that comes back do not come back together.
internal import HTTP

public struct Backoff: Sendable {
  private static let multiplier = 1.6
  private static let jitter = 0.2

  private let base: Double
  private let most: Double
  private var next: Double

  public init(base: Duration = .seconds(1), most: Duration = .seconds(120)) {
    self.base = Double(base.clampedNanoseconds)
    self.most = max(Double(most.clampedNanoseconds), self.base)
    next = self.base
  }

  /// Nanoseconds from the start of the attempt that failed to the start of the next.
  /// - Parameter random: in 0..<1.
  public mutating func failed(random: Double) -> UInt64 {
    defer { next = min(next * Backoff.multiplier, most) }
    return UInt64(next * (1 - Backoff.jitter + 2 * Backoff.jitter * random))
  }

  public mutating func succeeded() { next = base }
}
