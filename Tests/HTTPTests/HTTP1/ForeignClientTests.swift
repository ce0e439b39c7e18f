// HTTP/1.1 as others speak it: curl, and Python's http.client.
import Foundation
import TestThreads
import Testing
import TransportSupport

@testable import HTTP

private enum Program {
  static let curl = "/usr/bin/curl"
  static let python = "/usr/bin/python3"
  static func isHere(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }
}

@Suite(.blocking, .timeLimit(.minutes(1))) struct ForeignClientTests {
  /// What a program prints, run against a server; anything but success is an issue.
  private func ask(_ program: String, tls: CertificateStore? = nil, _ arguments: (Int) -> [String]) async throws -> String {
    var configuration = HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1)
    configuration.tls = tls
    let server = try HTTPServer(configuration) { TestApplication(TestLog(), $0) }
    try server.start()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments(server.ports[0])
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    do { try process.run() } catch {
      await server.drain(deadline: .zero)
      throw error
    }
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    // Whoever has his answer has closed: a drain has nothing to wait for.
    await server.drain(deadline: .seconds(10))
    #expect(server.connectionCount == 0)
    return text
  }

  /// Status, version, redirected bytes and connections opened, for each transfer.
  private static let told = ["-sS", "--max-time", "20", "-w", "%{http_code} %{http_version} %{size_download} %{num_connects}\n"]

  private func curl(tls: CertificateStore? = nil, _ arguments: String..., paths: String...) async throws -> [String] {
    let text = try await ask(Program.curl, tls: tls) { port in
      Self.told + arguments + paths.flatMap { ["http\(tls == nil ? "" : "s")://127.0.0.1:\(port)\($0)", "-o", "/dev/null"] }
    }
    return text.split(separator: "\n").map(String.init)
  }

  @Test(.enabled(if: Program.isHere(Program.curl)))
  func `curl keeps its connection over several answers, whole and in pieces`() async throws {
    let lines = try await curl("--http1.1", paths: "/", "/large", "/pieces", "/none", "/trailers")
    #expect(lines == ["200 1.1 0 1", "200 1.1 \(largeBytes) 0", "200 1.1 8000000 0", "204 1.1 0 0", "200 1.1 0 0"])
  }

  @Test(.enabled(if: Program.isHere(Program.curl)))
  func `curl asks in HTTP/1.0, for heads, and for early ends`() async throws {
    #expect(try await curl("--http1.0", paths: "/large", "/stream") == ["200 1.1 \(largeBytes) 1", "200 1.1 0 1"])
    #expect(try await curl("-I", paths: "/large", "/") == ["200 1.1 0 1", "200 1.1 0 0"])
    #expect(try await curl("-H", "Connection: close", paths: "/large", "/") == ["200 1.1 \(largeBytes) 1", "200 1.1 0 1"])
  }

  @Test(.enabled(if: Program.isHere(Program.curl)))
  func `curl uploads: counted, chunked, asking first, and refused`() async throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
    try Data(repeating: 0x61, count: 3_000_000).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let data = "@\(file.path)"
    let echoed = "200 1.1 3000000 1"
    #expect(try await curl("--data-binary", data, paths: "/") == [echoed])
    #expect(try await curl("--data-binary", data, "-H", "Expect: 100-continue", paths: "/") == [echoed])
    #expect(try await curl("--data-binary", data, "-H", "Transfer-Encoding: chunked", paths: "/stream") == [echoed])
    #expect(try await curl("--data-binary", data, "-H", "Expect:", paths: "/forbidden") == ["403 1.1 0 1"])
    #expect(try await curl("--data-binary", data, "-H", "Expect: 100-continue", paths: "/forbidden") == ["403 1.1 0 1"])
  }

  @Test(.enabled(if: Program.isHere(Program.curl)))
  func `curl goes on in HTTP/2, by Upgrade and by prior knowledge`() async throws {
    #expect(try await curl("--http2", paths: "/large", "/pieces") == ["200 2 \(largeBytes) 1", "200 2 8000000 0"])
    // One at a time: curl 7.88 stumbles over its own second preface (curl's issue 10634).
    #expect(try await curl("--http2-prior-knowledge", paths: "/large") == ["200 2 \(largeBytes) 1"])
    // What is uploaded is not put off for an upgrade.
    #expect(try await curl("--http2", "-d", "abc", paths: "/") == ["200 1.1 3 1"])
  }

  @Test(.enabled(if: Program.isHere(Program.curl)))
  func `curl speaks both over TLS, as ALPN says`() async throws {
    let store = try CertificateStore(.server, TLSWorld().server())
    let lines = ["200 1.1 \(largeBytes) 1", "200 1.1 8000000 0", "204 1.1 0 0"]
    #expect(try await curl(tls: store, "-k", "--http1.1", paths: "/large", "/pieces", "/none") == lines)
    #expect(try await curl(tls: store, "-k", "--no-alpn", "--http1.0", paths: "/stream", "/large") == ["200 1.1 0 1", "200 1.1 \(largeBytes) 1"])
    #expect(try await curl(tls: store, "-k", "--http2", "-d", "abc", paths: "/", "/trailers") == ["200 2 3 1", "200 2 3 0"])
  }

  @Test(.enabled(if: Program.isHere(Program.python)))
  func `Python's http.client reads every kind of answer on one connection`() async throws {
    let script = """
      import http.client, sys
      connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
      def ask(method, path, body=None, **more):
          connection.request(method, path, body, **more)
          answer = connection.getresponse()
          return answer.status, len(answer.read()), answer.getheader("transfer-encoding"), answer.will_close
      connection.connect()
      port = connection.sock.getsockname()
      print(ask("GET", "/"))
      print(ask("POST", "/", b"x" * 1000000))
      print(ask("POST", "/stream", iter([b"abc", b"defg"]), encode_chunked=True))
      print(ask("PUT", "/trailers", b"ab"))
      print(ask("HEAD", "/large"))
      print(ask("GET", "/pieces"))
      print(ask("DELETE", "/none"))
      print(ask("POST", "/forbidden", b"x" * 1000))
      print(ask("GET", "/"))
      print(connection.sock.getsockname() == port)
      print(ask("GET", "/", headers={"Connection": "close"}))
      """
    let text = try await ask(Program.python) { ["-c", script, "\($0)"] }
    #expect(
      text.split(separator: "\n") == [
        "(200, 0, None, False)", "(200, 1000000, None, False)", "(200, 7, 'chunked', False)", "(200, 2, 'chunked', False)",
        "(200, 0, None, False)", "(200, 8000000, 'chunked', False)", "(204, 0, None, False)", "(403, 0, None, False)",
        "(200, 0, None, False)", "True", "(200, 0, None, True)",
      ])
  }
}
