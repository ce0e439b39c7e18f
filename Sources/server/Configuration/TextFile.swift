// A configuration file: its bytes, and the message in them.
internal import Glibc
internal import SwiftProtobuf

/// A whole file.
struct TextFile {
  let path: String
  let bytes: [UInt8]

  /// More than any configuration: what is larger is the wrong file.
  static let bytesMax = 64 << 20

  init(_ path: String, bytesMax: Int = TextFile.bytesMax) throws(ConfigurationError) {
    self.path = path
    guard let bytes = TextFile.read(path, bytesMax) else {
      let code = errno
      throw ConfigurationError(
        code == ENOENT || code == ENOTDIR ? .notFound : .invalidArgument, "Can't read '\(path)': \(unsafe String(cString: strerror(code)))")
    }
    self.bytes = bytes
  }

  /// `nil` with `errno` set when it cannot be read.
  private static func read(_ path: String, _ bytesMax: Int) -> [UInt8]? {
    guard let file = unsafe fopen(path, "re") else { return nil }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      guard count > 0 else { break }
      bytes += chunk[..<count]
      guard bytes.count <= bytesMax else {
        errno = EFBIG
        return nil
      }
    }
    // A directory opens and does not read: that is no empty file.
    guard unsafe ferror(file) == 0 else { return nil }
    return bytes
  }

  /// The message the file holds. TensorFlow Serving says the first half of the error to the log and the second to whoever
  /// started it; here both are in one.
  func message<Message: SwiftProtobuf.Message>(_ type: Message.Type = Message.self) throws(ConfigurationError) -> Message {
    try message(type, toleratingUnknownFields: false).0
  }

  /// - Parameter toleratingUnknownFields: for messages of TensorFlow that grow with it, and of which only some fields mean
  ///   something here.
  func message<Message: SwiftProtobuf.Message>(
    _ type: Message.Type = Message.self, toleratingUnknownFields: Bool
  ) throws(ConfigurationError) -> (Message, unknown: [String]) {
    do throws(TextFormatError) {
      return try Message.read(textFormat: bytes, toleratingUnknownFields: toleratingUnknownFields)
    } catch {
      throw ConfigurationError(
        .invalidArgument,
        "Invalid protobuf file: '\(path)'. Error parsing text-format \(Message.protoMessageName): "
          + "\(error.position.line):\(error.position.column): \(error.reason)")
    }
  }
}
