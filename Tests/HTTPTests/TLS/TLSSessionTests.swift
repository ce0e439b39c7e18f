// Both sides of TLS as values: every way a handshake can be cut into pieces, and every way it should fail.
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

/// A generator that gives the same numbers for the same seed.
private struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    var x = state
    x ^= x >> 33
    x = x &* 0xff51_afd7_ed55_8ccd
    return x ^ (x >> 33)
  }
}

@Suite(.blocking, .timeLimit(.minutes(2))) struct TLSSessionTests {
  private let world = TLSWorld()
  private let ping = Array("ping".utf8), pong = Array("pong".utf8)

  private func expectTalk(_ pair: TLSPair, _ note: Comment? = nil) {
    pair.clientSends(ping)
    pair.serverSends(pong)
    pair.run()
    #expect(pair.serverText.suffix(4) == ping[...], note)
    #expect(pair.clientText.suffix(4) == pong[...], note)
  }

  // MARK: handshakes that succeed

  @Test func `1-3 is spoken, and h2 agreed on`() throws {
    let pair = try TLSPair(world.server(), world.client()).run()
    #expect(pair.serverEnd?.agreed == .http2)
    #expect(pair.clientEnd?.agreed == .http2)
    #expect(pair.server.version == .tls13)
    #expect(pair.client.peerCertificate?.subject == "/CN=server")
    expectTalk(pair)
  }

  @Test func `1-2 is spoken when one side knows no better`() throws {
    let pair = try TLSPair(world.server(), world.client { $0.versionMax = .tls12 }).run()
    #expect(pair.server.version == .tls12)
    #expect(pair.clientEnd?.agreed == .http2)
    expectTalk(pair)
  }

  @Test func `1-2 is refused where 1-3 is the least`() throws {
    let pair = try TLSPair(world.server { $0.versionMin = .tls13 }, world.client { $0.versionMax = .tls12 }).run()
    #expect(pair.serverEnd?.error?.kind == .handshake)
    #expect(pair.clientEnd?.error?.kind == .handshake)
  }

  @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
  func `a handshake cut anywhere succeeds`(version: TLSConfiguration.Version) throws {
    let server = try TLSContext(.server, world.server())
    let client = try TLSContext(.client, world.client { $0.versionMax = version; $0.sessionTickets = false })
    for step in [1, 2, 3, 5, 7, 64, 500, 1000] {
      let pair = try TLSPair(server, client).run(step: step)
      #expect(pair.serverEnd?.isDone == true && pair.clientEnd?.isDone == true, "\(step) bytes at a time")
      expectTalk(pair, "\(step) bytes at a time")
    }
  }

  @Test func `every cut of the client's hello in two succeeds`() throws {
    let server = try TLSContext(.server, world.server()), client = try TLSContext(.client, world.client { $0.sessionTickets = false })
    let whole = try TLSPair(server, client)
    whole.feedClient([])
    for cut in stride(from: 1, to: whole.toServer.count, by: 3) {
      let pair = try TLSPair(server, client)
      pair.feedClient([])
      let hello = pair.toServer
      pair.toServer = []
      pair.feedServer(Array(hello[..<cut]))
      #expect(pair.toClient.isEmpty && pair.serverEnd == nil, "answered after \(cut) bytes")
      pair.feedServer(Array(hello[cut...]))
      pair.run()
      #expect(pair.serverEnd?.isDone == true, "cut at \(cut)")
    }
  }

  @Test func `data right behind the handshake is not lost`() throws {
    let pair = try TLSPair(world.server(), world.client())
    pair.feedClient([])
    let hello = pair.toServer
    pair.toServer = []
    pair.feedServer(hello)
    let answer = pair.toClient
    pair.toClient = []
    pair.feedClient(answer)
    #expect(pair.clientEnd?.isDone == true)
    pair.clientSends(ping)
    let all = pair.toServer
    pair.toServer = []
    pair.feedServer(all)
    #expect(pair.serverText == ping)
  }

  // MARK: ALPN

  @Test func `the server's preference decides`() throws {
    let pair = try TLSPair(world.server(), world.client { $0.protocols = [.http1, .http2] }).run()
    #expect(pair.serverEnd?.agreed == .http2)
    #expect(try TLSPair(world.server(), world.client { $0.protocols = [.http1] }).run().serverEnd?.agreed == .http1)
  }

  @Test func `without ALPN nothing is agreed and nothing fails`() throws {
    let pair = try TLSPair(world.server(), world.client { $0.protocols = [] }).run()
    #expect(pair.serverEnd?.isDone == true)
    #expect(pair.serverEnd?.agreed == nil)
  }

  @Test func `no protocol in common ends with the alert for it`() throws {
    let pair = try TLSPair(world.server { $0.protocols = [.http1] }, world.client()).run()
    #expect(pair.serverEnd?.error?.kind == .handshake)
    #expect(pair.clientEnd?.error?.reason.contains("no application protocol") == true, "\(String(describing: pair.clientEnd))")
  }

  @Test func `an ALPN list that is cut off chooses nothing`() {
    let lists: [([UInt8], Range<Int>?)] = [
      ([2, 0x68, 0x32], 1..<3), ([8] + Array("http/1.1".utf8) + [2, 0x68, 0x32], 10..<12), ([3, 0x68, 0x32], nil), ([], nil),
      ([0, 0, 2, 0x68, 0x32], 3..<5), ([200], nil),
    ]
    for (list, wanted) in lists {
      let chosen = unsafe TLSConfiguration.choose([.http2], from: list.span.bytes)
      #expect(chosen == wanted, "\(list)")
    }
  }

  // MARK: who is who

  @Test func `a server of another name is refused`() throws {
    let pair = try TLSPair(world.server(names: "DNS:elsewhere"), world.client()).run()
    let error = try #require(pair.clientEnd?.error)
    #expect(error.kind == .verification)
    #expect(error.reason.lowercased().contains("hostname mismatch") && error.source == "localhost", "\(error)")
    #expect(pair.serverEnd?.isDone != true || pair.serverOutcome.error != nil)
  }

  private func isAccepted(_ names: String, as name: String) throws -> Bool {
    switch try TLSPair(world.server(names: names), world.client(), name: name).run().clientEnd {
    case .done: return true
    case .failed(let error):
      #expect(error.kind == .verification)
      return false
    default:
      Issue.record("no end to the handshake")
      return false
    }
  }

  @Test func `an address is verified as an address`() throws {
    #expect(try isAccepted("DNS:localhost,IP:127.0.0.1", as: "127.0.0.1"))
    #expect(try !isAccepted("DNS:localhost", as: "127.0.0.1"))
    #expect(try !isAccepted("DNS:127.0.0.1", as: "127.0.0.1"))
    #expect(try isAccepted("IP:::1", as: "::1"))
  }

  @Test func `a wildcard stands for a whole label`() throws {
    #expect(try isAccepted("DNS:*.example.org", as: "a.example.org"))
    #expect(try !isAccepted("DNS:w*.example.org", as: "www.example.org"))
    #expect(try !isAccepted("DNS:*.example.org", as: "a.b.example.org"))
  }

  @Test func `a server of an unknown authority is refused`() throws {
    let pair = try TLSPair(TLSWorld().server(), world.client()).run()
    #expect(pair.clientEnd?.error?.kind == .verification)
  }

  @Test func `an expired server is refused`() throws {
    let error = try TLSPair(world.server(secondsLeft: -60), world.client()).run().clientEnd?.error
    #expect(error?.kind == .verification)
    #expect(error?.reason.contains("expired") == true, "\(String(describing: error))")
  }

  @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
  func `client certificates: good, absent, foreign, expired`(version: TLSConfiguration.Version) throws {
    let server = world.verifyingServer()
    func run(_ client: TLSConfiguration) throws -> TLSPair {
      var client = client
      client.versionMax = version
      return try TLSPair(server, client).run()
    }
    let good = try run(world.client(world.authority))
    #expect(good.server.peerCertificate?.subject == "/CN=client")
    expectTalk(good)

    let absent = try run(world.client())
    #expect(absent.serverEnd?.error?.kind == .verification)
    #expect(absent.serverEnd?.error?.source == "the client")
    // In 1.3 a client is done before its certificate is judged; the alert comes behind.
    #expect(absent.clientEnd?.error != nil || absent.clientOutcome.error != nil)

    #expect(try run(world.client(TestAuthority("stranger"))).serverEnd?.error?.kind == .verification)
    let expired = try run(world.client(world.authority, secondsLeft: -60)).serverEnd?.error
    #expect(expired?.kind == .verification)
    #expect(expired?.reason.contains("expired") == true)
  }

  @Test func `a server's certificate does not make a client`() throws {
    let made = world.authority.issue("server")
    let pair = try TLSPair(
      world.verifyingServer(),
      world.client {
        $0.certificateChain = PEM(made.certificate, source: "c")
        $0.privateKey = PEM(made.key, source: "k")
      }).run()
    #expect(pair.serverEnd?.error?.kind == .verification)
  }

  @Test func `a certificate that is only requested may be absent but not bad`() throws {
    let server = world.verifyingServer(.request)
    #expect(try TLSPair(server, world.client()).run().serverEnd?.isDone == true)
    #expect(try TLSPair(server, world.client(TestAuthority("stranger"))).run().serverEnd?.error?.kind == .verification)
  }

  // MARK: resumption

  @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
  func `a client that comes back resumes`(version: TLSConfiguration.Version) throws {
    let server = try TLSContext(.server, world.server()), client = try TLSContext(.client, world.client { $0.versionMax = version })
    let first = try TLSPair(server, client).run()
    #expect(!first.server.isResumed && !first.client.isResumed)
    expectTalk(first)
    for _ in 0..<3 {
      let next = try TLSPair(server, client).run()
      #expect(next.server.isResumed && next.client.isResumed)
      #expect(next.clientEnd?.agreed == .http2)
      expectTalk(next)
    }
    // Another name is another server.
    #expect(try !TLSPair(server, client, name: "127.0.0.1").run().client.isResumed)
  }

  @Test func `without tickets nothing resumes`() throws {
    for version in [TLSConfiguration.Version.tls12, .tls13] {
      let server = try TLSContext(.server, world.server { $0.sessionTickets = false })
      let client = try TLSContext(.client, world.client { $0.versionMax = version })
      _ = try TLSPair(server, client).run()
      #expect(try !TLSPair(server, client).run().client.isResumed)
    }
  }

  @Test func `a resumed client is still known by its certificate`() throws {
    let server = try TLSContext(.server, world.verifyingServer()), client = try TLSContext(.client, world.client(world.authority))
    _ = try TLSPair(server, client).run()
    let again = try TLSPair(server, client).run()
    #expect(again.server.isResumed)
    #expect(again.server.peerCertificate?.subject == "/CN=client")
  }

  @Test func `ticket keys turn over, and the previous one still opens`() throws {
    let keys = TicketKeys()
    let period = UInt64(TicketKeys.periodSeconds) * 1_000_000_000
    let start = MonotonicTime(nanoseconds: 1_000_000_000)
    func known(_ key: TicketKeys.Key, _ now: MonotonicTime) -> Bool? {
      unsafe key.name.withUnsafeBytes { unsafe keys.opening($0, now: now)?.isCurrent }
    }
    let first = try #require(keys.sealing(now: start))
    #expect(keys.sealing(now: start.advanced(byNanoseconds: period - 1)) == first)
    let next = start.advanced(byNanoseconds: period)
    let second = try #require(keys.sealing(now: next))
    #expect(second != first)
    #expect(known(first, next) == false && known(second, next) == true)
    let later = next.advanced(byNanoseconds: period)
    #expect(known(first, later) == nil && known(second, later) == false)
    // After a long silence nothing is known any more.
    let third = try #require(keys.sealing(now: later))
    #expect(known(third, later.advanced(byNanoseconds: 3 * period)) == nil)
  }

  // MARK: data

  @Test(arguments: [TLSConfiguration.Version.tls12, .tls13])
  func `much data goes both ways, in full records`(version: TLSConfiguration.Version) throws {
    let pair = try TLSPair(world.server(), world.client { $0.versionMax = version }).run()
    var dice = Dice(state: 7)
    let large = (0..<3_000_000).map { _ in UInt8.random(in: 0...255, using: &dice) }
    let head = Array("123456789".utf8)
    pair.clientSends(head, Array(large[..<1_000_000]), head, Array(large[1_000_000...]))
    let lengths = recordLengths(pair.toServer)
    #expect(lengths.count == (large.count + 18 + 16_383) / 16_384)
    #expect(lengths.dropLast().allSatisfy { $0 >= 16_384 })
    pair.serverSends(large)
    pair.run(step: 100_000)
    #expect(pair.serverText == head + large[..<1_000_000] + head + large[1_000_000...])
    #expect(pair.clientText == large)
  }

  @Test func `a small answer in pieces is one record`() throws {
    let pair = try TLSPair(world.server(), world.client()).run()
    pair.serverSends(Array("head".utf8), Array("body".utf8), Array("trailers".utf8))
    #expect(recordLengths(pair.toClient).count == 1)
    pair.run()
    #expect(pair.clientText == Array("headbodytrailers".utf8))
  }

  @Test func `a new key on the way is followed`() throws {
    let pair = try TLSPair(world.server(), world.client()).run()
    for _ in 0..<3 {
      var sealed = ByteBuffer()
      pair.client.updateKey(into: &sealed)
      #expect(sealed.count > 0)
      pair.toServer += bytesOf(sealed)
      expectTalk(pair)
    }
  }

  @Test func `close_notify is heard, both ways`() throws {
    let pair = try TLSPair(world.server(), world.client()).run()
    pair.clientSends(ping)
    var sealed = ByteBuffer()
    pair.client.closeNotify(into: &sealed)
    pair.toServer += bytesOf(sealed)
    pair.run()
    #expect(pair.serverText == ping)
    #expect(pair.serverOutcome == .ended)
    // The other direction is still open.
    pair.serverSends(pong)
    sealed.clear()
    pair.server.closeNotify(into: &sealed)
    pair.toClient += bytesOf(sealed)
    sealed.clear()
    pair.server.closeNotify(into: &sealed)
    #expect(sealed.count == 0)
    #expect(pair.server.hasEnded)
  }

  @Test func `after our close_notify the peer's data still arrives`() throws {
    let pair = try TLSPair(world.server(), world.client()).run()
    var sealed = ByteBuffer()
    pair.server.closeNotify(into: &sealed)
    pair.clientSends(ping)
    pair.run()
    #expect(pair.serverText == ping && pair.serverOutcome == .open)
    #expect(!pair.server.hasEnded)
  }

  // MARK: what a peer may not do

  @Test func `clear text is no TLS`() throws {
    for text in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n", "\u{0}", "ssh-2.0"] {
      let pair = try TLSPair(world.server(), world.client())
      pair.feedServer(Array(text.utf8))
      #expect(pair.serverEnd?.error?.kind == .notTLS, "\(text)")
      #expect(pair.toClient.isEmpty)
    }
    let pair = try TLSPair(world.server(), world.client())
    pair.feedClient(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
    #expect(pair.clientEnd?.error?.kind == .notTLS)
  }

  @Test func `a failed session stays failed`() throws {
    let pair = try TLSPair(world.server(), world.client())
    pair.feedServer([1, 2, 3])
    let error = try #require(pair.serverEnd?.error)
    pair.serverEnd = nil
    pair.feedClient([])
    pair.feedServer(pair.toServer)
    #expect(pair.serverEnd?.error == error)
  }

  @Test func `a handshake that does not end is broken off at the limit`() throws {
    var limits = Limits()
    limits.tlsHandshakeBytesMax = 4096
    let pair = try TLSPair(world.server(), world.client(), limits: limits)
    // Records of one handshake message that announces 16 KB and comes byte by byte.
    var error: TLSError?
    var fed = 0
    let start: [UInt8] = [0x16, 3, 1, 0, 5, 1, 0, 0x3f, 0xff, 3]
    pair.feedServer(start)
    while error == nil, fed < 100_000 {
      pair.feedServer([0x16, 3, 1, 0, 1, 3])
      fed += 6
      error = pair.serverEnd?.error
    }
    #expect(error?.kind == .limit)
    #expect(fed <= 4200)
  }

  @Test func `a flood of key updates ends the session`() throws {
    var limits = Limits()
    limits.tlsEventsMax = 50
    let pair = try TLSPair(TLSContext(.server, world.server()), TLSContext(.client, world.client()), limits: limits).run()
    var sent = 0
    while pair.serverOutcome == .open, sent < 200 {
      var sealed = ByteBuffer()
      pair.client.updateKey(into: &sealed)
      pair.feedServer(bytesOf(sealed))
      sent += 1
    }
    #expect(pair.serverOutcome.error?.kind == .limit)
    #expect(sent > 10 && sent <= 51)
  }

  @Test func `ordinary data costs no budget`() throws {
    var limits = Limits()
    limits.tlsEventsMax = 8
    let pair = try TLSPair(TLSContext(.server, world.server()), TLSContext(.client, world.client()), limits: limits).run()
    for _ in 0..<100 { expectTalk(pair) }
    #expect(pair.serverOutcome == .open && pair.clientOutcome == .open)
  }

  @Test(arguments: 0..<8)
  func `no mutated handshake crashes or hoards`(block: Int) throws {
    let server = try TLSContext(.server, world.verifyingServer()), client = try TLSContext(.client, world.client(world.authority))
    for round in 0..<40 {
      let seed = UInt64(block * 1000 + round)
      var dice = Dice(state: seed)
      let pair = try TLSPair(server, client)
      pair.feedClient([])
      var turns = 0
      while !pair.toServer.isEmpty || !pair.toClient.isEmpty, turns < 50 {
        turns += 1
        let isServer = pair.toClient.isEmpty || (!pair.toServer.isEmpty && Bool.random(using: &dice))
        var bytes = isServer ? pair.toServer : pair.toClient
        if isServer { pair.toServer = [] } else { pair.toClient = [] }
        if Int.random(in: 0..<3, using: &dice) == 0 { mutate(&bytes, &dice) }
        if isServer { pair.feedServer(bytes) } else { pair.feedClient(bytes) }
        #expect(pair.toClient.count < 64 << 10 && pair.toServer.count < 64 << 10, "seed \(seed)")
      }
      #expect(turns < 50, "seed \(seed)")
    }
  }

  private func mutate(_ bytes: inout [UInt8], _ dice: inout Dice) {
    if bytes.isEmpty { return }
    switch Int.random(in: 0..<5, using: &dice) {
    case 0: bytes[Int.random(in: 0..<bytes.count, using: &dice)] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
    case 1: bytes.removeLast(Int.random(in: 0..<bytes.count, using: &dice))
    case 2:
      let noise = (0..<50).map { _ in UInt8.random(in: 0...255, using: &dice) }
      bytes.insert(contentsOf: noise, at: Int.random(in: 0..<bytes.count, using: &dice))
    case 3: bytes += bytes
    default: for _ in 0..<10 { bytes[Int.random(in: 0..<bytes.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice) }
    }
  }

  @Test func `mutated data ends the session and nothing else`() throws {
    let server = try TLSContext(.server, world.server()), client = try TLSContext(.client, world.client())
    for seed in UInt64(0)..<100 {
      var dice = Dice(state: seed)
      let pair = try TLSPair(server, client).run()
      pair.clientSends((0..<2000).map { UInt8($0 & 255) })
      var bytes = pair.toServer
      pair.toServer = []
      let before = bytes
      mutate(&bytes, &dice)
      pair.feedServer(bytes)
      let isPrefix = before.starts(with: bytes)
      #expect(isPrefix || bytes.starts(with: before) || pair.serverText.isEmpty, "seed \(seed)")
    }
  }

  @Test func `a hello is told from requests by its first bytes`() throws {
    let pair = try TLSPair(world.server(), world.client())
    pair.feedClient([])
    func isHello(_ bytes: [UInt8]) -> Bool { unsafe isTLSClientHello(bytes.span.bytes) }
    for n in 1...10 { #expect(isHello(Array(pair.toServer[..<n])), "\(n) bytes") }
    #expect(!isHello([]))
    for text in ["GET / ", "PRI * ", "P", "\u{16}\u{3}\u{1}aa\u{2}"] { #expect(!isHello(Array(text.utf8)), "\(text)") }
  }
}
