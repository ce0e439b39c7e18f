import HTTP
import Lifecycle
import Testing

@testable import server

@Suite struct OptionsTests {
  @Test func `flags are taken in TensorFlow Serving's syntax`() throws {
    let options = try Options(["--port=9000", "--model_name=m", "--model_base_path=/a=b", "--enable_model_warmup=false"])
    #expect(options.port == 9000)
    #expect(options.modelName == "m")
    #expect(options.modelBasePath == "/a=b")
    #expect(!options.enableModelWarmup)
  }

  @Test func `a bare bool is true`() throws {
    #expect(try Options(["--version"]).version)
    #expect(try !Options(["--version=false"]).version)
  }

  @Test func `what it does not know does not stop it, and only the first is named`() throws {
    let options = try Options(["--no_such_flag=1", "stray", "--port=1"])
    #expect(options.unknown == "--no_such_flag=1")
    #expect(options.port == 1)
  }

  @Test func `a name without its value is not taken for the flag`() throws {
    #expect(try Options(["--port", "9000"]).unknown == "--port")
    #expect(try Options(["--port", "9000"]).port == 8500)
  }

  @Test(arguments: ["--port=x", "--port=", "--port=70000", "--port=-1", "--max_num_load_retries=-1", "--version=maybe", "--rest_api_port=abc"])
  func `a malformed value stops it`(argument: String) {
    #expect(throws: OptionsError.self) { try Options([argument]) }
  }

  @Test func `gRPC's channel arguments set the limits that they mean, and others are named as without effect`() throws {
    let options = try Options([
      "--grpc_channel_arguments=grpc.max_connection_age_ms=60000,grpc.max_connection_age_grace_ms=2147483647,"
        + "grpc.keepalive_time_ms=1000,grpc.keepalive_permit_without_calls=0,grpc.http2.max_ping_strikes=0,grpc.fancy=1,grpc.name=x"
    ])
    #expect(options.limits.connectionAgeMilliseconds == 60_000)
    #expect(options.limits.connectionAgeGraceMilliseconds == 0)
    #expect(options.limits.keepaliveMilliseconds == 1000)
    #expect(options.limits.idlePingMillisecondsMin == 7_200_000)
    #expect(options.limits.pingStrikesMax == 0)
    #expect(options.withoutEffect == ["grpc_channel_arguments: grpc.fancy=1", "grpc_channel_arguments: grpc.name=x"])
  }

  @Test func `any limit of the transport can be set by its name, which wins`() throws {
    let options = try Options([
      "--transport_limits=connections_per_peer_max=7,keepalive_milliseconds=9", "--grpc_channel_arguments=grpc.keepalive_time_ms=1000",
    ])
    #expect(options.limits.connectionsPerPeerMax == 7)
    #expect(options.limits.keepaliveMilliseconds == 9)
  }

  @Test(arguments: ["nothing=1", "connections_max", "connections_max=x", "connections_max=-1", "=1"])
  func `a limit that is none, or none that can be read, stops it`(text: String) {
    #expect(throws: OptionsError.self) { try Options(["--transport_limits=\(text)"]) }
  }

  @Test func `the flags of TensorFlow Serving are all here`() {
    let names = Set(flags.map(\.name))
    #expect(names.count == flags.count)
    let tensorFlowServing = flags.prefix { $0.name != "open_ports_after_models" }
    #expect(tensorFlowServing.count == 48)
  }

  @Test func `help is asked for, not failed into`() {
    #expect(throws: OptionsError.helpAsked) { try Options(["--help"]) }
    #expect(Options.usage.contains("--model_base_path"))
  }
}

@Suite struct ModelServerConfigurationTests {
  private func models(_ text: String) throws -> [String] {
    try ModelServerConfiguration(text: text).models.map { "\($0.name) \($0.basePath) \($0.policy)" }
  }

  @Test func `a list in text format, with the liberties the format allows`() throws {
    let text = """
      # two models
      model_config_list: {
        config { name: "a", base_path: "/models/a", model_platform: "tensorflow" }
        config: < name: 'b' base_path: "/models/" "b"; model_version_policy { specific { versions: 3 versions: 1 } }
          version_labels { key: "stable" value: 1 } >
      }
      """
    let models = try ModelServerConfiguration(text: text).models
    #expect(models.map(\.name) == ["a", "b"])
    #expect(models[1].basePath == "/models/b")
    #expect(models[1].labels == ["stable": 1])
  }

  @Test func `mistakes are named in TensorFlow Serving's words`() {
    func message(_ text: String) -> String {
      do {
        _ = try ModelServerConfiguration(text: text)
        return ""
      } catch { return error.description }
    }
    #expect(
      message("model_config_list { config { name: 'm' base_path: '/a' } config { name: 'm' base_path: '/b' } }")
        == "INVALID_ARGUMENT: Illegal to list model m multiple times in config list")
    #expect(
      message("model_config_list { config { name: 'm' base_path: 'a' } }")
        == "INVALID_ARGUMENT: Expected model m to have an absolute path or URI; got base_path()=a")
    #expect(
      message("model_config_list { config { name: 'm' base_path: '/a' model_platform: 'onnx' } }")
        == "INVALID_ARGUMENT: Model m requests unsupported platform onnx")
    #expect(message("nonsense").contains("Error parsing text-format tensorflow.serving.ModelServerConfig"))
  }

  @Test func `a config file that cannot be read is not an empty one`() {
    for path in ["/", "/no/such/file"] {
      #expect(throws: ConfigurationError.self) { try ModelServerConfiguration(file: path) }
    }
  }
}
