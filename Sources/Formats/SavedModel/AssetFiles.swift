import Engine

/// The files a model's own ops may read: those under its version directory. TensorFlow reads whatever path a graph names;
/// a model that comes from elsewhere has no business in the rest of the disk. Links are followed: they are the operator's.
final class AssetFiles: FileReader, Sendable {
  private let directory: String

  init(directory: String) { self.directory = directory }

  func contents(ofFile path: String) throws(RunError) -> [UInt8] {
    guard path.hasPrefix(directory + "/"), !path.split(separator: "/").contains("..") else {
      throw .invalidArgument("\(path): not in the model's directory \(directory)")
    }
    do throws(FormatError) {
      return try File(path).contents(bytesMax: .max)
    } catch {
      throw RunError(error.kind == .notFound ? .notFound : .internal, error.description)
    }
  }
}
