// Streaming calls of the client against a server that does what a script says.
import Glibc
import HTTP
import Synchronization
import TestThreads
import Testing
import TransportSupport

@testable import RPC

private final class Flag: Sendable { let value = Atomic<Bool>(true) }
private final class Count: Sendable { let value = Atomic<Int>(0) }

@Suite(.blocking, .timeLimit(.minutes(1))) struct ClientStreamTests {
  private func channel(_ server: ScriptedServer) -> Channel { Channel(to: .tcp(host: "127.0.0.1", port: server.port)) }

  @Test func `messages go both ways in turn, then the status comes with its trailers`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      let request = try peer.requestHead()
      peer.head(request.stream, [(":status", "200"), ("content-type", "application/grpc"), ("x-head", "h")])
      var heard: [[UInt8]] = []
      for i in 0..<3 {
        heard.append(try peer.receive(Frame.data).payload)
        peer.message(request.stream, [UInt8(i), UInt8(i)])
      }
      let last = try peer.receive(Frame.data)
      peer.trailers(request.stream, [("grpc-status", "0"), ("x-tail", "t"), ("x-raw-bin", "AAEC")])
      return (heard, last.payload.isEmpty && last.flags & Frame.endStream != 0)
    }
    let channel = channel(server)
    let call = channel.stream("/chat")
    for i in 0..<3 {
      try await call.send([UInt8(10 + i)])
      let answer = try await call.next()
      #expect(answer?.bytes == [UInt8(i), UInt8(i)])
    }
    call.finishSending()
    #expect(try await call.next() == nil)
    #expect(try await call.metadata()["x-head"] == "h")
    let end = await call.end()
    #expect(end.status == .ok && end.trailers["x-tail"] == "t" && end.trailers.bytes("x-raw-bin") == [[0, 1, 2]])
    let (heard, isEnded) = try await played
    #expect(heard == [[0, 0, 0, 0, 1, 10], [0, 0, 0, 0, 1, 11], [0, 0, 0, 0, 1, 12]] && isEnded)
  }

  @Test func `the messages before a failure arrive, then the failure with its details`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      let request = try peer.requestHead()
      peer.head(request.stream)
      peer.send(Frame(Frame.data, stream: request.stream, [0, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
      peer.send(Frame(Frame.data, stream: request.stream, [2, 8, 9]))
      peer.trailers(
        request.stream, [("grpc-status", "9"), ("grpc-message", "no%20more"), ("grpc-status-details-bin", "CAk")])
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server)
    let call = channel.stream("/list")
    var got: [[UInt8]] = []
    do {
      for try await message in call.messages { got.append(message.bytes) }
      Issue.record("ended well")
    } catch {
      #expect(error.code == .failedPrecondition && error.message == "no more" && error.details == [8, 9])
    }
    #expect(got == [[7], [], [8, 9]])
    channel.close()
    try await played
  }

  @Test func `a refused stream begins again with what was sent`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      let first = try peer.requestHead()
      _ = try peer.receive(Frame.data)
      peer.reset(first.stream, 7)
      let again = try peer.request()
      peer.answer(again.stream, [1])
      return again.body
    }
    let channel = channel(server)
    let call = channel.stream("/put")
    try await call.send([5])
    try await call.send([6])
    call.finishSending()
    let answer = try await call.next()
    #expect(answer?.bytes == [1])
    #expect(try await played == [0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 1, 6])
  }

  @Test func `a server that does not read makes us wait, and reads on`() async throws {
    let server = try ScriptedServer()
    let held = Flag()
    async let played = script {
      let peer = try server.accept()
      let request = try peer.requestHead()
      peer.head(request.stream)
      // 64 KB fit the window that HTTP/2 begins with; nothing more is granted until the test says so.
      var heard = 0
      while heard < 65_535 { heard += try peer.receive(Frame.data).payload.count }
      while held.value.load(ordering: .acquiring) { usleep(1000) }
      peer.send(Frame(Frame.windowUpdate, Frame.word(1 << 24)), Frame(Frame.windowUpdate, stream: request.stream, Frame.word(1 << 24)))
      while true {
        let frame = try peer.receive(Frame.data)
        heard += frame.payload.count
        if frame.flags & Frame.endStream != 0 { break }
      }
      peer.trailers(request.stream, [("grpc-status", "0")])
      return heard
    }
    let channel = channel(server)
    let call = channel.stream("/put")
    let sent = Count()
    let chunk = [UInt8](repeating: 1, count: 50_000)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for _ in 0..<40 {
          try await call.send(chunk)
          sent.value.add(1, ordering: .releasing)
        }
        call.finishSending()
      }
      group.addTask {
        // Comes to a halt: the window and one backlog are full.
        var last = -1
        while sent.value.load(ordering: .acquiring) != last || last == 0 {
          last = sent.value.load(ordering: .acquiring)
          try await Task.sleep(for: .milliseconds(100))
        }
        #expect(last < 20)
        held.value.store(false, ordering: .releasing)
      }
      try await group.waitForAll()
    }
    let end = await call.end()
    #expect(end.status == .ok)
    #expect(try await played == 40 * 50_005)
  }

  @Test func `nobody takes the messages: the server runs into its window, and goes on when they are taken`() async throws {
    let server = try ScriptedServer()
    let written = Count()
    async let played: Void = script {
      let peer = try server.accept()
      let request = try peer.requestHead()
      peer.head(request.stream)
      var window = 4 << 20
      // Frames of 16 KB, as many as the windows allow; a grant for the stream lets us go on.
      let payload = [0] + Frame.word(16_000) + [UInt8](repeating: 3, count: 16_000)
      // Closing with grants unread would cut what the client has not read.
      defer { _ = try? peer.receiveUntilClosed() }
      for _ in 0..<600 {
        while window < payload.count {
          let grant = try peer.receive(Frame.windowUpdate)
          if grant.stream == request.stream { window += grant.payload.reduce(0) { $0 << 8 | Int($1) } }
        }
        peer.send(Frame(Frame.data, stream: request.stream, payload))
        window -= payload.count
        written.value.add(1, ordering: .releasing)
      }
      peer.trailers(request.stream, [("grpc-status", "0")])
    }
    let channel = channel(server)
    let call = channel.stream("/list")
    call.finishSending()
    _ = try await call.metadata()
    var last = -1
    while written.value.load(ordering: .acquiring) != last || last == 0 {
      last = written.value.load(ordering: .acquiring)
      try await Task.sleep(for: .milliseconds(100))
    }
    // What was taken before the pause (64 messages) and one window of 4 MB.
    #expect(last < 400)
    var count = 0
    for try await message in call.messages {
      #expect(message.bytes.count == 16_000)
      count += 1
    }
    #expect(count == 600)
    channel.close()
    try await played
  }

  @Test func `a cancelled task cancels the call`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      let request = try peer.requestHead()
      peer.head(request.stream)
      return try peer.receive(Frame.resetStream).errorCode
    }
    let channel = channel(server)
    let call = channel.stream("/list")
    _ = try await call.metadata()
    let task = Task { () async throws(Status) in try await call.next() }
    task.cancel()
    do {
      _ = try await task.value
      Issue.record("went on")
    } catch { #expect((error as? Status)?.code == .cancelled) }
    #expect(try await played == 8)
  }

  @Test func `after the end nothing can be sent`() async throws {
    let server = try ScriptedServer()
    async let played: Void = script {
      let peer = try server.accept()
      peer.fail(try peer.requestHead().stream, 5, [("grpc-message", "gone")])
      _ = try peer.receiveUntilClosed()
    }
    let channel = channel(server)
    let call = channel.stream("/put")
    let end = await call.end()
    #expect(end.status == Status(.notFound, "gone"))
    await #expect(throws: Status(.notFound, "gone")) { try await call.send([1]) }
    await #expect(throws: Status(.notFound, "gone")) { try await call.metadata() }
    channel.close()
    try await played
  }

  @Test func `a server that ends before we do tells the sender to stop`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      let request = try peer.requestHead()
      peer.answer(request.stream, [1])
      return try peer.receive(Frame.resetStream).errorCode
    }
    let channel = channel(server)
    let call = channel.stream("/put")
    let first = try await call.next()
    #expect(first?.bytes == [1])
    #expect(try await call.next() == nil)
    #expect(try await played == 8)
    await #expect(throws: Status(.cancelled, "the call is over")) { try await call.send([1]) }
  }

  @Test func `messages are compressed when the call says so, and understood when the server does`() async throws {
    let server = try ScriptedServer()
    async let played = script {
      let peer = try server.accept()
      let request = try peer.request()
      peer.head(
        request.stream, [(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", request.fields["grpc-encoding"] ?? "")])
      // Straight back, compressed as it came.
      peer.send(Frame(Frame.data, stream: request.stream, request.body))
      peer.trailers(request.stream, [("grpc-status", "0")])
      return (request.fields["grpc-encoding"], request.fields["grpc-accept-encoding"], request.body.count)
    }
    let channel = channel(server)
    let message = [UInt8](repeating: 5, count: 20_000)
    let answer = try await channel.unary("/a", message, options: CallOptions(compression: MessageCompression(.gzip)))
    #expect(answer.bytes == message && answer.wasCompressed)
    let (encoding, accepted, count) = try await played
    #expect(encoding == "gzip" && accepted == "identity,deflate,gzip" && count < 1000)
  }
}
