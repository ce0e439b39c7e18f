import Catalog
import Foundation
import Lifecycle
import Schemas
import Serving
import Telemetry
import Testing

@testable import server

/// A file of the test's own, gone afterwards.
private final class TemporaryFile {
  let path = NSTemporaryDirectory() + "martlet-" + UUID().uuidString
  init(_ text: String) throws { try text.write(toFile: path, atomically: false, encoding: .utf8) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A version's directory.
private final class TemporaryFolder {
  let path = NSTemporaryDirectory() + "martlet-" + UUID().uuidString
  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
  func write(_ text: String, to name: String) throws { try text.write(toFile: path + "/" + name, atomically: false, encoding: .utf8) }
}

private func failure(_ body: () throws -> some Any) -> String {
  do {
    _ = try body()
    return "none"
  } catch { return "\(error)" }
}

@Suite struct BatchingConfigurationTests {
  private func parameters(_ text: String) throws -> BatchingParameters {
    try BatchingParameters(Tensorflow_Serving_BatchingParameters(textFormat: Array(text.utf8)))
  }

  @Test func `what is not said is TensorFlow Serving's default`() throws {
    let parameters = try parameters("")
    #expect(parameters == BatchingParameters())
    #expect(parameters.batchSizeMax == 1000)
    #expect(parameters.enqueuedBatchesMax == 10)
    #expect(parameters.threads == nil)
  }

  @Test func `every field`() throws {
    let text = """
      max_batch_size { value: 128 } batch_timeout_micros { value: 2000 } max_enqueued_batches { value: 7 } num_batch_threads { value: 3 }
      thread_pool_name { value: "pool" } allowed_batch_sizes: [8, 32, 64] pad_variable_length_inputs: true
      enable_large_batch_splitting { value: true } max_execution_batch_size { value: 64 }
      """
    var expected = BatchingParameters()
    expected.batchSizeMax = 128
    expected.timeoutMicroseconds = 2000
    expected.enqueuedBatchesMax = 7
    expected.threads = 3
    expected.threadPoolName = "pool"
    expected.allowedBatchSizes = [8, 32, 64]
    expected.padsVariableLengthInputs = true
    expected.splitsLargeBatches = true
    expected.executionBatchSizeMax = 64
    #expect(try parameters(text) == expected)
  }

  @Test func `without splitting a batch runs as it is`() throws {
    #expect(try parameters("max_batch_size { value: 16 } max_execution_batch_size { value: 4 }").executionBatchSizeMax == 16)
    #expect(try parameters("max_batch_size { value: 16 } enable_large_batch_splitting { value: true }").executionBatchSizeMax == 16)
  }

  @Test(arguments: [
    ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
    ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
    ("num_batch_threads { value: -2 }", "num_batch_threads must be positive; was -2"),
    ("num_batch_threads { value: 5000 }", "num_batch_threads must be at most 1024; was 5000"),
    ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8"),
    ("allowed_batch_sizes: 4", "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 1000"),
    ("max_batch_size { value: 8 } allowed_batch_sizes: [4, 2, 8]", "allowed_batch_sizes entries must be monotonically increasing"),
    ("max_batch_size { value: 8 } allowed_batch_sizes: [0, 8]", "allowed_batch_sizes entries must be monotonically increasing"),
    ("max_batch_size { value: 8 } enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 } allowed_batch_sizes: 8",
      "Last entry in allowed_batch_sizes must match max_execution_batch_size; last entry was 8; expected 4"),
    ("max_batch_size { value: 8 } enable_large_batch_splitting { value: true } max_execution_batch_size { value: 9 }",
      "max_batch_size should be larger than or equal to max_execution_batch_size; max_batch_size was 8, max_execution_batch_size was 9"),
  ])
  func `what cannot be is refused`(text: String, expected: String) {
    #expect(failure { try parameters(text) } == "INVALID_ARGUMENT: \(expected)")
  }
}

@Suite struct BatchingOfVersionsTests {
  private func loader(_ batching: Batching) -> SavedModels {
    var runtime = RuntimeConfiguration()
    runtime.batching = batching
    return SavedModels(runtime, ServingOptions(), LoadMeters(Metrics()))
  }

  @Test func `a version has its own parameters, and without a file none`() throws {
    let folder = try TemporaryFolder()
    let own = loader(.perVersion(BatchingParameters()))
    #expect(try own.batching(folder.path) == nil)
    try folder.write("max_batch_size { value: 7 }", to: "batching_params.pbtxt")
    #expect(try own.batching(folder.path)?.batchSizeMax == 7)
    // Elsewhere the file says nothing.
    #expect(try loader(.global(BatchingParameters())).batching(folder.path) == BatchingParameters())
    #expect(try loader(.off).batching(folder.path) == nil)
  }

  @Test(arguments: [
    ("max_batch_size { value: 7 } allowed_batch_sizes: 6", "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 6; expected 7"),
    ("max_batch_size { value: }", "batching_params.pbtxt"),
  ])
  func `parameters that are none fail the load, for good`(text: String, words: String) throws {
    let folder = try TemporaryFolder()
    try folder.write(text, to: "batching_params.pbtxt")
    do throws(LoadError) {
      _ = try loader(.perVersion(BatchingParameters())).batching(folder.path)
      Issue.record("they were taken")
    } catch {
      #expect(error.code == 3)
      #expect(error.message.contains(words))
      #expect(!error.isTransient)
    }
  }
}

@Suite struct RuntimeConfigurationTests {
  private func runtime(_ arguments: String...) throws -> RuntimeConfiguration { try Options(arguments).runtime() }

  @Test func `by default one tag, no batching, a warm-up`() throws {
    #expect(try runtime() == RuntimeConfiguration())
    #expect(try runtime("--saved_model_tags=serve,gpu").tags == ["serve", "gpu"])
  }

  @Test func `batching by flags, with a file and without`() throws {
    var parameters = BatchingParameters()
    parameters.threadPoolName = "model_server_batch_threads"
    #expect(try runtime("--enable_batching").batching == .global(parameters))
    #expect(try runtime("--enable_batching", "--enable_per_model_batching_parameters").batching == .perVersion(parameters))
    let file = try TemporaryFile("num_batch_threads { value: 4 }")
    parameters = BatchingParameters()
    parameters.threads = 4
    #expect(try runtime("--enable_batching", "--batching_parameters_file=\(file.path)").batching == .global(parameters))
  }

  @Test func `a mistake in a file names the file, the message and the place`() throws {
    let file = try TemporaryFile("num_batch_threads { value: 4 }\nmax_batch_size: 5")
    #expect(
      failure { try runtime("--enable_batching", "--batching_parameters_file=\(file.path)") }
        == "INVALID_ARGUMENT: Invalid protobuf file: '\(file.path)'. Error parsing text-format tensorflow.serving.BatchingParameters: 2:17: Invalid value for max_batch_size, got: 5"
    )
    #expect(failure { try runtime("--enable_batching", "--batching_parameters_file=/no/such") }.hasPrefix("NOT_FOUND: Can't read '/no/such'"))
  }

  @Test func `a session config's inter-op threads count, unless flags say otherwise`() throws {
    let file = try TemporaryFile("inter_op_parallelism_threads: 3 intra_op_parallelism_threads: 2 unheard_of: 1")
    let session = "--tensorflow_session_config_file=\(file.path)"
    #expect(try runtime(session).parallelism == 3)
    #expect(try runtime(session).remarks == ["--tensorflow_session_config_file: unheard_of is not known here"])
    #expect(try runtime(session, "--tensorflow_session_parallelism=5").parallelism == 5)
    #expect(try runtime(session, "--tensorflow_inter_op_parallelism=6").parallelism == 6)
    #expect(try Options(["--worker_threads=9"]).serving(runtime(session)).workers == 9)
    #expect(try Options([]).serving(runtime(session)).workers == 3)
  }

  @Test func `a platform config replaces the flags`() throws {
    let file = try TemporaryFile(
      """
      platform_configs {
        key: "tensorflow"
        value { source_adapter_config {
          [type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] {
            legacy_config {
              batching_parameters { max_batch_size { value: 8 } }
              session_config { inter_op_parallelism_threads: 2 some_future_knob: true }
              saved_model_tags: "serve" saved_model_tags: "tpu"
              enable_model_warmup: true
              model_warmup_options { num_request_iterations { value: 4 } num_model_warmup_threads { value: 2 } }
              prefer_tflite_model: true
            }
          }
        } }
      }
      """)
    let runtime = try runtime("--platform_config_file=\(file.path)", "--saved_model_tags=x")
    var parameters = BatchingParameters()
    parameters.batchSizeMax = 8
    parameters.executionBatchSizeMax = 8
    #expect(runtime.batching == .global(parameters))
    #expect(runtime.tags == ["serve", "tpu"])
    #expect(runtime.warmUp == WarmUpConfiguration(isEnabled: true, iterations: 4, threads: 2))
    #expect(runtime.parallelism == 2)
    #expect(runtime.remarks.count == 2)
    #expect(runtime.remarks.contains { $0.contains("some_future_knob is not known here") })
  }

  @Test(arguments: [
    ("", "PlatformConfigMap has no entry for platform tensorflow"),
    ("platform_configs { key: 'tensorflow' value { } }", "expected a tensorflow.serving.SavedModelBundleSourceAdapterConfig"),
    ("platform_configs { key: 'tensorflow' }", "needs both a key and a value"),
    ("platform_configs { key: 'tensorflow' value { source_adapter_config { [type.googleapis.com/no.such.Type] { } } } }", "1:105: Invalid value for platform_configs.value.source_adapter_config.[type.googleapis.com/no.such.Type], got: {"),
  ])
  func `a platform config without TensorFlow is refused`(text: String, expected: String) throws {
    let file = try TemporaryFile(text)
    let message = failure { try runtime("--platform_config_file=\(file.path)") }
    #expect(message.contains(expected))
    #expect(message.hasPrefix("INVALID_ARGUMENT: "))
  }
}

@Suite struct MonitoringConfigurationTests {
  private func monitoring(_ text: String) throws -> MonitoringConfiguration {
    try MonitoringConfiguration(Tensorflow_Serving_MonitoringConfig(textFormat: Array(text.utf8)))
  }

  @Test func `Prometheus is off unless it is turned on, at TensorFlow Serving's path unless another is given`() throws {
    #expect(try Options([]).monitoring() == MonitoringConfiguration())
    #expect(try monitoring("prometheus_config { enable: true }") == MonitoringConfiguration(isEnabled: true, path: "/monitoring/prometheus/metrics"))
    #expect(try monitoring("prometheus_config: { enable: true, path: \"/metrics\" }") == MonitoringConfiguration(isEnabled: true, path: "/metrics"))
    #expect(throws: ConfigurationError.self) { try monitoring("prometheus_config { path: 'metrics' }") }
  }
}

@Suite struct OptionsChecksTests {
  private func refusal(_ arguments: String...) -> String { failure { try Options(arguments + ["--model_base_path=/m"]).check() } }

  @Test func `what contradicts itself does not start`() throws {
    #expect(refusal() == "none")
    #expect(refusal("--port=0").hasPrefix("INVALID_ARGUMENT: server_options.grpc_socket_path"))
    #expect(refusal("--port=0", "--grpc_socket_path=s") == "none")
    #expect(
      refusal("--batching_parameters_file=f")
        == "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting server_options.enable_batching to true.")
    #expect(refusal("--use_alts_credentials").contains("ALTS"))
    #expect(refusal("--use_alts_credentials", "--ssl_config_file=f").contains("both"))
    #expect(
      refusal("--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1", "--tensorflow_inter_op_parallelism=1")
        .hasSuffix("You cannot configure all."))
    #expect(refusal("--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1") == "none")
    #expect(
      failure { try Options([]).check() }
        .hasPrefix("INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are empty!"))
  }

  @Test func `what is overruled is said`() throws {
    #expect(try Options(["--model_config_file=f", "--model_base_path=/m"]).contradictions.count == 1)
    #expect(try Options(["--model_config_file_poll_wait_seconds=1"]).contradictions.count == 1)
    #expect(try Options(["--enable_per_model_batching_parameters"]).contradictions.count == 1)
    #expect(try Options(["--port=8501", "--rest_api_port=8501"]).contradictions.count == 1)
    #expect(try Options(["--port=0", "--rest_api_port=0"]).contradictions.isEmpty)
    #expect(try Options(["--platform_config_file=f", "--enable_batching"]).contradictions == ["--platform_config_file replaces the flags for batching"])
    #expect(try Options(["--platform_config_file=f", "--batching_parameters_file=f", "--model_base_path=/m"]).check() == ())
  }
}
