// What can be wrong with certificates before any connection comes, and their exchange while connections go on.
import Foundation
import Testing
import TransportSupport

@testable import HTTP

private final class Folder {
  let path: String
  init() {
    path = NSTemporaryDirectory() + "martlet-tls-\(UUID().uuidString)"
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  @discardableResult func write(_ name: String, _ text: String) -> String {
    let file = path + "/" + name
    try! text.write(toFile: file, atomically: true, encoding: .utf8)
    return file
  }
}

@Suite(.timeLimit(.minutes(1))) struct TLSContextTests {
  private let world = TLSWorld()

  private func failure(_ role: TLSContext.Role = .server, _ configuration: TLSConfiguration) -> TLSError? {
    do throws(TLSError) {
      _ = try TLSContext(role, configuration)
      return nil
    } catch { return error }
  }

  @Test func `an error names the file and what is wrong with it`() {
    let good = world.server()
    var bad = good
    bad.certificateChain = PEM("no certificate", source: "/etc/tls/cert.pem")
    #expect(failure(.server, bad)?.source == "/etc/tls/cert.pem")
    #expect(failure(.server, bad)?.reason == "no PEM certificate in it")

    bad = good
    bad.certificateChain?.bytes.insert(contentsOf: Array("####".utf8), at: 100)
    #expect(failure(.server, bad)?.operation.hasPrefix("read certificate 1") == true)

    bad = good
    bad.privateKey = nil
    #expect(failure(.server, bad)?.reason.contains("without its private key") == true)

    bad = good
    bad.privateKey = world.server().privateKey
    #expect(failure(.server, bad)?.reason.contains("mismatch") == true, "\(String(describing: failure(.server, bad)))")

    bad = good
    bad.privateKey = PEM("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n", source: "k")
    #expect(failure(.server, bad)?.reason.contains("passphrase") == true)

    bad = TLSConfiguration()
    #expect(failure(.server, bad)?.reason.contains("needs a certificate") == true)

    bad = good
    bad.clientVerification = .require
    #expect(failure(.server, bad)?.kind == .credentials)

    bad = good
    bad.certificateChain = nil
    #expect(failure(.client, bad)?.reason.contains("without a certificate") == true)
  }

  @Test func `a file that is not there is named`() {
    do throws(TLSError) {
      _ = try TLSConfiguration.server(certificateFile: "/nowhere/cert.pem", keyFile: "/nowhere/key.pem")
      Issue.record("read")
    } catch {
      #expect(error.description == "TLS: read /nowhere/cert.pem: No such file or directory")
    }
  }

  @Test func `after a bad certificate a good one is taken`() throws {
    var bad = world.server()
    bad.certificateChain?.bytes.removeLast(40)
    #expect(failure(.server, bad) != nil)
    #expect(try TLSPair(world.server(), world.client()).run().serverEnd?.isDone == true)
  }

  @Test func `a chain is sent whole`() throws {
    // A second certificate, which no client needs here, stands for an intermediate.
    let configuration = world.server { $0.certificateChain?.bytes += Array(world.authority.pem.utf8) }
    let alone = try TLSPair(world.server(), world.client { $0.versionMax = .tls12 })
    let chained = try TLSPair(configuration, world.client { $0.versionMax = .tls12 })
    for pair in [alone, chained] {
      pair.feedClient([])
      pair.feedServer(pair.toServer)
    }
    #expect(chained.toClient.count > alone.toClient.count + 300)
  }

  @Test func `the system's roots do not trust a test's server`() throws {
    var client = TLSConfiguration()
    client.protocols = [.http2]
    #expect(try TLSPair(world.server(), client).run().clientEnd?.error?.kind == .verification)
  }

  @Test func `a summary says until when a certificate is good`() throws {
    let context = try TLSContext(.server, world.server(secondsLeft: 3600))
    let summary = try #require(context.certificate)
    #expect(summary.subject == "/CN=server")
    #expect((3500...3600).contains(summary.secondsLeft))
    #expect(try TLSContext(.server, world.server(secondsLeft: -60)).certificate?.description.contains("expired") == true)
  }
}

@Suite(.timeLimit(.minutes(1))) struct CertificateStoreTests {
  private let world = TLSWorld()
  private let folder = Folder()

  private func put(_ name: String) {
    let made = world.authority.issue(name)
    folder.write("cert.pem", made.certificate)
    folder.write("key.pem", made.key)
  }

  private func store(_ verification: TLSConfiguration.ClientVerification = .none) throws -> CertificateStore {
    put("first")
    folder.write("ca.pem", world.authority.pem)
    return try .server(
      certificateFile: folder.path + "/cert.pem", keyFile: folder.path + "/key.pem",
      trustedRootsFile: folder.path + "/ca.pem", clientVerification: verification)
  }

  @Test func `changed files make the next connection's certificate, and leave the others alone`() throws {
    let store = try store()
    let client = try TLSContext(.client, world.client { $0.sessionTickets = false })
    let old = try TLSPair(store.current, client).run()
    #expect(store.poll() == .unchanged)
    put("second")
    #expect(store.poll() == .replaced)
    let new = try TLSPair(store.current, client).run()
    #expect(old.client.peerCertificate?.subject == "/CN=first")
    #expect(new.client.peerCertificate?.subject == "/CN=second")
    old.clientSends(Array("still".utf8))
    old.run()
    #expect(old.serverText == Array("still".utf8))
    #expect(store.poll() == .unchanged)
  }

  @Test func `bad files leave the old certificate in use, until they are good`() throws {
    let store = try store()
    let made = world.authority.issue("second")
    // First the certificate, then the key: in between they do not fit.
    folder.write("cert.pem", made.certificate)
    guard case .kept(let error) = store.poll() else { return #expect(Bool(false), "a certificate without its key was taken") }
    #expect(error.source == folder.path + "/key.pem")
    #expect(store.current.certificate?.subject == "/CN=first")
    // Tried again though nothing has changed.
    #expect(store.poll() == .kept(error))
    folder.write("key.pem", made.key)
    #expect(store.poll() == .replaced)
    #expect(store.current.certificate?.subject == "/CN=second")
  }

  @Test func `a file that goes and comes back as it was changes nothing`() throws {
    let store = try store()
    let before = store.current
    let text = try String(contentsOfFile: folder.path + "/key.pem", encoding: .utf8)
    try FileManager.default.removeItem(atPath: folder.path + "/key.pem")
    guard case .kept = store.poll() else { return #expect(Bool(false), "went unnoticed") }
    folder.write("key.pem", text)
    #expect(store.poll() == .unchanged)
    #expect(store.poll() == .unchanged)
    #expect(store.current === before)
  }

  @Test func `a swapped link above the files is a change`() throws {
    let manager = FileManager.default
    for name in ["v1", "v2"] {
      try manager.createDirectory(atPath: folder.path + "/" + name, withIntermediateDirectories: true)
      let made = world.authority.issue(name)
      folder.write(name + "/cert.pem", made.certificate)
      folder.write(name + "/key.pem", made.key)
    }
    let link = folder.path + "/..data"
    try manager.createSymbolicLink(atPath: link, withDestinationPath: "v1")
    let store = try CertificateStore.server(certificateFile: link + "/cert.pem", keyFile: link + "/key.pem")
    #expect(store.poll() == .unchanged)
    // As the kubelet does: a new link, renamed over the old.
    try manager.createSymbolicLink(atPath: link + "_tmp", withDestinationPath: "v2")
    #expect(unsafe rename(link + "_tmp", link) == 0)
    #expect(store.poll() == .replaced)
    #expect(store.current.certificate?.subject == "/CN=v2")
  }

  @Test func `tickets outlive a new certificate, but not new rules for clients`() throws {
    let store = try store(.require)
    let client = try TLSContext(.client, world.client(world.authority))
    _ = try TLSPair(store.current, client).run()
    put("second")
    #expect(store.poll() == .replaced)
    #expect(try TLSPair(store.current, client).run().server.isResumed)
    // Another authority: whoever was let in by the first has to show what it has.
    folder.write("ca.pem", TestAuthority("other").pem)
    #expect(store.poll() == .replaced)
    let refused = try TLSPair(store.current, client).run()
    #expect(refused.serverEnd?.error?.kind == .verification)
  }

  @Test func `a watched store notices by itself`() async throws {
    let store = try store()
    store.startWatching(everyMilliseconds: 5)
    defer { store.stopWatching() }
    put("second")
    while store.current.certificate?.subject != "/CN=second" { try await Task.sleep(for: .milliseconds(2)) }
  }
}
