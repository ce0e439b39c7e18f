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
    #expect(
      options.withoutEffect == [
        "--grpc_channel_arguments: grpc.fancy=1 has no effect here", "--grpc_channel_arguments: grpc.name=x has no effect here",
      ])
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
    #expect(Set(flags.map(\.name)).count == flags.count)
    #expect(tensorFlowServingFlags.count == 48)
  }

  @Test(arguments: [
    "--per_process_gpu_memory_fraction=0.5", "--xla_cpu_compilation_enabled", "--flush_filesystem_caches=false", "--num_tflite_pools=3",
    "--mixed_precision=bfloat16", "--grpc_max_threads=16", "--enable_grpc_healthcheck_service=false",
  ])
  func `a flag that means nothing here is taken, and named once when it asks for something`(argument: String) throws {
    let lines = try Options([argument]).withoutEffect
    #expect(lines.count == 1)
    let name = argument.dropFirst(2).prefix { $0 != "=" }
    #expect(lines.first?.hasPrefix("--\(name) has no effect here: ") == true)
  }

  @Test(arguments: [
    "--per_process_gpu_memory_fraction=0", "--xla_cpu_compilation_enabled=false", "--flush_filesystem_caches", "--mixed_precision=",
    "--enable_grpc_healthcheck_service", "--num_unload_threads=0",
  ])
  func `a flag that asks for what is the case anyway is no news`(argument: String) throws {
    let options = try Options([argument])
    #expect(options.withoutEffect.isEmpty)
    #expect(options.unknown == nil)
  }

  @Test(arguments: ["--per_process_gpu_memory_fraction=much", "--num_tflite_pools=", "--xla_gpu_compilation_enabled=perhaps"])
  func `a flag without effect is read all the same`(argument: String) {
    #expect(throws: OptionsError.self) { try Options([argument]) }
  }

  @Test func `of a flag given twice the last counts`() throws {
    #expect(try Options(["--port=1", "--port=2"]).port == 2)
  }

  @Test(arguments: flags.map(\.name))
  func `every flag is in the usage with its default`(name: String) {
    #expect(Options.usage.contains("\t--\(name)="))
  }

  @Test func `help is asked for, not failed into`() {
    #expect(throws: OptionsError.helpAsked) { try Options(["--help"]) }
    #expect(Options.usage.contains("--model_base_path"))
  }
}
