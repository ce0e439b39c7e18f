// Questions of gRPC's reflection service, and gRPC C++'s answers to them: the same files, codes and words.
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Wire

/// What the server tells about itself. Answers are values; any loop may ask.
final class Reflection: Sendable {
  /// Both versions of the service speak the same messages, byte by byte: version 1's serve for both.
  typealias Request = Grpc_Reflection_V1_ServerReflectionRequest
  typealias Response = Grpc_Reflection_V1_ServerReflectionResponse

  /// What this build serves.
  static let descriptors: DescriptorIndex = {
    guard let set = Base64.decode(ServiceDescriptors.base64.description.utf8), let index = try? DescriptorIndex(set) else {
      preconditionFailure("Protos/generate.sh wrote descriptors that cannot be read")
    }
    return index
  }()

  private let services: [String]
  private let index: DescriptorIndex

  /// - Parameters:
  ///   - services: those that are registered. Only they are listed, whatever else the descriptors define.
  ///   - descriptors: where they are defined.
  init(services: [String], _ descriptors: DescriptorIndex) {
    self.services = services
    index = descriptors
  }

  func answer(_ request: Request) -> ReflectionAnswer {
    var answer = ReflectionAnswer()
    answer.response.validHost = request.host
    answer.response.originalRequest = request
    do {
      try fill(&answer, request.messageRequest)
    } catch {
      answer.response.errorResponse.errorCode = Int32(error.code.rawValue)
      answer.response.errorResponse.errorMessage = error.message
    }
    return answer
  }

  private func fill(_ answer: inout ReflectionAnswer, _ question: Request.OneOf_MessageRequest?) throws(Status) {
    switch question {
    case .fileByFilename(let name):
      answer.files = index.file(named: name)
      if answer.files == nil { throw Status(.notFound, "File not found.") }
    case .fileContainingSymbol(let symbol):
      answer.files = index.file(defining: symbol)
      if answer.files == nil { throw Status(.notFound, "Symbol not found.") }
    case .fileContainingExtension(let field):
      guard index.extensionNumbers(of: field.containingType) != nil else { throw Status(.notFound, "Type not found.") }
      answer.files = index.file(extending: field.containingType, number: field.extensionNumber)
      if answer.files == nil { throw Status(.notFound, "Extension not found.") }
    case .allExtensionNumbersOfType(let type):
      guard let numbers = index.extensionNumbers(of: type) else { throw Status(.notFound, "Type not found.") }
      answer.response.allExtensionNumbersResponse.baseTypeName = type
      answer.response.allExtensionNumbersResponse.extensionNumber = numbers
    case .listServices:
      answer.response.listServicesResponse.service = services.map { name in
        var service = Grpc_Reflection_V1_ServiceResponse()
        service.name = name
        return service
      }
    case nil: throw Status(.unimplemented)
    }
  }
}

/// A response as it goes out. Descriptors are bytes already and stay as they are: they follow the rest as field 4,
/// `FileDescriptorResponse`, whose field 1 they are.
struct ReflectionAnswer {
  /// All but the files.
  var response = Reflection.Response()
  var files: [[UInt8]]?

  func serialized() throws(Status) -> [UInt8] {
    let rest = try response.response()
    guard let files else { return rest }
    let size = files.reduce(0) { $0 + WireSize.length(1, $1.count) }
    return [UInt8](wireSize: rest.count + WireSize.length(4, size)) { output in
      let rest = rest
      output.appendBytes(rest.rawSpan)
      output.appendLength(4, size)
      for file in files { output.appendBytes(1, file.rawSpan) }
    }
  }
}
