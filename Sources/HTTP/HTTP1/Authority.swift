// Where a request goes: the four forms of a target (RFC 9112 §3.2), and host and port (RFC 3986 §3.2).

enum TargetForm: Equatable {
  /// `/path?query`, and the same for `*`.
  case path
  /// `http://host:port/path?query`.
  case absolute(isSecure: Bool, authority: Range<Int>, path: Range<Int>)
  /// `host:port`, for CONNECT.
  case authority
}

extension TargetForm {
  /// Nil: none of the forms, or one that the method does not take.
  init?(_ target: RawSpan, method: RawSpan) {
    guard target.byteCount > 0 else { return nil }
    // RFC 9112 §3.2: no white space, and no fragment. A backslash is a path separator to some, so it is none here either.
    for i in 0..<target.byteCount {
      let byte = target.byte(i)
      if byte <= Ascii.space || byte >= 0x7f || byte == UInt8(ascii: "#") || byte == UInt8(ascii: "\\") { return nil }
    }
    if method.equals("CONNECT") {
      guard let authority = Authority(target), authority.hostEnd > 0, authority.portStart < target.byteCount else { return nil }
      self = .authority
      return
    }
    if target.byte(0) == UInt8(ascii: "/") || (target.equals("*") && method.equals("OPTIONS")) {
      self = .path
      return
    }
    guard let absolute = TargetForm.absolute(target) else { return nil }
    self = absolute
  }

  private static func absolute(_ target: RawSpan) -> TargetForm? {
    let isSecure = target.byteCount >= 8 && target.extracting(0..<8).equalsIgnoringCase("https://")
    guard isSecure || (target.byteCount >= 7 && target.extracting(0..<7).equalsIgnoringCase("http://")) else { return nil }
    let start = isSecure ? 8 : 7
    var end = start
    while end < target.byteCount, target.byte(end) != UInt8(ascii: "/"), target.byte(end) != UInt8(ascii: "?") { end += 1 }
    // RFC 9110 §4.2.1: no empty host; §4.2.4: no user information.
    guard let authority = Authority(target.extracting(start..<end)), authority.hostEnd > 0 else { return nil }
    return .absolute(isSecure: isSecure, authority: start..<end, path: end..<target.byteCount)
  }
}

/// `host[:port]`: where its parts are. The port may be empty, and so may the host.
struct Authority {
  let hostEnd: Int
  /// The end of the text when there is no port.
  let portStart: Int

  init?(_ text: RawSpan) {
    var at = 0
    if text.byteCount > 0, text.byte(0) == UInt8(ascii: "[") {
      let set = ByteSet.addressLiteral
      at = 1
      while at < text.byteCount, set.contains(text.byte(at)) { at += 1 }
      guard at > 2, at < text.byteCount, text.byte(at) == UInt8(ascii: "]") else { return nil }
      at += 1
    } else {
      let set = ByteSet.registeredName
      while at < text.byteCount, text.byte(at) != Ascii.colon {
        if text.byte(at) == UInt8(ascii: "%") {
          guard at + 2 < text.byteCount, Ascii.hexValue(text.byte(at + 1)) != nil, Ascii.hexValue(text.byte(at + 2)) != nil
          else { return nil }
          at += 2
        } else if !set.contains(text.byte(at)) {
          return nil
        }
        at += 1
      }
    }
    hostEnd = at
    if at < text.byteCount {
      guard text.byte(at) == Ascii.colon, text.byteCount - at <= 6 else { return nil }
      at += 1
      for i in at..<text.byteCount where !Ascii.isDigit(text.byte(i)) { return nil }
    }
    portStart = at
  }
}
