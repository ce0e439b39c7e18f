/// `tensorflow.serving.LoggingConfig` of one model, as far as it means something here: a part of its requests is logged.
public struct RequestLogConfiguration: Sendable, Hashable {
  /// The part of requests that is logged, from 0 to 1.
  public var samplingRate: Double
  /// `sampling_config.attributes`, which the records repeat.
  public var attributes: Int32
  /// Where the files go, and how their names begin.
  public var filenamePrefix: String

  public init(samplingRate: Double, attributes: Int32 = 0, filenamePrefix: String) {
    self.samplingRate = samplingRate
    self.attributes = attributes
    self.filenamePrefix = filenamePrefix
  }
}
