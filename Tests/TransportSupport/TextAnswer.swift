// HTTP/1.1 from the client's side, for a scripted peer: one answer, read as RFC 9112 frames it.

public struct TextAnswer: Sendable {
  public var status = 0
  public var fields: [String: String] = [:]
  public var body: [UInt8] = []
  public var trailers: [String: String] = [:]

  public var text: String { String(decoding: body, as: UTF8.self) }
}

public struct BadAnswer: Error { public let line: String }

extension ScriptedPeer {
  @discardableResult public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// The next answer. `isBare`: to HEAD, whose body only seems to be there.
  public func textAnswer(isBare: Bool = false) throws -> TextAnswer {
    var answer = TextAnswer()
    let line = try receiveLine()
    let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "HTTP/1.1", let status = Int(parts[1]) else { throw BadAnswer(line: line) }
    answer.status = status
    answer.fields = try receiveFields()
    if isBare || status < 200 || status == 204 || status == 304 { return answer }
    if answer.fields["transfer-encoding"] == "chunked" {
      while true {
        let line = try receiveLine()
        guard let size = Int(line, radix: 16) else { throw BadAnswer(line: line) }
        if size == 0 { break }
        answer.body += try receive(count: size)
        let end = try receiveLine()
        if end != "" { throw BadAnswer(line: end) }
      }
      answer.trailers = try receiveFields()
    } else if let length = answer.fields["content-length"].flatMap({ Int($0) }) {
      answer.body = try receive(count: length)
    } else {
      answer.body = try receiveRest()
    }
    return answer
  }

  private func receiveLine() throws -> String {
    String(decoding: try receive(through: [13, 10]).dropLast(2), as: UTF8.self)
  }

  private func receiveFields() throws -> [String: String] {
    var fields: [String: String] = [:]
    while true {
      let line = try receiveLine()
      if line.isEmpty { return fields }
      guard let colon = line.firstIndex(of: ":"), fields[String(line[..<colon])] == nil else { throw BadAnswer(line: line) }
      fields[String(line[..<colon])] = String(line[line.index(after: colon)...].drop { $0 == " " })
    }
  }
}
