// Bodies read straight to where they belong: the cursor and the plan as values over random sequences of frames, then a server
// that lends memory, against a peer that does what was forecast, and one that does not.
import CLinux
import Glibc
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

/// Random numbers from a seed (SplitMix64).
private struct Random: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Bytes that say where they stand.
private func pattern(_ count: Int, _ seed: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: ($0 &+ seed) &* 31 ^ $0 >> 8) } }

struct FrameCursorTests {
  @Test(arguments: 0..<50 as Range<UInt64>) func `the cursor knows its place however the bytes are cut`(seed: UInt64) {
    var random = Random(state: seed)
    var bytes = ScriptedPeer.preface
    var places: [(end: Int, stream: Int, type: UInt8)] = []
    for _ in 0..<20 {
      let type = UInt8.random(in: 0...9, using: &random), stream = Int.random(in: 0...99, using: &random)
      bytes += Frame(type, stream: stream, pattern(Int.random(in: 0...40, using: &random), 7)).bytes
      places.append((bytes.count, stream, type))
    }
    var cursor = FrameCursor(preface: ScriptedPeer.preface.count)
    var at = 0
    while at < bytes.count {
      let end = min(bytes.count, at + Int.random(in: 1...60, using: &random))
      unsafe bytes[at..<end].withUnsafeBytes { unsafe cursor.advance(over: $0) }
      at = end
      // The frame whose head is complete and behind us.
      var start = ScriptedPeer.preface.count, current: (end: Int, stream: Int, type: UInt8)?
      for place in places where at >= start + 9 {
        current = place
        start = place.end
      }
      guard let current else { continue }
      #expect(cursor.head.streamID == Int32(current.stream) && cursor.head.type == current.type, "seed \(seed), byte \(at)")
      #expect(cursor.payloadLeft == max(0, current.end - at), "seed \(seed), byte \(at)")
      #expect(cursor.headReceived == max(0, at - current.end), "seed \(seed), byte \(at)")
    }
  }
}

@safe struct LandingPlanTests {
  /// A stretch of input with a forecast that is right up to a random frame, read up to a random byte: what has landed and what
  /// stands in the buffer are together the input.
  @Test(arguments: 0..<400 as Range<UInt64>) func `nothing is lost whatever comes`(seed: UInt64) {
    var random = Random(state: seed)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2000, alignment: 64)
    let lent = UnsafeMutableRawBufferPointer.allocate(byteCount: 4000, alignment: 64)
    defer {
      unsafe buffer.deallocate()
      unsafe lent.deallocate()
    }
    var plan = unsafe LandingPlan(buffer)
    plan.begin()
    var cursor = FrameCursor(preface: 0)
    var input: [UInt8] = []
    var places: [(at: Int, count: Int, room: Int)] = []
    var used = 0
    func room(_ most: Int, _ random: inout Random) -> UnsafeMutableRawBufferPointer {
      let count = Int.random(in: 0...most + 5, using: &random)
      let start = used
      used += count
      return unsafe UnsafeMutableRawBufferPointer(rebasing: lent[start..<start + count])
    }
    func start(_ room: UnsafeMutableRawBufferPointer) -> Int { unsafe room.baseAddress! - lent.baseAddress! }

    var headMissing = 9
    switch Int.random(in: 0...2, using: &random) {
    case 0:  // In the middle of a frame.
      let payload = pattern(Int.random(in: 2...50, using: &random), 3), already = Int.random(in: 1..<payload.count, using: &random)
      let frame = Frame(Frame.data, stream: 1, payload).bytes
      unsafe frame[..<(9 + already)].withUnsafeBytes { unsafe cursor.advance(over: $0) }
      input = Array(frame[(9 + already)...])
      let room = unsafe room(input.count, &random)
      unsafe plan.expectRest(input.count, on: 1, to: room)
      if room.count > 0 { unsafe places.append((0, min(input.count, room.count), start(room))) }
    case 1:  // In the middle of a head, which is the next frame's.
      headMissing = Int.random(in: 1...8, using: &random)
    default: break
    }
    let right = Int.random(in: 0...6, using: &random)
    for i in 0..<6 {
      let length = Int.random(in: 1...60, using: &random), stream = Int.random(in: 1...4, using: &random)
      guard plan.hasRoom(for: length) else { break }
      var frame = Frame(Frame.data, stream: stream, pattern(length, i))
      if i >= right {
        switch Int.random(in: 0...3, using: &random) {
        case 0: frame.type = Frame.headers
        case 1: frame.flags = 8  // PADDED
        case 2: frame.stream += 4
        default: frame.payload.append(9)
        }
      }
      let room = unsafe room(length, &random)
      let at = plan.end + headMissing
      unsafe plan.expectFrame(length, on: Int32(stream), to: room, headMissing: headMissing)
      var bytes = frame.bytes
      if headMissing < 9 {
        unsafe bytes[..<(9 - headMissing)].withUnsafeBytes { unsafe cursor.advance(over: $0) }
        bytes.removeFirst(9 - headMissing)
      }
      headMissing = 9
      input += bytes
      if i < right, room.count > 0 { unsafe places.append((at, min(length, room.count), start(room))) }
    }
    plan.expectOthers(500)
    input += pattern(2000, 77)
    // The read.
    let received = Int.random(in: 0...min(plan.byteCount, input.count), using: &random)
    var at = 0
    for unsafe piece in unsafe plan.vectorsToRead() {
      let n = unsafe min(piece.iov_len, received - at)
      if n > 0 { _ = unsafe input[at..<at + n].withUnsafeBytes { unsafe memcpy(piece.iov_base, $0.baseAddress!, n) } }
      at += max(0, n)
    }
    _ = plan.settle(received, after: cursor)
    // Put together again.
    var got = unsafe Array(buffer[..<received])
    var landedPieces = 0
    for place in places where place.at < received {
      let count = unsafe plan.landed(at: UnsafeRawBufferPointer(rebasing: buffer[place.at..<received]))
      #expect(count == min(place.count, received - place.at), "seed \(seed)")
      for i in 0..<count { got[place.at + i] = unsafe lent[place.room + i] }
      landedPieces += 1
    }
    #expect(got == Array(input[..<received]), "seed \(seed)")
    #expect(plan.landedCount == landedPieces, "seed \(seed)")
  }
}

/// Collects bodies in memory that it lends, and answers with them.
private final class Lender: HTTPApplication {
  let head = StaticFields([(":status", "200")])
  let landed: Counter
  final class Counter: Sendable { let bytes = Atomic<Int>(0) }
  init(_ landed: Counter) { self.landed = landed }

  func opened(_ stream: HTTPStream) {
    let size = Int(stream.head.value(of: "x-size") ?? "") ?? 0
    stream.handler = Exchange(self, size)
    stream.bytesExpected = size
  }

  @safe final class Exchange: StreamHandler {
    let application: Lender
    let size: Int
    var body: ByteBuffer
    init(_ application: Lender, _ size: Int) {
      self.application = application
      self.size = size
      body = ByteBuffer(capacity: max(size, 1))
    }
    @unsafe func landing(behind lent: Int, on stream: HTTPStream) -> UnsafeMutableRawBufferPointer {
      guard body.count + lent < size else { return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0) }
      return unsafe body.room(from: body.count + lent, to: size)
    }
    func landed(_ count: Int, on stream: HTTPStream) {
      application.landed.bytes.add(count, ordering: .relaxed)
      body.grew(by: count)
      stream.bytesExpected = max(0, size - body.count)
    }
    func received(_ bytes: RawSpan, on stream: HTTPStream) {
      _ = body.append(bytes)
      stream.bytesExpected = max(0, size - body.count)
    }
    func ended(_ stream: HTTPStream) {
      swap(&stream.body, &body)
      stream.respond(application.head, trailers: nil)
    }
    func closed(_ stream: HTTPStream, _ error: StreamError) {}
  }
}

@Suite(.blocking, .timeLimit(.minutes(2))) struct LandingServerTests {
  private func withServer(_ body: (ScriptedPeer, Lender.Counter) throws -> Void) async throws {
    let counter = Lender.Counter()
    let server = try HTTPServer(.init(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1)) { _ in Lender(counter) }
    try server.start()
    do {
      let peer = try ScriptedPeer(port: server.ports[0])
      // 64 MB for all streams and for the connection: answers are not what this is about.
      peer.open([(4, 64 << 20)])
      peer.send(Frame(Frame.windowUpdate, Frame.word(64 << 20)))
      // The server's windows are what it says once it has been acknowledged.
      _ = try peer.receive(Frame.settings)
      peer.send(Frame(Frame.settings, flags: Frame.acknowledge))
      try body(peer, counter)
    } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    await server.drain(deadline: .zero)
  }

  private func head(_ stream: Int, _ size: Int) -> Frame {
    Frame(
      Frame.headers, flags: Frame.endHeaders, stream: stream,
      ScriptedPeer.block(ScriptedPeer.request("/", [("x-size", "\(size)")])))
  }

  /// Frames of a body, `length` bytes each.
  private func frames(_ stream: Int, _ body: [UInt8], _ length: Int) -> [Frame] {
    stride(from: 0, to: body.count, by: length).map { at in
      let end = min(body.count, at + length)
      return Frame(Frame.data, flags: end == body.count ? Frame.endStream : 0, stream: stream, Array(body[at..<end]))
    }
  }

  private func send(_ frames: [Frame], _ peer: ScriptedPeer) { peer.send(frames.flatMap(\.bytes)) }

  @Test func `a body in equal frames lands`() async throws {
    try await withServer { peer, counter in
      for stream in [1, 3, 5] {
        let body = pattern(600_000, stream)
        send([head(stream, body.count)] + frames(stream, body, 16384), peer)
        let answer = try peer.answer(on: stream).body
        #expect(answer == body)
      }
      // What the first reads bring of each, before its place is known, is copied; and of the first body, where nothing is
      // known yet, a whole read.
      #expect(counter.bytes.load(ordering: .relaxed) > 600_000)
    }
  }

  @Test func `bodies that take turns land`() async throws {
    try await withServer { peer, counter in
      for round in 0..<4 {
        let streams = (0..<4).map { 1 + 2 * (4 * round + $0) }
        let bodies = streams.map { pattern(500_000 + $0, $0) }
        let pieces = zip(streams, bodies).map { frames($0, $1, 16384) }
        for (stream, body) in zip(streams, bodies) { send([head(stream, body.count)], peer) }
        for i in 0..<pieces[0].count { send(pieces.compactMap { i < $0.count ? $0[i] : nil }, peer) }
        var answers: [Int: [UInt8]] = [:]
        var open = streams.count
        while open > 0 {
          let frame = try peer.receive()
          guard frame.type == Frame.data else { continue }
          answers[frame.stream, default: []] += frame.payload
          if frame.flags & Frame.endStream != 0 { open -= 1 }
        }
        for (stream, body) in zip(streams, bodies) { #expect(answers[stream] == body) }
      }
      #expect(counter.bytes.load(ordering: .relaxed) > 4_000_000)
    }
  }

  /// Frames of all lengths, padded ones, others between them, streams that are reset in the middle, DATA behind the end of a
  /// stream: whoever is answered is answered with what it sent.
  @Test(arguments: 0..<8 as Range<UInt64>) func `whatever comes between, every body is whole`(seed: UInt64) async throws {
    try await withServer { peer, _ in
      var random = Random(state: seed)
      var nextStream = 1
      for _ in 0..<6 {
        var queues: [(stream: Int, body: [UInt8], left: [Frame])] = []
        for _ in 0..<Int.random(in: 1...5, using: &random) {
          let body = pattern(Int.random(in: 100_000...400_000, using: &random), nextStream)
          queues.append((nextStream, body, frames(nextStream, body, [16384, 16384, 9000, 5000].randomElement(using: &random)!)))
          send([head(nextStream, body.count)], peer)
          nextStream += 2
        }
        var expected = Dictionary(uniqueKeysWithValues: queues.map { ($0.stream, $0.body) })
        var turn = 0
        while !queues.isEmpty {
          turn = Int.random(in: 0..<6, using: &random) == 0 ? Int.random(in: 0..<queues.count, using: &random) : (turn + 1) % queues.count
          var frame = queues[turn].left.removeFirst()
          switch Int.random(in: 0..<40, using: &random) {
          case 0:
            frame.payload = [3] + frame.payload + [0, 0, 0]
            frame.flags |= 8
          case 1: send([Frame(Frame.windowUpdate, Frame.word(1))], peer)
          case 2:
            // A frame in two, so that lengths are not what they were.
            let cut = frame.payload.count / 3
            send([Frame(Frame.data, stream: frame.stream, Array(frame.payload[..<cut]))], peer)
            frame.payload.removeFirst(cut)
          case 3 where queues.count > 1:
            send([Frame(Frame.resetStream, stream: frame.stream, Frame.word(8))], peer)
            expected[frame.stream] = nil
            queues[turn].left = []
            // RFC 9113 §5.1: ignored, but counted by flow control.
            frame.flags = 0
          default: break
          }
          send([frame], peer)
          if queues[turn].left.isEmpty {
            queues.remove(at: turn)
            turn = 0
          }
        }
        var answers: [Int: [UInt8]] = [:], open = Set(expected.keys)
        while !open.isEmpty {
          let frame = try peer.receive()
          if frame.type == Frame.data {
            answers[frame.stream, default: []] += frame.payload
            if frame.flags & Frame.endStream != 0 { open.remove(frame.stream) }
          } else if frame.type == Frame.goAway {
            Issue.record("the server gave up: \(String(decoding: frame.payload.dropFirst(8), as: UTF8.self)) \(frame.errorCode ?? -1), seed \(seed)")
            return
          }
        }
        for (stream, body) in expected { #expect(answers[stream] == body, "seed \(seed), stream \(stream)") }
      }
    }
  }
}
