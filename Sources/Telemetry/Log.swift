// Log lines: one façade over swift-log, to standard error, with the three things the reader asks next: which model,
// which version, which peer. Counters and histograms join this module when something reads them.
//
// Not for the request path: a line costs a string and a write.
internal import Logging

public enum Log {
  private static let logger = Logger(label: "martlet") { StreamLogHandler.standardError(label: $0) }

  public static func info(
    _ message: @autoclosure () -> String, model: String? = nil, version: Int64? = nil, peer: String? = nil
  ) {
    logger.info("\(message())", metadata: metadata(model, version, peer))
  }

  public static func warn(
    _ message: @autoclosure () -> String, model: String? = nil, version: Int64? = nil, peer: String? = nil
  ) {
    logger.warning("\(message())", metadata: metadata(model, version, peer))
  }

  public static func error(
    _ message: @autoclosure () -> String, model: String? = nil, version: Int64? = nil, peer: String? = nil
  ) {
    logger.error("\(message())", metadata: metadata(model, version, peer))
  }

  private static func metadata(_ model: String?, _ version: Int64?, _ peer: String?) -> Logger.Metadata? {
    if model == nil && version == nil && peer == nil { return nil }
    var metadata = Logger.Metadata()
    if let model { metadata["model"] = "\(model)" }
    if let version { metadata["version"] = "\(version)" }
    if let peer { metadata["peer"] = "\(peer)" }
    return metadata
  }
}
