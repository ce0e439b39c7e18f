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

  @Test func `a named tensor is read back`() throws {
    let tensor = Tensor(shape: [1], strings: [Array("s".utf8)])
    let size = TensorProtoSize(tensor.view)
    let bytes = [UInt8](wireSize: NamedTensorProto.size(name.rawSpan, size)) {
      NamedTensorProto.append(name.rawSpan, tensor.view, size, to: &$0)
    }
    #expect(Oracle["NamedTensorProto"].theirs(bytes) == "{1=\"6d6f64656c\";2={1=7;2={2=[{1=1;}];};8=[\"73\"];};}")
  }
}
