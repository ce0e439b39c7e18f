import Foundation
import Schemas
import SwiftProtobuf
import TestThreads
import Testing

@testable import server

@Suite(.blocking) struct TextFormatTests {
  private typealias Config = Tensorflow_Serving_ModelServerConfig

  private func read(_ text: String) throws(TextFormatError) -> Config { try Config(textFormat: Array(text.utf8)) }

  private func mistake(_ text: String) -> String {
    do throws(TextFormatError) {
      _ = try read(text)
      return "none"
    } catch {
      return "\(error.position.line):\(error.position.column): \(error.reason)"
    }
  }

  /// What protobuf's C++ takes, and the same in plain words.
  @Test(arguments: [
    "model_config_list: { config: { name: 'a' } }", "model_config_list { config < name: \"a\" > }",
    "model_config_list { config { name: 'a', }; }", "# comment\nmodel_config_list { config { name: 'a' # comment }\n } }",
    "model_config_list { config [ { name: 'a' } ] }", "model_config_list { config: [ < name: '' \"a\" > ] } ;",
    "\u{FEFF}model_config_list{config{name:'\\141'}}", "model_config_list { config { name: '\\x61' model_type: MODEL_TYPE_UNSPECIFIED } }",
    "model_config_list { config { name: \"a\" model_type: 0 version_labels: [] } }\n#", "model_config_list\n:\n{\nconfig\t{\u{B}name:'a'}}",
  ])
  func `the liberties of the format`(text: String) throws {
    #expect(try read(text).modelConfigList.config.map(\.name) == ["a"])
  }

  @Test func `a string may go on over a line's end, and a number's sign stand apart`() throws {
    let text = "model_config_list { config { name: 'a\nb\r\nc\\'d' version_labels { key: \"k\" value: - 5 } } }"
    let model = try read(text).modelConfigList.config[0]
    #expect(model.name == "a\nb\r\nc'd")
    #expect(model.versionLabels == ["k": -5])
  }

  @Test func `an entry of a map may be repeated, and the last counts`() throws {
    let text = "model_config_list { config { version_labels { key: 'k' value: 1 } version_labels { key: 'k' value: 2 } version_labels { key: 'l' value: 0 } } }"
    #expect(try read(text).modelConfigList.config[0].versionLabels == ["k": 2, "l": 0])
  }

  @Test(arguments: [
    ("nonsense", "1:9: Expected \":\", found \"end of input\""),
    ("nonsense: 1", "1:1: Message type \"tensorflow.serving.ModelServerConfig\" has no field named \"nonsense\"."),
    ("model_config_list {\n  config {\n    nam: 'a'\n  }\n}", "3:5: \"model_config_list.config\" has no field named \"nam\"."),
    ("model_config_list {\n\tconfig { name: 5 }\n}", "2:24: Invalid value for model_config_list.config.name, got: 5"),
    ("model_config_list { config { name: 'a'", "1:39: Reached end of input, expected \"}\""),
    ("model_config_list { config { name: 'a }\n} }", "1:36: String literals that begin here never end"),
    ("model_config_list { } }", "1:23: Expected identifier, got: }"),
    ("model_config_list { config { name: } }", "1:36: Expected a value, got: }"),
    ("model_config_list { config { name { } } }", "1:35: Invalid value for model_config_list.config.name, got: {"),
    ("model_config_list { config { model_type: TENSORFLAW } }",
      "1:42: Unknown enumeration value of \"TENSORFLAW\" for field \"model_config_list.config.model_type\"."),
    ("model_config_list { config { model_version_policy { latest { num_versions: -1 } } } }",
      "1:76: Expected a number that model_config_list.config.model_version_policy.latest.num_versions can hold, got: -1"),
    ("model_config_list { config { model_version_policy { specific { versions: [1, 2, x] } } } }",
      "1:81: Expected a number that model_config_list.config.model_version_policy.specific.versions can hold, got: x"),
    ("model_config_list { config { model_version_policy { latest { } all { } } } }",
      "1:64: Field \"model_config_list.config.model_version_policy.all\" is specified along with another of which only one may be."),
    ("model_config_list { }\nmodel_config_list { }", "2:1: Non-repeated field \"model_config_list\" is specified multiple times."),
    ("model_config_list { config { name: 'a' name: 'b' } }",
      "1:40: Non-repeated field \"model_config_list.config.name\" is specified multiple times."),
    ("model_config_list { config { name: 'a' } config { base_path: '/a' base_path: '/a' } }",
      "1:67: Non-repeated field \"model_config_list.config.base_path\" is specified multiple times."),
    ("model_config_list { config { version_labels { key: 'a' value: 1 valeu: 2 } } }",
      "1:65: \"model_config_list.config.version_labels\" has no field named \"valeu\"."),
    ("model_config_list { config { version_labels { key: 'a' } } }",
      "1:47: An entry of model_config_list.config.version_labels needs both a key and a value."),
    ("model_config_list { config { version_labels { key: 'a' value: 1.5 } } }",
      "1:63: Invalid value for model_config_list.config.version_labels.value, got: 1.5"),
    ("model_config_list { config { name: \"\\q\" } }", "1:36: Invalid value for model_config_list.config.name, got: \"\\q\""),
    ("model_config_list [ [ ] ]", "1:21: Expected a value, got: ["),
    ("\u{1}", "1:1: Expected identifier, got: \u{1}"),
  ])
  func `a mistake has a place and a word`(text: String, expected: String) { #expect(mistake(text) == expected) }

  @Test func `as deep as protobuf goes and no deeper`() {
    let deep = String(repeating: "model_config_list {", count: 5000)
    #expect(mistake(deep).contains("Message is too deep"))
  }

  @Test func `unknown fields are left out where that is asked for, each named`() throws {
    let text = """
      inter_op_parallelism_threads: 3
      some_new_field { a: 1 }
      gpu_options { per_process_gpu_memory_fraction: 0.5 newest: [1, 2] }
      """
    let (session, unknown) = try Tensorflow_ConfigProto.read(textFormat: Array(text.utf8), toleratingUnknownFields: true)
    #expect(session.interOpParallelismThreads == 3)
    #expect(session.gpuOptions.perProcessGpuMemoryFraction == 0.5)
    #expect(unknown == ["some_new_field", "gpu_options.newest"])
    #expect(throws: TextFormatError.self) { try Tensorflow_ConfigProto(textFormat: Array(text.utf8)) }
  }

  @Test func `what the fuzzers found and began with is read, and written as it was read`() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Fuzz/Corpus/TextFormat")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(files.count >= 4)
    for file in files {
      let text = [UInt8](try Data(contentsOf: file))
      guard let tree = try? TextFormatTree(text) else {
        #expect(["too-deep", "crash", "timeout", "oom"].contains { file.lastPathComponent.hasPrefix($0) }, "\(file.lastPathComponent)")
        continue
      }
      let written = textFormat(tree.fields)
      #expect(textFormat(try TextFormatTree(written).fields) == written, "\(file.lastPathComponent)")
    }
  }

  /// What is read is what was written, and nothing that is read wrongly traps.
  @Test(arguments: 0..<40)
  func `any damage is an error or a message`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let original = Array(
      """
      # two models
      model_config_list: {
        config { name: "a", base_path: '/models/a' model_platform: "tensorflow" model_version_policy { latest { num_versions: 2 } } };
        config: < name: 'b\\n\\x41' base_path: "/models/" "b"; model_version_policy { specific { versions: [3, -1, 0x10] } }
          version_labels { key: "stable" value: 1 } >
      }
      """.utf8)
    for _ in 0..<60 {
      var text = original
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let at = Int.random(in: 0..<text.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: text[at] = UInt8.random(in: 0...255, using: &random)
        case 1: text.remove(at: at)
        case 2: text.insert(Array("{}<>[]:,;\"'\\#-.x0\n".utf8).randomElement(using: &random)!, at: at)
        default: text.removeSubrange(at..<min(text.count, at + Int.random(in: 1...40, using: &random)))
        }
      }
      do throws(TextFormatError) {
        let config = try Config(textFormat: text)
        #expect(try Config(textFormat: Array(config.textFormatString().utf8)) == config)
      } catch {
        #expect(error.position.line >= 1 && !error.reason.isEmpty, "seed \(seed)")
      }
    }
  }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
