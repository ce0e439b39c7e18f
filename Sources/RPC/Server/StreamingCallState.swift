// Where a streaming call on the server stands. Both directions go their own way:
//
//   input    open ─► ended                     the client half-closes
//   output   fresh ─► begun ─► finished        head sent; status sent
//   closed   the stream is gone
//
// A value: an event goes in, what the shell has to do comes out. What comes too late (a message after the status, a peer
// that goes away behind it) is legal and asks for nothing.

struct StreamingCallState: Hashable {
  enum Input { case open, ended }
  enum Output { case fresh, begun, finished }

  private(set) var input = Input.open
  private(set) var output = Output.fresh
  private(set) var isClosed = false

  /// What comes from the client still matters.
  var takesInput: Bool { input == .open && output != .finished && !isClosed }
  /// What the handler says still goes out.
  var takesOutput: Bool { output != .finished && !isClosed }

  enum Sending { case headFirst, message, nothing }

  mutating func send() -> Sending {
    guard takesOutput else { return .nothing }
    defer { output = .begun }
    return output == .fresh ? .headFirst : .message
  }

  /// The handler wants its head to go before there is a message. True: send it.
  mutating func sendHead() -> Bool { output == .fresh && send() == .headFirst }

  enum Finishing {
    /// One head that is also the end ("Trailers-Only"): a failure before anything was said.
    case trailersOnly
    case headAndTrailers, trailers, nothing
  }

  mutating func finish(isOK: Bool, hasInitialMetadata: Bool) -> Finishing {
    guard takesOutput else { return .nothing }
    defer { output = .finished }
    if output == .begun { return .trailers }
    return isOK || hasInitialMetadata ? .headAndTrailers : .trailersOnly
  }

  /// The client has sent its last message. True: tell the handler.
  mutating func inputEnded() -> Bool {
    guard takesInput else { return false }
    input = .ended
    return true
  }

  enum Expiry { case finish, reset, nothing }

  /// The deadline has passed. A peer that has yet to read what was written before would never see a status behind it, and a
  /// finished call whose answer nobody reads holds memory: both streams are cut.
  func expired(isPeerBehind: Bool) -> Expiry {
    if isClosed { return .nothing }
    if isPeerBehind { return .reset }
    return output == .finished ? .nothing : .finish
  }

  /// The stream is gone. True: before its status was sent, so tell the handler that nobody waits.
  mutating func close() -> Bool {
    defer { isClosed = true }
    return !isClosed && output != .finished
  }
}
