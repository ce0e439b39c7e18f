import Schemas
import SwiftProtobuf
import Wire

/// A version directory's `saved_model.pb`, or its `saved_model.pbtxt` made binary.
struct SavedModelFile {
  let directory: String
  let path: String
  let bytes: [UInt8]

  /// `directory` without slashes at its end.
  static func normalized(_ directory: String) -> String {
    var directory = directory
    while directory.count > 1, directory.hasSuffix("/") { directory.removeLast() }
    return directory
  }

  init(in directory: String) throws(FormatError) {
    self.directory = SavedModelFile.normalized(directory)
    let binary = self.directory + "/saved_model.pb"
    let text = self.directory + "/saved_model.pbtxt"
    if File.size(binary) != nil {
      path = binary
      bytes = try File(binary).contents(bytesMax: WireLimits.bytesMax)
    } else if File.size(text) != nil {
      path = text
      bytes = try SavedModelFile.parse(File(text).contents(bytesMax: WireLimits.bytesMax), path: text)
    } else {
      // TensorFlow Serving's words.
      throw FormatError(
        .notFound,
        "Specified file path does not appear to contain a SavedModel bundle (should have a file called `saved_model.pb`)\n"
          + "Specified file path: \(self.directory)")
    }
  }

  private static func parse(_ text: [UInt8], path: String) throws(FormatError) -> [UInt8] {
    guard let text = String(validating: text.rawSpan) else { throw FormatError(.corrupt, "not UTF-8", file: path) }
    do {
      var options = TextFormatDecodingOptions()
      // What our schema leaves out (the object graph, debug information) no server needs.
      options.ignoreUnknownFields = true
      return try Tensorflow_SavedModel(textFormatString: text, options: options).serializedBytes(partial: true)
    } catch {
      throw FormatError(.corrupt, "not the text form of a SavedModel: \(error)", file: path)
    }
  }
}
