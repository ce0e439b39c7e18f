// What the parser makes of bytes that arrive in pieces, as values to compare. The tests use it, and the fuzzer (Tests/Fuzz).
@testable import HTTP

extension RequestLimits {
  static let usual = RequestLimits(
    targetBytesMax: 8192, headerListBytesMax: 16384, bodyBytesMax: 1 << 31, chunkExtensionBytesMax: 4096, settingsEntriesMax: 32)
}

struct ReadRequest: Equatable {
  struct Field: Equatable {
    var name: String
    var value: String
  }

  var head: RequestHead
  var fields: [Field]
  var settings: [UInt8]
  var body: [UInt8] = []
  var trailers: [Field] = []
  var isWhole = false

  func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
}

struct Reading: Equatable {
  var requests: [ReadRequest] = []
  var error: RequestError?
  /// Bytes of a request have come that is not complete.
  var isMidway = false

  /// - Parameter cuts: where one piece ends and the next begins, ascending.
  init(_ bytes: [UInt8], cuts: [Int] = [], limits: RequestLimits = .usual, isSecure: Bool = false) {
    var parser = RequestParser(limits: limits, isSecure: isSecure)
    var head = HeaderBlock()
    var trailers = HeaderBlock()
    var start = 0
    for end in cuts + [bytes.count] {
      // Memory of its own for each piece: reading beyond it is seen.
      let piece = Array(bytes[start..<end])
      start = end
      var at = 0
      read: while true {
        switch parser.next(unsafe piece.span.bytes, &at, head: &head, trailers: &trailers) {
        case .needsMore: break read
        case .head:
          requests.append(
            ReadRequest(head: parser.request, fields: Reading.fields(head), settings: Reading.bytes(parser.http2Settings.bytes)))
        case .body(let range): requests[requests.count - 1].body += piece[range]
        case .end:
          requests[requests.count - 1].isWhole = true
          requests[requests.count - 1].trailers = Reading.fields(trailers)
          head.clear(keeping: .max)
          trailers.clear(keeping: .max)
        case .failed(let error):
          self.error = error
          return
        }
      }
      precondition(at == piece.count)
    }
    isMidway = !parser.isBetweenRequests
  }

  private static func fields(_ block: borrowing HeaderBlock) -> [ReadRequest.Field] {
    var fields: [ReadRequest.Field] = []
    block.forEach { fields.append(.init(name: latin1($0), value: latin1($1))) }
    return fields
  }

  private static func latin1(_ span: RawSpan) -> String { String(String.UnicodeScalarView(bytes(span).map(Unicode.Scalar.init))) }

  private static func bytes(_ span: RawSpan) -> [UInt8] { (0..<span.byteCount).map { span.byte($0) } }
}

/// What a fuzzer, and the test that replays its corpus, does with bytes: the pieces they come in make no difference, and what
/// is read obeys the rules of the message.
func fuzzRequests(_ bytes: [UInt8]) {
  var limits = RequestLimits.usual
  limits.targetBytesMax = 64
  limits.headerListBytesMax = 400
  limits.bodyBytesMax = 1000
  limits.chunkExtensionBytesMax = 20
  let whole = Reading(bytes, limits: limits)
  for request in whole.requests {
    precondition(request.body.count <= limits.bodyBytesMax)
    precondition(request.fields.reduce(0) { $0 + $1.name.utf8.count } <= limits.headerListBytesMax)
    precondition(request.value(":method") != nil && request.value("host") == nil && request.value("transfer-encoding") == nil)
    if case .counted(let count) = request.head.body, request.isWhole { precondition(request.body.count == count) }
    for field in request.fields + request.trailers {
      precondition(!field.name.isEmpty && !field.value.unicodeScalars.contains { $0 == "\r" || $0 == "\n" || $0 == "\0" })
    }
  }
  precondition(Reading(bytes, cuts: Array(0..<bytes.count), limits: limits) == whole)
  // One cut, at a place that the bytes choose.
  let cut = bytes.isEmpty ? 0 : bytes.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffff } % bytes.count
  precondition(Reading(bytes, cuts: [cut], limits: limits) == whole)
}
