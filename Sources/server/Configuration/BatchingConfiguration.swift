// `BatchingParameters` from text format: --batching_parameters_file, a version's `batching_params.pbtxt`, a platform config.
internal import Catalog
internal import Schemas
internal import SwiftProtobuf

extension BatchingParameters {
  /// What TensorFlow Serving refuses when it makes the batch scheduler and the batching sessions is refused here, before
  /// anything is loaded; in its words.
  init(_ message: Tensorflow_Serving_BatchingParameters) throws(ConfigurationError) {
    self.init()
    if message.hasMaxBatchSize { batchSizeMax = Int(message.maxBatchSize.value) }
    if message.hasBatchTimeoutMicros { timeoutMicroseconds = Int(message.batchTimeoutMicros.value) }
    if message.hasMaxEnqueuedBatches { enqueuedBatchesMax = Int(message.maxEnqueuedBatches.value) }
    if message.hasNumBatchThreads { threads = Int(message.numBatchThreads.value) }
    if message.hasThreadPoolName { threadPoolName = message.threadPoolName.value }
    allowedBatchSizes = message.allowedBatchSizes.map { Int($0) }
    padsVariableLengthInputs = message.padVariableLengthInputs
    splitsLargeBatches = message.hasEnableLargeBatchSplitting && message.enableLargeBatchSplitting.value
    executionBatchSizeMax =
      splitsLargeBatches && message.hasMaxExecutionBatchSize ? Int(message.maxExecutionBatchSize.value) : batchSizeMax
    try check()
  }

  private func check() throws(ConfigurationError) {
    let numbers = [
      (batchSizeMax, 1, "max_batch_size must be positive"), (timeoutMicroseconds, 0, "batch_timeout_micros must be non-negative"),
      (enqueuedBatchesMax, 0, "max_enqueued_batches must be non-negative"),
      (threads ?? 1, 1, "num_batch_threads must be positive"),
      (executionBatchSizeMax, 1, "max_execution_batch_size must be positive"),
    ]
    for (value, least, text) in numbers where value < least {
      throw ConfigurationError(.invalidArgument, "\(text); was \(value)")
    }
    guard (threads ?? 1) <= 1024 else {
      throw ConfigurationError(.invalidArgument, "num_batch_threads must be at most 1024; was \(threads ?? 1)")
    }
    guard executionBatchSizeMax <= batchSizeMax else {
      throw ConfigurationError(
        .invalidArgument,
        "max_batch_size should be larger than or equal to max_execution_batch_size; max_batch_size was \(batchSizeMax), max_execution_batch_size was \(executionBatchSizeMax)")
    }
    guard let last = allowedBatchSizes.last else { return }
    // TensorFlow Serving wants the last one to be two different numbers when large batches are split; here it is what runs.
    let limit = splitsLargeBatches ? executionBatchSizeMax : batchSizeMax
    guard last == limit else {
      throw ConfigurationError(
        .invalidArgument,
        "Last entry in allowed_batch_sizes must match \(splitsLargeBatches ? "max_execution_batch_size" : "max_batch_size"); last entry was \(last); expected \(limit)")
    }
    guard allowedBatchSizes[0] > 0, zip(allowedBatchSizes, allowedBatchSizes.dropFirst()).allSatisfy(<) else {
      throw ConfigurationError(.invalidArgument, "allowed_batch_sizes entries must be monotonically increasing")
    }
  }

  init(file: TextFile) throws(ConfigurationError) {
    let message = try file.message(Tensorflow_Serving_BatchingParameters.self)
    do {
      try self.init(message)
    } catch {
      throw ConfigurationError(error.code, "\(error.message) (in '\(file.path)')")
    }
  }
}
