import Testing

@testable import RPC

@Suite struct StreamingCallStateTests {
  @Test func `a head goes before the first message and before nothing else`() {
    var state = StreamingCallState()
    #expect(state.send() == .headFirst)
    #expect(state.send() == .message)
    let again = state.sendHead()
    #expect(!again)
    var early = StreamingCallState()
    let first = early.sendHead()
    #expect(first)
    #expect(early.send() == .message)
    #expect(early.finish(isOK: true, hasInitialMetadata: false) == .trailers)
  }

  @Test func `a failure before anything was said is one head`() {
    var state = StreamingCallState()
    #expect(state.finish(isOK: false, hasInitialMetadata: false) == .trailersOnly)
    var withMetadata = StreamingCallState()
    #expect(withMetadata.finish(isOK: false, hasInitialMetadata: true) == .headAndTrailers)
    var fine = StreamingCallState()
    #expect(fine.finish(isOK: true, hasInitialMetadata: false) == .headAndTrailers)
  }

  @Test func `nothing follows the status, in either direction`() {
    var state = StreamingCallState()
    _ = state.send()
    #expect(state.finish(isOK: true, hasInitialMetadata: false) == .trailers)
    #expect(state.finish(isOK: false, hasInitialMetadata: false) == .nothing)
    #expect(state.send() == .nothing)
    #expect(!state.takesInput && !state.takesOutput)
    let told = state.inputEnded()
    #expect(!told)
    let cancelled = state.close()
    #expect(!cancelled)
  }

  @Test func `the client's end is told once, and leaves the answer open`() {
    var state = StreamingCallState()
    let first = state.inputEnded(), second = state.inputEnded()
    #expect(first && !second)
    #expect(!state.takesInput && state.takesOutput)
    #expect(state.send() == .headFirst)
  }

  @Test func `a stream that goes away cancels once, and silences the handler`() {
    var state = StreamingCallState()
    _ = state.send()
    let first = state.close(), second = state.close()
    #expect(first && !second)
    #expect(state.send() == .nothing)
    #expect(state.finish(isOK: true, hasInitialMetadata: false) == .nothing)
    let told = state.inputEnded()
    #expect(!told)
    #expect(state.expired(isPeerBehind: true) == .nothing)
  }

  @Test func `a deadline is told to a peer that listens, and cuts off one that does not`() {
    var state = StreamingCallState()
    #expect(state.expired(isPeerBehind: false) == .finish)
    _ = state.send()
    #expect(state.expired(isPeerBehind: false) == .finish)
    #expect(state.expired(isPeerBehind: true) == .reset)
    _ = state.finish(isOK: true, hasInitialMetadata: false)
    #expect(state.expired(isPeerBehind: false) == .nothing)
    #expect(state.expired(isPeerBehind: true) == .reset)
  }
}
