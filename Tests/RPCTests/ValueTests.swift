import HTTP
import Testing

@testable import RPC

func span<R>(_ bytes: [UInt8], _ body: (RawSpan) -> R) -> R { unsafe bytes.withUnsafeBytes { unsafe body($0.bytes) } }

@Suite struct TimeoutTests {
  @Test(arguments: [
    ("1S", 1_000_000_000), ("99999999m", 99_999_999_000_000), ("0n", 0), ("7u", 7000), ("2M", 120_000_000_000),
    ("1H", 3_600_000_000_000), ("99999999H", .max), ("", nil), ("S", nil), ("1", nil), ("123456789S", nil), ("-1S", nil),
    ("1 S", nil), ("1s", nil), ("+1S", nil),
  ] as [(String, UInt64?)])
  func `a grpc-timeout is digits and a unit`(_ text: String, _ expected: UInt64?) {
    #expect(span(Array(text.utf8)) { Timeout.parse($0) } == expected)
  }

  @Test func `what we write, we read, and never shorter`() {
    for exponent in 0..<63 {
      for offset in [UInt64(0), 1, 999] {
        let nanoseconds = (UInt64(1) << UInt64(exponent)) + offset
        let text = Timeout.format(nanoseconds: nanoseconds)
        let parsed = span(Array(text.utf8)) { Timeout.parse($0) }
        #expect(parsed.map { $0 >= nanoseconds } == true, "\(nanoseconds) became \(text)")
      }
    }
  }
}

@Suite struct PercentEncodingTests {
  @Test func `printable ASCII stays, the rest travels as bytes`() {
    #expect(PercentEncoding.encode("a b~") == "a b~")
    #expect(PercentEncoding.encode("100%\n") == "100%25%0A")
    #expect(PercentEncoding.encode("ü") == "%C3%BC")
  }

  @Test func `every scalar comes back`() {
    let text = "\t\u{0}nul, \"quote\", % %41, ü, 漢, 🐦"
    #expect(span(Array(PercentEncoding.encode(text).utf8)) { PercentEncoding.decode($0) } == text)
  }

  @Test func `what cannot be decoded is taken literally`() {
    #expect(span(Array("%", count: 1)) { PercentEncoding.decode($0) } == "%")
    #expect(span(Array("50%zz%4".utf8)) { PercentEncoding.decode($0) } == "50%zz%4")
  }

  @Test func `a long message is cut at a whole character`() {
    #expect(PercentEncoding.encode("aü", limit: 6) == "a")
    #expect(PercentEncoding.encode("aü", limit: 7) == "a%C3%BC")
  }
}

extension Array where Element == UInt8 {
  fileprivate init(_ text: String, count: Int) { self = Array(text.utf8.prefix(count)) }
}

@Suite struct StatusTests {
  @Test func `codes have gRPC's numbers and names`() {
    #expect(Status.Code.allCases.count == 17)
    #expect(Status.Code.invalidArgument.rawValue == 3 && Status.Code.invalidArgument.name == "INVALID_ARGUMENT")
    #expect(Status.Code.unauthenticated.rawValue == 16)
    #expect(Status(.notFound, "x").description == "NOT_FOUND: x")
  }
}

@Suite struct MessageAssemblerTests {
  private func frame(_ message: [UInt8], flag: UInt8 = 0) -> [UInt8] {
    let n = message.count
    return [flag, UInt8(n >> 24 & 255), UInt8(n >> 16 & 255), UInt8(n >> 8 & 255), UInt8(n & 255)] + message
  }

  /// Feeds the pieces, then the end; the first failure wins.
  private func run(_ pieces: [[UInt8]], limit: Int = 1 << 20) -> (MessageAssembler.Failure?, [UInt8]) {
    var pool = BufferPool(retainedMax: 0)
    var assembler = MessageAssembler(limit: limit)
    for piece in pieces {
      if let failure = span(piece, { assembler.received($0, from: &pool) }) { return (failure, []) }
    }
    let bytes = unsafe assembler.message.withUnsafeBytes { unsafe Array($0) }
    return (assembler.ended(), bytes)
  }

  @Test func `a message cut anywhere is the same message`() {
    let message = (0..<40).map { UInt8($0) }
    let whole = frame(message)
    for i in 0...whole.count {
      for j in i...whole.count {
        let (failure, bytes) = run([Array(whole[..<i]), Array(whole[i..<j]), Array(whole[j...])])
        #expect(failure == nil && bytes == message, "cut at \(i) and \(j)")
      }
    }
  }

  @Test func `an empty message is a message`() { #expect(run([frame([])]).0 == nil) }

  @Test func `no message, half a prefix and half a message are told apart`() {
    #expect(run([]).0 == .missing)
    #expect(run([[0, 0]]).0 == .truncated(received: 2, expected: 5))
    #expect(run([Array(frame([1, 2, 3]).dropLast())]).0 == .truncated(received: 7, expected: 8))
  }

  @Test func `a second message is refused`() {
    #expect(run([frame([1]) + frame([2])]).0 == .secondMessage)
    #expect(run([frame([]), [0]]).0 == .secondMessage)
  }

  @Test func `a length over the limit is refused by its prefix alone`() {
    #expect(run([[0, 0, 0, 1, 1]], limit: 256).0 == .tooLarge(length: 257, limit: 256))
    #expect(run([[0, 255, 255, 255, 255]], limit: Int(Int32.max)).0 == .tooLarge(length: 0xffff_ffff, limit: 0x7fff_ffff))
  }

  @Test func `the compressed flag is reported`() { #expect(run([frame([1], flag: 1)]).0 == .compressed(flag: 1)) }

  @Test func `announcing two gigabytes costs next to nothing until they come`() {
    var pool = BufferPool(retainedMax: 0)
    var assembler = MessageAssembler(limit: Int(Int32.max))
    let outcome1 = span([0, 0x7f, 0xff, 0xff, 0xff]) { assembler.received($0, from: &pool) }
    #expect(outcome1 == nil)
    let announced = assembler.reservedBytes
    #expect(announced == 0)
    let chunk = [UInt8](repeating: 1, count: 100_000)
    for _ in 0..<30 { _ = span(chunk) { assembler.received($0, from: &pool) } }
    let received = assembler.reservedBytes
    #expect(received <= 2 * 3_000_000)
  }

  /// Feeds the pieces and takes message after message.
  private func stream(
    _ pieces: [[UInt8]], limit: Int = 1 << 20, coding: ContentCoding? = nil, _ slice: CodecSlice = .whole
  ) -> ([[UInt8]], MessageAssembler.Failure?) {
    var pool = BufferPool(retainedMax: 1 << 20)
    var codecs = Codecs()
    var assembler = MessageAssembler(limit: limit, coding: coding)
    var messages: [[UInt8]] = []
    for piece in pieces {
      var at = 0
      while at < piece.count {
        if let failure = span(piece, { assembler.take($0, &at, from: &pool) }) { return (messages, failure) }
        guard assembler.isComplete else { continue }
        var outcome = MessageAssembler.Unpacked.more
        while outcome == .more {
          outcome = assembler.decompress(with: &codecs, &pool, room: .max, slice)
        }
        if case .failed(let failure) = outcome { return (messages, failure) }
        let message = assembler.takeMessage()
        messages.append(unsafe message.bytes.withUnsafeBytes { unsafe Array($0) })
      }
    }
    return (messages, assembler.endedBetweenMessages())
  }

  @Test func `a stream of messages cut anywhere is the same messages`() {
    let messages: [[UInt8]] = [[1, 2, 3], [], [4], [], [], (0..<20).map { UInt8($0) }]
    let whole = messages.flatMap { frame($0) }
    for i in 0...whole.count {
      for j in i...whole.count {
        let (got, failure) = stream([Array(whole[..<i]), Array(whole[i..<j]), Array(whole[j...])])
        #expect(got == messages && failure == nil, "cut at \(i) and \(j)")
      }
    }
    let (got, failure) = stream(whole.map { [$0] })
    #expect(got == messages && failure == nil)
  }

  @Test func `a stream may end between messages and nowhere else`() {
    #expect(stream([]).1 == nil)
    #expect(stream([frame([1])]).1 == nil)
    #expect(stream([frame([1]) + [0]]).1 == .truncated(received: 1, expected: 5))
    #expect(stream([frame([1]) + frame([1, 2]).dropLast()]).1 == .truncated(received: 6, expected: 7))
  }

  @Test(arguments: ContentCoding.allCases) func `compressed and plain messages mix`(_ coding: ContentCoding) {
    var codecs = Codecs()
    let plain = [UInt8](repeating: 9, count: 30_000)
    var packed = ByteBuffer()
    _ = span(plain) { codecs.compress($0, coding, into: &packed, limit: 1000) }
    let bytes = unsafe packed.bytes.withUnsafeBytes { unsafe Array($0) }
    let whole = frame(bytes, flag: 1) + frame([1]) + frame([], flag: 1) + frame(bytes, flag: 1)
    let (got, failure) = stream([whole], coding: coding)
    #expect(got == [plain, [1], [], plain] && failure == nil)
    let (few, late) = stream(whole.map { [$0] }, limit: 29_999, coding: coding)
    #expect(few.isEmpty && late == .tooLarge(length: 30_000, limit: 29_999))
    #expect(stream([whole]).1 == .compressed(flag: 1))
    #expect(stream([frame([], flag: 2)], coding: coding).1 == .compressed(flag: 2))
    #expect(stream([frame(bytes.dropLast(), flag: 1)], coding: coding).1 == .corrupt(coding, .truncated(received: bytes.count - 1)))
  }

  @Test func `whatever comes, in whatever pieces, is the same messages and the same end`() {
    for seed in 0..<400 {
      var generator = Seeded(UInt64(seed))
      var codecs = Codecs()
      var whole: [UInt8] = []
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let plain = [UInt8](repeating: UInt8(seed & 255), count: Int.random(in: 0...3000, using: &generator))
        var packed = ByteBuffer()
        let isPacked = Bool.random(using: &generator) && span(plain) { codecs.compress($0, .gzip, into: &packed, limit: 4000) }
        whole += isPacked ? frame(unsafe packed.bytes.withUnsafeBytes { unsafe Array($0) }, flag: 1) : frame(plain)
      }
      // Two of three are damaged somewhere, or cut.
      let at = Int.random(in: 0..<whole.count, using: &generator)
      if seed % 3 == 1 { whole[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator) }
      if seed % 3 == 2 { whole.removeLast(whole.count - at) }
      var pieces: [[UInt8]] = [], rest = whole[...]
      while !rest.isEmpty {
        let n = Int.random(in: 1...min(rest.count, 700), using: &generator)
        pieces.append(Array(rest.prefix(n)))
        rest = rest.dropFirst(n)
      }
      let (one, end) = stream([whole], limit: 2500, coding: .gzip)
      let (many, sameEnd) = stream(pieces, limit: 2500, coding: .gzip)
      #expect(one == many && end == sameEnd, "seed \(seed)")
      let slice = CodecSlice(inputBytes: Int.random(in: 1...50, using: &generator), outputBytes: Int.random(in: 1...900, using: &generator))
      let (slow, slowEnd) = stream(pieces, limit: 2500, coding: .gzip, slice)
      #expect(one == slow && end == slowEnd, "seed \(seed)")
      #expect(one.allSatisfy { $0.count <= 2500 }, "seed \(seed)")
    }
  }

  @Test func `a message is sent compressed only when that is shorter`() {
    var codecs = Codecs()
    func sent(_ count: Int, _ compression: MessageCompression?, _ byte: (Int) -> UInt8) -> [UInt8] {
      var buffer = ByteBuffer()
      let isSent = buffer.append(messageOf: count, compressed: compression, with: &codecs) { output in
        for i in 0..<count { output.append(byte(i)) }
      }
      #expect(isSent)
      return unsafe buffer.bytes.withUnsafeBytes { unsafe Array($0) }
    }
    let gzip = MessageCompression(.gzip, bytesMin: 100)
    #expect(sent(5, nil) { _ in 1 } == [0, 0, 0, 0, 5, 1, 1, 1, 1, 1])
    #expect(sent(99, gzip) { _ in 1 } == [0, 0, 0, 0, 99] + [UInt8](repeating: 1, count: 99))
    let packed = sent(5000, gzip) { _ in 1 }
    #expect(packed[0] == 1 && packed.count < 100)
    #expect(stream([packed], coding: .gzip).0 == [[UInt8](repeating: 1, count: 5000)])
    let long = MessageCompression(.gzip, bytesMin: 100, bytesOnLoopMax: 4999)
    #expect(sent(5000, long) { _ in 1 }[0] == 0 && sent(4999, long) { _ in 1 }[0] == 1)
    #expect(sent(5000, long.offLoop) { _ in 1 }[0] == 1)
    let noise = sent(100, gzip) { UInt8(truncatingIfNeeded: $0 &* $0 &* 2_654_435_761 >> 7 &+ $0 &* 91) }
    #expect(noise[0] == 0 && noise.count == 105)
  }

  @Test func `an assembler used again remembers nothing`() {
    var pool = BufferPool(retainedMax: 0)
    var assembler = MessageAssembler(limit: 100)
    _ = span(frame([1, 2, 3])) { assembler.received($0, from: &pool) }
    assembler.reset(keeping: 1000, into: &pool)
    let outcome2 = assembler.ended()
    #expect(outcome2 == .missing)
    let outcome3 = span(frame([4])) { assembler.received($0, from: &pool) }
    #expect(outcome3 == nil)
    let bytes = unsafe assembler.message.withUnsafeBytes { unsafe Array($0) }
    #expect(bytes == [4])
  }
}

@Suite struct MethodTableTests {
  final class Nothing: UnaryHandler { func handle(_ call: UnaryCall) {} }

  @Test func `every registered path is found, nothing else is`() {
    var table = MethodTable()
    let paths = (0..<100).map { "/package.Service\($0 % 7)/Method\($0)" }
    for path in paths { table.register(path: path, Nothing()) }
    for path in paths {
      let found = span(Array(path.utf8)) { unsafe table.find($0) != nil }
      #expect(found)
      let other = span(Array((path + "x").utf8)) { unsafe table.find($0) != nil }
      #expect(!other)
    }
    let empty = span([]) { unsafe MethodTable().find($0) != nil }
    #expect(!empty)
  }
}

/// A generator whose numbers are the same every time (splitmix64).
private struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
    return word ^ word >> 31
  }
}
