// What a streaming body still has to send: chunk after chunk, each where it was made, none of them moved or copied again.
//
// A chunk that has been handed to the socket's outbox may be named there until the write has happened, so `advance` gives
// finished chunks back instead of dropping them, and a chunk is only appended to while that does not move it.

/// One piece of a body. An object, so that the outbox can keep it alive.
final class Chunk {
  var bytes: ByteBuffer
  init(_ bytes: consuming ByteBuffer) { self.bytes = bytes }
}

@safe struct SendQueue: ~Copyable {
  private var chunks: [Chunk] = []
  private var first = 0
  private var sent = 0
  /// Bytes not handed out yet.
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  mutating func append(_ bytes: consuming ByteBuffer) {
    let more = bytes.count
    if more == 0 { return }
    count += more
    if let last = chunks.last, last.bytes.capacity - last.bytes.count >= more, last.bytes.append(bytes.bytes) { return }
    chunks.append(Chunk(bytes))
  }

  /// The bytes at the front, at most `most`, all of one chunk.
  /// - Returns: memory that stays where it is as long as the chunk lives.
  @unsafe func front(_ most: Int) -> UnsafeRawBufferPointer {
    guard first < chunks.count else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
    let chunk = chunks[first]
    let n = min(most, chunk.bytes.count - sent)
    return unsafe UnsafeRawBufferPointer(start: chunk.bytes.unsafeBase! + sent, count: n)
  }

  /// Takes `n` bytes off the front, where `front` has shown them: the chunk they ended, if they ended one.
  mutating func advance(_ n: Int) -> Chunk? {
    sent += n
    count -= n
    guard first < chunks.count, sent == chunks[first].bytes.count else { return nil }
    let done = chunks[first]
    sent = 0
    first += 1
    if first == chunks.count {
      chunks.removeAll(keepingCapacity: true)
      first = 0
    } else if first >= 32, first * 2 >= chunks.count {
      chunks.removeFirst(first)
      first = 0
    }
    return done
  }

  mutating func removeAll() {
    chunks.removeAll(keepingCapacity: chunks.count <= 32)
    first = 0
    sent = 0
    count = 0
  }
}
