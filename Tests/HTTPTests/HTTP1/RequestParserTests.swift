// The parser's limits, and what it tells besides the fields. What it accepts and refuses is in RequestCasesTests.
import Testing

@testable import HTTP

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// One request and nothing wrong with it.
private func read(_ text: String, limits: RequestLimits = .usual, isSecure: Bool = false) -> ReadRequest? {
  let reading = Reading(bytes(text), limits: limits, isSecure: isSecure)
  #expect(reading.error == nil)
  return reading.requests.first
}

private func fault(_ text: String, limits: RequestLimits = .usual, isSecure: Bool = false) -> RequestFault? {
  let whole = Reading(bytes(text), limits: limits, isSecure: isSecure).error
  // In single bytes the verdict is the same, and no later.
  #expect(Reading(bytes(text), cuts: Array(0..<text.utf8.count), limits: limits, isSecure: isSecure).error == whole)
  return whole?.fault
}

@Suite struct RequestParserTests {
  @Test func `a head is the field list that HTTP/2 would have made of it`() throws {
    let text = "POST /a?b HTTP/1.1\r\nX-Tag: C\r\nHost: h:1\r\nConnection: keep-alive, x\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n"
    let request = try #require(read(text, isSecure: true))
    #expect(
      request.fields == [
        .init(name: ":method", value: "POST"), .init(name: ":scheme", value: "https"), .init(name: ":path", value: "/a?b"),
        .init(name: "x-tag", value: "C"), .init(name: ":authority", value: "h:1"), .init(name: "te", value: "trailers"),
        .init(name: "content-length", value: "0"),
      ])
  }

  @Test(arguments: [
    ("GET http://b:80/x?y", "/x?y"), ("GET HTTP://b:80", "/"), ("GET http://b:80?y", "/?y"), ("OPTIONS http://b:80", "*"),
    ("OPTIONS http://b:80/", "/"),
  ])
  func `an absolute target names the authority, whatever Host says`(_ line: String, _ path: String) throws {
    for host in ["Host: a\r\n", "Host:\r\n"] {
      let request = try #require(read("\(line) HTTP/1.1\r\n\(host)\r\n"))
      #expect(request.value(":authority") == "b:80")
      #expect(request.value(":path") == path)
      #expect(request.fields.count == 4)
    }
  }

  @Test func `CONNECT has an authority and neither scheme nor path`() throws {
    let request = try #require(read("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"))
    #expect(request.head.isCONNECT)
    #expect(request.fields.map(\.name) == [":method", ":authority"])
  }

  @Test func `https is a target over TLS and a misdirected one without`() {
    let text = "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
    #expect(fault(text) == .wrongScheme)
    #expect(RequestFault.wrongScheme.status == 421)
    #expect(fault(text, isSecure: true) == nil)
  }

  @Test(arguments: [
    ("1.1", "", true), ("1.1", "Connection: close\r\n", false), ("1.1", "Connection: a, CLOSE ,b\r\n", false),
    ("1.1", "Connection: closed\r\n", true), ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false), ("1.0", "", false),
    ("1.0", "Connection: Keep-Alive\r\n", true), ("1.0", "Connection: keep-alive, close\r\n", false),
  ])
  func `a connection stays as version and Connection say`(_ version: String, _ fields: String, _ stays: Bool) throws {
    let request = try #require(read("GET / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n"))
    #expect(request.head.keepsAlive == stays)
  }

  @Test func `an expectation counts in 1.1 and with a body`() throws {
    let with = try #require(read("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"))
    #expect(with.head.expectsContinue)
    let without = try #require(read("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"))
    #expect(!without.head.expectsContinue)
    let old = try #require(read("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nExpect: more\r\nContent-Length: 1\r\n\r\n"))
    #expect(!old.head.expectsContinue)
    #expect(RequestFault.unknownExpectation.status == 417)
  }

  // MARK: h2c

  private static let offer = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n\r\n"

  @Test func `an offer of h2c carries its settings`() throws {
    let request = try #require(read(Self.offer))
    #expect(request.head.offersHTTP2)
    #expect(request.settings == [0, 3, 0, 0, 0, 100, 0, 4, 0, 0xa0, 0, 0])
    #expect(request.value("upgrade") == nil && request.value("http2-settings") == nil)
  }

  @Test(arguments: [
    ("AAMAAABkAAQAoAAA\r\n", "AAMAAABkAAQAoAAA\r\nHTTP2-Settings: AAMAAABk\r\n"), ("AAMAAABkAAQAoAAA", "AAMAAABkAAQAoAA="),
    ("AAMAAABkAAQAoAAA", "AAMAAABkAAQAoA"), ("AAMAAABkAAQAoAAA", "AAMAAABkAAQA+AAA"), ("Upgrade: h2c", "Upgrade: h2"),
    ("Upgrade, HTTP2", "HTTP2"), ("Upgrade, HTTP2-Settings", "Upgrade"), ("HTTP/1.1", "HTTP/1.0"),
    ("Host: a\r\n", "Host: a\r\nContent-Length: 1\r\n"),
  ])
  func `an offer of h2c that is not whole is none`(_ part: String, _ instead: String) throws {
    let text = Self.offer.replacing(part, with: instead)
    #expect(text != Self.offer)
    let request = try #require(read(text))
    #expect(!request.head.offersHTTP2)
    #expect(request.settings == [])
  }

  @Test func `over TLS there is no h2c`() throws {
    #expect(try #require(read(Self.offer, isSecure: true)).head.offersHTTP2 == false)
  }

  @Test func `base64url is decoded to the bit, and nothing else is`() {
    let good: [(String, [UInt8])] = [
      ("", []), ("AA", [0]), ("AAA", [0, 0]), ("_-8f", [0xff, 0xef, 0x1f]), ("Zm9vYmE", Array("fooba".utf8)),
    ]
    for (text, expected) in good {
      var out = ByteBuffer()
      let isGood = unsafe Base64URL.decode(bytes(text).span.bytes, into: &out)
      #expect(isGood)
      let count = out.count
      let decoded = (0..<count).map { out.bytes.byte($0) }
      #expect(decoded == expected)
    }
    for text in ["A", "AAAAA", "AB", "AAB", "AA==", "A A", "AA+A", "AA/A"] {
      var out = ByteBuffer()
      let isGood = unsafe Base64URL.decode(bytes(text).span.bytes, into: &out)
      #expect(!isGood, "\(text)")
    }
  }

  // MARK: limits

  private static let small: RequestLimits = {
    var limits = RequestLimits.usual
    limits.targetBytesMax = 10
    limits.headerListBytesMax = 300
    limits.bodyBytesMax = 20
    limits.chunkExtensionBytesMax = 8
    return limits
  }()

  @Test func `a target at the limit is read, one byte more is 414, even without its end`() {
    #expect(fault("GET /23456789ab HTTP/1.1\r\nHost: a\r\n\r\n", limits: Self.small) == .targetTooLong)
    #expect(fault("GET /23456789a HTTP/1.1\r\nHost: a\r\n\r\n", limits: Self.small) == nil)
    #expect(fault("GET /" + String(repeating: "x", count: 100), limits: Self.small) == .targetTooLong)
    #expect(RequestFault.targetTooLong.status == 414)
  }

  @Test func `a method longer than any is 501, and what is no method 400`() {
    let method = String(repeating: "M", count: RequestParser.methodBytesMax)
    #expect(fault("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n") == nil)
    #expect(fault("\(method)M / HTTP/1.1\r\nHost: a\r\n\r\n") == .methodTooLong)
    #expect(fault(String(repeating: "M", count: 100), limits: Self.small) == .methodTooLong)
    #expect(fault(String(repeating: "M", count: 20) + String(repeating: "\u{1}", count: 80), limits: Self.small) == .badMethod)
    #expect(RequestFault.methodTooLong.status == 501)
  }

  @Test func `fields over the limit are 431: many, one, and white space without end`() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n"
    #expect(fault(head + String(repeating: "a:b\r\n", count: 3) + "\r\n", limits: Self.small) == nil)
    #expect(fault(head + String(repeating: "a:b\r\n", count: 4) + "\r\n", limits: Self.small) == .fieldsTooLarge)
    #expect(fault(head + "a:" + String(repeating: "b", count: 400), limits: Self.small) == .fieldsTooLarge)
    #expect(fault(head + "a:" + String(repeating: " ", count: 400), limits: Self.small) == .fieldsTooLarge)
    #expect(RequestFault.fieldsTooLarge.status == 431)
  }

  @Test func `trailers have the same limit`() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    #expect(fault(head + String(repeating: "a:b\r\n", count: 8) + "\r\n", limits: Self.small) == nil)
    #expect(fault(head + String(repeating: "a:b\r\n", count: 9) + "\r\n", limits: Self.small) == .fieldsTooLarge)
    #expect(fault(head + "a:" + String(repeating: " ", count: 400), limits: Self.small) == .fieldsTooLarge)
  }

  @Test func `a body over the limit is 413: counted or chunked, before it is read`() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\n"
    #expect(fault(head + "Content-Length: 20\r\n\r\n", limits: Self.small) == nil)
    #expect(fault(head + "Content-Length: 21\r\n\r\n", limits: Self.small) == .bodyTooLarge)
    #expect(fault(head + "Content-Length: \(UInt64.max)\r\n\r\n", limits: Self.small) == .bodyTooLarge)
    let chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
    let ten = "a\r\n0123456789\r\n"
    #expect(fault(chunked + ten + ten + "0\r\n\r\n", limits: Self.small) == nil)
    #expect(fault(chunked + ten + ten + "1\r\n", limits: Self.small) == .bodyTooLarge)
    #expect(fault(chunked + "ffffffffffffffff\r\n", limits: Self.small) == .bodyTooLarge)
    #expect(RequestFault.bodyTooLarge.status == 413)
  }

  @Test func `chunk extensions are limited for the whole body, and sizes in digits`() {
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(fault(chunked + "1;abc\r\nx\r\n1;abc\r\nx\r\n0\r\n\r\n", limits: Self.small) == nil)
    #expect(fault(chunked + "1;abc\r\nx\r\n1;abcd\r\nx\r\n0\r\n\r\n", limits: Self.small) == .badChunkExtension)
    #expect(fault(chunked + "1;" + String(repeating: "a", count: 100), limits: Self.small) == .badChunkExtension)
    #expect(fault(chunked + String(repeating: "0", count: 100), limits: Self.small) == .badChunkSize)
    #expect(fault(chunked + "0000000000000001\r\nx\r\n0\r\n\r\n", limits: Self.small) == nil)
  }

  // MARK: between requests

  @Test func `the parser knows whether a request has begun`() {
    for (text, midway) in [("", false), ("\r", true), ("\r\n", true), ("G", true), ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false)] {
      #expect(Reading(bytes(text)).isMidway == midway, "\(text.debugDescription)")
    }
  }

  @Test func `one request leaves nothing behind for the next`() {
    let first = "POST http://b/ HTTP/1.0\r\nTransfer: x\r\nConnection: keep-alive, upgrade\r\nExpect: x\r\nContent-Length: 2\r\n\r\nab"
    let second = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    let reading = Reading(bytes("\r\n" + first + "\r\n" + second))
    #expect(reading.error == nil)
    #expect(reading.requests.last == Reading(bytes(second)).requests.first)
  }
}
