// HTTP/1.0 and 1.1 requests, byte by byte as they come (RFC 9112). A value: bytes in, one event at a time out; no socket, no
// clock. It takes what one parser and another could only read in one way, and nothing else.
//
//   requestLine ─► fields ─► head! ─┬──────────────────────────────────────► end! ─► requestLine
//                                   ├─► body (counted) ──────────────────────┤
//                                   └─► chunkSize ─► chunk ─► chunkEnd ─┐    │
//                                          ▲  └─(0)─► trailers ─────────┼────┘
//                                          └────────────────────────────┘
//
// Lines are read where they stand; one that the input cuts is put together in `partial`. A head becomes the field list that
// HTTP/2 would have made of it: `:method`, `:scheme`, `:path`, `:authority` (from the target or Host), names in lower case,
// and none of the fields that concern this connection alone (RFC 9113 §8.2.2): those are told in `request`.
//
// More lenient than a token of RFC 9112 in one point: one empty line before a request line is skipped (§2.2), because old
// clients send one behind a body.

/// What a request says about itself and its connection, known when its head is.
struct RequestHead: Equatable, Sendable {
  enum Body: Equatable { case none, counted(Int), chunked }

  /// HTTP/1.1; otherwise 1.0.
  var isVersion11 = true
  var isHEAD = false
  var isCONNECT = false
  var body = Body.none
  /// The client wants another exchange on this connection.
  var keepsAlive = true
  /// The client waits for 100 before it sends the body.
  var expectsContinue = false
  /// The client offers to go on in HTTP/2; its settings are in the parser's `http2Settings`.
  var offersHTTP2 = false
}

enum RequestEvent: Equatable, Sendable {
  /// The input is used up.
  case needsMore
  /// `request` and the field list are complete.
  case head
  /// Bytes of the body, where they stand in the input.
  case body(Range<Int>)
  /// The request is complete, trailers too; the bytes behind belong to the next.
  case end
  /// Nothing on this connection can be read any more.
  case failed(RequestError)
}

/// The part of `Limits` that a request is held against.
struct RequestLimits: Sendable {
  var targetBytesMax: Int
  var headerListBytesMax: Int
  var bodyBytesMax: Int
  var chunkExtensionBytesMax: Int
  var settingsEntriesMax: Int
}

struct RequestParser: ~Copyable {
  private enum State {
    case requestLine, fields
    case body(left: Int)
    case chunkSize
    case chunk(left: Int)
    case chunkEnd, trailers
    case ended
    case failed(RequestError)
  }

  /// The longest registered method has 17 letters (UPDATEREDIRECTREF).
  static let methodBytesMax = 32
  /// As many digits as a size of 64 bits has.
  static let chunkSizeDigitsMax = 16
  private static let versionBytes = 8

  let limits: RequestLimits
  /// The connection is TLS: `:scheme` is https, and there is no way to h2c.
  let isSecure: Bool

  private var state = State.requestLine
  /// The beginning of a line whose end has not come.
  private var partial = ByteBuffer()
  private var line = 0
  private var hasSkippedEmptyLine = false

  private(set) var request = RequestHead()
  /// The payload of a SETTINGS frame, with `request.offersHTTP2`.
  private(set) var http2Settings = ByteBuffer()
  /// What the fields have said so far.
  var seen = SeenFields()
  /// Bytes of the head's fields or of the trailers, line ends and all.
  private var fieldBytes = 0
  private var bodyBytes = 0
  private var extensionBytes = 0

  init(limits: RequestLimits, isSecure: Bool) {
    self.limits = limits
    self.isSecure = isSecure
  }

  /// No byte of a request has come since the last one ended.
  var isBetweenRequests: Bool {
    if case .requestLine = state { return partial.count == 0 && !hasSkippedEmptyLine }
    return false
  }

  /// The head is complete and the body is not.
  var isInBody: Bool {
    switch state {
    case .body, .chunkSize, .chunk, .chunkEnd, .trailers: true
    case .requestLine, .fields, .ended, .failed: false
    }
  }

  /// The next event in `input` from `at` on, which moves behind what was used. Ask again until it needs more; after `end`,
  /// with empty lists.
  mutating func next(
    _ input: RawSpan, _ at: inout Int, head: inout HeaderBlock, trailers: inout HeaderBlock
  ) -> RequestEvent {
    while true {
      switch state {
      case .failed(let error): return .failed(error)
      case .ended:
        forgetRequest()
        return .end
      case .body(let left):
        if left == 0 {
          state = .ended
          continue
        }
        guard let range = take(left, of: input, &at) else { return .needsMore }
        state = .body(left: left - range.count)
        return .body(range)
      case .chunk(let left):
        if left == 0 {
          state = .chunkEnd
          continue
        }
        guard let range = take(left, of: input, &at) else { return .needsMore }
        state = .chunk(left: left - range.count)
        return .body(range)
      case .requestLine, .fields, .chunkSize, .chunkEnd, .trailers:
        let wasHead = isInHead
        do throws(RequestFault) {
          guard try readLine(input, &at, head: &head, trailers: &trailers) else { return .needsMore }
        } catch {
          let error = RequestError(fault: error, line: max(line, 1))
          state = .failed(error)
          partial.clear(keeping: 0)
          return .failed(error)
        }
        if wasHead, !isInHead { return .head }
      }
    }
  }

  private var isInHead: Bool {
    switch state {
    case .requestLine, .fields: true
    default: false
    }
  }

  private func take(_ left: Int, of input: RawSpan, _ at: inout Int) -> Range<Int>? {
    let n = min(left, input.byteCount - at)
    if n == 0 { return nil }
    defer { at += n }
    return at..<at + n
  }

  private mutating func forgetRequest() {
    state = .requestLine
    partial.clear(keeping: 0)
    http2Settings.clear(keeping: 0)
    line = 0
    hasSkippedEmptyLine = false
    seen = SeenFields()
    fieldBytes = 0
    bodyBytes = 0
    extensionBytes = 0
  }
}

// MARK: lines

extension RequestParser {
  /// The most bytes a line may have here, its CR counted and its LF not.
  private var lineBytesMax: Int {
    switch state {
    case .requestLine: RequestParser.methodBytesMax + 1 + limits.targetBytesMax + 1 + RequestParser.versionBytes + 1
    case .fields, .trailers: max(1, limits.headerListBytesMax - fieldBytes)
    case .chunkSize: RequestParser.chunkSizeDigitsMax + limits.chunkExtensionBytesMax - extensionBytes + 1
    default: 1
    }
  }

  /// Reads one line, or says that its end is not in `input`.
  private mutating func readLine(
    _ input: RawSpan, _ at: inout Int, head: inout HeaderBlock, trailers: inout HeaderBlock
  ) throws(RequestFault) -> Bool {
    if at == input.byteCount { return false }
    if partial.count == 0 {
      line += 1
      // What cannot be a request is not waited for to the end of its line, which may never come.
      if case .requestLine = state, input.byte(at) != Ascii.carriageReturn, input.byte(at) != Ascii.lineFeed,
        !ByteSet.token.contains(input.byte(at))
      {
        throw .badMethod
      }
    }
    let start = at
    let room = lineBytesMax + 1 - partial.count
    let end = at + min(room, input.byteCount - at)
    guard let lineFeed = input.firstIndex(of: Ascii.lineFeed, in: at..<end) else {
      guard partial.append(input.extracting(at..<end)) else { throw .noMemory }
      at = end
      if partial.count > lineBytesMax { throw tooLong() }
      return false
    }
    at = lineFeed + 1
    if partial.count == 0 {
      try read(input.extracting(start..<lineFeed), head: &head, trailers: &trailers)
      return true
    }
    guard partial.append(input.extracting(start..<lineFeed)) else { throw .noMemory }
    // Out of `self` while it is read, and back to be filled again.
    var whole = ByteBuffer()
    swap(&whole, &partial)
    try read(whole.bytes, head: &head, trailers: &trailers)
    whole.clear()
    swap(&whole, &partial)
    return true
  }

  /// Why the line in `partial` is longer than it may be.
  private func tooLong() -> RequestFault {
    switch state {
    case .requestLine:
      let space = partial.bytes.firstIndex(of: Ascii.space, in: 0..<RequestParser.methodBytesMax + 1)
      let method = partial.bytes.extracting(0..<(space ?? RequestParser.methodBytesMax))
      if !method.isMade(of: .token) { return .badMethod }
      return space == nil ? .methodTooLong : .targetTooLong
    case .chunkSize:
      let digits = partial.bytes.hexDigits
      return (1...RequestParser.chunkSizeDigitsMax).contains(digits) && partial.bytes.byte(digits) == UInt8(ascii: ";")
        ? .badChunkExtension : .badChunkSize
    case .chunkEnd: return .badChunkEnd
    default: return .fieldsTooLarge
    }
  }

  private mutating func read(
    _ ended: RawSpan, head: inout HeaderBlock, trailers: inout HeaderBlock
  ) throws(RequestFault) {
    let count = ended.byteCount - 1
    guard count >= 0, ended.byte(count) == Ascii.carriageReturn else { throw .bareLineFeed }
    let text = ended.extracting(0..<count)
    switch state {
    case .requestLine:
      if count == 0 {
        if hasSkippedEmptyLine { throw .emptyLine }
        hasSkippedEmptyLine = true
        return
      }
      try readRequestLine(text, into: &head)
      state = .fields
    case .fields:
      fieldBytes += count + 2
      if count > 0 { return try readField(text, into: &head, isTrailer: false) }
      try endHead()
    case .chunkSize: try readChunkSize(text)
    // Its limit leaves room for the CR alone.
    case .chunkEnd: state = .chunkSize
    case .trailers:
      fieldBytes += count + 2
      if count > 0 { return try readField(text, into: &trailers, isTrailer: true) }
      state = .ended
    case .body, .chunk, .ended, .failed: break
    }
  }
}

// MARK: the request line and the head's end

extension RequestParser {
  /// RFC 9112 §3: one space each between method, target and version.
  private mutating func readRequestLine(_ text: RawSpan, into head: inout HeaderBlock) throws(RequestFault) {
    let firstSpace = text.firstIndex(of: Ascii.space, in: 0..<text.byteCount) ?? text.byteCount
    let method = text.extracting(0..<firstSpace)
    guard firstSpace > 0, method.isMade(of: .token) else { throw .badMethod }
    if firstSpace > RequestParser.methodBytesMax { throw .methodTooLong }
    guard firstSpace < text.byteCount else { throw .badTarget }
    let targetStart = firstSpace + 1
    let secondSpace = text.firstIndex(of: Ascii.space, in: targetStart..<text.byteCount) ?? text.byteCount
    let target = text.extracting(targetStart..<secondSpace)
    if target.byteCount > limits.targetBytesMax { throw .targetTooLong }

    guard secondSpace < text.byteCount else { throw .badVersion }
    let version = text.extracting(secondSpace + 1..<text.byteCount)
    guard version.byteCount == RequestParser.versionBytes, version.starts(with: "HTTP/"), Ascii.isDigit(version.byte(5)),
      version.byte(6) == UInt8(ascii: "."), Ascii.isDigit(version.byte(7))
    else { throw .badVersion }
    guard version.equals("HTTP/1.1") || version.equals("HTTP/1.0") else { throw .unsupportedVersion }

    guard let form = TargetForm(target, method: method) else { throw .badTarget }
    request = RequestHead()
    request.isVersion11 = version.byte(7) == UInt8(ascii: "1")
    request.isHEAD = method.equals("HEAD")
    request.isCONNECT = method.equals("CONNECT")
    try append(":method", method, to: &head)
    switch form {
    case .authority:
      // RFC 9113 §8.5: neither scheme nor path.
      try append(":authority", target, to: &head)
      seen.hasAuthority = true
    case .path:
      try appendScheme(to: &head)
      try append(":path", target, to: &head)
    case .absolute(let isSecureTarget, let authority, let path):
      // RFC 9110 §7.4.
      if isSecureTarget, !isSecure { throw .wrongScheme }
      try appendScheme(to: &head)
      try appendPath(target.extracting(path), isOPTIONS: method.equals("OPTIONS"), to: &head)
      try append(":authority", target.extracting(authority), to: &head)
      seen.hasAuthority = true
    }
  }

  private func appendScheme(to head: inout HeaderBlock) throws(RequestFault) {
    let scheme: StaticString = isSecure ? "https" : "http"
    guard head.append(":scheme", scheme, limit: limits.headerListBytesMax) else { throw .fieldsTooLarge }
  }

  /// RFC 9112 §3.2.1 and §3.2.4: what an absolute form without a path stands for.
  private func appendPath(_ path: RawSpan, isOPTIONS: Bool, to head: inout HeaderBlock) throws(RequestFault) {
    if path.byteCount > 0, path.byte(0) == UInt8(ascii: "/") { return try append(":path", path, to: &head) }
    if path.byteCount == 0 {
      guard head.append(":path", isOPTIONS ? "*" : "/", limit: limits.headerListBytesMax) else { throw .fieldsTooLarge }
      return
    }
    var whole = ByteBuffer()
    guard whole.append(byteCount: 1, { $0.append(UInt8(ascii: "/")) }), whole.append(path) else { throw .noMemory }
    try append(":path", whole.bytes, to: &head)
  }

  func append(_ name: StaticString, _ value: RawSpan, to block: inout HeaderBlock) throws(RequestFault) {
    if !block.append(name, value, limit: limits.headerListBytesMax) { throw .fieldsTooLarge }
  }

  /// All fields are in: what they mean together.
  private mutating func endHead() throws(RequestFault) {
    if request.isVersion11, !seen.hasHost { throw .missingHost }
    // RFC 9112 §6.3.
    switch seen.coding {
    case .none:
      if let length = seen.length {
        if length > limits.bodyBytesMax { throw .bodyTooLarge }
        request.body = length == 0 ? .none : .counted(length)
      }
    case _ where !request.isVersion11: throw .codingInOldVersion
    case _ where seen.length != nil: throw .lengthAndCoding
    case .notLast, .broken: throw .badCoding
    case .afterOthers: throw .unknownCoding
    case .chunked: request.body = .chunked
    }
    // RFC 9110 §10.1.1: a 1.0 client has not meant it.
    if request.isVersion11, seen.expectsOther { throw .unknownExpectation }
    request.expectsContinue = request.isVersion11 && seen.expectsContinue && request.body != .none
    request.keepsAlive = !seen.wantsClose && (request.isVersion11 || seen.wantsKeepAlive)
    // RFC 7540 §3.2: both named in Connection, one SETTINGS payload. A body would have to be read first: then the offer is
    // not taken.
    request.offersHTTP2 =
      request.isVersion11 && !isSecure && request.body == .none && seen.upgradesToH2C && seen.namesUpgrade
      && seen.namesSettings && seen.settingsCount == 1 && seen.settingsAreGood
    if !request.offersHTTP2 { http2Settings.clear(keeping: 0) }

    fieldBytes = 0
    switch request.body {
    case .none: state = .ended
    case .counted(let length): state = .body(left: length)
    case .chunked: state = .chunkSize
    }
  }

  /// RFC 9112 §7.1. White space and anything else that one reader skips and another counts is refused.
  private mutating func readChunkSize(_ text: RawSpan) throws(RequestFault) {
    let digits = text.hexDigits
    guard (1...RequestParser.chunkSizeDigitsMax).contains(digits) else { throw .badChunkSize }
    var size: UInt64 = 0
    for i in 0..<digits { size = size << 4 | UInt64(Ascii.hexValue(text.byte(i)) ?? 0) }
    if digits < text.byteCount {
      guard text.byte(digits) == UInt8(ascii: ";") else { throw .badChunkSize }
      extensionBytes += text.byteCount - digits
      guard extensionBytes <= limits.chunkExtensionBytesMax, text.extracting(digits..<text.byteCount).isFieldValue
      else { throw .badChunkExtension }
    }
    if size == 0 {
      state = .trailers
      return
    }
    guard size <= UInt64(limits.bodyBytesMax - bodyBytes) else { throw .bodyTooLarge }
    bodyBytes += Int(size)
    state = .chunk(left: Int(size))
  }

  mutating func takeSettings() -> ByteBuffer {
    var taken = ByteBuffer()
    swap(&taken, &http2Settings)
    return taken
  }

  /// Keeps the payload that HTTP2-Settings carries. False: it is none.
  mutating func keepSettings(_ text: RawSpan) -> Bool {
    // Six bytes an entry (RFC 9113 §6.5.1), eight letters of base64.
    guard text.byteCount % 8 == 0, text.byteCount <= limits.settingsEntriesMax * 8 else { return false }
    http2Settings.clear()
    return Base64URL.decode(text, into: &http2Settings)
  }
}

extension RawSpan {
  /// How many hexadecimal digits stand at the start.
  fileprivate var hexDigits: Int {
    var i = 0
    while i < byteCount, Ascii.hexValue(byte(i)) != nil { i += 1 }
    return i
  }
}
