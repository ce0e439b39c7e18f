// zlib's stream, owned. zlib keeps a pointer back to the stream inside its state and checks it, so the stream stays at one
// address from `init` to `deinit`. `Compressor` and `Decompressor` are its two faces; nothing else imports zlib.
internal import CZlib

@safe struct ZlibStream: ~Copyable {
  enum Direction { case compress(level: Int), decompress }

  /// What one step has done.
  struct Step {
    var code: Int32
    var consumed: Int
    var produced: Int
  }

  let handle: UnsafeMutablePointer<z_stream>
  private let isCompressor: Bool

  /// Nil: zlib has no memory for its state (about 256 KB to compress, 40 KB to decompress).
  init?(_ direction: Direction, _ coding: ContentCoding) {
    let handle = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe handle.initialize(to: z_stream())
    // The largest window; 16 more is zlib's way to ask for the gzip format.
    let windowBits: Int32 = coding == .gzip ? 15 + 16 : 15
    let size = unsafe Int32(MemoryLayout<z_stream>.size)
    let code: Int32
    switch direction {
    case .compress(let level):
      isCompressor = true
      // 8 is zlib's own default for the memory of the match finder.
      code = unsafe deflateInit2_(handle, Int32(level), Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
    case .decompress:
      isCompressor = false
      code = unsafe inflateInit2_(handle, windowBits, ZLIB_VERSION, size)
    }
    // `handle` is ours until `deinit`.
    unsafe self.handle = handle
    if code != Z_OK { return nil }
  }

  deinit {
    // Harmless when the initialisation failed: zlib sees a stream without state.
    if isCompressor { _ = unsafe deflateEnd(handle) } else { _ = unsafe inflateEnd(handle) }
    unsafe handle.deallocate()
  }

  /// Forgets what it was doing, keeps its memory.
  mutating func reset() { _ = isCompressor ? unsafe deflateReset(handle) : unsafe inflateReset(handle) }

  /// One call: takes what it can from `input`, writes what it can into `output`.
  mutating func step(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, finish: Bool) -> Step {
    let room = min(output.count, Int(UInt32.max)), offered = min(input.count, Int(UInt32.max))
    // zlib reads and writes within these two for the length of this call; it does not write to its input.
    unsafe handle.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    unsafe handle.pointee.avail_in = UInt32(offered)
    unsafe handle.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    unsafe handle.pointee.avail_out = UInt32(room)
    let flush = finish && offered == input.count ? Z_FINISH : Z_NO_FLUSH
    let code = isCompressor ? unsafe deflate(handle, flush) : unsafe inflate(handle, Z_NO_FLUSH)
    let step = unsafe Step(
      code: code, consumed: offered - Int(handle.pointee.avail_in), produced: room - Int(handle.pointee.avail_out))
    // No pointer outlives the call.
    unsafe handle.pointee.next_in = nil
    unsafe handle.pointee.next_out = nil
    return step
  }
}
