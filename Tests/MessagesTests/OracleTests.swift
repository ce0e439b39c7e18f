// Our views against protobuf-c, on messages made by a seeded generator and on the same with bytes changed.
// A failure prints the line that runs its one case again.

import CProtoOracle
import TestThreads
import Testing
import Wire

@testable import Messages

/// splitmix64.
struct Generator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

struct Oracle: Sendable {
  let kind: oracle_kind
  let dump: @Sendable (WireMessage) throws(WireError) -> String

  static let all: [(name: String, oracle: Oracle)] = [
    ("PredictRequest", Oracle(kind: ORACLE_PREDICT_REQUEST, dump: Dumps.predictRequest)),
    ("PredictResponse", Oracle(kind: ORACLE_PREDICT_RESPONSE, dump: Dumps.predictResponse)),
    ("TensorProto", Oracle(kind: ORACLE_TENSOR, dump: Dumps.tensor)),
    ("Example", Oracle(kind: ORACLE_EXAMPLE, dump: Dumps.example)),
    ("SavedModel", Oracle(kind: ORACLE_SAVED_MODEL, dump: Dumps.savedModel)),
    ("BundleHeaderProto", Oracle(kind: ORACLE_BUNDLE_HEADER, dump: Dumps.bundleHeader)),
    ("BundleEntryProto", Oracle(kind: ORACLE_BUNDLE_ENTRY, dump: Dumps.bundleEntry)),
    ("NamedTensorProto", Oracle(kind: ORACLE_NAMED_TENSOR, dump: Dumps.namedTensor)),
  ]

  static subscript(_ name: String) -> Oracle {
    guard let found = all.first(where: { $0.name == name }) else { preconditionFailure(name) }
    return found.oracle
  }

  func random(_ seed: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe oracle_random(kind, seed, &bytes, bytes.count)
    return Array(bytes[0..<count])
  }

  /// What protobuf-c reads; `nil` when it refuses.
  func theirs(_ bytes: [UInt8], lenient: Bool = false) -> String? {
    var text = [CChar](repeating: 0, count: 1 << 21)
    let count = unsafe oracle_dump(kind, lenient ? 1 : 0, bytes, bytes.count, &text, text.count)
    precondition(count >= -1)
    return count < 0 ? nil : String(decoding: text[0..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func ours(_ bytes: [UInt8]) throws(WireError) -> String { try dump(WireMessage(bytes.rawSpan)) }

  func quirk(_ bytes: [UInt8]) -> String? {
    guard let text = unsafe oracle_quirk(kind, bytes, bytes.count) else { return nil }
    return unsafe String(cString: text)
  }

  /// Compares; `nil` when both say the same, or protobuf-c has a reason of its own not to.
  func difference(_ bytes: [UInt8]) -> String? {
    do {
      return compare(try ours(bytes), nil, bytes)
    } catch {
      return compare(nil, error, bytes)
    }
  }

  func compare(_ mine: String?, _ error: WireError?, _ bytes: [UInt8]) -> String? {
    guard quirk(bytes) == nil else { return nil }
    let theirs = theirs(bytes)
    if mine == theirs { return nil }
    // Our views of oneofs do not look into what was replaced; protobuf parses it, and refuses all if it is malformed.
    if theirs == nil && mine == self.theirs(bytes, lenient: true) { return nil }
    return
      "ours:   \(mine ?? error.map { "\($0)" } ?? "")\ntheirs: \(theirs ?? "refused")\nbytes:  \(Dump.hex(bytes.rawSpan))"
  }
}

@Suite(.blocking) struct OracleTests {
  static let names = Oracle.all.map(\.name)

  /// One more case: try this when a test printed it.
  func check(_ name: String, seed: UInt64, mutations: Int = 0) {
    let oracle = Oracle[name]
    var bytes = oracle.random(seed)
    if mutations > 0 {
      guard !bytes.isEmpty else { return }
      var generator = Generator(state: seed)
      for _ in 0..<mutations {
        switch generator.below(4) {
        case 0: bytes[generator.below(bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
        case 1: bytes[generator.below(bytes.count)] ^= 1 << UInt8(generator.below(8))
        case 2: bytes.removeLast(min(bytes.count - 1, generator.below(8)))
        default: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: generator.below(bytes.count))
        }
      }
    } else if let quirk = oracle.quirk(bytes) {
      Issue.record("the generator made something protobuf-c has its own view of: \(quirk)")
    }
    if let difference = oracle.difference(bytes) {
      Issue.record("check(\"\(name)\", seed: \(seed), mutations: \(mutations))\n\(difference)")
    }
  }

  @Test(arguments: names) func `random messages read as protobuf-c reads them`(name: String) {
    for seed in 0..<400 as Range<UInt64> { check(name, seed: seed) }
  }

  @Test(arguments: names) func `changed bytes are refused or read as protobuf-c does`(name: String) {
    for seed in 0..<3000 as Range<UInt64> { check(name, seed: seed, mutations: 1 + Int(seed % 3)) }
  }
}
