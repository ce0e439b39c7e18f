// One read that puts the bodies of large messages where they belong. Without it a body is copied twice, by the kernel into
// the loop's buffer and by us into the message, and for large messages the second copy is most of our own work.
//
// The loop's buffer is laid out as if everything were read into it, one byte behind the other; but where DATA is expected,
// the system call is given memory of the message instead, and the buffer keeps a gap:
//
//   buffer   │ gap │head│ gap │head│ gap │ …rest
//   message     A          B          A          ← the same bytes of the stream, lent by their handlers
//
// Which frames come is a forecast: as long as the last, streams taking turns as they did. When the bytes are here, the heads
// are compared with it. From the first that differs on, what has landed in a message is copied back into its gap, and all is
// as if it had been read plainly. The gaps of the others hold nothing of value: nghttp2 is shown them, because it counts a
// body's bytes and does not look at them, and handlers are told instead that their bytes have landed.
//
// Lent memory is written by that one system call and read back before anything else happens: nothing can move it meanwhile.
internal import CLinux
internal import Glibc

@safe struct LandingPlan: ~Copyable {
  /// Pieces of lent memory in one read.
  static let piecesMax = 64

  @safe private struct Piece {
    /// Where the frame's head is in the buffer: before it, as far as it came with an earlier read. Nil: all of it did.
    var headAt: Int?
    /// What the head says, if the forecast is right.
    var length: Int
    var streamID: Int32
    /// The gap.
    var at: Int
    var count: Int
    var memory: UnsafeMutableRawPointer
  }

  private let buffer: UnsafeMutableRawBufferPointer
  private let capacity: Int
  private let vectors: UnsafeMutableBufferPointer<iovec>
  private var vectorCount = 0
  private var pieces: [Piece] = []
  /// The buffer up to here is laid out.
  private(set) var end = 0
  /// The buffer up to here is among the vectors.
  private var covered = 0
  /// Pieces whose bytes are where they belong; the rest have been copied back.
  private(set) var landedCount = 0
  private var next = 0

  /// - Parameter buffer: outlives the plan, and is nobody else's while a plan is made, read and told.
  init(_ buffer: UnsafeMutableRawBufferPointer) {
    unsafe self.buffer = buffer
    capacity = buffer.count
    unsafe vectors = .allocate(capacity: 2 * LandingPlan.piecesMax + 1)
    unsafe vectors.initialize(repeating: iovec())
    pieces.reserveCapacity(LandingPlan.piecesMax)
  }

  deinit { unsafe vectors.deallocate() }

  // MARK: the forecast

  mutating func begin() {
    pieces.removeAll(keepingCapacity: true)
    vectorCount = 0
    end = 0
    covered = 0
    landedCount = 0
    next = 0
  }

  var isEmpty: Bool { pieces.isEmpty }
  var pieceCount: Int { pieces.count }

  /// Whether another frame with `length` bytes fits.
  func hasRoom(for length: Int) -> Bool {
    pieces.count < LandingPlan.piecesMax && FrameHead.byteCount + length <= capacity - end
  }

  /// `length` bytes come first that belong to a frame whose head has come, and the first `room.count` of them have a place.
  /// - Precondition: nothing is forecast yet. `room` is memory that stays until `settle` has been called.
  mutating func expectRest(_ length: Int, on streamID: Int32, to room: UnsafeMutableRawBufferPointer) {
    if length > capacity { return }
    unsafe add(headAt: nil, length, streamID, at: 0, room)
    end = length
  }

  /// A DATA frame comes next, `headMissing` bytes of its head are still to come.
  /// - Precondition: `hasRoom(for: length)`, and as above.
  mutating func expectFrame(_ length: Int, on streamID: Int32, to room: UnsafeMutableRawBufferPointer, headMissing: Int = FrameHead.byteCount) {
    unsafe add(headAt: end + headMissing - FrameHead.byteCount, length, streamID, at: end + headMissing, room)
    end += headMissing + length
  }

  private mutating func add(
    headAt: Int?, _ length: Int, _ streamID: Int32, at: Int, _ room: UnsafeMutableRawBufferPointer
  ) {
    let count = min(length, room.count)
    guard count > 0, let memory = room.baseAddress else { return }
    pieces.append(unsafe Piece(headAt: headAt, length: length, streamID: streamID, at: at, count: count, memory: memory))
    if at > covered { unsafe append(buffer.baseAddress! + covered, at - covered) }
    unsafe append(memory, count)
    covered = at + count
  }

  private mutating func append(_ base: UnsafeMutableRawPointer, _ count: Int) {
    unsafe vectors[vectorCount] = iovec(iov_base: base, iov_len: count)
    vectorCount += 1
  }

  /// Whatever comes behind the forecast, at most `length` bytes of it, goes to the buffer.
  mutating func expectOthers(_ length: Int) { end = min(end + length, capacity) }

  /// What to read into.
  @unsafe mutating func vectorsToRead() -> UnsafeMutableBufferPointer<iovec> {
    if end > covered { unsafe append(buffer.baseAddress! + covered, end - covered) }
    covered = end
    return unsafe UnsafeMutableBufferPointer(rebasing: vectors[..<vectorCount])
  }

  /// What the read can bring at most.
  var byteCount: Int { end }

  // MARK: the truth

  /// `received` bytes have been read: holds the forecast against them, and copies back what does not belong where it landed.
  /// - Parameter cursor: where the input stood before.
  /// - Returns: whether the forecast was right, as far as it has been put to the test.
  mutating func settle(_ received: Int, after cursor: borrowing FrameCursor) -> Bool {
    var isRight = true
    for i in pieces.indices {
      let piece = pieces[i]
      let came = min(received - piece.at, piece.count)
      if came <= 0 { break }
      if isRight, let headAt = piece.headAt {
        let head = head(at: headAt, cursor)
        isRight = head.isPlainData && head.length == piece.length && head.streamID == piece.streamID
      }
      if isRight {
        landedCount = i + 1
        pieces[i].count = came
      } else {
        // The gap is the plan's, the piece's memory still lent.
        unsafe memcpy(buffer.baseAddress! + piece.at, piece.memory, came)
      }
    }
    return isRight
  }

  private func head(at offset: Int, _ cursor: borrowing FrameCursor) -> FrameHead {
    // The forecast has no head before the buffer but one that had begun to come.
    if offset >= 0 { return unsafe FrameHead(at: buffer.baseAddress! + offset) }
    var bytes: [9 of UInt8] = .init(repeating: 0)
    for i in 0..<FrameHead.byteCount { bytes[i] = offset + i < 0 ? cursor.partialByte(i) : unsafe buffer[offset + i] }
    return FrameHead(bytes)
  }

  /// How many of `bytes`, from their start, have landed; asked in the order of the bytes.
  mutating func landed(at bytes: UnsafeRawBufferPointer) -> Int {
    if next == landedCount { return 0 }
    guard let base = bytes.baseAddress, let start = unsafe UnsafeRawPointer(buffer.baseAddress) else { return 0 }
    let offset = unsafe base - start
    while next < landedCount, pieces[next].at < offset { next += 1 }
    guard next < landedCount, pieces[next].at == offset else { return 0 }
    defer { next += 1 }
    return min(pieces[next].count, bytes.count)
  }
}
