/// How much of a message one call inflates or deflates.
public struct CodecSlice: Hashable, Sendable {
  public var inputBytes: Int
  public var outputBytes: Int

  public init(inputBytes: Int, outputBytes: Int) {
    self.inputBytes = inputBytes
    self.outputBytes = outputBytes
  }

  /// All of it.
  public static let whole = CodecSlice(inputBytes: .max, outputBytes: .max)
  /// What a loop inflates at a time: about a tenth of a millisecond, one at the worst (16 KB that are nothing but tables of codes).
  public static let inflated = CodecSlice(inputBytes: 16 << 10, outputBytes: 64 << 10)
  /// What a loop deflates at a time: about half a millisecond.
  public static let deflated = CodecSlice(inputBytes: 16 << 10, outputBytes: .max)
}
