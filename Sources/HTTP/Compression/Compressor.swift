// Plain bytes in, compressed bytes out, given up as soon as they are too many to be worth it.
internal import CZlib

@safe public struct Compressor: ~Copyable {
  /// zlib's own default, and gRPC C++'s.
  public static let defaultLevel = 6

  public let coding: ContentCoding
  private var stream: ZlibStream

  /// - Parameter level: 1, fastest, to 9, smallest.
  public init?(_ coding: ContentCoding, level: Int = Compressor.defaultLevel) {
    guard let stream = ZlibStream(.compress(level: level), coding) else { return nil }
    self.stream = stream
    self.coding = coding
  }

  /// Appends the compressed form of `input` to `output`.
  /// - Parameter limit: how many bytes may be appended. What a body gains nothing by is better sent as it is: pass one less
  ///   than `input` has.
  /// - Returns: false when it takes more, or there is no memory; `output` is then as long as before.
  public mutating func compress(_ input: RawSpan, into output: inout ByteBuffer, limit: Int) -> Bool {
    stream.reset()
    let start = output.count
    let isDone = unsafe input.withUnsafeBytes { unsafe compress($0, into: &output, end: start + max(limit, 0)) }
    if !isDone { output.truncate(to: start) }
    return isDone
  }

  private mutating func compress(_ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, end: Int) -> Bool {
    var at = 0
    while true {
      let grown = output.capacity > output.count ? 0 : max(output.count, input.count / 4, 1024)
      let room = min(end - output.count, max(output.capacity - output.count, grown))
      if room == 0 { return false }
      var step = ZlibStream.Step(code: Z_BUF_ERROR, consumed: 0, produced: 0)
      let rest = unsafe UnsafeRawBufferPointer(rebasing: input[at...])
      // The memory that append() offers, and what is left of the input.
      let taken = unsafe output.append(atMost: room) { memory in
        step = unsafe stream.step(rest, into: memory, finish: true)
        return step.produced
      }
      if !taken { return false }
      at += step.consumed
      if step.code == Z_STREAM_END { return true }
      if step.code != Z_OK && step.code != Z_BUF_ERROR { return false }
    }
  }
}
