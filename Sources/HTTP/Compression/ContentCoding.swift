/// The compressed forms of a body that we read and write. Both names mean the same to HTTP (RFC 9110 §8.4.1) and to gRPC
/// ("Message-Encoding"); `deflate` is the zlib format (RFC 1950), not the bare stream of that name (RFC 1951).
public enum ContentCoding: String, Hashable, Sendable, CaseIterable {
  case deflate, gzip

  /// The coding of this name; nil for `identity` and for names that we do not know.
  public init?(_ name: RawSpan) {
    for coding in ContentCoding.allCases where name.equals(text: coding.rawValue) {
      self = coding
      return
    }
    return nil
  }

  /// Whether a list such as `identity, deflate,gzip` names this coding. Parameters are not looked at: gRPC has none.
  public func isNamed(in list: RawSpan) -> Bool {
    var start = 0
    for end in 0...list.byteCount where end == list.byteCount || list.byte(end) == UInt8(ascii: ",") {
      var first = start, last = end
      while first < last, list.byte(first) == UInt8(ascii: " ") { first += 1 }
      while last > first, list.byte(last - 1) == UInt8(ascii: " ") { last -= 1 }
      if list.extracting(first..<last).equals(text: rawValue) { return true }
      start = end + 1
    }
    return false
  }
}
