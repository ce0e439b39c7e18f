// Large buffers of one loop, kept between messages. What they save is not the allocator's work but the kernel's: fresh
// memory comes page by page through faults, and for a 600 KB message those cost more than copying it twice.
//
// A value, tested without a loop. Small buffers do not come here: their owners keep them.
internal import Glibc

@safe public struct BufferPool: ~Copyable {
  /// Kept in all. Sixteen ordinary image tensors in flight on a loop, with room; beyond it memory goes back.
  private let retainedMax: Int
  private var retained = 0
  private var free: [(base: UnsafeMutableRawPointer, capacity: Int)] = unsafe []

  public init(retainedMax: Int) {
    self.retainedMax = retainedMax
  }

  deinit { for unsafe block in unsafe free { unsafe Glibc.free(block.base) } }

  /// An empty buffer with room for `capacity` bytes: the tightest that is kept and no more than twice as large, or a new
  /// one. Nil: no memory.
  public mutating func take(capacity: Int) -> ByteBuffer? {
    var best = -1
    for i in unsafe free.indices {
      let offered = unsafe free[i].capacity
      if offered < capacity || offered / 2 > capacity { continue }
      if best < 0 { best = i } else if unsafe offered < free[best].capacity { best = i }
    }
    if best >= 0 {
      let block = unsafe free[best]
      let last = unsafe free.removeLast()
      if unsafe best < free.count { unsafe free[best] = last }
      retained -= unsafe block.capacity
      // Given to us by `give`; nobody else has it.
      return unsafe ByteBuffer(adopting: block.base, capacity: block.capacity)
    }
    var fresh = ByteBuffer()
    if !fresh.reserve(exactly: capacity) { return nil }
    return fresh
  }

  public mutating func give(_ buffer: consuming ByteBuffer) {
    let capacity = buffer.capacity
    if capacity == 0 || capacity > retainedMax - retained { return }
    if let base = unsafe buffer.release() {
      retained += capacity
      unsafe free.append((base, capacity))
    }
  }
}
