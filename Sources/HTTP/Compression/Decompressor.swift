// Compressed bytes in, plain bytes out, never more than the caller allows. Memory for the result grows with the result.
internal import CZlib

@safe public struct Decompressor: ~Copyable {
  public enum Failure: Error, Hashable, Sendable {
    /// The result would have more than `limit` bytes. Nothing beyond them was made.
    case tooLarge(limit: Int)
    /// Not this format, or damaged: noticed behind `offset` bytes of the input.
    case corrupt(offset: Int)
    /// The input ended, after `received` bytes, before the data did.
    case truncated(received: Int)
    /// `count` bytes stand behind the end of the data.
    case trailing(count: Int)
    case outOfMemory
  }

  public let coding: ContentCoding
  private var stream: ZlibStream

  public init?(_ coding: ContentCoding) {
    guard let stream = ZlibStream(.decompress, coding) else { return nil }
    self.stream = stream
    self.coding = coding
  }

  /// Appends the plain form of `input`, which is whole, to `output`. A gzip file may have several members (RFC 1952 §2.2):
  /// their contents follow one another.
  /// - Parameter limit: how many bytes may be appended.
  /// - Returns: nil, or why it failed; `output` then holds some of the bytes.
  public mutating func decompress(_ input: RawSpan, into output: inout ByteBuffer, limit: Int) -> Failure? {
    stream.reset()
    return unsafe input.withUnsafeBytes { unsafe decompress($0, into: &output, end: output.count &+ max(limit, 0), limit) }
  }

  private mutating func decompress(
    _ input: UnsafeRawBufferPointer, into output: inout ByteBuffer, end: Int, _ limit: Int
  ) -> Failure? {
    var at = 0
    while true {
      let room = min(end - output.count, max(output.capacity - output.count, growth(output, input.count)))
      // At the limit, one byte of our own tells whether there is more.
      var spare: UInt8 = 0
      var step = ZlibStream.Step(code: Z_BUF_ERROR, consumed: 0, produced: 0)
      let rest = unsafe UnsafeRawBufferPointer(rebasing: input[at...])
      if room > 0 {
        // The memory that append() offers, and what is left of the input.
        let taken = unsafe output.append(atMost: room) { memory in
          step = unsafe stream.step(rest, into: memory, finish: false)
          return step.produced
        }
        if !taken { return .outOfMemory }
      } else {
        step = unsafe withUnsafeMutableBytes(of: &spare) { unsafe stream.step(rest, into: $0, finish: false) }
        if step.produced > 0 { return .tooLarge(limit: limit) }
      }
      at += step.consumed
      switch step.code {
      case Z_STREAM_END:
        if at == input.count { return nil }
        // RFC 1952 §2.3.1: a member begins with these two bytes.
        guard coding == .gzip, input.count - at >= 2, unsafe input[at] == 0x1f, unsafe input[at + 1] == 0x8b else {
          return .trailing(count: input.count - at)
        }
        stream.reset()
      case Z_OK: continue
      case Z_BUF_ERROR:
        // No progress: nothing is left to read, because there was room to write.
        return .truncated(received: input.count)
      case Z_MEM_ERROR: return .outOfMemory
      default: return .corrupt(offset: at)
      }
    }
  }

  /// How much room to make next: text shrinks to a quarter, so begin there; then as much again as there is.
  private func growth(_ output: borrowing ByteBuffer, _ inputCount: Int) -> Int {
    output.capacity > output.count ? 0 : max(output.count, min(inputCount, 1 << 28) * 4, 1024)
  }
}
