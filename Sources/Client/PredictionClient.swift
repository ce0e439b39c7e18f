// The client stub: what a Swift program needs to ask a Martlet or a TensorFlow Serving.
//
//     let client = PredictionClient(try Endpoint(parsing: "127.0.0.1:8500"))
//     let answer = try await client.predict(
//       PredictQuery(model: "half_plus_two", inputs: ["x": Tensor(.float, shape: [3], [1, 2, 5] as [Float])]))
//     answer.outputs["y"]?.array(of: Float.self)        // [2.5, 3, 4.5]
public import HTTP
public import RPC
internal import Tensors

/// Asks one server, or the replicas behind a name. Many calls may be under way at once; they share connections.
public final class PredictionClient: Sendable {
  private let channel: Channel

  /// A channel's defaults, and retries: a prediction changes nothing, so that asking again is safe.
  public static var defaults: Channel.Configuration {
    var configuration = Channel.Configuration()
    configuration.retry = RetryPolicy()
    return configuration
  }

  public init(_ target: Target, configuration: Channel.Configuration = defaults) {
    channel = Channel(to: target, configuration: configuration)
  }

  public convenience init(_ endpoint: Endpoint, configuration: Channel.Configuration = defaults) {
    self.init(Target(endpoint), configuration: configuration)
  }

  /// Runs a model.
  /// - Parameter timeout: how long the answer may take; told to the server, which gives up with us. `nil` waits for ever.
  /// - Throws: the server's status (`NOT_FOUND` for a model it does not have, `INVALID_ARGUMENT` for inputs that do not fit),
  ///   or ours: `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `CANCELLED`, `INTERNAL` for an answer that cannot be read.
  public func predict(_ query: PredictQuery, timeout: Duration? = .seconds(60)) async throws(Status) -> Prediction {
    let response = try await channel.unary(
      "/tensorflow.serving.PredictionService/Predict", query.bytes, options: CallOptions(timeout: timeout))
    do { return try Prediction(message: response.message) } catch { throw Status(.internal, error.description) }
  }

  /// Ends what is under way and closes the connection.
  public func close() { channel.close() }
}
