// Answers in HTTP/1.x: how each is framed, and its head as bytes. A value, one per exchange.
//
// The layers above speak HTTP/2: fields with a pseudo-field before them, a body whole or in pieces, trailers. Here they become
//
//   whole, no trailers           content-length
//   in pieces, or trailers, 1.1  chunked, trailers behind the last chunk
//   in pieces, 1.0               up to the end of the connection
//   HEAD, 204, 304               no body (RFC 9112 §6.3)
//
// What frames the message or steers the connection is written here and nowhere else: such fields of the layers above are
// left out, and a line break in a value becomes a space, so that no value can begin a field or an answer of its own.
internal import CNGHTTP2

struct ResponseWriter {
  enum Body: Equatable {
    /// There is none, and no field of ours tells of one.
    case absent
    case counted(Int)
    case chunked
    case untilClose
  }

  private let isVersion11: Bool
  private let isHEAD: Bool
  /// The connection ends behind this answer, and says so.
  private(set) var closes: Bool
  /// How the body is announced; known when the head is written.
  private(set) var body = Body.absent
  /// Its bytes go out. They do not for HEAD.
  private(set) var sendsBody = false

  /// For a request that could be read.
  init(_ request: RequestHead, closes: Bool) {
    isVersion11 = request.isVersion11
    isHEAD = request.isHEAD
    self.closes = closes || !request.keepsAlive
  }

  /// For one that could not.
  init() {
    isVersion11 = true
    isHEAD = false
    closes = true
  }

  /// Appends the head of a final answer. `length` is that of a body that is whole. False: no memory.
  /// - Precondition: `fields` has `count` entries, each with its bytes readable.
  mutating func appendHead(
    _ fields: UnsafePointer<nghttp2_nv>?, _ count: Int, length: Int?, hasTrailers: Bool, date: InlineArray<29, UInt8>,
    to out: inout ByteBuffer
  ) -> Bool {
    var status = 500
    var hasDate = false
    var hasLength = false
    unsafe forEach(fields, count) { name, value in
      if name.equals(":status"), let given = Status.parse(value) { status = given }
      if name.equals("date") { hasDate = true }
      if name.equals("content-length") { hasLength = true }
    }
    // RFC 9110 §8.6: for HEAD and 304 it is what the layers above say it would be.
    let keepsLength = hasLength && (isHEAD || status == 304)
    frame(status: status, length: keepsLength ? nil : length, hasTrailers: hasTrailers)

    var isWhole = out.append("HTTP/1.1 ") && out.append(number: status) && out.append(" ")
    isWhole = isWhole && out.append(Status.reason(status)) && out.append("\r\n")
    unsafe forEach(fields, count) { name, value in
      if !ConnectionField.isOurs(name) || (keepsLength && name.equals("content-length")) {
        isWhole = isWhole && out.append(field: name, value)
      }
    }
    if !hasDate {
      // Bytes of bytes.
      let text = unsafe date.span.bytes
      isWhole = isWhole && out.append("date: ") && out.append(text) && out.append("\r\n")
    }
    switch body {
    case .counted(let length):
      isWhole = isWhole && out.append("content-length: ") && out.append(number: length) && out.append("\r\n")
    case .chunked: isWhole = isWhole && out.append("transfer-encoding: chunked\r\n")
    case .absent, .untilClose: break
    }
    // RFC 9112 §9.3: 1.1 goes on unless told otherwise, 1.0 ends unless told otherwise.
    if closes {
      isWhole = isWhole && out.append("connection: close\r\n")
    } else if !isVersion11 {
      isWhole = isWhole && out.append("connection: keep-alive\r\n")
    }
    return isWhole && out.append("\r\n")
  }

  private mutating func frame(status: Int, length: Int?, hasTrailers: Bool) {
    if status == 204 || status == 304 || status < 200 {
      body = .absent
    } else if let length, !(hasTrailers && isVersion11 && !isHEAD) {
      body = .counted(length)
    } else if isHEAD {
      body = .absent
    } else if isVersion11 {
      body = .chunked
    } else {
      body = .untilClose
      closes = true
    }
    sendsBody = body != .absent && !isHEAD
  }

  /// What stands before the bytes of a chunk, as `chunkEnd` stands behind them.
  /// - Precondition: `byteCount` is not zero, which would end the body.
  static func appendChunkHead(_ byteCount: Int, to out: inout ByteBuffer) -> Bool {
    precondition(byteCount > 0)
    return out.append(number: byteCount, radix: 16) && out.append("\r\n")
  }

  /// The last chunk and the trailers behind it.
  /// - Precondition: as for `appendHead`.
  static func appendLastChunk(_ trailers: UnsafePointer<nghttp2_nv>?, _ count: Int, to out: inout ByteBuffer) -> Bool {
    var isWhole = out.append("0\r\n")
    unsafe forEach(trailers, count) { name, value in
      if !ConnectionField.isOurs(name) { isWhole = isWhole && out.append(field: name, value) }
    }
    return isWhole && out.append("\r\n")
  }

  /// Behind the bytes of each chunk.
  static let chunkEnd: StaticString = "\r\n"
  /// RFC 9110 §15.2.1.
  static let goOn: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"
  /// RFC 7540 §3.2.
  static let switching: StaticString = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n"
}

/// - Precondition: `fields` has `count` entries, each with its bytes readable.
private func forEach(
  _ fields: UnsafePointer<nghttp2_nv>?, _ count: Int, _ body: (_ name: RawSpan, _ value: RawSpan) -> Void
) {
  for i in 0..<count {
    let field = unsafe fields![i]
    let name = unsafe UnsafeRawBufferPointer(start: field.name, count: field.namelen)
    let value = unsafe UnsafeRawBufferPointer(start: field.value, count: field.valuelen)
    body(unsafe name.bytes, unsafe value.bytes)
  }
}

extension ByteBuffer {
  mutating func append(_ text: StaticString) -> Bool {
    // A literal's bytes live for the whole process.
    unsafe append(text.utf8Start, text.utf8CodeUnitCount)
  }

  fileprivate mutating func append(number: Int, radix: Int = 10) -> Bool {
    var count = 1
    var scale = 1
    while number / scale >= radix {
      scale *= radix
      count += 1
    }
    return append(byteCount: count) { output in
      while scale > 0 {
        let digit = UInt8(number / scale % radix)
        output.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        scale /= radix
      }
    }
  }

  /// One field line. A name that is none is left out; RFC 9110 §5.5: a control character becomes a space.
  fileprivate mutating func append(field name: RawSpan, _ value: RawSpan) -> Bool {
    guard name.byteCount > 0, name.isMade(of: .token) else { return true }
    guard append(name), append(": ") else { return false }
    if value.isFieldValue { return append(value) && append("\r\n") }
    return append(byteCount: value.byteCount) { output in
      for i in 0..<value.byteCount {
        let byte = value.byte(i)
        output.append(byte == 0x7f || (byte < Ascii.space && byte != Ascii.tab) ? Ascii.space : byte)
      }
    } && append("\r\n")
  }
}

private enum Status {
  /// Three digits.
  static func parse(_ text: RawSpan) -> Int? {
    guard text.byteCount == 3 else { return nil }
    var status = 0
    for i in 0..<3 {
      guard Ascii.isDigit(text.byte(i)) else { return nil }
      status = status * 10 + Int(text.byte(i) - UInt8(ascii: "0"))
    }
    return status >= 100 ? status : nil
  }

  /// RFC 9110 §15. Clients go by the number; people read this.
  static func reason(_ status: Int) -> StaticString {
    switch status {
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 206: "Partial Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 303: "See Other"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 411: "Length Required"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 417: "Expectation Failed"
    case 421: "Misdirected Request"
    case 422: "Unprocessable Content"
    case 426: "Upgrade Required"
    case 428: "Precondition Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 499: "Client Closed Request"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: ""
    }
  }
}
