// A message as it is sent: its prefix, and its bytes, compressed when that is wanted and worth it.
public import HTTP

extension OutputRawSpan {
  /// The five bytes before a message.
  @_lifetime(self: copy self)
  mutating func appendPrefix(messageLength: Int, isCompressed: Bool = false) {
    append(isCompressed ? 1 : 0 as UInt8)
    // A fixed-width integer has no padding.
    unsafe append(UInt32(truncatingIfNeeded: messageLength).bigEndian, as: UInt32.self)
  }

  /// One copy of the whole.
  @_lifetime(self: copy self)
  mutating func append(_ bytes: RawSpan) {
    precondition(bytes.byteCount <= freeCapacity)
    // The free room was checked, the memory is the span's own, and the count says what was written.
    unsafe withUnsafeMutableBytes { memory, count in
      unsafe bytes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: source)
      }
      count += bytes.byteCount
    }
  }

  @_lifetime(self: copy self)
  mutating func append(contentsOf bytes: [UInt8]) {
    // A byte has no padding.
    append(unsafe bytes.span.bytes)
  }
}

/// How the messages of a call are sent.
public struct MessageCompression: Hashable, Sendable {
  public var coding: ContentCoding
  /// Shorter messages are sent as they are: they gain nothing, and a packet is a packet.
  public var bytesMin: Int
  /// Longer messages of a client's stream are sent as they are: a megabyte keeps the loop, and with it every other call there,
  /// waiting for some thirty milliseconds. A server compresses slice by slice, and other threads than a loop's may take their time.
  public var bytesOnLoopMax: Int

  public init(_ coding: ContentCoding, bytesMin: Int = 1024, bytesOnLoopMax: Int = 1 << 20) {
    self.coding = coding
    self.bytesMin = bytesMin
    self.bytesOnLoopMax = bytesOnLoopMax
  }

  /// For a thread that nobody waits for.
  var offLoop: MessageCompression { MessageCompression(coding, bytesMin: bytesMin, bytesOnLoopMax: .max) }
}

extension ByteBuffer {
  /// Appends a message, prefix first, its `byteCount` bytes written by `fill`.
  /// - Returns: false when there is no memory or the message does not fit 32 bits; the buffer is then as it was.
  mutating func append(messageOf byteCount: Int, _ fill: (inout OutputRawSpan) -> Void) -> Bool {
    if byteCount < 0 || byteCount > Int(UInt32.max) { return false }
    return append(byteCount: MessageAssembler.prefixCount + byteCount) { output in
      output.appendPrefix(messageLength: byteCount)
      fill(&output)
    }
  }

  /// Appends a message, prefix first, compressed at once if that makes it shorter.
  mutating func append(
    messageOf byteCount: Int, compressed compression: MessageCompression?, with codecs: inout Codecs,
    _ fill: (inout OutputRawSpan) -> Void
  ) -> Bool {
    guard let compression, byteCount >= compression.bytesMin, byteCount <= compression.bytesOnLoopMax else {
      return append(messageOf: byteCount, fill)
    }
    guard let packer = MessagePacker(byteCount, compression, with: &codecs, fill) else { return false }
    while packer.advance(.whole) {}
    let packed = packer.finish(&codecs)
    return append(packed.bytes)
  }
}
