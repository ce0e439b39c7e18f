/// What no message may exceed.
public enum WireLimits {
  /// protobuf's own limit, and gRPC's: lengths are signed 32-bit numbers. A position therefore fits a `UInt32`.
  public static let bytesMax = Int(Int32.max)
  /// The recursion limit of protobuf's C++ runtime.
  public static let depthMax = 100
  /// Occurrences of one singular message field. Writers produce one; merging by hand produces two.
  public static let piecesMax = 1024
}
