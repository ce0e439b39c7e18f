// What our writers write, as protobuf-c reads it.
import CProtoOracle
import Tensors
import Testing
import Wire

@testable import Messages

@Suite struct WritersTests {
  let name = Array("model".utf8)
  let signature = Array("serving_default".utf8)
  let label = Array("canary".utf8)

  @Test func `a Predict request and response are read back`() throws {
    let tensor = Tensor(.float, shape: [2], [1, 2] as [Float])
    let measured = TensorProtoSize(tensor.view)
    let alias = Array("x".utf8)
    let spec = ModelSpec(name: name.rawSpan, signatureName: signature.rawSpan, version: 7)

    let requestSize =
      PredictRequest.size(spec) + PredictRequest.size(input: alias.rawSpan, measured)
      + PredictRequest.size(outputFilter: alias.rawSpan)
    let request = [UInt8](wireSize: requestSize) {
      PredictRequest.append(spec, to: &$0)
      PredictRequest.append(input: alias.rawSpan, tensor.view, measured, to: &$0)
      PredictRequest.append(outputFilter: alias.rawSpan, to: &$0)
    }
    #expect(request.count == requestSize)
    let text =
      "{1={1=\"6d6f64656c\";2={1=7;};3=\"73657276696e675f64656661756c74\";};"
      + "2=<\"78\":{1=1;2={2=[{1=2;}];};5=[3f800000,40000000];}>;3=[\"78\"];}"
    #expect(Oracle["PredictRequest"].theirs(request) == text)
    #expect(try Oracle["PredictRequest"].ours(request) == text)

    let responseSize = PredictResponse.size(spec) + PredictResponse.size(output: alias.rawSpan, measured)
    let response = [UInt8](wireSize: responseSize) {
      PredictResponse.append(output: alias.rawSpan, tensor.view, measured, to: &$0)
      PredictResponse.append(spec, to: &$0)
    }
    #expect(response.count == responseSize)
    #expect(
      Oracle["PredictResponse"].theirs(response)
        == "{1=<\"78\":{1=1;2={2=[{1=2;}];};5=[3f800000,40000000];}>;"
        + "2={1=\"6d6f64656c\";2={1=7;};3=\"73657276696e675f64656661756c74\";};}")
  }

  @Test func `a model spec keeps its choice of version`() throws {
    func round(_ spec: borrowing ModelSpec) throws -> (ModelSpec.VersionChoice, [UInt8]) {
      let bytes = [UInt8](wireSize: spec.byteSize) { spec.append(to: &$0) }
      #expect(bytes.count == spec.byteSize)
      let read = try ModelSpec(WireMessage(bytes.rawSpan))
      #expect(Array(read.name) == name)
      return (read.versionChoice, Array(read.versionLabel))
    }
    #expect(try round(ModelSpec(name: name.rawSpan)) == (.none, []))
    #expect(try round(ModelSpec(name: name.rawSpan, version: 0)) == (.number(0), []))
    #expect(try round(ModelSpec(name: name.rawSpan, version: -5)) == (.number(-5), []))
    #expect(try round(ModelSpec(name: name.rawSpan, versionLabel: label.rawSpan)) == (.label, label))
    #expect(try round(ModelSpec(name: name.rawSpan, versionLabel: RawSpan())) == (.label, []))
  }

  @Test func `of a version and a label the last one sent counts`() throws {
    func choice(_ bytes: [UInt8]) throws -> ModelSpec.VersionChoice {
      try ModelSpec(WireMessage(bytes.rawSpan)).versionChoice
    }
    let seven = field(2, field(1, 7))
    #expect(try choice(seven + field(4, "l")) == .label)
    #expect(try choice(field(4, "l") + seven) == .number(7))
    #expect(try choice(seven + field(2, [])) == .number(7))
    #expect(try choice(seven + field(4, "l") + field(2, [])) == .number(0))
  }

  @Test func `a model status is read back`() throws {
    let text = Array("gone".utf8)
    let available = ModelVersionStatus(
      version: 2, state: .available, status: StatusProto(errorCode: 0, errorMessage: RawSpan()))
    let ended = ModelVersionStatus(
      version: 1, state: .end, status: StatusProto(errorCode: 5, errorMessage: text.rawSpan))
    let size = available.byteSize + ended.byteSize
    let bytes = [UInt8](wireSize: size) {
      available.append(to: &$0)
      ended.append(to: &$0)
    }
    #expect(bytes.count == size)
    #expect(
      Oracle["GetModelStatusResponse"].theirs(bytes)
        == "{1=[{1=2;2=30;3={};},{1=1;2=50;3={1=5;2=\"676f6e65\";};}];}")
  }

  @Test func `metadata carries the signatures as the model has them`() throws {
    let key = Array("serving_default".utf8)
    let info = field(1, "x:0") + field(2, 1) + field(3, shape([-1, 4]))
    let definition = field(1, field(1, "x") + field(2, info)) + field(3, "tensorflow/serving/predict")
    let signature = try SignatureDef(WireMessage(definition.rawSpan))
    let mapSize = SignatureDefMap.size(signature: key.rawSpan, signature)
    let map = [UInt8](wireSize: mapSize) { SignatureDefMap.append(signature: key.rawSpan, signature, to: &$0) }
    #expect(map.count == mapSize)

    let url = Array(GetModelMetadataResponse.signatureDefTypeURL.description.utf8)
    let entry = Array("signature_def".utf8)
    let spec = ModelSpec(name: name.rawSpan, version: 1)
    let any = AnyMessage(typeURL: url.rawSpan, value: map.rawSpan)
    let size = GetModelMetadataResponse.size(spec) + GetModelMetadataResponse.size(metadata: entry.rawSpan, any)
    let bytes = [UInt8](wireSize: size) {
      GetModelMetadataResponse.append(spec, to: &$0)
      GetModelMetadataResponse.append(metadata: entry.rawSpan, any, to: &$0)
    }
    #expect(bytes.count == size)
    #expect(Oracle["GetModelMetadataResponse"].theirs(bytes) == (try Oracle["GetModelMetadataResponse"].ours(bytes)))

    let response = try GetModelMetadataResponse(bytes.rawSpan)
    guard let found = try response.metadata.entry(entry.rawSpan) else {
      Issue.record("no entry")
      return
    }
    let value = try AnyMessage(found.value).value
    guard let back = try SignatureDefMap(WireMessage(value)).signatures.entry(key.rawSpan) else {
      Issue.record("no signature")
      return
    }
    #expect(back.value.copy() == definition)
  }

  @Test func `a named tensor is read back`() throws {
    let tensor = Tensor(shape: [1], strings: [Array("s".utf8)])
    let size = TensorProtoSize(tensor.view)
    let bytes = [UInt8](wireSize: NamedTensorProto.size(name.rawSpan, size)) {
      NamedTensorProto.append(name.rawSpan, tensor.view, size, to: &$0)
    }
    #expect(Oracle["NamedTensorProto"].theirs(bytes) == "{1=\"6d6f64656c\";2={1=7;2={2=[{1=1;}];};8=[\"73\"];};}")
  }
}
