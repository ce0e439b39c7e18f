/// Why what stands on disk is no model that can serve: which file, where in it, what was found and what was expected.
public struct FormatError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of wrong it is. The comment names the `tensorflow.error.Code` it is reported as.
  public enum Kind: Sendable, Equatable {
    /// A file, a tag set, a tensor or a node that should be there is not. NOT_FOUND
    case notFound
    /// The bytes are not those that were written: cut off, flipped, or of another format. DATA_LOSS
    case corrupt
    /// Whole, and wrong. INVALID_ARGUMENT
    case invalid
    /// Right, and beyond what this server does. UNIMPLEMENTED
    case unsupported
    /// The operating system did not let the file be read. UNAVAILABLE
    case unreadable
    /// The model's own restore or initialisation failed. FAILED_PRECONDITION
    case failed
  }

  public var kind: Kind
  public var message: String
  /// The path of the file.
  public var file: String?
  /// The part of the file: a key, a node, a signature, an offset.
  public var place: String?

  public init(_ kind: Kind, _ message: String, file: String? = nil, place: String? = nil) {
    self.kind = kind
    self.message = message
    self.file = file
    self.place = place
  }

  public var description: String {
    [file, place, message].compactMap { $0 }.joined(separator: ": ")
  }
}
