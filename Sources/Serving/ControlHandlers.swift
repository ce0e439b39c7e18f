// Calls about models rather than to them. They are rare and small: swift-protobuf reads and writes them.
internal import Catalog
internal import Engine
internal import HTTP
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

/// `tensorflow.serving.PredictionService/GetModelMetadata`. The one field there is, is `signature_def`. A model that is on its
/// way is waited for.
final class GetModelMetadataHandler: UnaryHandler {
  func handle(_ call: UnaryCall) { LoopState.of(call.loop).take(MetadataCall(call: call)) }
}

private struct MetadataCall: Carrier {
  private static let field = "signature_def"
  let call: UnaryCall

  var origin: RequestOrigin { RequestOrigin(api: .modelMetadata, entrypoint: .grpc) }
  var began: MonotonicTime { call.began }
  var deadline: MonotonicTime? { call.deadline }

  func attempt(_ state: LoopState) throws(Status) -> Outcome {
    let request = try call.request(Tensorflow_Serving_GetModelMetadataRequest.self)
    guard request.hasModelSpec else { throw Status(.invalidArgument, "Missing ModelSpec") }
    guard !request.metadataField.isEmpty else {
      throw Status(.invalidArgument, "GetModelMetadataRequest must specify at least one metadata_field")
    }
    if let unknown = request.metadataField.first(where: { $0 != MetadataCall.field }) {
      throw Status(serving: .invalidArgument, "Metadata field \(unknown) is not supported")
    }
    switch try state.reader.snapshot.select(request.modelSpec) {
    case .refused(let status): throw status
    case .pending(let model): return .pending(model)
    case .slot(let slot):
      state.trail.reaches(slot)
      try answer(request.modelSpec.name, slot)
      state.answered(slot, nil)
    }
    return .settled
  }

  private func answer(_ name: String, _ slot: Slot) throws(Status) {
    do {
      var signatures = Tensorflow_Serving_SignatureDefMap()
      for (name, bytes) in slot.model.signatureDefs {
        signatures.signatureDef[name] = try Tensorflow_SignatureDef(serializedBytes: bytes)
      }
      var response = Tensorflow_Serving_GetModelMetadataResponse()
      response.modelSpec.name = name
      response.modelSpec.version.value = slot.version
      response.metadata[MetadataCall.field] = try Google_Protobuf_Any(message: signatures)
      try call.reply(response)
    } catch let status as Status {
      throw status
    } catch {
      throw Status(serving: .internal, "the signatures of the model cannot be read: \(error)")
    }
  }

  func fail(_ status: Status) { call.fail(status) }
  func detach() -> DetachedMetadataCall { DetachedMetadataCall(call: call.detach()) }
  func onCancel(_ notify: (() -> Void)?) { call.onCancel = notify }
}

private struct DetachedMetadataCall: DetachedCarrier {
  let call: DetachedCall
  func attached(_ body: (MetadataCall) -> Void) { call.completeOnLoop { body(MetadataCall(call: $0)) } }
}

extension CatalogSnapshot {
  /// What a spec that swift-protobuf read leads to, by the same rules as Predict's.
  fileprivate func select(_ spec: Tensorflow_Serving_ModelSpec) throws(Status) -> Selection {
    do {
      let bytes: [UInt8] = try spec.serializedBytes()
      return select(try ModelSpec(WireMessage(bytes.rawSpan)))
    } catch {
      throw Status(unparsable: "ModelSpec", error)
    }
  }
}
