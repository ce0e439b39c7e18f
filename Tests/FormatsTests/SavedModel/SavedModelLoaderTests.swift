import Engine
import Formats
import Foundation
import Messages
import Tensors
import Testing
import Wire

struct SavedModelLoaderTests {
  private func error(_ directory: String, tags: Set<String> = ["serve"]) -> FormatError? {
    do throws(FormatError) {
      _ = try SavedModelLoader(tags: tags).load(directory)
      return nil
    } catch { return error }
  }

  @Test func `a directory without a SavedModel is refused in TensorFlow Serving's words`() {
    let scratch = Scratch()
    let error = error(scratch.path)
    #expect(error?.kind == .notFound)
    #expect(
      error?.description
        == "Specified file path does not appear to contain a SavedModel bundle (should have a file called `saved_model.pb`)\n"
        + "Specified file path: \(scratch.path)")
  }

  @Test func `tags choose the meta graph, all of them and no other`() throws {
    let fixture = Fixture("tags")
    for (tags, folder) in [(["serve"], "golden"), (["serve", "gpu"], "golden/serve+gpu")] as [(Set<String>, String)] {
      let model = try SavedModelLoader(tags: tags).load(fixture.directory)
      for (name, request, response) in fixture.cases(in: folder) {
        let expected = try PredictResponse(response!.rawSpan)
        let outputs = try model.predict(request)
        var entries = expected.outputs
        while let entry = try entries.next() {
          let tensor = try Tensor.decoding(TensorProto(entry.value))
          #expect(outputs[String(showing: entry.key)]?.difference(from: tensor, tolerance: 1e-5) == nil, "\(name)")
        }
      }
    }
    let error = error(fixture.directory, tags: ["gpu"])
    #expect(error?.kind == .notFound)
    #expect(error?.message.hasPrefix("Could not find meta graph def matching supplied tags: { gpu }. The file has") == true)
    #expect(error?.message.contains("{ serve }") == true && error?.message.contains("{ gpu, serve }") == true)
  }

  @Test func `an op nobody has fails the load by its name and node`() {
    let error = error(Fixture("custom_op").directory)
    #expect(error?.kind == .unsupported)
    #expect(error?.message.contains("Op type not registered '") == true)
    #expect(error?.place?.hasPrefix("node '") == true)
    #expect(error?.file?.hasSuffix("custom_op/1/saved_model.pb") == true)
  }

  @Test func `every signature is told, and those with outputs can be called`() throws {
    let model = try SavedModelLoader().load(Fixture("half_plus_two").directory)
    #expect(model.signatureDefs.map(\.name) == ["__saved_model_init_op", "serving_default"])
    #expect(model.signatures.map(\.name) == ["serving_default"])
    let signature = try #require(model.defaultSignature)
    #expect(signature.methodName == "tensorflow/serving/predict")
    #expect(signature.inputs.map(\.alias) == ["x"])
    let bytes = model.signatureDefs[1].bytes
    let sent = try SignatureDef(WireMessage(bytes.rawSpan))
    let isPredict = sent.methodName.equals("tensorflow/serving/predict")
    #expect(isPredict)
    // Two variables of four bytes each, and what the graph adds by itself.
    #expect(model.byteCount >= 8 && model.byteCount < 1000)
  }

  @Test func `a model is loaded from a directory named with a slash at its end`() throws {
    #expect(try SavedModelLoader().load(Fixture("half_plus_two").directory + "/").signatures.count == 1)
  }

  @Test func `variables that are missing are missed by name`() throws {
    let scratch = Scratch()
    let directory = scratch.copy(Fixture("half_plus_two"))
    try FileManager.default.removeItem(atPath: directory + "/variables")
    let error = error(directory)
    #expect(error?.kind == .notFound)
    #expect(error?.file == directory + "/variables/variables.index")
    #expect(error?.message.contains("gives variable '") == true)
  }

  @Test func `a corrupt variable fails the load with its file, key and bytes`() throws {
    let scratch = Scratch()
    let directory = scratch.copy(Fixture("half_plus_two"))
    let shard = directory + "/variables/variables.data-00000-of-00001"
    var bytes = read(shard)!
    bytes[0] ^= 1
    write(bytes, to: shard)
    let error = error(directory)
    #expect(error?.kind == .corrupt && error?.file == shard)
    #expect(error?.place?.hasPrefix("key '") == true)
    #expect(error?.message.contains("the checksum is 0x") == true)
  }

  @Test func `a model's ops read no files but its own`() throws {
    let scratch = Scratch()
    let directory = scratch.copy(Fixture("init_signature"))
    #expect(FileManager.default.fileExists(atPath: directory + "/assets"))
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: directory + "/assets").first)
    try FileManager.default.removeItem(atPath: directory + "/assets/" + name)
    #expect(error(directory) != nil)
  }

  // MARK: Half-copied directories

  @Test(arguments: Fixture.golden.filter { !$0.name.hasPrefix("ops/") || $0.name == "ops/gathers" })
  func `a whole directory is complete`(_ fixture: Fixture) {
    #expect(SavedModelLoader.inspect(fixture.directory) == .complete)
  }

  @Test func `a directory is incomplete until its last file has come`() throws {
    let scratch = Scratch()
    let source = Fixture("sharded").directory
    let target = scratch.path + "/1"
    func reason() -> String? {
      switch SavedModelLoader.inspect(target) {
      case .missing(let reason), .cutOff(let reason): reason
      case .complete: nil
      }
    }
    func put(_ name: String, _ bytes: [UInt8]) { write(bytes, to: target + "/" + name) }
    #expect(reason() == "saved_model.pb is not there yet")
    try FileManager.default.createDirectory(atPath: target + "/variables", withIntermediateDirectories: true)
    put("saved_model.pb", [])
    #expect(reason() == "saved_model.pb is still empty")
    let model = read(source + "/saved_model.pb")!
    put("saved_model.pb", Array(model.prefix(model.count / 2)))
    #expect(reason()?.hasPrefix("saved_model.pb is cut off") == true)
    put("saved_model.pb", model)
    #expect(reason() == "variables/variables.index is not there yet, and the graph has variables")
    let index = read(source + "/variables/variables.index")!
    put("variables/variables.index", Array(index.dropLast()))
    #expect(reason()?.hasPrefix("variables/variables.index is cut off") == true)
    put("variables/variables.index", index)
    for shard in 0..<3 {
      let name = "variables/variables.data-0000\(shard)-of-00003"
      #expect(reason() == "\(target)/\(name) is not there yet")
      let bytes = read(source + "/" + name)!
      put(name, Array(bytes.dropLast()))
      #expect(reason() == "\(target)/\(name) has \(bytes.count - 1) bytes of at least \(bytes.count)")
      put(name, bytes)
    }
    #expect(SavedModelLoader.inspect(target) == .complete)
  }

  @Test func `a model without variables needs none`() {
    #expect(SavedModelLoader.inspect(Fixture("no_variables").directory) == .complete)
  }
}
