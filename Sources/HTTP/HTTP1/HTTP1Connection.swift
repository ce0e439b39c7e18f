// A connection that speaks HTTP/1.0 or 1.1, server side; confined to its loop. One exchange at a time:
//
//   bytes ─► RequestParser ─► stream: opened ─► received* ─► ended ─► (the handler answers) ─► closed ─► the next
//                                                                          │
//                     socket ◄── outbox ◄── text (heads, small bodies), body or queue, last chunk
//
// The next request is read when the last has been answered whole; until then its bytes wait, in `backlog` those that came
// with the same read and in the kernel the others (`setReading`). So does a body whose handler has paused.
//
// The end: an answer that says `connection: close` is the last. Where the peer may still be sending, our side is shut first and
// the rest is thrown away for a moment, because closing upon unread bytes would take the answer from the peer (RFC 9112 §9.6).
internal import CNGHTTP2
internal import Glibc

@safe final class HTTP1Connection: Connection {
  /// How far the answer to the current request is.
  private enum Answer {
    case none
    /// `stream.body` goes out, from `bodySent` on.
    case body
    /// `stream.queue` goes out, as it fills.
    case queue
    /// All of it is in `text` or in the outbox.
    case complete
  }

  /// What the timer is about. The number tells one request's wait from another's.
  private enum Wait: Equatable { case nothing, request(Int), head(Int), body(Int), linger }

  private let application: (any HTTPApplication)?
  private var parser: RequestParser
  /// The current exchange; nil between requests. Opened (with a connection) when its head is complete.
  private var stream: HTTPStream?
  private var writer = ResponseWriter()
  private var answer = Answer.none
  private var exchanges = 0
  /// The request is in, all of it.
  private var isAsked = false
  /// The client waits for 100 before it sends a body.
  private var owesContinue = false

  /// Heads, chunk sizes and small bodies on their way into the outbox.
  private var text = ByteBuffer()
  private var textSent = 0
  private var hasCaughtUp = false
  /// Of the body or the queue: counted as waiting for the peer.
  private var answerBytesHeld = 0

  /// Bytes read and not parsed yet.
  private var backlog = ByteBuffer()
  private var hasInputEnded = false
  /// No request is read any more: the last answer is on its way.
  private var isEnding = false
  /// The peer may be sending still.
  private var hasUnreadInput = false
  private var isLingering = false
  private var isDraining = false
  private var isUpgrading = false
  /// The handler is being told that its body is slow, and has reset the stream for it.
  private var isStarving = false
  private var isStarved = false
  /// Why the handler has cut its stream.
  private var resetError: StreamError?
  /// Bytes of bodies that nobody wants, of this request or behind the last.
  private var discarded = 0

  private var timer = TimerID.none
  private var wait = Wait.nothing
  private var bodyBytesSinceCheck = 0

  private init(
    _ transport: consuming Transport, isSecure: Bool, loop: EventLoop, peer: String, host: (any ConnectionHost)?
  ) {
    application = host?.application
    parser = RequestParser(limits: loop.limits.request, isSecure: isSecure)
    super.init(transport, state: .open, loop: loop, peer: peer, host: host)
  }

  /// Takes over a connection whose first bytes are no HTTP/2 preface.
  static func accept(
    _ transport: consuming Transport, isSecure: Bool, on loop: EventLoop, peer: String, host: (any ConnectionHost)?
  ) -> HTTP1Connection? {
    let connection = HTTP1Connection(transport, isSecure: isSecure, loop: loop, peer: peer, host: host)
    connection.updateWaiting()
    return connection
  }

  // MARK: bytes in

  override func received(_ bytes: UnsafeRawBufferPointer) {
    if isEnding { return discard(bytes.count) }
    if backlog.count > 0 || !isReadyToParse { return unsafe keep(bytes) }
    let used = parse(unsafe bytes.bytes)
    let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[used...])
    if isUpgrading { return unsafe upgrade(rest) }
    if isEnding { discard(rest.count) } else if unsafe !rest.isEmpty { unsafe keep(rest) }
    updateWaiting()
  }

  /// Keeps bytes whose turn has not come. Reading stops with the first of them; only for a peer that hangs up does the
  /// kernel hand over more.
  private func keep(_ bytes: UnsafeRawBufferPointer) {
    let total = backlog.count + bytes.count
    if total > limits.pipelinedBytesMax { return closeSoon("\(total) bytes wait behind an unanswered request") }
    if unsafe !backlog.append(bytes.baseAddress, bytes.count) { return closeSoon("out of memory") }
    updateWaiting()
  }

  /// Bytes that nobody wants.
  private func discard(_ count: Int) {
    if count == 0 { return }
    hasUnreadInput = true
    discarded += count
    if discarded <= limits.discardedBytesMax { return }
    if isLingering { return close("the peer sends on behind the last answer") }
    isEnding = true
    setReading(false)
  }

  /// The parser may go on: to the next request, or in the body of this one.
  private var isReadyToParse: Bool {
    if isEnding || isAsked || isUpgrading || mustClose != nil || isClosed { return false }
    guard let stream, stream.isOpen else {
      // The next request is begun when the answers before it are on their way.
      return !isWaitingToWrite && text.count - textSent < limits.streamBacklogBytesMax
    }
    return !stream.isPaused || answer == .complete
  }

  /// Parses as far as it may. Returns how many bytes were used.
  private func parse(_ input: RawSpan) -> Int {
    isBusy = true
    defer { isBusy = false }
    var at = 0
    while isReadyToParse {
      if stream == nil {
        if at == input.byteCount { break }
        stream = loop.takeStream()
      }
      guard let stream else { break }
      switch parser.next(input, &at, head: &stream.head, trailers: &stream.trailers) {
      case .needsMore: return at
      case .head: open(stream, isBodyHere: at < input.byteCount)
      case .body(let range):
        owesContinue = false
        bodyBytesSinceCheck += range.count
        if answer == .complete {
          discard(range.count)
        } else {
          stream.handler?.received(input.extracting(range), on: stream)
        }
      case .end:
        isAsked = true
        stream.isRemoteEnded = true
        if answer != .complete { stream.handler?.ended(stream) }
      case .failed(let error): refuse(error.status, error.description)
      }
      finishIfAnswered()
    }
    return at
  }

  private func parseBacklog() {
    var input = ByteBuffer()
    swap(&input, &backlog)
    let used = parse(input.bytes)
    input.removeFirst(used)
    if isEnding { discard(input.count) } else if input.count > 0 { swap(&input, &backlog) }
  }

  private func open(_ stream: HTTPStream, isBodyHere: Bool) {
    let request = parser.request
    exchanges &+= 1
    if request.isCONNECT { return refuse(501, "this is no proxy") }
    // Only as the first thing on a connection, when nothing else is under way.
    if request.offersHTTP2, exchanges == 1, !isDraining {
      isUpgrading = true
      return
    }
    stream.id = 1
    unsafe stream.connection = Unmanaged.passUnretained(self)
    loop.count(.streamsOpened1)
    owesContinue = request.expectsContinue && !isBodyHere
    application?.opened(stream)
    sendContinue()
  }

  /// RFC 9110 §10.1.1: the handler is about to read the body. One that has answered, or has paused, is not.
  private func sendContinue() {
    if let stream, !stream.isSubmitted { sendContinue(to: stream) }
  }

  private func sendContinue(to stream: HTTPStream) {
    guard owesContinue, !stream.isPaused else { return }
    owesContinue = false
    if !text.append(ResponseWriter.goOn) { closeSoon("out of memory") }
  }

  override func resumeInput(_ stream: HTTPStream) {
    sendContinue()
    // The backlog is parsed behind the flush.
    markDirty()
  }

  /// RFC 7540 §3.2: the request is stream 1 of an HTTP/2 connection, whose first bytes stand behind it.
  private func upgrade(_ rest: UnsafeRawBufferPointer) {
    guard let stream else { return }
    self.stream = nil
    loop.count(.streamsClosed1)
    let isHEAD = parser.request.isHEAD
    let settings = parser.takeSettings()
    unsafe handOver(UnsafeRawBufferPointer(start: nil, count: 0), rest) { transport, host in
      HTTP2Connection.upgrade(
        transport, on: loop, peer: peer, host: host, stream: stream, settings: settings.bytes, isHEAD: isHEAD)
    }
  }

  /// Answers for the layers above: what came is no request, or none that we take. The connection ends behind it.
  private func refuse(_ status: Int, _ reason: String) {
    owesContinue = false
    if let stream {
      // Half an answer cannot be taken back.
      if answer == .body || answer == .queue { return closeSoon(reason) }
      let isAnswered = answer == .complete
      release(stream, .protocolError)
      if isAnswered { return end(hasUnreadInput: true) }
    }
    var fields = FieldList()
    fields.append(":status", "\(status)")
    fields.append("content-type", "text/plain; charset=utf-8")
    var body = reason + "\n"
    writer = ResponseWriter()
    let isWritten = unsafe fields.withNV { fields, count in
      unsafe writer.appendHead(
        fields, count, length: body.utf8.count, hasTrailers: false, date: loop.date.bytesNow(), to: &text)
    }
    // The text outlives the call.
    let isWhole = body.withUTF8 { unsafe isWritten && text.append($0.baseAddress, $0.count) }
    if !isWhole { closeSoon("out of memory") }
    end(hasUnreadInput: true)
  }

  override func inputEnded() {
    hasInputEnded = true
    setReading(false)
    if isLingering { return close("finished") }
    // A client that has shut its side only still gets its answers.
    closeIfInputIsOver()
  }

  private func closeIfInputIsOver() {
    guard hasInputEnded, !isEnding, !isAsked, backlog.count == 0 else { return }
    if let stream, stream.isOpen { return close("the peer closed the connection in the middle of a request") }
    end(hasUnreadInput: false)
    markDirty()
  }

  // MARK: bytes out

  override func submitResponse(_ stream: HTTPStream, _ fields: StaticFields) {
    let count = stream.body.count
    // Static fields are there for good.
    guard unsafe writeHead(fields.base, fields.count, length: count, hasTrailers: stream.responseTrailers != nil) else { return }
    if !writer.sendsBody {
      answer = .complete
    } else if count >= Quantum.gatherBytes, writer.body != .chunked {
      holdAnswer(count)
      answerBytesHeld += count
      answer = .body
    } else {
      // The short ones are copied beside their heads; trailers stand behind a body in pieces, if only one.
      if writer.body == .chunked {
        var body = ByteBuffer()
        swap(&body, &stream.body)
        stream.isStreaming = true
        holdAnswer(count)
        answerBytesHeld += count
        stream.queue.append(body)
        stream.hasEnded = true
        stream.endFirst = stream.responseTrailers
        answer = .queue
      } else {
        // The body is another buffer than the text, and stays as it is.
        if unsafe !text.append(stream.body.unsafeBase, count) { closeSoon("out of memory") }
        answer = .complete
      }
    }
    markDirty()
  }

  override func submitHeadOnly(_ stream: HTTPStream, _ first: StaticFields?, _ more: borrowing FieldList) {
    // The list stands still for the call.
    let isWritten = unsafe more.withNV(after: first) { fields, count in
      unsafe writeHead(fields, count, length: 0, hasTrailers: false)
    }
    if isWritten { answer = .complete }
    markDirty()
  }

  override func submitHead(_ stream: HTTPStream, _ first: StaticFields, _ more: borrowing FieldList) {
    // Who answers in pieces before the body is here reads on.
    sendContinue(to: stream)
    let isWritten = unsafe more.withNV(after: first) { fields, count in
      unsafe writeHead(fields, count, length: nil, hasTrailers: false)
    }
    if isWritten { answer = writer.sendsBody ? .queue : .complete }
    markDirty()
  }

  /// - Precondition: as for `ResponseWriter.appendHead`.
  private func writeHead(_ fields: UnsafePointer<nghttp2_nv>, _ count: Int, length: Int?, hasTrailers: Bool) -> Bool {
    // Who waits for 100 and gets something else may or may not send the body: the two cannot be told apart.
    writer = ResponseWriter(parser.request, closes: isDraining || owesContinue || isEnding)
    let isWhole = unsafe writer.appendHead(
      fields, count, length: length, hasTrailers: hasTrailers, date: loop.date.bytesNow(), to: &text)
    if !isWhole { closeSoon("out of memory") }
    return isWhole
  }

  override func write(_ stream: HTTPStream, _ bytes: consuming ByteBuffer) -> Bool {
    if !writer.sendsBody { return true }
    holdAnswer(bytes.count)
    answerBytesHeld += bytes.count
    stream.queue.append(bytes)
    markDirty()
    if stream.queue.count < limits.streamBacklogBytesMax { return true }
    stream.owesWritable = true
    return false
  }

  override func wrote(_ stream: HTTPStream) { markDirty() }

  override func submitReset(_ stream: HTTPStream, _ error: StreamError) {
    if isStarving, answer == .none {
      isStarved = true
      return
    }
    // One exchange is all there is: with it goes the connection.
    resetError = error
    closeSoon("the stream was reset")
    markDirty()
  }

  override func collect() -> Bool {
    if collectText() { return true }
    guard let stream else { return false }
    switch answer {
    case .none, .complete: return false
    case .body: return collectBody(stream)
    case .queue: return collectQueue(stream)
    }
  }

  /// True: the outbox is full.
  private func collectText() -> Bool {
    while textSent < text.count {
      if loop.outbox.isFull { return true }
      let n = min(text.count - textSent, Quantum.textBytes)
      // Copied now; within the buffer.
      unsafe loop.outbox.copy(text.unsafeBase! + textSent, n)
      textSent += n
    }
    textSent = 0
    text.clear(keeping: Quantum.textBytesKept)
    return false
  }

  private func collectBody(_ stream: HTTPStream) -> Bool {
    while stream.bodySent < stream.body.count {
      if loop.outbox.isFull { return true }
      let n = min(stream.body.count - stream.bodySent, Quantum.writeBytes)
      // The stream keeps its body until collected() has released it, behind the write.
      unsafe loop.outbox.reference(stream.body.unsafeBase! + stream.bodySent, n)
      stream.bodySent += n
    }
    answer = .complete
    return false
  }

  private func collectQueue(_ stream: HTTPStream) -> Bool {
    let isChunked = writer.body == .chunked
    while !stream.queue.isEmpty {
      if loop.outbox.isFull { return true }
      let front = unsafe stream.queue.front(Quantum.writeBytes)
      let n = front.count
      if isChunked {
        if !ResponseWriter.appendChunkHead(n, to: &text) { closeSoon("out of memory") }
        _ = collectText()
      }
      // The chunk is kept by the queue, or by the outbox when it is done.
      if n < Quantum.gatherBytes {
        unsafe loop.outbox.copy(front.baseAddress!, n)
      } else {
        unsafe loop.outbox.reference(front.baseAddress!, n)
      }
      if stream.owesWritable, stream.queue.count - n <= limits.streamBacklogBytesMax / 2 {
        stream.owesWritable = false
        hasCaughtUp = true
      }
      if let done = stream.queue.advance(n) { loop.outbox.keep(done) }
      releaseAnswer(n)
      answerBytesHeld -= n
      if isChunked { unsafe loop.outbox.copy(ResponseWriter.chunkEnd.utf8Start, ResponseWriter.chunkEnd.utf8CodeUnitCount) }
    }
    if !stream.hasEnded { return false }
    answer = .complete
    if !isChunked { return false }
    let isWhole = unsafe stream.endMore.withNV(after: stream.endFirst) { trailers, count in
      unsafe ResponseWriter.appendLastChunk(trailers, count, to: &text)
    }
    if !isWhole { closeSoon("out of memory") }
    return collectText()
  }

  override func collected() {
    if isClosed { return }
    if hasCaughtUp {
      hasCaughtUp = false
      if let stream, stream.isOpen { stream.handler?.writable(stream) }
    }
    finishIfAnswered()
    if backlog.count > 0, isReadyToParse {
      parseBacklog()
      markDirty()
    }
    closeIfInputIsOver()
    if isClosed { return }
    if isEnding, hasUnreadInput, !hasInputEnded, isSaid { linger() }
    updateWaiting()
  }

  // MARK: the end of an exchange

  /// An answer that is out ends its exchange, if the request is in.
  private func finishIfAnswered() {
    guard let stream, answer == .complete else { return }
    if isAsked {
      release(stream, .none)
      if writer.closes || isDraining { end(hasUnreadInput: backlog.count > 0) }
    } else if parser.isInBody, writer.closes || isEnding {
      // Nobody reads the rest of the body.
      release(stream, .none)
      end(hasUnreadInput: true)
    }
  }

  private func release(_ stream: HTTPStream, _ error: StreamError) {
    self.stream = nil
    answer = .none
    isAsked = false
    owesContinue = false
    discarded = 0
    hasCaughtUp = false
    releaseAnswer(answerBytesHeld + stream.answerBytesHeld)
    answerBytesHeld = 0
    if stream.isOpen {
      loop.count(.streamsClosed1)
      if error != .none { loop.count(.streamsReset) }
      unsafe stream.connection = nil
      releaseBody(of: stream)
      let handler = stream.handler
      stream.handler = nil
      handler?.closed(stream, error)
    }
    loop.giveBack(stream)
  }

  // MARK: the end of the connection

  /// What is on its way still goes out.
  private func end(hasUnreadInput isUnread: Bool) {
    isEnding = true
    hasUnreadInput = hasUnreadInput || isUnread || backlog.count > 0
    backlog.clear(keeping: 0)
    // A head that will not be complete any more.
    if let stream, !stream.isOpen { release(stream, .none) }
  }

  /// The last answer is with the kernel.
  private var isSaid: Bool { stream == nil && text.count == 0 && !isWaitingToWrite && !isLingering }

  override var isFinished: Bool { isEnding && isSaid }

  private func linger() {
    isLingering = true
    discarded = 0
    endOutput()
    setReading(true)
  }

  override func startDrain() {
    isDraining = true
    if stream == nil, backlog.count == 0 {
      end(hasUnreadInput: false)
      markDirty()
    }
  }

  override func cleanUp(_ reason: String) {
    loop.cancel(timer)
    if let stream { release(stream, resetError ?? .connectionLost) }
    text.clear(keeping: 0)
    backlog.clear(keeping: 0)
  }

  // MARK: waiting

  /// Reads or not, and waits for what is missing.
  private func updateWaiting() {
    if !isEnding { setReading(backlog.count == 0 && !hasInputEnded) }
    let wanted = awaited
    if wanted == wait { return }
    wait = wanted
    loop.cancel(timer)
    timer = .none
    bodyBytesSinceCheck = 0
    let milliseconds =
      switch wanted {
      case .nothing: 0
      case .request(0): limits.handshakeMilliseconds
      case .request: limits.requestIdleMilliseconds
      case .head: limits.headerMilliseconds
      case .body: limits.bodyMilliseconds
      case .linger: limits.lingerMilliseconds
      }
    if milliseconds > 0 { timer = loop.schedule(afterMilliseconds: milliseconds, self) }
  }

  private var awaited: Wait {
    if isClosed { return .nothing }
    if isLingering { return .linger }
    if isEnding || isAsked || hasInputEnded { return .nothing }
    if let stream, stream.isOpen {
      // A body that we do not read is not slow, and one that is answered as it comes takes its time.
      let isOwed = answer == .none && !stream.isPaused && backlog.count == 0
      return isOwed || answer == .complete ? .body(exchanges) : .nothing
    }
    return parser.isBetweenRequests ? .request(exchanges) : .head(exchanges)
  }

  override func timerFired(_ timer: TimerID) {
    guard timer == self.timer else { return super.timerFired(timer) }
    self.timer = .none
    switch wait {
    case .nothing: break
    case .request: close("no request within the time for one")
    case .linger: close("finished")
    case .head: timedOut("no end of the head within \(limits.headerMilliseconds) ms")
    case .body:
      if bodyBytesSinceCheck < limits.bodyBytesPerLookMin { return starve() }
      bodyBytesSinceCheck = 0
      self.timer = loop.schedule(afterMilliseconds: limits.bodyMilliseconds, self)
    }
  }

  /// Less of the body than there should be. The handler may have a better answer to that than 408.
  private func starve() {
    guard let stream, stream.isOpen, !stream.isSubmitted, let handler = stream.handler else {
      return timedOut("less than \(limits.bodyBytesPerLookMin) bytes of the body within \(limits.bodyMilliseconds) ms")
    }
    isStarving = true
    handler.starved(stream)
    isStarving = false
    if isStarved {
      return timedOut("less than \(limits.bodyBytesPerLookMin) bytes of the body within \(limits.bodyMilliseconds) ms")
    }
    bodyBytesSinceCheck = 0
    timer = loop.schedule(afterMilliseconds: limits.bodyMilliseconds, self)
    markDirty()
  }

  private func timedOut(_ reason: String) {
    refuse(408, reason)
    markDirty()
  }
}

extension Quantum {
  /// Text copied into the outbox at once: less than the outbox leaves behind its limit.
  fileprivate static let textBytes = 16 << 10
  /// Kept by a connection for the next answer: a head and a short body.
  fileprivate static let textBytesKept = 1024
}
