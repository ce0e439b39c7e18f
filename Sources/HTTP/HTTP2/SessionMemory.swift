// The memory of one loop's HTTP/2 sessions: what nghttp2 takes and gives back for every request never reaches malloc, and
// nothing of it is shared between threads.
//
//   slab, 64 KB at a multiple of 64 KB:   [head][block][block][block] …   blocks of one size
//
// A block finds its slab by its address. A slab hands out blocks that came back before it carves new ones: memory that was
// never needed is never touched, and the kernel gives it only when it is. A slab without a block in use goes back to the
// system, unless it is the last of its size.
//
// What is larger than the largest size is a mapping of its own; nghttp2 wants such a thing seldom.
//
// A session and the buffer it frames in share one block, because an idle connection has touched the first and the beginning
// of the second, and that is then one page:
//
//   page-wise    [session: 2928 bytes][buffer: 16,394 bytes ……… never touched while idle ………]
internal import CNGHTTP2
internal import Glibc

@safe struct SessionMemory: ~Copyable {
  private let state: UnsafeMutablePointer<State>

  init() {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State())
  }

  /// Sessions are gone by now: connections hold their loop.
  deinit {
    unsafe state.pointee.releaseAll()
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
  }

  /// Bytes taken from the system.
  var mappedBytes: Int { unsafe state.pointee.mappedBytes }

  /// Around the making of a session, whose first block and whose buffer are kept together.
  func makingSession<R>(_ make: () -> R) -> R {
    unsafe state.pointee.making = .session
    defer { unsafe state.pointee.making = .nothing }
    return make()
  }

  /// nghttp2's view of it. Sessions made with it must be deleted before this value goes, and used on one thread.
  var functions: nghttp2_mem {
    unsafe nghttp2_mem(
      mem_user_data: state,
      malloc: { size, user in unsafe State.of(user).pointee.take(size)?.block },
      free: { block, user in unsafe State.of(user).pointee.give(block) },
      calloc: { count, size, user in unsafe State.of(user).pointee.takeZeroed(count, size) },
      realloc: { block, size, user in unsafe State.of(user).pointee.resize(block, size) })
  }

  @safe private struct State {
    @unsafe enum Making {
      case nothing, session
      case buffer(behind: UnsafeMutableRawPointer)
    }

    /// Slabs with room, by size.
    private var open = unsafe InlineArray<25, UnsafeMutablePointer<Slab>?>(repeating: nil)
    var making = unsafe Making.nothing
    fileprivate var mappedBytes = 0

    static func of(_ user: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<State> {
      // What `functions` put there.
      unsafe user!.assumingMemoryBound(to: State.self)
    }

    /// `isFresh`: the kernel's zeroes are still in it.
    mutating func take(_ size: Int) -> (block: UnsafeMutableRawPointer, isFresh: Bool)? {
      switch unsafe making {
      case .session where size > 2048 && size <= BlockSize.sessionBytes:
        guard let taken = unsafe take(BlockSize.session) else { return nil }
        unsafe making = .buffer(behind: taken.block)
        return unsafe taken
      case .buffer(let session) where size > 4096 && size <= BlockSize.session.bytes - BlockSize.sessionBytes:
        unsafe making = .nothing
        return unsafe (session + BlockSize.sessionBytes, false)
      default: break
      }
      guard let kind = BlockSize(holding: size) else { return unsafe takeAlone(size) }
      return unsafe take(kind)
    }

    private mutating func take(_ kind: BlockSize) -> (block: UnsafeMutableRawPointer, isFresh: Bool)? {
      guard let slab = unsafe open[kind.index] ?? makeSlab(kind) else { return nil }
      let taken = unsafe slab.pointee.take(slab)
      if unsafe slab.pointee.isFull { unsafe unlink(slab) }
      return unsafe taken
    }

    mutating func takeZeroed(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
      let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow, let taken = unsafe take(bytes) else { return nil }
      if unsafe !taken.isFresh { unsafe memset(taken.block, 0, bytes) }
      return unsafe taken.block
    }

    mutating func resize(_ block: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
      guard let block = unsafe block else { return unsafe take(size)?.block }
      let slab = unsafe Slab.holding(block)
      var room = unsafe slab.pointee.blockBytes
      if unsafe slab.pointee.kind == BlockSize.session.index {
        room = unsafe slab.pointee.isStart(block) ? BlockSize.sessionBytes : room - BlockSize.sessionBytes
      }
      if size <= room { return unsafe block }
      guard let larger = unsafe take(size)?.block else { return nil }
      // Both are ours, distinct, and at least `room` long.
      unsafe memcpy(larger, block, room)
      unsafe give(block)
      return unsafe larger
    }

    mutating func give(_ block: UnsafeMutableRawPointer?) {
      guard let block = unsafe block else { return }
      let slab = unsafe Slab.holding(block)
      if unsafe slab.pointee.kind < 0 { return unsafe release(slab) }
      // A session's buffer goes with its session.
      if unsafe slab.pointee.kind == BlockSize.session.index && !slab.pointee.isStart(block) { return }
      let wasFull = unsafe slab.pointee.isFull
      unsafe slab.pointee.give(block)
      if wasFull { unsafe link(slab) }
      if unsafe slab.pointee.used == 0, unsafe slab.pointee.next != nil || slab.pointee.previous != nil {
        unsafe unlink(slab)
        unsafe release(slab)
      }
    }

    // MARK: slabs

    private mutating func makeSlab(_ kind: BlockSize) -> UnsafeMutablePointer<Slab>? {
      guard let slab = unsafe map(Slab.bytes) else { return nil }
      // Pages of blocks that fill whole pages are theirs alone.
      let start = kind.bytes % Slab.pageBytes == 0 && kind != BlockSize.session ? Slab.pageBytes : Slab.headBytes
      unsafe slab.initialize(
        to: Slab(kind: Int32(kind.index), blockBytes: kind.bytes, carved: start, mappedBytes: Slab.bytes))
      unsafe link(slab)
      return unsafe slab
    }

    private mutating func takeAlone(_ size: Int) -> (block: UnsafeMutableRawPointer, isFresh: Bool)? {
      let (wanted, overflow) = size.addingReportingOverflow(Slab.pageBytes + Slab.pageBytes - 1)
      guard !overflow, let slab = unsafe map(wanted & ~(Slab.pageBytes - 1)) else { return nil }
      let mapped = wanted & ~(Slab.pageBytes - 1)
      unsafe slab.initialize(
        to: Slab(kind: -1, blockBytes: mapped - Slab.headBytes, carved: mapped, mappedBytes: mapped))
      return unsafe (UnsafeMutableRawPointer(slab) + Slab.headBytes, true)
    }

    /// A mapping at a multiple of `Slab.bytes`.
    private mutating func map(_ bytes: Int) -> UnsafeMutablePointer<Slab>? {
      let wide = bytes + Slab.bytes
      guard
        let start = unsafe mmap(nil, wide, PROT_READ | PROT_WRITE, Int32(MAP_PRIVATE) | Int32(MAP_ANONYMOUS), -1, 0),
        unsafe start != MAP_FAILED
      else { return nil }
      // What stands before and behind the aligned part goes back at once.
      let before = -Int(bitPattern: start) & (Slab.bytes - 1)
      if before > 0 { unsafe munmap(start, before) }
      unsafe munmap(start + before + bytes, wide - before - bytes)
      mappedBytes += bytes
      return unsafe (start + before).bindMemory(to: Slab.self, capacity: 1)
    }

    private mutating func release(_ slab: UnsafeMutablePointer<Slab>) {
      let bytes = unsafe slab.pointee.mappedBytes
      mappedBytes -= bytes
      unsafe munmap(slab, bytes)
    }

    private mutating func link(_ slab: UnsafeMutablePointer<Slab>) {
      let kind = unsafe Int(slab.pointee.kind)
      unsafe slab.pointee.previous = nil
      unsafe slab.pointee.next = open[kind]
      if let next = unsafe open[kind] { unsafe next.pointee.previous = slab }
      unsafe open[kind] = slab
    }

    private mutating func unlink(_ slab: UnsafeMutablePointer<Slab>) {
      let next = unsafe slab.pointee.next, previous = unsafe slab.pointee.previous
      if let next = unsafe next { unsafe next.pointee.previous = previous }
      if let previous = unsafe previous { unsafe previous.pointee.next = next } else { unsafe open[Int(slab.pointee.kind)] = next }
      unsafe slab.pointee.next = nil
      unsafe slab.pointee.previous = nil
    }

    /// The last slab of each size; all others went when their last block came back.
    mutating func releaseAll() {
      for kind in unsafe open.indices {
        while let slab = unsafe open[kind] {
          unsafe unlink(slab)
          unsafe release(slab)
        }
      }
    }
  }

  /// The head of a slab, or of a mapping with one block (`kind` -1).
  @safe private struct Slab {
    static let bytes = 64 << 10
    static let headBytes = 64
    static let pageBytes = 4096

    let kind: Int32
    private(set) var used: Int32 = 0
    let blockBytes: Int
    /// Where the part begins that no block has been made of.
    private var carved: Int
    let mappedBytes: Int
    /// Blocks that came back; each holds the address of the next.
    private var free: UnsafeMutableRawPointer?
    var next: UnsafeMutablePointer<Slab>?
    var previous: UnsafeMutablePointer<Slab>?

    init(kind: Int32, blockBytes: Int, carved: Int, mappedBytes: Int) {
      self.kind = kind
      self.blockBytes = blockBytes
      self.carved = carved
      self.mappedBytes = mappedBytes
      unsafe free = nil
      unsafe next = nil
      unsafe previous = nil
    }

    static func holding(_ block: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Slab> {
      // Slabs are aligned to their size, and a mapping's only block starts in its first 64 KB.
      unsafe UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: block) & ~UInt(Slab.bytes - 1))!
        .assumingMemoryBound(to: Slab.self)
    }

    /// Whether `block` is where one begins, not in the middle.
    func isStart(_ block: UnsafeMutableRawPointer) -> Bool {
      (Int(bitPattern: block) & (Slab.bytes - 1) - Slab.headBytes) % blockBytes == 0
    }

    var isFull: Bool { unsafe free == nil && carved + blockBytes > Slab.bytes }

    /// - Precondition: the slab is not full; `base` is its own address.
    mutating func take(_ base: UnsafeMutablePointer<Slab>) -> (block: UnsafeMutableRawPointer, isFresh: Bool) {
      used += 1
      if let block = unsafe free {
        unsafe free = block.load(as: UnsafeMutableRawPointer?.self)
        return unsafe (block, false)
      }
      defer { carved += blockBytes }
      return unsafe (UnsafeMutableRawPointer(base) + carved, true)
    }

    mutating func give(_ block: UnsafeMutableRawPointer) {
      used -= 1
      // At least 16 bytes, and nobody's any more.
      unsafe block.storeBytes(of: free, as: UnsafeMutableRawPointer?.self)
      unsafe free = block
    }
  }

  /// The sizes: every 16 bytes up to 256, then the ones between which nghttp2's own structures lie.
  struct BlockSize: Equatable {
    let index: Int
    let bytes: Int

    /// A session (2928 bytes in nghttp2 1.52) and its buffer: five pages, so that each begins behind the head of a slab as far
    /// into its page, and three fill a slab.
    static let session = BlockSize(index: 24, bytes: 5 * 4096)
    static let sessionBytes = 3072

    private static let large: InlineArray<8, Int> = [384, 512, 768, 1024, 1536, 2048, 3072, 4096]

    private init(index: Int, bytes: Int) {
      self.index = index
      self.bytes = bytes
    }

    init?(holding size: Int) {
      if size <= 256 {
        index = max(size - 1, 0) >> 4
        bytes = (index + 1) << 4
        return
      }
      for i in BlockSize.large.indices where size <= BlockSize.large[i] {
        index = 16 + i
        bytes = BlockSize.large[i]
        return
      }
      return nil
    }
  }
}
