internal import COpenSSL

/// What went wrong with TLS: with whose bytes, doing what, and OpenSSL's reason.
public struct TLSError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// A file that cannot be read, or a certificate or key that cannot be used.
    case credentials
    /// The peer and we do not agree: version, cipher, protocol, or a message that breaks the rules.
    case handshake
    /// The peer's certificate is missing, not trusted, expired, or somebody else's.
    case verification
    /// Bytes that are no TLS at all.
    case notTLS
    /// The peer makes work for nothing, or more than a limit allows.
    case limit
    /// No memory, or OpenSSL is not what we take it for.
    case system
  }

  public let kind: Kind
  /// What was being done.
  public let operation: String
  /// The file, field or peer it was done with; empty when there is none to name.
  public let source: String
  public let reason: String

  public init(_ kind: Kind, _ operation: String, _ source: String = "", reason: String) {
    self.kind = kind
    self.operation = operation
    self.source = source
    self.reason = reason
  }

  public var description: String {
    source.isEmpty ? "TLS: \(operation): \(reason)" : "TLS: \(operation) \(source): \(reason)"
  }
}

/// OpenSSL's queue of errors, one per thread. Whoever makes it fill empties it.
enum OpenSSLErrors {
  /// The oldest reason in the queue, which is the cause of the others, and an empty queue.
  static func take() -> String? {
    let code = ERR_get_error()
    ERR_clear_error()
    return code == 0 ? nil : text(code)
  }

  /// A pure function of the code; the text lives in OpenSSL's tables.
  static func text(_ code: UInt) -> String {
    guard let text = unsafe ERR_reason_error_string(code) else { return "error \(code)" }
    return unsafe String(cString: text)
  }

  /// Before an operation whose failure will be read from the queue.
  static func clear() { if ERR_peek_error() != 0 { ERR_clear_error() } }
}
