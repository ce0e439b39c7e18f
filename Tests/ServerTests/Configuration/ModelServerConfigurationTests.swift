import Lifecycle
import Schemas
import Testing

@testable import server

@Suite struct ModelServerConfigurationTests {
  private func models(_ text: String, replacing current: [ModelConfiguration]? = nil) throws -> [ModelConfiguration]? {
    try ModelServerConfiguration.models(
      Tensorflow_Serving_ModelServerConfig(textFormat: Array(text.utf8)), replacing: current)
  }

  private func message(_ text: String, replacing current: [ModelConfiguration]? = nil) -> String {
    do {
      _ = try models(text, replacing: current)
      return "none"
    } catch { return "\(error)" }
  }

  @Test func `a list becomes models, with their policies and labels`() throws {
    let text = """
      model_config_list: {
        config { name: "a", base_path: "/models/a", model_platform: "tensorflow" }
        config: < name: 'b' base_path: "/models/" "b"; model_type: TENSORFLOW model_version_policy { specific { versions: 3 versions: 1 } }
          version_labels { key: "stable" value: 1 } >
        config { name: 'c' base_path: 'file:///c' model_platform: 'tensorflow' model_version_policy { latest { } } }
        config { name: 'd' base_path: '/d' model_platform: 'tensorflow' model_version_policy { latest { num_versions: 3 } } }
        config { name: 'e' base_path: '/e' model_platform: 'tensorflow' model_version_policy { all { } } }
      }
      """
    #expect(
      try models(text) == [
        ModelConfiguration(name: "a", basePath: "/models/a"),
        ModelConfiguration(name: "b", basePath: "/models/b", policy: .specific([3, 1]), labels: ["stable": 1]),
        ModelConfiguration(name: "c", basePath: "/c"), ModelConfiguration(name: "d", basePath: "/d", policy: .latest(3)),
        ModelConfiguration(name: "e", basePath: "/e", policy: .all),
      ])
  }

  @Test(arguments: [
    ("model_config_list { config { name: 'm' base_path: '/a' } config { name: 'm' base_path: 'b' } }",
      "INVALID_ARGUMENT: Illegal to list model m multiple times in config list"),
    ("model_config_list { config { name: 'm' base_path: 'a' } }",
      "INVALID_ARGUMENT: Expected model m to have an absolute path or URI; got base_path()=a"),
    ("model_config_list { config { name: 'm' } }", "INVALID_ARGUMENT: Expected model m to have an absolute path or URI; got base_path()="),
    ("model_config_list { config { name: 'm' base_path: '/a' model_platform: 'onnx' } }",
      "INVALID_ARGUMENT: Model m requests unsupported platform onnx"),
    ("model_config_list { config { name: 'm' base_path: '/a' } }",
      "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform."),
    ("model_config_list { config { name: 'm' base_path: '/a' model_platform: 'tensorflow' model_type: TENSORFLOW } }",
      "INVALID_ARGUMENT: Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."),
    ("model_config_list { config { name: 'm' base_path: '/a' model_type: OTHER } }",
      "INVALID_ARGUMENT: ModelServerConfig::model_type choice 2 not supported."),
    ("model_config_list { config { name: 'm' base_path: 'gs://bucket/m' model_platform: 'tensorflow' } }",
      "UNIMPLEMENTED: File system scheme 'gs' not implemented"),
    ("custom_model_config { }", "INVALID_ARGUMENT: ModelServer does not yet support custom model config"),
  ])
  func `mistakes are named in TensorFlow Serving's words`(text: String, expected: String) {
    #expect(message(text).hasPrefix(expected))
  }

  @Test func `an empty config asks for nothing, until a list was taken up`() throws {
    #expect(try models("") == nil)
    #expect(try models("model_config_list { }") == [])
    #expect(
      message("", replacing: [])
        == "FAILED_PRECONDITION: Cannot transition to requested config. It is only legal to transition from one ModelConfigList to another.")
    #expect(message("custom_model_config { }", replacing: []).hasPrefix("FAILED_PRECONDITION: Cannot transition"))
  }

  @Test func `a served model keeps its platform`() {
    let text = "model_config_list { config { name: 'm' base_path: '/a' model_platform: 'onnx' } }"
    #expect(
      message(text, replacing: [ModelConfiguration(name: "m", basePath: "/a")])
        == "INVALID_ARGUMENT: Illegal to change a model's platform. For model m platform was tensorflow and new platform requested is onnx")
    #expect(message(text, replacing: [ModelConfiguration(name: "n", basePath: "/a")]).contains("unsupported platform"))
  }

  @Test func `a config file that cannot be read is not an empty one`() {
    for path in ["/", "/no/such/file"] {
      #expect(throws: ConfigurationError.self) { try Options(["--model_config_file=\(path)"]).configFile() }
    }
  }

  @Test func `one model by flags, its path as the shell means it`() throws {
    #expect(try Options(["--model_base_path=/m"]).models(nil) == [ModelConfiguration(name: "default", basePath: "/m")])
    #expect(try Options(["--model_base_path=m", "--model_name=n"]).models(nil)?[0].basePath.hasSuffix("/m") == true)
    #expect(try Options(["--model_base_path=m"]).models(nil)?[0].basePath.hasPrefix("/") == true)
    #expect(throws: ConfigurationError.self) { try Options(["--model_base_path=s3://b/m"]).models(nil) }
  }
}
