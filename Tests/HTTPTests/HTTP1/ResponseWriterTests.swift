import Testing

@testable import HTTP

private let date = "Sun, 06 Nov 1994 08:49:37 GMT"

private func write(
  _ first: [(name: String, value: String)], _ more: [(String, String)] = [], request: RequestHead = RequestHead(),
  closes: Bool = false, length: Int?, hasTrailers: Bool = false
) -> (head: String, writer: ResponseWriter) {
  var list = FieldList()
  for (name, value) in more { list.append(name, value) }
  var writer = ResponseWriter(request, closes: closes)
  var out = ByteBuffer()
  let isWhole = unsafe list.withNV(after: StaticFields(first)) { fields, count in
    unsafe writer.appendHead(
      fields, count, length: length, hasTrailers: hasTrailers, date: HTTPDate.format(784_111_777), to: &out)
  }
  #expect(isWhole)
  return (out.bytes.text, writer)
}

@Suite struct ResponseWriterTests {
  private let ok = [(name: ":status", value: "200")]

  @Test func `a whole body is counted`() {
    let (head, writer) = write(ok, [("content-type", "text/plain")], length: 1234)
    #expect(head == "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: \(date)\r\ncontent-length: 1234\r\n\r\n")
    #expect(writer.sendsBody && !writer.closes && writer.body == .counted(1234))
  }

  @Test func `a body in pieces is chunked, and so is one with trailers`() {
    for (length, trailers) in [(nil, false), (nil, true), (5, true)] as [(Int?, Bool)] {
      let (head, writer) = write(ok, length: length, hasTrailers: trailers)
      #expect(head == "HTTP/1.1 200 OK\r\ndate: \(date)\r\ntransfer-encoding: chunked\r\n\r\n")
      #expect(writer.sendsBody && writer.body == .chunked)
    }
  }

  @Test func `to HTTP/1.0 a body in pieces ends with the connection, and trailers are left out`() {
    let old = RequestHead(isVersion11: false, keepsAlive: true)
    let (pieces, streaming) = write(ok, request: old, length: nil)
    #expect(pieces == "HTTP/1.1 200 OK\r\ndate: \(date)\r\nconnection: close\r\n\r\n")
    #expect(streaming.sendsBody && streaming.closes && streaming.body == .untilClose)
    let (whole, counted) = write(ok, request: old, length: 3, hasTrailers: true)
    #expect(whole == "HTTP/1.1 200 OK\r\ndate: \(date)\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n")
    #expect(counted.body == .counted(3) && !counted.closes)
  }

  @Test func `a connection that ends says so`() {
    for (request, closes) in [(RequestHead(keepsAlive: false), false), (RequestHead(), true)] {
      let (head, writer) = write(ok, request: request, closes: closes, length: 0)
      #expect(head.hasSuffix("content-length: 0\r\nconnection: close\r\n\r\n"))
      #expect(writer.closes)
    }
  }

  @Test func `HEAD has the length of the body that it does not have`() {
    let asked = RequestHead(isHEAD: true)
    let (own, writer) = write(ok, request: asked, length: 7)
    #expect(own.hasSuffix("content-length: 7\r\n\r\n"))
    #expect(!writer.sendsBody)
    let (given, _) = write(ok, [("content-length", "99")], request: asked, length: 0)
    #expect(given == "HTTP/1.1 200 OK\r\ncontent-length: 99\r\ndate: \(date)\r\n\r\n")
    let (pieces, streaming) = write(ok, request: asked, length: nil, hasTrailers: true)
    #expect(pieces == "HTTP/1.1 200 OK\r\ndate: \(date)\r\n\r\n")
    #expect(!streaming.sendsBody)
  }

  @Test(arguments: ["204", "304"]) func `204 and 304 have no body`(_ status: String) {
    for length in [nil, 0, 5] {
      let (head, writer) = write([(":status", status)], length: length)
      #expect(!head.contains("content-length") && !head.contains("transfer-encoding"))
      #expect(!writer.sendsBody && !writer.closes)
    }
    let (head, _) = write([(":status", status)], [("content-length", "5")], length: 0)
    #expect(head.contains("content-length: 5") == (status == "304"))
  }

  @Test func `framing is written once, by us`() {
    let (head, _) = write(
      ok,
      [
        ("content-length", "9"), ("transfer-encoding", "gzip"), ("connection", "keep-alive"), ("keep-alive", "x"), ("upgrade", "h3"),
        (":path", "/"), ("date", "now"), ("", "x"), ("a b", "c"), ("d\r\ne", "f"),
      ], length: 2)
    #expect(head == "HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 2\r\n\r\n")
  }

  @Test func `no value begins a line of its own`() {
    let (head, _) = write(ok, [("x", "a\r\nset-cookie: b\0\u{7f}\t\u{e4}")], length: 0)
    #expect(head.hasPrefix("HTTP/1.1 200 OK\r\nx: a  set-cookie: b  \t\u{e4}\r\ndate"))
  }

  @Test func `a status that is none is 500, one without a name has none`() {
    #expect(write([(":status", "abc")], length: 0).head.hasPrefix("HTTP/1.1 500 Internal Server Error\r\n"))
    #expect(write([(":status", "299")], length: 0).head.hasPrefix("HTTP/1.1 299 \r\n"))
    #expect(write([], length: 0).head.hasPrefix("HTTP/1.1 500 "))
  }

  @Test func `chunks have their size in hexadecimal, and trailers stand behind the last`() {
    for (size, text) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xabc0, "abc0\r\n"), (1 << 31, "80000000\r\n")] {
      var out = ByteBuffer()
      let isWhole = ResponseWriter.appendChunkHead(size, to: &out)
      #expect(isWhole)
      let written = out.bytes.text
      #expect(written == text)
    }
    var list = FieldList()
    list.append("grpc-status", "0")
    list.append("content-length", "5")
    var out = ByteBuffer()
    let isWhole = unsafe list.withNV { unsafe ResponseWriter.appendLastChunk($0, $1, to: &out) }
    #expect(isWhole)
    let written = out.bytes.text
    #expect(written == "0\r\ngrpc-status: 0\r\n\r\n")
  }

  @Test(arguments: [
    (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
    (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
    (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"), (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
    (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (-5, "Thu, 01 Jan 1970 00:00:00 GMT"),
    (.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
  ] as [(Int64, String)])
  func `a date is a date`(_ second: Int64, _ expected: String) {
    var cache = HTTPDate()
    // Asked twice, it answers the same.
    for _ in 0..<2 {
      let text = cache.bytes(at: second)
      #expect(unsafe text.span.bytes.text == expected)
    }
  }
}
