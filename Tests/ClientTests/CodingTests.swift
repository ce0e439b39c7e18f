import Foundation
import HTTP
import Schemas
import SwiftProtobuf
import Tensors
import Testing

import Client

@Suite struct PredictQueryTests {
  private func request(_ query: PredictQuery) throws -> Tensorflow_Serving_PredictRequest {
    try Tensorflow_Serving_PredictRequest(serializedBytes: query.bytes)
  }

  @Test func `a query is the request that swift-protobuf reads`() throws {
    let query = PredictQuery(
      model: "m", version: 7, signature: "s",
      inputs: [
        "x": Tensor(.float, shape: [1, 2], [1.5, -2] as [Float]),
        "words": Tensor(shape: [2], strings: [[], Array("é".utf8)]),
      ], outputs: ["b", "a"])
    let request = try request(query)
    #expect(request.modelSpec.name == "m")
    #expect(request.modelSpec.version.value == 7)
    #expect(request.modelSpec.signatureName == "s")
    #expect(request.outputFilter == ["b", "a"])
    #expect(request.inputs.count == 2)
    let x = try #require(request.inputs["x"])
    #expect(x.dtype == .dtFloat && x.tensorShape.dim.map(\.size) == [1, 2])
    #expect([UInt8](x.tensorContent) == [0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0])
    let words = try #require(request.inputs["words"])
    #expect(words.dtype == .dtString && [UInt8](words.tensorContent) == [0, 2, 0xC3, 0xA9])
  }

  @Test func `the version is chosen by number, by label, or not at all`() throws {
    var query = PredictQuery(model: "m", inputs: [:])
    #expect(try request(query).modelSpec.versionChoice == nil)
    query.versionLabel = "stable"
    #expect(try request(query).modelSpec.versionChoice == .versionLabel("stable"))
    query.version = 0
    #expect(try request(query).modelSpec.version.value == 0)
    #expect(try request(query).modelSpec.versionChoice != .versionLabel("stable"))
  }

  @Test func `a tensor without elements keeps its shape`() throws {
    let query = PredictQuery(model: "m", inputs: ["x": Tensor(.float, shape: [0, 3], [Float]())])
    #expect(try request(query).inputs["x"]?.tensorShape.dim.map(\.size) == [0, 3])
  }
}

@Suite struct PredictionTests {
  private func response(_ fill: (inout Tensorflow_TensorProto) -> Void) throws -> [UInt8] {
    var response = Tensorflow_Serving_PredictResponse()
    response.modelSpec.name = "m"
    response.modelSpec.version.value = 3
    response.modelSpec.signatureName = "serving_default"
    var tensor = Tensorflow_TensorProto()
    tensor.dtype = .dtFloat
    tensor.tensorShape = Tensorflow_TensorShapeProto()
    fill(&tensor)
    response.outputs["y"] = tensor
    return try response.serializedBytes()
  }

  private func extent(_ size: Int64) -> Tensorflow_TensorShapeProto.Dim {
    var dim = Tensorflow_TensorShapeProto.Dim()
    dim.size = size
    return dim
  }

  @Test func `an answer is read, typed fields as well as content`() throws {
    let typed = try Prediction(
      bytes: response {
        $0.tensorShape.dim = [extent(2)]
        $0.floatVal = [1, 2.5]
      })
    #expect(typed.model == "m" && typed.version == 3 && typed.signature == "serving_default")
    #expect(typed.outputs["y"]?.array(of: Float.self) == [1, 2.5])
    #expect(typed.outputs["y"]?.shape == [2])
    let content = try Prediction(bytes: response { $0.tensorContent = Data([0, 0, 0x20, 0x40]) })
    #expect(content.outputs["y"]?.array(of: Float.self) == [2.5])
    let words = try Prediction(
      bytes: response {
        $0.dtype = .dtString
        $0.tensorShape.dim = [extent(3)]
        $0.stringVal = [Data("to".utf8), Data(), Data([0xFF])]
      })
    #expect(words.outputs["y"]?.strings == [Array("to".utf8), [], [0xFF]])
  }

  @Test func `an answer that cannot be read is an error, not an end`() throws {
    let good = try response { $0.floatVal = [1] }
    for end in 0..<good.count { _ = try? Prediction(bytes: Array(good[..<end])) }
    #expect(throws: PredictionError.self) { try Prediction(bytes: [0x0A, 0xFF]) }
    #expect(throws: PredictionError.self) { try Prediction(bytes: try response { $0.dtype = .dtResource }) }
    #expect(throws: PredictionError.self) { try Prediction(bytes: try response { $0.tensorShape.dim = [extent(-1)] }) }
    #expect(throws: PredictionError.self) { try Prediction(bytes: try response { $0.tensorShape.dim = [extent(1 << 50)] }) }
    #expect(throws: PredictionError.self) { try Prediction(bytes: try response { $0.tensorContent = Data([1]) }) }
  }

  @Test func `an empty answer is a prediction of nothing`() throws {
    let prediction = try Prediction(bytes: [])
    #expect(prediction.outputs.isEmpty && prediction.model == "" && prediction.version == 0)
  }
}
