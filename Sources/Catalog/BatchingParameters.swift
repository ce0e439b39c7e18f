// How requests to a slot are gathered into batches: `tensorflow.serving.BatchingParameters`, as a value.

/// The knobs of batching, with TensorFlow Serving's names and defaults.
public struct BatchingParameters: Sendable, Equatable {
  /// `max_batch_size`: the most rows of a request, and of a batch unless large ones are split.
  public var batchSizeMax = 1000
  /// `batch_timeout_micros`: how long a batch that is not full may wait for more. Zero: not at all, once a thread is free.
  public var timeoutMicroseconds = 0
  /// `max_enqueued_batches`: batches that wait, per queue; a request that would open one more is refused.
  public var enqueuedBatchesMax = 10
  /// `num_batch_threads`: batches that run at the same time; `nil` for as many as there are usable CPUs.
  public var threads: Int?
  /// `thread_pool_name`: a label of metrics.
  public var threadPoolName = "batch_threads"
  /// `allowed_batch_sizes`, ascending: a batch is padded to the next of them. Empty: any size will do.
  public var allowedBatchSizes: [Int] = []
  /// `pad_variable_length_inputs`: tensors of different extents are padded to the largest.
  public var padsVariableLengthInputs = false
  /// `enable_large_batch_splitting`: requests may be cut in pieces of at most `executionBatchSizeMax` rows.
  public var splitsLargeBatches = false
  /// `max_execution_batch_size`: the most rows that run at once.
  public var executionBatchSizeMax = 1000

  public init() {}

  /// The rows that are run for so many: the next allowed size.
  public func executedRows(for rows: Int) -> Int { allowedBatchSizes.first { $0 >= rows } ?? rows }
}

/// Whether and how requests are batched.
public enum Batching: Sendable, Equatable {
  case off
  /// The same for every model.
  case global(BatchingParameters)
  /// Each version brings its own in `batching_params.pbtxt`, or is not batched; of these only the threads and their name count.
  case perVersion(BatchingParameters)
}

extension Batching {
  /// What says how many threads run batches, and what they are called.
  public var threadParameters: BatchingParameters? {
    switch self {
    case .off: nil
    case .global(let parameters), .perVersion(let parameters): parameters
    }
  }
}
