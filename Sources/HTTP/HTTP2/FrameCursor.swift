// Where in the sequence of frames a connection's input stands. nghttp2 knows too, and does not tell; who wants to read the
// rest of a body straight to where it belongs has to know how much of the frame is still to come.
//
//   [length: 3][type: 1][flags: 1][stream: 4][payload: length]…      (RFC 9113 §4.1)
//
// A value: it is told of all bytes in order and looks at the frames' heads only. It judges nothing.

/// The nine bytes before a frame's payload.
struct FrameHead: Equatable {
  static let byteCount = 9

  var length = 0
  var type: UInt8 = 0
  var flags: UInt8 = 0
  var streamID: Int32 = 0

  init() {}

  /// - Precondition: nine bytes can be read at `base`.
  @unsafe init(at base: UnsafeRawPointer) {
    let first = unsafe UInt32(bigEndian: base.loadUnaligned(as: UInt32.self))
    length = Int(first >> 8)
    type = UInt8(truncatingIfNeeded: first)
    flags = unsafe base.load(fromByteOffset: 4, as: UInt8.self)
    streamID = unsafe Int32(truncatingIfNeeded: UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 5, as: UInt32.self)) & 0x7fff_ffff)
  }

  init(_ bytes: [9 of UInt8]) {
    self = unsafe withUnsafeBytes(of: bytes) { unsafe FrameHead(at: $0.baseAddress!) }
  }

  /// A body's bytes and nothing else.
  var isPlainData: Bool { type == FrameType.data && flags & ~FrameFlag.endStream == 0 }
}

struct FrameCursor {
  /// The frame that the next byte belongs to, or the last one.
  private(set) var head = FrameHead()
  /// Bytes of its payload still to come.
  private(set) var payloadLeft: Int
  /// Bytes of the next frame's head that have come.
  private(set) var headReceived = 0
  private var partial: [9 of UInt8] = .init(repeating: 0)

  /// - Parameter preface: bytes before the first frame.
  init(preface: Int) { payloadLeft = preface }

  mutating func advance(over bytes: UnsafeRawBufferPointer) {
    var at = 0
    while true {
      let skipped = min(payloadLeft, bytes.count - at)
      payloadLeft -= skipped
      at += skipped
      if at == bytes.count { return }
      if headReceived == 0, bytes.count - at >= FrameHead.byteCount {
        // Nine bytes are there.
        unsafe begin(FrameHead(at: bytes.baseAddress! + at))
        at += FrameHead.byteCount
        continue
      }
      partial[headReceived] = unsafe bytes[at]
      headReceived += 1
      at += 1
      if headReceived == FrameHead.byteCount {
        headReceived = 0
        begin(FrameHead(partial))
      }
    }
  }

  private mutating func begin(_ head: FrameHead) {
    self.head = head
    payloadLeft = head.length
  }

  /// The first `headReceived` bytes of the next frame's head.
  func partialByte(_ i: Int) -> UInt8 { partial[i] }
}
