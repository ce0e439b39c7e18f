import Synchronization
import Testing

@testable import HTTP

@Suite(.timeLimit(.minutes(1))) struct ResolverTests {
  private final class Gate: Sendable {
    let asked = Mutex<[Endpoint]>([])
    let isOpen = Atomic<Bool>(false)
  }

  private final class Heard: Sendable { let names = Mutex<[String]>([]) }

  private func resolver(_ gate: Gate) -> Resolver {
    Resolver { endpoint in
      gate.asked.withLock { $0.append(endpoint) }
      while !gate.isOpen.load(ordering: .acquiring) {}
      return .success([SocketAddress(numeric: "10.0.0.1", port: 1)!])
    }
  }

  @Test func `who asks for a name that is being looked up waits for the same answer`() async {
    let gate = Gate()
    let resolver = resolver(gate)
    let name = Endpoint.tcp(host: "a.test", port: 1), other = Endpoint.tcp(host: "b.test", port: 1)
    let (answers, continuation) = AsyncStream<String>.makeStream()
    for endpoint in [name, name, other, name] {
      resolver.resolve(endpoint) { answer in
        if case .success(let list) = answer { continuation.yield("\(endpoint) \(list[0])") }
      }
    }
    gate.isOpen.store(true, ordering: .releasing)
    var heard: [String] = []
    for await answer in answers {
      heard.append(answer)
      if heard.count == 4 { break }
    }
    #expect(heard == ["a.test:1 10.0.0.1:1", "a.test:1 10.0.0.1:1", "a.test:1 10.0.0.1:1", "b.test:1 10.0.0.1:1"])
    #expect(gate.asked.withLock { $0 } == [name, other])
  }

  @Test func `addresses in digits are answered on the spot`() {
    let gate = Gate()
    let resolver = resolver(gate)
    let heard = Heard()
    for endpoint in [Endpoint.tcp(host: "127.0.0.1", port: 80), .tcp(host: "::1", port: 80)] {
      resolver.resolve(endpoint) { answer in
        if case .success(let list) = answer { heard.names.withLock { $0 += list.map(\.description) } }
      }
    }
    // On this thread, before `resolve` returned, and nobody was asked.
    #expect(heard.names.withLock { $0 } == ["127.0.0.1:80", "[::1]:80"])
    #expect(gate.asked.withLock { $0.isEmpty })
  }

  @Test func `an address says what it is, and equals itself`() throws {
    let four = try #require(SocketAddress(numeric: "127.0.0.1", port: 8500))
    let six = try #require(SocketAddress(numeric: "::1", port: 8500))
    #expect(four.description == "127.0.0.1:8500" && !four.isIPv6)
    #expect(six.description == "[::1]:8500" && six.isIPv6)
    #expect(four == SocketAddress(numeric: "127.0.0.1", port: 8500) && four != SocketAddress(numeric: "127.0.0.1", port: 1))
    #expect(SocketAddress(numeric: "localhost", port: 1) == nil && SocketAddress(numeric: "1.2.3.4", port: 65_536) == nil)
    #expect(SocketAddress(unix: "/s")?.description == "unix:/s")
    #expect(SocketAddress(unix: "") == nil && SocketAddress(unix: String(repeating: "a", count: 108)) == nil)
  }

  @Test func `a name that does not exist says so`() {
    do throws(SocketError) {
      _ = try SocketAddress.resolve(.tcp(host: "no-such-host.invalid", port: 1))
      Issue.record("it exists")
    } catch { #expect(error.description.hasPrefix("resolve no-such-host.invalid:1: ")) }
  }
}
