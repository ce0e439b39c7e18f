// Fields, one line each: of the head, and of the trailers.

/// What the fields of a head say about its connection and its body; their meaning together is known at the head's end.
struct SeenFields {
  enum Coding {
    case none
    /// `chunked` alone.
    case chunked
    /// `chunked` behind others.
    case afterOthers
    /// Others, and `chunked` not yet: the body has no end.
    case notLast
    /// `chunked` twice, or something behind it.
    case broken
  }

  var hasHost = false
  /// The target has named the authority: Host is checked and set aside (RFC 9112 §3.2.2).
  var hasAuthority = false
  var length: Int?
  var coding = Coding.none
  var wantsClose = false
  var wantsKeepAlive = false
  var expectsContinue = false
  var expectsOther = false
  // For h2c.
  var upgradesToH2C = false
  var namesUpgrade = false
  var namesSettings = false
  var settingsCount = 0
  var settingsAreGood = false
}

/// Fields that concern the connection, the routing or the framing of a message.
enum ConnectionField {
  case host, contentLength, transferEncoding, connection, keepAlive, proxyConnection, upgrade, http2Settings, expect

  init?(_ name: RawSpan) {
    switch name.byteCount {
    case 4 where name.equalsIgnoringCase("host"): self = .host
    case 6 where name.equalsIgnoringCase("expect"): self = .expect
    case 7 where name.equalsIgnoringCase("upgrade"): self = .upgrade
    case 10 where name.equalsIgnoringCase("connection"): self = .connection
    case 10 where name.equalsIgnoringCase("keep-alive"): self = .keepAlive
    case 14 where name.equalsIgnoringCase("content-length"): self = .contentLength
    case 14 where name.equalsIgnoringCase("http2-settings"): self = .http2Settings
    case 16 where name.equalsIgnoringCase("proxy-connection"): self = .proxyConnection
    case 17 where name.equalsIgnoringCase("transfer-encoding"): self = .transferEncoding
    default: return nil
    }
  }
}

extension ConnectionField {
  /// Whether an answer's field is for us to write, not for the layers above.
  static func isOurs(_ name: RawSpan) -> Bool {
    if name.byteCount == 0 || name.byte(0) == Ascii.colon { return true }
    return switch ConnectionField(name) {
    case .contentLength, .transferEncoding, .connection, .keepAlive, .proxyConnection, .upgrade, .http2Settings: true
    case .host, .expect, nil: false
    }
  }
}

extension RequestParser {
  /// RFC 9112 §5: `name ":" OWS value OWS`.
  mutating func readField(_ text: RawSpan, into block: inout HeaderBlock, isTrailer: Bool) throws(RequestFault) {
    // RFC 9112 §2.2 and §5.2.
    if Ascii.isBlank(text.byte(0)) { throw .folded }
    let token = ByteSet.token
    var nameEnd = 0
    while nameEnd < text.byteCount, token.contains(text.byte(nameEnd)) { nameEnd += 1 }
    guard nameEnd < text.byteCount else { throw .noColon }
    guard text.byte(nameEnd) == Ascii.colon else { throw Ascii.isBlank(text.byte(nameEnd)) ? .spaceBeforeColon : .badName }
    guard nameEnd > 0 else { throw .badName }
    let name = text.extracting(0..<nameEnd)
    let value = text.extracting(text.trimmed(nameEnd + 1..<text.byteCount))
    guard value.isFieldValue else { throw .badValue }

    if let field = ConnectionField(name) {
      // RFC 9110 §6.5.1.
      if isTrailer { throw .forbiddenTrailer }
      guard try note(field, value, in: &block) else { return }
    }
    guard block.append(lowercasing: name, value, limit: limits.headerListBytesMax) else { throw .fieldsTooLarge }
  }

  /// True: the field belongs into the list all the same.
  private mutating func note(
    _ field: ConnectionField, _ value: RawSpan, in head: inout HeaderBlock
  ) throws(RequestFault) -> Bool {
    switch field {
    case .host:
      if seen.hasHost { throw .severalHosts }
      seen.hasHost = true
      guard Authority(value) != nil else { throw .badHost }
      if !seen.hasAuthority { try append(":authority", value, to: &head) }
      return false
    case .contentLength:
      if seen.length != nil { throw .severalLengths }
      seen.length = try length(value)
      return true
    case .transferEncoding:
      noteCoding(value)
      return false
    case .connection:
      noteConnection(value)
      return false
    case .upgrade:
      var at = 0
      while let element = value.listElement(from: &at) {
        if value.extracting(element).equals("h2c") { seen.upgradesToH2C = true }
      }
      return false
    case .http2Settings:
      seen.settingsCount += 1
      if seen.settingsCount == 1 { seen.settingsAreGood = keepSettings(value) }
      return false
    case .expect:
      if value.equalsIgnoringCase("100-continue") { seen.expectsContinue = true } else { seen.expectsOther = true }
      return true
    case .keepAlive, .proxyConnection: return false
    }
  }

  /// RFC 9110 §8.6: digits, and nothing that merely looks like them. A list of equal lengths, which may be taken, is not.
  private func length(_ value: RawSpan) throws(RequestFault) -> Int {
    guard value.byteCount > 0 else { throw .badLength }
    var length = 0
    for i in 0..<value.byteCount {
      let byte = value.byte(i)
      if byte == Ascii.comma { throw .severalLengths }
      guard Ascii.isDigit(byte) else { throw .badLength }
      let (product, overflow) = length.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      // Larger than any limit, which is told when the head is whole.
      length = overflow || carry ? .max : sum
    }
    return length
  }

  /// RFC 9112 §6.1. The codings of all lines are one list.
  private mutating func noteCoding(_ value: RawSpan) {
    var at = 0
    while let element = value.listElement(from: &at) {
      let isChunked = value.extracting(element).equalsIgnoringCase("chunked")
      switch seen.coding {
      case .none: seen.coding = isChunked ? .chunked : .notLast
      case .chunked, .afterOthers: seen.coding = .broken
      case .notLast: if isChunked { seen.coding = .afterOthers }
      case .broken: break
      }
    }
  }

  private mutating func noteConnection(_ value: RawSpan) {
    var at = 0
    while let element = value.listElement(from: &at) {
      let option = value.extracting(element)
      if option.equalsIgnoringCase("close") { seen.wantsClose = true }
      if option.equalsIgnoringCase("keep-alive") { seen.wantsKeepAlive = true }
      if option.equalsIgnoringCase("upgrade") { seen.namesUpgrade = true }
      if option.equalsIgnoringCase("http2-settings") { seen.namesSettings = true }
    }
  }
}

extension RawSpan {
  /// RFC 9110 §5.5: visible characters, spaces, tabs, and bytes beyond ASCII.
  var isFieldValue: Bool {
    for i in 0..<byteCount {
      let byte = byte(i)
      if byte == 0x7f || (byte < Ascii.space && byte != Ascii.tab) { return false }
    }
    return true
  }
}
