import Client
import Foundation
import HTTP
import RPC
import Schemas
import SwiftProtobuf
import Tensors
import Testing

@testable import Catalog
@testable import Engine
@testable import Serving

@Suite struct ControlTests {
  /// Asks a server of its own about `models`.
  private func ask<Answer: SwiftProtobuf.Message>(
    _ path: String, _ request: some SwiftProtobuf.Message, _ models: [ModelEntry], _ answer: Answer.Type
  ) async throws -> Answer {
    let catalog = Catalog()
    catalog.publish(models)
    let server = try ModelServer(
      catalog, ServingOptions(),
      http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1))
    try server.start()
    let channel = Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]))
    let bytes: [UInt8] = try request.serializedBytes()
    let result: Result<Response, Status>
    do throws(Status) { result = .success(try await channel.unary(path, bytes)) } catch { result = .failure(error) }
    channel.close()
    await server.drain(deadline: .seconds(10))
    return try Answer(serializedBytes: try result.get().bytes)
  }

  private func status(
    _ models: [ModelEntry], _ fill: (inout Tensorflow_Serving_ModelSpec) -> Void
  ) async throws -> [Tensorflow_Serving_ModelVersionStatus] {
    var request = Tensorflow_Serving_GetModelStatusRequest()
    request.modelSpec.name = "m"
    fill(&request.modelSpec)
    return try await ask(
      "/tensorflow.serving.ModelService/GetModelStatus", request, models, Tensorflow_Serving_GetModelStatusResponse.self
    ).modelVersionStatus
  }

  private let models = [
    ModelEntry(
      name: "m",
      statuses: [
        .init(version: 1, state: .end), .init(version: 3, state: .available),
        .init(version: 4, state: .end, errorCode: 9, errorMessage: "no"), .init(version: 5, state: .loading),
      ], labels: ["stable": 3, "gone": 77])
  ]

  @Test func `every version with its state and its error, newest first`() async throws {
    let statuses = try await status(models) { _ in }
    #expect(statuses.map(\.version) == [5, 4, 3, 1])
    #expect(statuses.map(\.state) == [.loading, .end, .available, .end])
    #expect(statuses.map(\.status.errorCode) == [.ok, .failedPrecondition, .ok, .ok])
    #expect(statuses.map(\.status.errorMessage) == ["", "no", "", ""])
  }

  @Test func `one version, by number or by label`() async throws {
    #expect(try await status(models) { $0.version.value = 4 }.map(\.version) == [4])
    #expect(try await status(models) { $0.versionLabel = "stable" }.map(\.version) == [3])
  }

  @Test func `what there is no status of`() async throws {
    await #expect(throws: Status(.notFound, "Could not find version 9 of model m")) {
      try await status(models) { $0.version.value = 9 }
    }
    await #expect(throws: Status(.notFound, "Could not find any versions of model n")) {
      try await status(models) { $0.name = "n" }
    }
    await #expect(throws: Status(.invalidArgument, "Unrecognized servable version label: L")) {
      try await status(models) { $0.versionLabel = "L" }
    }
    await #expect(throws: Status(.invalidArgument, "Missing ModelSpec")) {
      try await ask(
        "/tensorflow.serving.ModelService/GetModelStatus", Tensorflow_Serving_GetModelStatusRequest(), models,
        Tensorflow_Serving_GetModelStatusResponse.self)
    }
  }

  private func metadata(
    _ fields: [String], _ models: [ModelEntry], _ fill: (inout Tensorflow_Serving_GetModelMetadataRequest) -> Void = { _ in }
  ) async throws -> Tensorflow_Serving_GetModelMetadataResponse {
    var request = Tensorflow_Serving_GetModelMetadataRequest()
    request.modelSpec.name = "m"
    request.metadataField = fields
    fill(&request)
    return try await ask(
      "/tensorflow.serving.PredictionService/GetModelMetadata", request, models,
      Tensorflow_Serving_GetModelMetadataResponse.self)
  }

  @Test func `metadata is the signatures as the model has them`() async throws {
    let slot = Slot(modelName: "m", version: 12, model: try .halfPlusTwo())
    let response = try await metadata(["signature_def"], [ModelEntry(name: "m", slots: [slot])])
    #expect(response.modelSpec.name == "m" && response.modelSpec.version.value == 12)
    #expect(response.modelSpec.signatureName == "")
    let any = try #require(response.metadata["signature_def"])
    #expect(any.typeURL == "type.googleapis.com/tensorflow.serving.SignatureDefMap")
    let map = try Tensorflow_Serving_SignatureDefMap(unpackingAny: any)
    #expect(map.signatureDef["serving_default"]?.methodName == "tensorflow/serving/predict")
    #expect(map.signatureDef["serving_default"]?.inputs["x"]?.name == "x:0")
  }

  @Test func `what metadata cannot be asked for`() async throws {
    let slot = Slot(modelName: "m", version: 12, model: try .halfPlusTwo())
    let models = [ModelEntry(name: "m", slots: [slot])]
    await #expect(throws: Status(.invalidArgument, "GetModelMetadataRequest must specify at least one metadata_field")) {
      try await metadata([], models)
    }
    await #expect(throws: Status(.invalidArgument, "Metadata field f is not supported")) {
      try await metadata(["signature_def", "f"], models)
    }
    await #expect(throws: Status(.invalidArgument, "Missing ModelSpec")) {
      try await metadata(["signature_def"], models) { $0.clearModelSpec() }
    }
    await #expect(throws: Status(.notFound, "Servable not found for request: Specific(m, 7)")) {
      try await metadata(["signature_def"], models) { $0.modelSpec.version.value = 7 }
    }
  }

  @Test func `who asks for the metadata of a model on its way waits for it`() async throws {
    let catalog = Catalog()
    catalog.publish([ModelEntry(name: "m", isDiscovering: true)])
    let server = try ModelServer(
      catalog, ServingOptions(),
      http: HTTPServer.Configuration(endpoints: [.tcp(host: "127.0.0.1", port: 0)], loops: 1))
    try server.start()
    let channel = Channel(to: .tcp(host: "127.0.0.1", port: server.ports[0]))
    var request = Tensorflow_Serving_GetModelMetadataRequest()
    request.modelSpec.name = "m"
    request.metadataField = ["signature_def"]
    let bytes: [UInt8] = try request.serializedBytes()
    let path = "/tensorflow.serving.PredictionService/GetModelMetadata"
    async let waiting = channel.unary(path, bytes)
    // Sent after it on the same connection, and answered: the first has arrived, and waits.
    request.modelSpec.name = "n"
    let other: [UInt8] = try request.serializedBytes()
    await #expect(throws: Status(.notFound, "Servable not found for request: Latest(n)")) {
      try await channel.unary(path, other)
    }
    catalog.publish([ModelEntry(name: "m", slots: [Slot(modelName: "m", version: 3, model: try .halfPlusTwo())])])
    let response = try Tensorflow_Serving_GetModelMetadataResponse(serializedBytes: try await waiting.bytes)
    #expect(response.modelSpec.version.value == 3)
    channel.close()
    await server.drain(deadline: .seconds(10))
  }
}
