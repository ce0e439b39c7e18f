import Testing
import Wire

@testable import Messages

@Suite struct PredictionLogTests {
  private func read(_ bytes: [UInt8]) throws -> (kind: PredictionLog.Kind?, request: [UInt8]) {
    let log = try PredictionLog(WireMessage(bytes.rawSpan))
    return (log.kind, [UInt8](log.request))
  }

  @Test(arguments: PredictionLog.Kind.allCases)
  func `each kind by its field, with the request in it`(kind: PredictionLog.Kind) throws {
    let bytes = field(1, field(4, 17)) + field(kind.rawValue, field(2, "answer") + field(1, "request"))
    let (read, request) = try read(bytes)
    #expect(read == kind)
    #expect(request == Array("request".utf8))
  }

  @Test func `of several kinds the last counts, and of none there is nothing to ask`() throws {
    #expect(try read(field(6, field(1, "a")) + field(2, field(1, "b"))) == (.classify, Array("b".utf8)))
    #expect(try read([]) == (nil, []))
    #expect(try read(field(6, [])) == (.predict, []))
  }

  @Test func `what is cut off is no record`() {
    let bytes = field(6, field(1, "request"))
    for count in 1..<bytes.count { #expect(throws: WireError.self) { try read(Array(bytes[..<count])) } }
  }
}
