// Health over a socket: a server on several loops, and watchers on each.
import HTTP
import RPC
import Schemas
import SwiftProtobuf
import Testing

@testable import Catalog
@testable import Engine
@testable import Serving

private typealias HealthAnswer = Grpc_Health_V1_HealthCheckResponse

@Suite(.timeLimit(.minutes(1))) struct HealthServiceTests {
  private let catalog = Catalog()
  private let server: ModelServer

  init() throws {
    server = try ModelServer(
      catalog, ServingOptions(),
      http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 3))
  }

  /// Connections of their own: the server puts each on the loop that has the fewest.
  private func channels(_ count: Int) -> [Channel] {
    (0..<count).map { _ in Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0])) }
  }

  private func request(_ name: String) throws -> [UInt8] {
    var request = Grpc_Health_V1_HealthCheckRequest()
    request.service = name
    return try request.serializedBytes()
  }

  private func check(_ name: String, on channel: Channel) async throws -> HealthAnswer.ServingStatus {
    try HealthAnswer(serializedBytes: try await channel.unary("/grpc.health.v1.Health/Check", try request(name)).bytes).status
  }

  private func watch(_ name: String, on channel: Channel) async throws -> ClientStream {
    let stream = channel.stream("/grpc.health.v1.Health/Watch")
    try await stream.send(try request(name))
    stream.finishSending()
    return stream
  }

  private func heard(_ stream: ClientStream) async throws -> HealthAnswer.ServingStatus? {
    try await stream.next().map { try HealthAnswer(serializedBytes: $0.bytes).status }
  }

  private func publish(_ versions: Int64...) throws {
    let slots = try versions.map { Slot(modelName: "m", version: $0, model: try .halfPlusTwo()) }
    catalog.publish([ModelEntry(name: "m", statuses: slots.map { .init(version: $0.version, state: .available) }, slots: slots)])
  }

  @Test func `every loop's watchers hear every change, and the drain before the goodbye`() async throws {
    try server.start()
    let channels = channels(6)
    var streams: [ClientStream] = []
    for channel in channels {
      for name in ["", "m"] { streams.append(try await watch(name, on: channel)) }
    }
    for (at, stream) in streams.enumerated() {
      let expected: HealthAnswer.ServingStatus = at % 2 == 0 ? .notServing : .serviceUnknown
      #expect(try await heard(stream) == expected)
    }
    try publish(1)
    for stream in streams { #expect(try await heard(stream) == .serving) }
    // Another version changes neither name.
    try publish(1, 2)
    for channel in channels { #expect(try await check("m", on: channel) == .serving) }
    let drain = Task { [server] in await server.drain(deadline: .seconds(30)) }
    for stream in streams {
      #expect(try await heard(stream) == .notServing)
      #expect(await stream.end().status == Status(.unavailable, "the server is shutting down"))
    }
    // Watchers do not hold it up: nothing else is open.
    await drain.value
    for channel in channels { channel.close() }
  }

  @Test func `a model that was there before the server is known from the start`() async throws {
    try publish(7)
    let other = try ModelServer(
      catalog, ServingOptions(), http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 2))
    try other.start()
    let channel = Channel(to: .tcp(host: "127.0.0.1", port: other.ports[0]))
    // The ports are open a moment before the loops hear of it.
    let stream = try await watch("m/7", on: channel)
    while try await heard(stream) != .serving {}
    #expect(try await check("", on: channel) == .serving)
    await #expect(throws: Status(.notFound, "service name unknown")) { try await check("m/8", on: channel) }
    channel.close()
    await other.drain(deadline: .seconds(10))
  }
}
