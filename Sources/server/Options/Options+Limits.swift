// The transport's limits from the command line: gRPC's names, as TensorFlow Serving takes them, and Martlet's own for all.
internal import HTTP

extension Options {
  /// `name=value,name=value`, in the names of `Limits.named`.
  mutating func setTransportLimits(_ text: String) throws(OptionsError) {
    for entry in text.split(separator: ",") {
      let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let limit = Limits.named.first(where: { $0.name == parts[0] }) else {
        throw .malformed(flag: "transport_limits", value: String(parts[0]), expected: "one of \(Limits.named.map(\.name).joined(separator: ", "))")
      }
      guard parts.count == 2, let value = Int(parts[1]), (0...Int(UInt32.max) << 16).contains(value) else {
        throw .malformed(flag: "transport_limits", value: String(entry), expected: "\(limit.name)= a whole number")
      }
      limits[keyPath: limit.path] = value
    }
  }

  /// TensorFlow Serving's `grpc_channel_arguments`: `name=value,name=value`. Names that mean nothing here are kept for the log,
  /// because gRPC has dozens and ignores what it does not know.
  mutating func setChannelArguments(_ text: String) {
    for entry in text.split(separator: ",") {
      let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let value = Int(parts[1]), set(channelArgument: parts[0], value) else {
        withoutEffect.append("--grpc_channel_arguments: \(entry) has no effect here")
        continue
      }
    }
  }

  /// - Parameter value: gRPC's INT_MAX means never, and so do its negative numbers.
  private mutating func set(channelArgument name: Substring, _ value: Int) -> Bool {
    let never = value < 0 || value >= Int(Int32.max)
    let milliseconds = never ? 0 : value
    switch name {
    case "grpc.max_connection_idle_ms": limits.idleMilliseconds = milliseconds
    case "grpc.max_connection_age_ms": limits.connectionAgeMilliseconds = milliseconds
    case "grpc.max_connection_age_grace_ms": limits.connectionAgeGraceMilliseconds = milliseconds
    case "grpc.keepalive_time_ms": limits.keepaliveMilliseconds = milliseconds
    case "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMilliseconds = never ? Int(Int32.max) : value
    // gRPC's server wants two hours between pings on a connection without calls, unless they are permitted.
    case "grpc.keepalive_permit_without_calls": limits.idlePingMillisecondsMin = value == 0 ? 7_200_000 : limits.pingMillisecondsMin
    case "grpc.http2.min_ping_interval_without_data_ms", "grpc.http2.min_recv_ping_interval_without_data_ms":
      let isStricterWhenIdle = limits.idlePingMillisecondsMin > limits.pingMillisecondsMin
      limits.pingMillisecondsMin = max(0, value)
      if !isStricterWhenIdle { limits.idlePingMillisecondsMin = limits.pingMillisecondsMin }
    case "grpc.http2.max_ping_strikes": limits.pingStrikesMax = max(0, value)
    case "grpc.server_handshake_timeout_ms": limits.handshakeMilliseconds = never ? Int(Int32.max) : value
    case "grpc.max_concurrent_streams": limits.streamsPerConnectionMax = max(1, min(value, 1 << 20))
    case "grpc.max_metadata_size", "grpc.absolute_max_metadata_size": limits.headerListBytesMax = max(1024, min(value, 1 << 20))
    case "grpc.http2.max_frame_size": limits.frameBytesMax = max(1 << 14, min(value, (1 << 24) - 1))
    case "grpc.http2.lookahead_bytes": limits.streamWindowBytes = max(65_535, min(value, limits.connectionWindowBytes))
    default: return false
    }
    return true
  }
}
