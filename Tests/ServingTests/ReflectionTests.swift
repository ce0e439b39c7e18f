// Reflection as a value: answers to questions, from descriptors that the test writes and from those of the server.
import Schemas
import SwiftProtobuf
import Testing
import Wire

@testable import Serving

/// Bytes of descriptors, field by field.
private func field(_ number: UInt32, _ bytes: [UInt8]) -> [UInt8] {
  [UInt8](wireSize: WireSize.length(number, bytes.count)) { $0.appendBytes(number, bytes.rawSpan) }
}
private func field(_ number: UInt32, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
private func field(_ number: UInt32, _ value: Int64) -> [UInt8] {
  [UInt8](wireSize: WireSize.varint(number, value)) { $0.appendVarint(number, value) }
}
private func named(_ name: String) -> [UInt8] { field(1, name) }

private func descriptors(_ files: [UInt8]...) throws -> DescriptorIndex { try DescriptorIndex(files.flatMap { field(1, $0) }) }

/// a.proto: message p.Outer { oneof kind { int32 x } enum Color { RED } message Inner { extend p.Outer } }, service p.S { M }
private let a =
  named("a.proto") + field(2, "p")
  + field(4, named("Outer") + field(2, named("x")) + field(8, named("kind")) + field(4, named("Color") + field(2, named("RED")))
    + field(3, named("Inner") + field(6, named("nested") + field(2, ".p.Outer") + field(3, 7))))
  + field(6, named("S") + field(2, named("M")))
/// b.proto, without a package: imports a.proto, extends p.Outer.
private let b = named("b.proto") + field(3, "a.proto") + field(7, named("more") + field(2, ".p.Outer") + field(3, 200)) + field(4, named("Plain"))
/// c.proto: imports b.proto and a.proto.
private let c = named("c.proto") + field(3, "b.proto") + field(3, "a.proto") + field(5, named("Top") + field(2, named("ONE")))

extension Reflection {
  fileprivate func ask(_ fill: (inout Request) -> Void) throws -> Response {
    var request = Request()
    request.host = "here"
    fill(&request)
    let response = try Response(serializedBytes: try answer(request).serialized())
    #expect(response.validHost == "here")
    #expect(response.originalRequest == request)
    return response
  }

  fileprivate func files(_ fill: (inout Request) -> Void) throws -> [[UInt8]] {
    try ask(fill).fileDescriptorResponse.fileDescriptorProto.map { [UInt8]($0) }
  }

  fileprivate func error(_ fill: (inout Request) -> Void) throws -> [String] {
    let error = try ask(fill).errorResponse
    return ["\(error.errorCode)", error.errorMessage]
  }
}

@Suite struct ReflectionTests {
  private let reflection: Reflection

  init() throws { reflection = Reflection(services: ["p.S", "q.T"], try descriptors(a, b, c)) }

  @Test func `a file by its name comes with what it imports, each once, itself first`() throws {
    #expect(try reflection.files { $0.fileByFilename = "a.proto" } == [a])
    #expect(try reflection.files { $0.fileByFilename = "b.proto" } == [b, a])
    #expect(try reflection.files { $0.fileByFilename = "c.proto" } == [c, b, a])
    #expect(try reflection.error { $0.fileByFilename = "d.proto" } == ["5", "File not found."])
  }

  @Test(arguments: [
    "p.Outer", "p.Outer.x", "p.Outer.kind", "p.Outer.Color", "p.Outer.RED", "p.Outer.Inner", "p.Outer.Inner.nested", "p.S", "p.S.M",
  ])
  func `every kind of symbol leads to its file`(symbol: String) throws {
    #expect(try reflection.files { $0.fileContainingSymbol = symbol } == [a])
  }

  @Test func `symbols of files without a package`() throws {
    #expect(try reflection.files { $0.fileContainingSymbol = "Plain" } == [b, a])
    #expect(try reflection.files { $0.fileContainingSymbol = "more" } == [b, a])
    #expect(try reflection.files { $0.fileContainingSymbol = "ONE" } == [c, b, a])
  }

  @Test(arguments: ["", "p", ".p.Outer", "p.Outer.Color.RED", "p.S.N", "Outer"])
  func `what is no symbol`(symbol: String) throws {
    #expect(try reflection.error { $0.fileContainingSymbol = symbol } == ["5", "Symbol not found."])
  }

  @Test func `extensions by number`() throws {
    func ask(_ type: String, _ number: Int32) -> (inout Reflection.Request) -> Void {
      {
        $0.fileContainingExtension.containingType = type
        $0.fileContainingExtension.extensionNumber = number
      }
    }
    #expect(try reflection.files(ask("p.Outer", 7)) == [a])
    #expect(try reflection.files(ask("p.Outer", 200)) == [b, a])
    #expect(try reflection.error(ask("p.Outer", 8)) == ["5", "Extension not found."])
    #expect(try reflection.error(ask("p.Nobody", 7)) == ["5", "Type not found."])
  }

  @Test func `all extension numbers of a type`() throws {
    let response = try reflection.ask { $0.allExtensionNumbersOfType = "p.Outer" }.allExtensionNumbersResponse
    #expect(response.baseTypeName == "p.Outer" && response.extensionNumber == [7, 200])
    let none = try reflection.ask { $0.allExtensionNumbersOfType = "Plain" }
    #expect(none.allExtensionNumbersResponse.baseTypeName == "Plain" && none.allExtensionNumbersResponse.extensionNumber.isEmpty)
    #expect(try reflection.error { $0.allExtensionNumbersOfType = "p.S" } == ["5", "Type not found."])
  }

  @Test func `services are those that are registered, in that order, whatever the text`() throws {
    for text in ["", "*"] {
      #expect(try reflection.ask { $0.listServices = text }.listServicesResponse.service.map(\.name) == ["p.S", "q.T"])
    }
  }

  @Test func `a question of no kind is not implemented`() throws {
    #expect(try reflection.error { _ in } == ["12", ""])
  }

  @Test func `descriptors that are cut short are refused`() throws {
    let whole = field(1, a)
    for count in 1..<whole.count { #expect(throws: WireError.self) { try DescriptorIndex(Array(whole[..<count])) } }
  }

  @Test func `the server's own descriptors describe its services and all they use`() throws {
    let reflection = Reflection(services: [], Reflection.descriptors)
    for symbol in [
      "tensorflow.serving.PredictionService.Predict", "tensorflow.serving.ModelService", "grpc.health.v1.Health.Watch",
      "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "tensorflow.TensorProto",
    ] { #expect(Reflection.descriptors.has(symbol: symbol)) }
    // What a client needs to build a request: the service, its messages, and what they import, down to the last file.
    let files = try reflection.files { $0.fileContainingSymbol = "tensorflow.serving.PredictionService" }
    var names: Set<String> = [], imports: Set<String> = []
    for file in files {
      let message = try WireMessage(file.rawSpan)
      var own = WireFields(message, number: 1)
      while let name = try own.nextSpan() { names.insert(String(showing: name)) }
      var others = WireFields(message, number: 3)
      while let name = try others.nextSpan() { imports.insert(String(showing: name)) }
    }
    #expect(names.count == files.count && imports.isSubset(of: names))
    #expect(names.isSuperset(of: ["tensorflow_serving/apis/predict.proto", "google/protobuf/wrappers.proto"]))
  }
}
