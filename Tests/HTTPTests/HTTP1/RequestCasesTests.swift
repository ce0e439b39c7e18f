// Requests judged by us and by h11: http1_cases.jsonl, written by make_http1_cases.py, which says why we differ where we do.
import Foundation
import TestThreads
import Testing

@testable import HTTP

private struct Case: Decodable, CustomStringConvertible {
  struct Request: Decodable {
    var method: String
    var target: String
    var version: String
    var fields: [[String]]
    var body: String
    var whole: Bool
    var trailers: [[String]]?
  }

  var name: String?
  var mutant: Int?
  var bytes: String
  var requests: [Request]
  var end: String
  var fault: String?
  var differs: String?

  var description: String { name ?? "mutant \(mutant ?? -1): \(bytes.debugDescription)" }
  var data: [UInt8] { latin1(bytes) }

  static let all: [Case] = {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../http1_cases.jsonl")
    let text = (try? String(contentsOf: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map { line in
      do { return try JSONDecoder().decode(Case.self, from: Data(line.utf8)) } catch { fatalError("\(line): \(error)") }
    }
  }()
}

private func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

/// Fields that are told otherwise than in the list.
private let ofTheConnection: Set = [
  "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings",
]

@Suite(.blocking) struct RequestCasesTests {
  @Test func `every case of the table has the verdict that it names`() {
    let table = Case.all.filter { $0.name != nil }
    #expect(table.count > 140)
    for entry in table {
      let reading = Reading(entry.data)
      #expect(reading.error.map { "\($0.fault)" } == entry.fault, "\(entry)")
      if entry.fault == nil, entry.differs == nil { compare(reading, entry) }
    }
  }

  @Test func `every fault has a case, but for the limits and memory`() {
    let named = Set(Case.all.compactMap(\.fault))
    let elsewhere: Set<RequestFault> = [.methodTooLong, .targetTooLong, .fieldsTooLarge, .noMemory]
    for fault in RequestFault.allCases where !elsewhere.contains(fault) { #expect(named.contains("\(fault)"), "\(fault)") }
  }

  @Test func `mutants are read as h11 reads them, or refused for a reason that is ours`() {
    // What the table says of h11, as a rule: reasons for which we refuse and h11 need not.
    let stricter: Set<RequestFault> = [
      .bareLineFeed, .folded, .badValue, .badTarget, .wrongScheme, .unsupportedVersion, .badHost, .unknownExpectation,
      .severalLengths, .lengthAndCoding, .codingInOldVersion, .badChunkSize, .badChunkExtension, .bodyTooLarge, .forbiddenTrailer,
    ]
    var bothRead = 0, bothRefused = 0
    for entry in Case.all where entry.mutant != nil {
      let reading = Reading(entry.data)
      let refused = entry.end.hasPrefix("refuses")
      if let error = reading.error {
        // Where h11 waits for the end of a head, or has closed, we may be further.
        let readMore = entry.requests.filter(\.whole).count > reading.requests.filter(\.isWhole).count
          || entry.requests.count > reading.requests.count
        if readMore { #expect(stricter.contains(error.fault), "\(entry): \(error), h11 \(entry.end)") }
        if refused { bothRefused += 1 }
      } else if refused {
        #expect(isBehindEmptyLine(entry, reading), "\(entry): only h11 \(entry.end)")
      } else {
        bothRead += 1
      }
      compare(reading, entry)
    }
    #expect(bothRead > 120 && bothRefused > 200, "\(bothRead) read, \(bothRefused) refused")
  }

  /// The only thing h11 refuses and we do not: one empty line before a request, the first or a later one.
  private func isBehindEmptyLine(_ entry: Case, _ reading: Reading) -> Bool {
    if entry.bytes.hasPrefix("\r\n") { return true }
    return entry.requests.count < reading.requests.count || entry.requests.last?.whole ?? false
  }

  /// What both have read is the same.
  private func compare(_ reading: Reading, _ entry: Case) {
    // A request that h11 goes on to refuse, or we do, is told up to different places; behind one that ends the connection
    // h11 stops, and so does our connection, but the parser reads on.
    let isComparable = reading.error == nil && entry.end == "waits"
    if isComparable { #expect(reading.requests.count == entry.requests.count, "\(entry)") }
    for (i, (ours, other)) in zip(reading.requests, entry.requests).enumerated() {
      let isLast = i == entry.requests.count - 1
      #expect(ours.value(":method") == other.method, "\(entry)")
      #expect(ours.head.isVersion11 == (other.version == "1.1"), "\(entry)")
      if other.target.hasPrefix("/") || other.target == "*" {
        #expect(ours.value(":path") == other.target, "\(entry)")
        #expect(ours.value(":authority") == other.fields.first { $0[0] == "host" }?[1], "\(entry)")
      }
      let fields = other.fields.filter { !ofTheConnection.contains($0[0]) }.map { ReadRequest.Field(name: $0[0], value: $0[1]) }
      #expect(ours.fields.filter { !$0.name.hasPrefix(":") } == fields, "\(entry)")
      if !isComparable, !(ours.isWhole && other.whole) { continue }
      #expect(ours.body == latin1(other.body), "\(entry)")
      #expect(ours.isWhole == other.whole, "\(entry)")
      #expect(ours.trailers == (other.trailers ?? []).map { ReadRequest.Field(name: $0[0], value: $0[1]) }, "\(entry)")
      // h11 does not keep HTTP/1.0 connections.
      if ours.isWhole, other.method != "CONNECT", ours.head.isVersion11 {
        #expect(ours.head.keepsAlive == !(isLast && entry.end == "closes"), "\(entry)")
      }
    }
  }

  @Test func `where the input is cut makes no difference`() {
    for entry in Case.all where entry.name != nil {
      let data = entry.data
      let whole = Reading(data)
      for cut in 0...data.count where Reading(data, cuts: [cut]) != whole {
        Issue.record("\(entry): cut at \(cut)")
      }
      #expect(Reading(data, cuts: Array(0..<data.count)) == whole, "\(entry)")
    }
  }

  @Test func `the fuzzer's corpus is read without a crash, and cut anywhere`() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Fuzz/Corpus/HTTP1Request")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(!files.isEmpty)
    for file in files { fuzzRequests([UInt8](try Data(contentsOf: file))) }
    for entry in Case.all { fuzzRequests(entry.data) }
  }
}
