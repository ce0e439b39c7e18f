// One thread, one epoll, and everything that belongs to them: connections, timers, buffers, and whatever the layers above
// keep per loop (`context`). State belongs to its loop; what comes from other threads comes through the mailbox.
//
//   turn:  wait ─► ready sources ─► mailbox ─► timers ─► flush ─► chores ─► bury
//            ▲                                                                │
//            └────────────────────────────────────────────────────────────────┘
//
// `bury`: an object closed during a turn stays alive until its end, because later events of the same turn may name it.
//
// Left out on purpose: futures, pipelines, an executor. A handler runs to completion.
internal import CLinux
internal import Glibc
internal import Synchronization
internal import Telemetry
internal import Threads

/// Something epoll reports on. Kept alive by its loop from `watch` until the end of the turn that unwatches it.
public class EventSource {
  /// Where the loop keeps it; -1: nowhere.
  fileprivate var position = -1
  func ready(_ flags: ReadyFlags) {}
}

struct ReadyFlags: OptionSet {
  let rawValue: UInt32
  static let readable = ReadyFlags(rawValue: 0x001)  // EPOLLIN
  static let writable = ReadyFlags(rawValue: 0x004)  // EPOLLOUT
  static let error = ReadyFlags(rawValue: 0x008)  // EPOLLERR
  static let hangUp = ReadyFlags(rawValue: 0x010)  // EPOLLHUP
  static let peerEnded = ReadyFlags(rawValue: 0x2000)  // EPOLLRDHUP
}

/// - Note: `@unchecked Sendable`: `enqueue`, `index`, `connectionCount`, `meters` and `isCurrent` may be used from anywhere; all else
///   is touched on the loop's own thread only.
@safe public final class EventLoop: @unchecked Sendable {
  public typealias Job = @Sendable () -> Void

  public let index: Int
  let limits: Limits

  private let epoll: Socket
  private let wakeUp: WakeUp
  private let alarm: Alarm
  private let mailbox = Mutex<[Job]>([])
  private let wakePending = Atomic<Bool>(false)
  private let threadID = Atomic<UInt>(0)
  /// Read by the other loops when they choose who takes a new connection.
  let connectionCount = Atomic<Int>(0)
  /// Counted on the loop's thread, read from anywhere.
  let meters = MeterBlock(wordCount: TransportMeter.allCases.count)

  // Confined to the thread.
  /// What the layers above keep for this loop: made on the loop's thread before its first turn.
  public private(set) var context: AnyObject?
  public func setContext(_ object: AnyObject?) { context = object }
  private var timers: TimerWheel
  private var clock = MonotonicTime(nanoseconds: 0)
  private var clockIsFresh = false
  private var jobs: [Job] = []
  private var dirty: [Connection] = []
  private var flushing: [Connection] = []
  private var graveyard: [AnyObject] = []
  private var sources: [EventSource] = []
  private(set) var chores: Chores
  private var isStopping = false
  private var thread: SystemThread?
  var streamPool: [HTTPStream] = []
  let readBuffer: UnsafeMutableRawBufferPointer
  /// How `readBuffer` is laid out for the read at hand.
  var landing: LandingPlan
  var outbox: Outbox
  /// Now, as HTTP writes it.
  var date = HTTPDate()
  let sessionMemory = SessionMemory()
  let tls = TLSBuffers()
  /// Failed handshakes that get a line in the log: anybody can make them.
  var tlsFailures: Budget
  /// Large buffers between messages.
  public var buffers: BufferPool
  package var codecs = Codecs()
  /// Request bodies and waiting answers of this loop's connections, as parts of the server's.
  var bodies: ByteAccount
  var answers: ByteAccount
  /// Told when there are more answers than the server may have waiting.
  var answersOverflowed: (() -> Void)?

  public convenience init(index: Int = 0, limits: Limits = Limits()) throws(SocketError) {
    try self.init(index: index, limits: limits, bodies: ByteAccount(nil), answers: ByteAccount(nil))
  }

  convenience init(index: Int, limits: Limits, bodies: ByteAccount, answers: ByteAccount) throws(SocketError) {
    self.init(
      index, limits, bodies, answers, epoll: try EventLoop.open("epoll_create1", epoll_create1(Int32(EPOLL_CLOEXEC))),
      wakeUp: try EventLoop.open("eventfd", eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))),
      alarm: try EventLoop.open("timerfd_create", clinux_timer_open()))
  }

  private init(
    _ index: Int, _ limits: Limits, _ bodies: ByteAccount, _ answers: ByteAccount, epoll: consuming Socket,
    wakeUp: consuming Socket, alarm: consuming Socket
  ) {
    self.index = index
    self.limits = limits
    self.bodies = bodies
    self.answers = answers
    self.epoll = epoll
    self.wakeUp = WakeUp(wakeUp)
    self.alarm = Alarm(alarm)
    timers = TimerWheel(now: .now)
    chores = Chores(shareMicroseconds: limits.choreMicrosecondsPerTurn, handshakesMax: limits.handshakesWaitingMax)
    unsafe readBuffer = .allocate(byteCount: Quantum.landingBytes, alignment: ByteBuffer.alignment)
    // `readBuffer` goes with us, and with us the plan.
    landing = unsafe LandingPlan(readBuffer)
    outbox = Outbox()
    tlsFailures = Budget(perSecond: 1, burst: 10, now: .now)
    buffers = BufferPool(retainedMax: limits.pooledLargeBytesMax)
    watch(self.wakeUp, self.wakeUp.socket.fd, .readable)
    watch(self.alarm, self.alarm.socket.fd, .readable)
  }

  private static func open(_ operation: String, _ fd: Int32) throws(SocketError) -> Socket {
    guard fd >= 0 else { throw SocketError(operation: operation, address: "event loop", code: errno) }
    return Socket(owning: fd)
  }

  deinit { unsafe readBuffer.deallocate() }
}

// MARK: from any thread

extension EventLoop {
  /// Runs `job` on the loop's thread, after the events of the current turn.
  public func enqueue(_ job: @escaping Job) {
    mailbox.withLock { $0.append(job) }
    if !wakePending.exchange(true, ordering: .acquiringAndReleasing) { wakeUp.signal() }
  }

  public var isCurrent: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

  /// Starts the thread. `prepare` runs on it first.
  public func start(prepare: (@Sendable (EventLoop) -> Void)? = nil) {
    thread = SystemThread(named: "loop-\(index)") { [self] in
      threadID.store(UInt(pthread_self()), ordering: .relaxed)
      prepare?(self)
      run()
    }
  }

  /// Ends the thread after the current turn; connections still open are cut.
  public func stop() { enqueue { [unowned self] in isStopping = true } }

  public func join() {
    thread?.join()
    thread = nil
  }
}

// MARK: on the loop

extension EventLoop {
  /// The time, read once per turn.
  public var now: MonotonicTime {
    if !clockIsFresh {
      clock = .now
      clockIsFresh = true
    }
    return clock
  }

  public func schedule(at time: MonotonicTime, _ target: any TimerTarget) -> TimerID {
    alarm.mayBeLate = alarm.mayBeLate || time < alarm.time
    return timers.schedule(at: time, target)
  }

  public func cancel(_ timer: TimerID) { timers.cancel(timer) }

  func schedule(afterMilliseconds milliseconds: Int, _ target: any TimerTarget) -> TimerID {
    schedule(at: now.advanced(byMilliseconds: UInt64(max(milliseconds, 0))), target)
  }

  /// False when the kernel refuses (no memory, or out of watches): the caller closes the source.
  @discardableResult
  func watch(_ source: EventSource, _ fd: Int32, _ flags: ReadyFlags) -> Bool {
    let operation = source.position >= 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD
    // The loop holds `source` in `sources` or in the graveyard for as long as the kernel may name it.
    guard unsafe clinux_epoll_ctl(epoll.fd, operation, fd, flags.rawValue, Unmanaged.passUnretained(source).toOpaque()) == 0
    else { return false }
    if source.position < 0 {
      source.position = sources.count
      sources.append(source)
    }
    return true
  }

  func unwatch(_ source: EventSource, _ fd: Int32) {
    guard source.position >= 0 else { return }
    _ = clinux_epoll_ctl(epoll.fd, EPOLL_CTL_DEL, fd, 0, nil)
    sources.swapAt(source.position, sources.count - 1)
    sources[source.position].position = source.position
    bury(sources.removeLast())
    source.position = -1
  }

  /// Every connection that is open.
  var connections: [Connection] { sources.compactMap { $0 as? Connection } }

  /// The server has more answers waiting than it may: the connection that has most of ours goes, unless it is not worth it.
  func shedAnswers() {
    guard let worst = connections.max(by: { $0.answerBytesWaiting < $1.answerBytesWaiting }),
      worst.answerBytesWaiting > limits.streamBacklogBytesMax
    else { return }
    worst.closeSoon("too many answers wait in the server, most of them (\(worst.answerBytesWaiting) bytes) for this peer")
    worst.markDirty()
  }

  /// Keeps `object` alive to the end of this turn.
  func bury(_ object: AnyObject) { graveyard.append(object) }

  /// Flushes `connection` at the end of this turn.
  func markDirty(_ connection: Connection) { dirty.append(connection) }

  /// Costly work may be done at once (`charged`); otherwise it takes its turn (`enqueue`).
  package var hasRoomForChores: Bool { chores.hasRoom }

  /// Runs costly work at the expense of this turn's share.
  package func charged<R>(_ body: () -> R) -> R {
    let start = MonotonicTime.now
    defer { chores.charge(MonotonicTime.now.nanoseconds(since: start)) }
    return body()
  }

  /// Leaves costly work to this turn's end and to later ones.
  /// - Parameter peer: of the connection that it is for, as `HTTPStream.peer` has it.
  package func enqueue(_ chore: any Chore, for peer: String) { enqueue(chore, .message, for: peer) }

  func enqueue(_ chore: any Chore, _ kind: Chores.Kind, for peer: String) {
    chores.append(chore, kind, for: PeerName.counted(peer) ?? "")?.turnedAway()
  }

  private func run() {
    let capacity = 256
    unsafe withUnsafeTemporaryAllocation(of: clinux_event.self, capacity: capacity) { events in
      let base = events.baseAddress!
      while !isStopping {
        let n = unsafe clinux_epoll_wait(epoll.fd, base, Int32(capacity), waitMilliseconds())
        clockIsFresh = false
        chores.turnBegan()
        var i = 0
        while i < n {
          let event = unsafe base[i]
          if let source = unsafe event.source {
            // Alive: watched sources are in `sources`, those unwatched in this turn in the graveyard.
            unsafe Unmanaged<EventSource>.fromOpaque(source)._withUnsafeGuaranteedRef {
              $0.ready(ReadyFlags(rawValue: unsafe event.flags))
            }
          }
          i += 1
        }
        endTurn()
      }
    }
    shutDown()
  }

  private func endTurn() {
    if wakePending.load(ordering: .relaxed) { drainMailbox() }
    if timers.count > 0 { fireTimers() }
    if !dirty.isEmpty { flushDirty() }
    if !chores.isEmpty { doChores() }
    if !graveyard.isEmpty { graveyard.removeAll(keepingCapacity: true) }
  }

  private func waitMilliseconds() -> Int32 {
    if !dirty.isEmpty || !chores.isEmpty || wakePending.load(ordering: .relaxed) { return 0 }
    if alarm.mayBeLate, let wake = timers.nextWake() { alarm.set(wake) }
    return -1
  }

  private func drainMailbox() {
    // Cleared before the jobs are taken: one added later signals again.
    wakePending.store(false, ordering: .sequentiallyConsistent)
    mailbox.withLock { swap(&$0, &jobs) }
    for job in jobs { job() }
    jobs.removeAll(keepingCapacity: jobs.count <= 1024)
  }

  private func fireTimers() {
    let now = now
    while let (id, target) = timers.popDue(at: now) { target.timerFired(id) }
  }

  private func flushDirty() {
    swap(&dirty, &flushing)
    for connection in flushing { connection.flushMarked() }
    flushing.removeAll(keepingCapacity: true)
  }

  private func doChores() {
    while let next = chores.next() {
      if charged({ next.chore.doPart() }) { chores.putBack(next) }
    }
    if !dirty.isEmpty { flushDirty() }
  }

  private func shutDown() {
    for connection in connections { connection.abort() }
    endTurn()
    chores.removeAll()
    sources.removeAll()
    streamPool.removeAll()
    context = nil
  }
}

/// The timerfd that ends a wait when a timer is due. It is set when one becomes due earlier than before, not at every wait: a
/// time-out given to epoll_wait is one the kernel arms and disarms each time (1 of 26 us of a call at one in flight). It may go
/// off for a timer that has been cancelled since.
private final class Alarm: EventSource {
  let socket: Socket
  /// What it is set to.
  private(set) var time = MonotonicTime(nanoseconds: .max)
  /// A timer may be due before that.
  var mayBeLate = false

  init(_ socket: consuming Socket) { self.socket = socket }

  func set(_ time: MonotonicTime) {
    mayBeLate = false
    if time >= self.time { return }
    self.time = time
    _ = clinux_timer_set(socket.fd, time.nanoseconds)
  }

  override func ready(_ flags: ReadyFlags) {
    var count: UInt64 = 0
    _ = unsafe read(socket.fd, &count, 8)
    time = MonotonicTime(nanoseconds: .max)
    mayBeLate = true
  }
}

/// The eventfd behind `enqueue`.
private final class WakeUp: EventSource {
  let socket: Socket
  init(_ socket: consuming Socket) { self.socket = socket }

  func signal() {
    var one: UInt64 = 1
    // Eight bytes of our own; a full counter would mean the loop is awake already.
    _ = unsafe write(socket.fd, &one, 8)
  }

  /// Takes the signal back; the mailbox itself is emptied at the end of the turn.
  override func ready(_ flags: ReadyFlags) {
    var count: UInt64 = 0
    _ = unsafe read(socket.fd, &count, 8)
  }
}
