// What can be wrong with a request. Each is answered with its status, and the connection is closed behind the answer: after
// a message that two parsers may read differently nothing on the connection can be trusted (RFC 9112 §11.2).

struct RequestError: Error, Hashable, Sendable, CustomStringConvertible {
  let fault: RequestFault
  /// The line of the message where it was seen, counted from 1 over head, chunk sizes and trailers.
  let line: Int

  var status: Int { fault.status }
  var description: String { "\(fault.rawValue) (line \(line))" }
}

enum RequestFault: String, Error, Hashable, Sendable, CaseIterable {
  // Lines.
  case emptyLine = "an empty line where the request line should be"
  case bareLineFeed = "a line that ends without CR"

  // The request line.
  case badMethod = "a method that is no token"
  case methodTooLong = "a method longer than any we know"
  case badTarget = "a request target that is none of the four forms"
  case targetTooLong = "a request target over the limit"
  case badVersion = "no HTTP version at the end of the request line"
  case unsupportedVersion = "a version other than HTTP/1.0 and HTTP/1.1"
  case wrongScheme = "a target that wants a secure connection, on one that is not"

  // Fields.
  case folded = "a line that begins with white space"
  case noColon = "a field without a colon"
  case badName = "a field name that is no token"
  case spaceBeforeColon = "white space before the colon"
  case badValue = "a control character in a field value"
  case fieldsTooLarge = "fields over the limit"
  case missingHost = "no Host"
  case severalHosts = "more than one Host"
  case badHost = "a Host that is no host and port"
  case unknownExpectation = "an expectation other than 100-continue"

  // Where the body ends.
  case badLength = "a Content-Length that is no number"
  case severalLengths = "more than one Content-Length"
  case lengthAndCoding = "Content-Length beside Transfer-Encoding"
  case codingInOldVersion = "Transfer-Encoding in HTTP/1.0"
  case badCoding = "a Transfer-Encoding that does not end in one chunked"
  case unknownCoding = "a transfer coding other than chunked"
  case bodyTooLarge = "a body over the limit"
  case badChunkSize = "a chunk size that is no hexadecimal number"
  case badChunkExtension = "a chunk extension that is not one, or too many of them"
  case badChunkEnd = "a chunk that is not followed by CRLF"
  case forbiddenTrailer = "a trailer field that belongs into the head"

  case noMemory = "no memory for a line"

  var status: Int {
    switch self {
    case .bodyTooLarge: 413
    case .targetTooLong: 414
    case .unknownExpectation: 417
    case .wrongScheme: 421
    case .fieldsTooLarge: 431
    case .methodTooLong, .unknownCoding: 501
    case .noMemory: 503
    case .unsupportedVersion: 505
    default: 400
    }
  }
}
