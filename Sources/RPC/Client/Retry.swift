// When a call is made again (gRFC A6). Two kinds:
//
//   transparent   the server has certainly not seen the call: it never left, or the server refused the stream or named a
//                 lower one in GOAWAY. Made again at once, unlimited when it never left, once when it did.
//   by policy     the server answered with a status that the policy names: made again after a pause, if attempts are left,
//                 the server does not object (`grpc-retry-pushback-ms`) and the channel's budget allows.
//
// A call whose answer has begun is never made again. Left out: hedging.
internal import HTTP

/// When to make a failed call again, and how often.
public struct RetryPolicy: Sendable, Hashable {
  /// gRPC lets nobody ask for more.
  public static let attemptsLimit = 5

  /// In all, the first included; 2...5.
  public var attemptsMax: Int
  public var initialBackoff: Duration
  public var backoffMax: Duration
  public var backoffMultiplier: Double
  /// Statuses that say: again may help.
  public var codes: Set<Status.Code>

  public init(
    attemptsMax: Int = 3, initialBackoff: Duration = .milliseconds(100), backoffMax: Duration = .seconds(2),
    backoffMultiplier: Double = 2, codes: Set<Status.Code> = [.unavailable]
  ) {
    self.attemptsMax = min(max(attemptsMax, 1), RetryPolicy.attemptsLimit)
    self.initialBackoff = initialBackoff
    self.backoffMax = backoffMax
    self.backoffMultiplier = backoffMultiplier
    self.codes = codes
  }
}

/// Retries that a channel may make in all: tokens, of which a failure takes one and a success gives back a fraction.
/// At half the tokens or below nothing is retried, so an overloaded server is not loaded with second attempts.
public struct RetryBudget: Sendable {
  public let tokensMax: Double
  public let tokenRatio: Double
  private(set) var tokens: Double

  /// - Parameters:
  ///   - tokensMax: in 1...1000.
  ///   - tokenRatio: what a success gives back.
  public init(tokensMax: Int = 100, tokenRatio: Double = 0.1) {
    self.tokensMax = Double(min(max(tokensMax, 1), 1000))
    self.tokenRatio = max(tokenRatio, 0)
    tokens = self.tokensMax
  }

  var allowsRetry: Bool { tokens > tokensMax / 2 }

  mutating func succeeded() { tokens = min(tokens + tokenRatio, tokensMax) }
  mutating func failed() { tokens = max(tokens - 1, 0) }
}

/// What the server says about retries in `grpc-retry-pushback-ms`.
enum RetryPushback: Hashable {
  case none
  /// Not before so many milliseconds.
  case after(milliseconds: UInt64)
  /// A negative number, or nothing that can be read: do not.
  case never

  init(_ text: String?) {
    guard let text else { self = .none; return }
    self = UInt32(text).map { .after(milliseconds: UInt64($0)) } ?? .never
  }
}

/// One call's attempts.
struct RetryState {
  /// How an attempt ended without an answer that counts.
  enum Ending: Hashable {
    /// By a status, the server's or ours, before any other part of an answer.
    case status(Status.Code, RetryPushback)
    /// Not a byte of it left.
    case unsent
    /// REFUSED_STREAM, or above GOAWAY's last stream.
    case refused
  }

  enum Decision: Hashable {
    case giveUp
    case again(afterNanoseconds: UInt64)
  }

  private let policy: RetryPolicy?
  /// Attempts that the policy counts.
  private(set) var attempts = 1
  private var retriesSincePushback = 0
  private var wasRefused = false

  init(_ policy: RetryPolicy?) { self.policy = policy }

  /// - Parameter random: in 0..<1.
  mutating func ended(_ ending: Ending, _ budget: inout RetryBudget, random: Double) -> Decision {
    switch ending {
    case .unsent: return .again(afterNanoseconds: 0)
    case .refused where !wasRefused:
      wasRefused = true
      return .again(afterNanoseconds: 0)
    case .refused: return again(.unavailable, .none, &budget, random)
    case .status(let code, let pushback): return again(code, pushback, &budget, random)
    }
  }

  private mutating func again(
    _ code: Status.Code, _ pushback: RetryPushback, _ budget: inout RetryBudget, _ random: Double
  ) -> Decision {
    guard let policy else { return .giveUp }
    let isRetryable = policy.codes.contains(code)
    if isRetryable || pushback == .never { budget.failed() }
    guard isRetryable, pushback != .never, attempts < policy.attemptsMax, budget.allowsRetry else { return .giveUp }
    attempts += 1
    if case .after(let milliseconds) = pushback {
      retriesSincePushback = 0
      return .again(afterNanoseconds: milliseconds * 1_000_000)
    }
    var pause = Double(policy.initialBackoff.clampedNanoseconds)
    for _ in 0..<retriesSincePushback { pause *= policy.backoffMultiplier }
    retriesSincePushback += 1
    pause = min(pause, Double(policy.backoffMax.clampedNanoseconds)) * (0.8 + 0.4 * random)
    return .again(afterNanoseconds: UInt64(pause))
  }
}
