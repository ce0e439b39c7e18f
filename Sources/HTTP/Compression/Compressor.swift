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

  public enum Progress: Hashable, Sendable {
    /// The slice is done, the input is not.
    case more
    case done
    /// The result would be too long, or there is no memory; the output then holds some of it.
    case gaveUp
  }

  /// Appends the compressed form of `input` to `output`.
  /// - Parameter limit: how many bytes may be appended. What a body gains nothing by is better sent as it is: pass one less
  ///   than `input` has.
  /// - Returns: false when it takes more, or there is no memory; `output` is then as long as before.
  public mutating func compress(_ input: RawSpan, into output: inout ByteBuffer, limit: Int) -> Bool {
    begin()
    let start = output.count
    var at = 0
    while true {
      switch advance(input, &at, into: &output, end: start + max(limit, 0), .whole) {
      case .more: continue
      case .done: return true
      case .gaveUp:
        output.truncate(to: start)
        return false
      }
    }
  }

  /// Forgets what it was doing: another input follows.
  public mutating func begin() { stream.reset() }

  /// The same slice by slice: goes on with `input`, of which `at` bytes have been read.
  /// - Parameter end: how long `output` may become.
  public mutating func advance(
    _ input: RawSpan, _ at: inout Int, into output: inout ByteBuffer, end: Int, _ slice: CodecSlice
  ) -> Progress {
    unsafe input.withUnsafeBytes { unsafe advance($0, &at, into: &output, end: end, slice) }
  }

  private mutating func advance(
    _ input: UnsafeRawBufferPointer, _ at: inout Int, into output: inout ByteBuffer, end: Int, _ slice: CodecSlice
  ) -> Progress {
    var inputLeft = slice.inputBytes, outputLeft = slice.outputBytes
    while true {
      if inputLeft <= 0 || outputLeft <= 0 { return .more }
      let rest = unsafe UnsafeRawBufferPointer(rebasing: input[at...].prefix(inputLeft))
      let isLast = at + rest.count == input.count
      let grown = output.capacity > output.count ? 0 : max(output.count, input.count / 4, 1024)
      let room = min(end - output.count, max(output.capacity - output.count, grown))
      if room <= 0 { return .gaveUp }
      var step = ZlibStream.Step(code: Z_BUF_ERROR, consumed: 0, produced: 0)
      // The memory that append() offers, and what is left of the input.
      let taken = unsafe output.append(atMost: room) { memory in
        step = unsafe stream.step(rest, into: memory, finish: isLast)
        return step.produced
      }
      if !taken { return .gaveUp }
      at += step.consumed
      inputLeft -= step.consumed
      outputLeft -= step.produced
      if step.code == Z_STREAM_END { return .done }
      if step.code != Z_OK && step.code != Z_BUF_ERROR { return .gaveUp }
    }
  }
}
