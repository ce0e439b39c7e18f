// What one connection is about to write, gathered into one system call: frames copied back to back, long bodies named
// where they stand. One per loop; used and emptied within one flush.
internal import CLinux
internal import Glibc

@safe struct Outbox: ~Copyable {
  private static let pieceCount = 256
  /// The largest chunk nghttp2 hands out at once: a frame of the default size with its head, rounded up.
  private static let frameBytesMax = 32 << 10

  private let buffer: UnsafeMutableRawPointer
  private let pieces: UnsafeMutableBufferPointer<iovec>
  private var used = 0
  private var count = 0
  private(set) var byteCount = 0
  /// What `reference` names and nobody else keeps.
  private var kept: [Chunk] = []

  init() {
    unsafe buffer = .allocate(byteCount: Quantum.writeBytes + Outbox.frameBytesMax, alignment: ByteBuffer.alignment)
    unsafe pieces = .allocate(capacity: Outbox.pieceCount)
    unsafe pieces.initialize(repeating: iovec())
  }

  deinit {
    unsafe buffer.deallocate()
    unsafe pieces.deallocate()
  }

  /// Time to write. There is always room left for one more frame and its body.
  var isFull: Bool { byteCount >= Quantum.writeBytes || count >= Outbox.pieceCount - 2 }
  var isEmpty: Bool { byteCount == 0 }

  /// - Precondition: `source` has `n` readable bytes.
  mutating func copy(_ source: UnsafeRawPointer, _ n: Int) {
    precondition(used + n <= Quantum.writeBytes + Outbox.frameBytesMax)
    let start = unsafe buffer + used
    unsafe memcpy(start, source, n)
    used += n
    byteCount += n
    // Runs on from the last piece when that ended here.
    if count > 0, unsafe pieces[count - 1].iov_base + pieces[count - 1].iov_len == start {
      unsafe pieces[count - 1].iov_len += n
    } else {
      unsafe pieces[count] = iovec(iov_base: start, iov_len: n)
      count += 1
    }
  }

  /// - Precondition: the bytes stay where they are until `removeAll`.
  mutating func reference(_ source: UnsafeRawPointer, _ n: Int) {
    if n == 0 { return }
    unsafe pieces[count] = iovec(iov_base: UnsafeMutableRawPointer(mutating: source), iov_len: n)
    count += 1
    byteCount += n
  }

  /// Keeps `chunk` until `removeAll`.
  mutating func keep(_ chunk: Chunk) { kept.append(chunk) }

  func write(to socket: borrowing Socket) -> IOResult {
    unsafe socket.write(UnsafeMutableBufferPointer(rebasing: pieces[..<count]))
  }

  /// Seals everything into `sealed`. Nil: done.
  func seal(_ tls: TLSSession, staging: UnsafeMutableRawBufferPointer, into sealed: inout ByteBuffer) -> TLSError? {
    unsafe tls.encrypt(UnsafeMutableBufferPointer(rebasing: pieces[..<count]), staging: staging, into: &sealed)
  }

  /// Copies what follows the first `written` bytes behind `pending`. False: no memory.
  func copyRest(after written: Int, into pending: inout ByteBuffer) -> Bool {
    var skip = written
    for i in 0..<count {
      let piece = unsafe pieces[i]
      if unsafe skip >= piece.iov_len {
        skip -= unsafe piece.iov_len
        continue
      }
      guard unsafe pending.append(piece.iov_base + skip, piece.iov_len - skip) else { return false }
      skip = 0
    }
    return true
  }

  mutating func removeAll() {
    used = 0
    count = 0
    byteCount = 0
    if !kept.isEmpty { kept.removeAll(keepingCapacity: true) }
  }
}
