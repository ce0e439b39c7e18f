// Where the two sides of loading meet: the lifecycle asks for models, Formats makes them.
internal import Catalog
internal import Engine
internal import Formats
internal import Lifecycle
internal import Serving
// Formats has one too; this is the one the lifecycle asks for.
internal import enum Lifecycle.Completeness

/// SavedModels for the lifecycle.
struct SavedModels: ModelLoader {
  let loader: SavedModelLoader
  let warmUp: WarmUp
  let meters: LoadMeters
  private let batching: Batching

  init(_ runtime: RuntimeConfiguration, _ serving: ServingOptions, _ meters: LoadMeters) {
    self.meters = meters
    batching = runtime.batching
    loader = SavedModelLoader(tags: runtime.tags)
    warmUp = WarmUp(configuration: runtime.warmUp, options: serving)
  }

  func inspect(_ directory: String) -> Completeness {
    switch SavedModelLoader.inspect(directory) {
    case .complete: .complete
    case .missing(let reason): .missing(reason)
    case .cutOff(let reason): .cutOff(reason)
    }
  }

  /// TensorFlow Serving's name for a version's own parameters.
  static let batchingFile = "batching_params.pbtxt"

  func batching(_ directory: String) throws(LoadError) -> BatchingParameters? {
    switch batching {
    case .off: return nil
    case .global(let parameters): return parameters
    case .perVersion:
      do throws(ConfigurationError) {
        return try BatchingParameters(file: TextFile(directory + "/" + SavedModels.batchingFile))
      } catch where error.code == .notFound {
        // A version without the file is not batched.
        return nil
      } catch {
        throw LoadError(code: error.code.rawValue, message: error.message, isTransient: false)
      }
    }
  }

  func load(_ directory: String) throws(LoadError) -> Model {
    let model: Model, start = ContinuousClock.now
    do {
      model = try loader.load(directory) { meters.took($0, $1, directory) }
      meters.succeeded(directory, in: start.duration(to: .now))
    } catch {
      meters.failed(directory, in: start.duration(to: .now))
      throw LoadError(code: error.kind.code, message: error.description, isTransient: error.kind.isTransient)
    }
    try warmUp(model, in: directory, meters)
    return model
  }
}

extension FormatError.Kind {
  /// The `tensorflow.error.Code` the kind is reported as.
  fileprivate var code: Int {
    switch self {
    case .invalid: 3
    case .notFound: 5
    case .failed: 9
    case .unsupported: 12
    case .unreadable: 14
    case .corrupt: 15
    }
  }

  /// Whether another try may find something else: a file that comes back, a disk that answers again.
  fileprivate var isTransient: Bool {
    switch self {
    case .unsupported, .invalid: false
    case .notFound, .corrupt, .unreadable, .failed: true
    }
  }
}
