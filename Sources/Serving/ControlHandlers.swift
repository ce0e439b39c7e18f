// Calls about models rather than to them. They are rare and small: swift-protobuf reads and writes them.
internal import Catalog
internal import Engine
internal import Messages
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Wire

/// `tensorflow.serving.ModelService/GetModelStatus`.
final class GetModelStatusHandler: UnaryHandler {
  func handle(_ call: UnaryCall) {
    do { try answer(call) } catch { call.fail(error) }
  }

  private func answer(_ call: UnaryCall) throws(Status) {
    let request = try call.request(Tensorflow_Serving_GetModelStatusRequest.self)
    guard request.hasModelSpec else { throw Status(.invalidArgument, "Missing ModelSpec") }
    let spec = request.modelSpec
    let entry = LoopState.of(call.loop).reader.snapshot.model(spec.name)
    var statuses = entry?.statuses ?? []
    switch spec.versionChoice {
    case .version(let version)?:
      statuses.removeAll { $0.version != version.value }
      if statuses.isEmpty {
        throw Status(serving: .notFound, "Could not find version \(version.value) of model \(spec.name)")
      }
    case .versionLabel(let label)?:
      guard let version = entry?.labels[label] else {
        throw Status(serving: .invalidArgument, "Unrecognized servable version label: \(label)")
      }
      statuses.removeAll { $0.version != version }
    case nil: break
    }
    guard !statuses.isEmpty else { throw Status(serving: .notFound, "Could not find any versions of model \(spec.name)") }
    var response = Tensorflow_Serving_GetModelStatusResponse()
    response.modelVersionStatus = statuses.map { status in
      var message = Tensorflow_Serving_ModelVersionStatus()
      message.version = status.version
      message.state = .init(rawValue: status.state.rawValue) ?? .unknown
      message.status.errorCode = .init(rawValue: status.errorCode) ?? .unknown
      message.status.errorMessage = status.errorMessage
      return message
    }
    try call.reply(response)
  }
}

/// `tensorflow.serving.PredictionService/GetModelMetadata`. The one field there is, is `signature_def`.
final class GetModelMetadataHandler: UnaryHandler {
  private static let field = "signature_def"

  func handle(_ call: UnaryCall) {
    do { try answer(call) } catch { call.fail(error) }
  }

  private func answer(_ call: UnaryCall) throws(Status) {
    let request = try call.request(Tensorflow_Serving_GetModelMetadataRequest.self)
    guard request.hasModelSpec else { throw Status(.invalidArgument, "Missing ModelSpec") }
    guard !request.metadataField.isEmpty else {
      throw Status(.invalidArgument, "GetModelMetadataRequest must specify at least one metadata_field")
    }
    if let unknown = request.metadataField.first(where: { $0 != GetModelMetadataHandler.field }) {
      throw Status(serving: .invalidArgument, "Metadata field \(unknown) is not supported")
    }
    let slot = try LoopState.of(call.loop).reader.snapshot.slot(request.modelSpec)
    var signatures = Tensorflow_Serving_SignatureDefMap()
    do {
      for (name, bytes) in slot.model.signatureDefs {
        signatures.signatureDef[name] = try Tensorflow_SignatureDef(serializedBytes: bytes)
      }
      var response = Tensorflow_Serving_GetModelMetadataResponse()
      response.modelSpec.name = request.modelSpec.name
      response.modelSpec.version.value = slot.version
      response.metadata[GetModelMetadataHandler.field] = try Google_Protobuf_Any(message: signatures)
      try call.reply(response)
    } catch let status as Status {
      throw status
    } catch {
      throw Status(serving: .internal, "the signatures of the model cannot be read: \(error)")
    }
  }
}

extension CatalogSnapshot {
  /// The slot of a spec that swift-protobuf read, by the same rules as Predict's.
  fileprivate func slot(_ spec: Tensorflow_Serving_ModelSpec) throws(Status) -> Slot {
    let bytes: [UInt8]
    do { bytes = try spec.serializedBytes() } catch {
      throw Status(unparsable: "ModelSpec", error)
    }
    do {
      switch select(try ModelSpec(WireMessage(bytes.rawSpan))) {
      case .slot(let slot): return slot
      case .pending: throw Status(serving: .unavailable, "Servable \(spec.name) is still loading")
      case .refused(let status): throw status
      }
    } catch let status as Status {
      throw status
    } catch {
      throw Status(unparsable: "ModelSpec", error)
    }
  }
}
