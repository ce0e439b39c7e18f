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

  public enum Progress: Hashable, Sendable {
    /// The slice is done, the input is not.
    case more
    case done
    /// The output then holds some of the bytes.
    case failed(Failure)
  }

  /// Appends the plain form of `input`, which is whole, to `output`. A gzip file may have several members (RFC 1952 §2.2):
  /// their contents follow one another.
  /// - Parameter limit: how many bytes may be appended.
  /// - Returns: nil, or why it failed; `output` then holds some of the bytes.
  public mutating func decompress(_ input: RawSpan, into output: inout ByteBuffer, limit: Int) -> Failure? {
    begin()
    var at = 0
    let end = output.count &+ max(limit, 0)
    while true {
      switch advance(input, &at, into: &output, end: end, .whole) {
      case .more: continue
      case .done: return nil
      case .failed(.tooLarge): return .tooLarge(limit: limit)
      case .failed(let failure): return failure
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
      if output.capacity == output.count, output.count < end {
        let room = min(end - output.count, growth(output, input.count, at))
        // Where so much cannot be promised, as much again as there is may still be had.
        guard output.reserve(exactly: output.count + room) || output.reserve(exactly: output.count + min(room, output.count))
        else { return .failed(.outOfMemory) }
      }
      let room = min(end, output.capacity) - output.count
      var step = ZlibStream.Step(code: Z_BUF_ERROR, consumed: 0, produced: 0)
      if room > 0 {
        // The memory that append() offers, and what is left of the input.
        let taken = unsafe output.append(atMost: min(room, outputLeft)) { memory in
          step = unsafe stream.step(rest, into: memory, finish: false)
          return step.produced
        }
        if !taken { return .failed(.outOfMemory) }
      } else {
        // At the limit, one byte of our own tells whether there is more.
        var spare: UInt8 = 0
        step = unsafe withUnsafeMutableBytes(of: &spare) { unsafe stream.step(rest, into: $0, finish: false) }
        if step.produced > 0 { return .failed(.tooLarge(limit: end)) }
      }
      at += step.consumed
      inputLeft -= step.consumed
      outputLeft -= step.produced
      switch step.code {
      case Z_STREAM_END:
        if at == input.count { return .done }
        // RFC 1952 §2.3.1: a member begins with these two bytes.
        guard coding == .gzip, input.count - at >= 2, unsafe input[at] == 0x1f, unsafe input[at + 1] == 0x8b else {
          return .failed(.trailing(count: input.count - at))
        }
        stream.reset()
      case Z_OK: continue
      case Z_BUF_ERROR:
        // No progress: nothing is left to read, because there was room to write.
        return .failed(.truncated(received: input.count))
      case Z_MEM_ERROR: return .failed(.outOfMemory)
      default: return .failed(.corrupt(offset: at))
      }
    }
  }

  /// How much room to make next: text shrinks to a quarter, so begin there; then as much again as there is. From a megabyte on,
  /// all that the rest of the input can become (a thousandth of it is enough): memory that is not written to costs nothing, and
  /// moving what has been written would take as long as many slices.
  private func growth(_ output: borrowing ByteBuffer, _ inputCount: Int, _ at: Int) -> Int {
    if output.count >= 1 << 20 { return (min(inputCount - at, 1 << 40) + 64) * 1032 }
    return max(output.count, min(inputCount, 1 << 28) * 4, 1024)
  }
}
