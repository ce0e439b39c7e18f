// Reading large bodies straight to where they belong: what the next frames will be. See `LandingPlan`.
internal import CNGHTTP2
internal import Glibc

/// What is expected of the frames to come, learned from those that came.
struct Forecast {
  /// Few frames after a wrong forecast or when another body has begun, twice as many after each right one: a wrong one costs a
  /// copy.
  private static let framesMin = 8
  private(set) var framesMax = framesMin
  /// Bytes of the last DATA frame that others followed; peers cut bodies into equal pieces.
  var frameBytes = 0
  /// The stream of the last long DATA frame.
  var lastStream: Int32 = 0
  /// Bodies of this connection come in long frames.
  var isBulk = false

  mutating func bodyBegan() { framesMax = Forecast.framesMin }

  mutating func settled(isRight: Bool) {
    framesMax = isRight ? min(2 * framesMax, LandingPlan.piecesMax) : Forecast.framesMin
  }
}

extension HTTP2Connection {
  func planLandings() -> Bool {
    var id = forecast.lastStream
    if id == 0 { return false }
    loop.landing.begin()
    for stream in streams where stream.bytesLent != 0 { stream.bytesLent = 0 }
    if cursor.payloadLeft > 0 {
      id = cursor.head.streamID
      guard cursor.head.isPlainData, let stream = unsafe stream(id)?.takeUnretainedValue() else { return false }
      guard loop.landing.hasRoom(for: cursor.payloadLeft) else { return false }
      unsafe loop.landing.expectRest(cursor.payloadLeft, on: id, to: room(of: stream, cursor.payloadLeft))
      stream.bytesLent = cursor.payloadLeft
    }
    var headMissing = FrameHead.byteCount - cursor.headReceived
    while let stream = nextStream(after: id) {
      let length = min(stream.bytesExpected - stream.bytesLent, forecast.frameBytes)
      // What is known to come behind this waits for the next read.
      guard loop.landing.pieceCount < forecast.framesMax, loop.landing.hasRoom(for: length) else {
        return !loop.landing.isEmpty
      }
      unsafe loop.landing.expectFrame(length, on: stream.id, to: room(of: stream, length), headMissing: headMissing)
      stream.bytesLent += length
      id = stream.id
      headMissing = FrameHead.byteCount
    }
    if loop.landing.isEmpty { return false }
    loop.landing.expectOthers(Quantum.firstReadBytes)
    return true
  }

  /// Memory for the next `count` bytes of a stream's body, or less.
  @unsafe private func room(of stream: HTTPStream, _ count: Int) -> UnsafeMutableRawBufferPointer {
    guard let handler = stream.handler else { return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0) }
    let room = unsafe handler.landing(behind: stream.bytesLent, on: stream)
    return unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<min(count, room.count)])
  }

  /// The stream whose turn it is, passing over those that have all they wait for.
  private func nextStream(after id: Int32) -> HTTPStream? {
    if forecast.frameBytes == 0 { return nil }
    var id = id
    for _ in 0..<8 {
      // `streams` holds what the session names, and nothing closes while a read is planned.
      guard let last = unsafe stream(id)?.takeUnretainedValue() else { return nil }
      id = last.follower
      guard id != 0, let next = unsafe stream(id)?.takeUnretainedValue() else { return nil }
      if next.bytesExpected > next.bytesLent { return next }
    }
    return nil
  }

  /// The streams in the middle of a long body, and what the one nearest to its end still waits for.
  func bodiesUnderWay(upTo expected: Int) -> (least: Int, count: Int) {
    var least = expected, count = 0
    for stream in streams where stream.bytesExpected > 0 && stream.follower != 0 {
      least = min(least, stream.bytesExpected)
      count += 1
    }
    return (least, max(1, count))
  }

  /// Part of a long DATA frame of `stream` has been handed on. Only bodies that have a place to land are of interest.
  func follows(_ stream: HTTPStream, _ handler: any StreamHandler) {
    if unsafe handler.landing(behind: 0, on: stream).isEmpty { return }
    let last = forecast.lastStream
    // The cursor is at the end of the input already.
    if cursor.head.isPlainData, cursor.head.flags == 0, cursor.head.length >= Quantum.landingFrameBytesMin {
      forecast.frameBytes = cursor.head.length
    }
    if last == stream.id, stream.follower != 0 { return }
    if !forecast.isBulk { transport.socket.boundReceiveBuffer(Quantum.bulkReceiveBytes) }
    forecast.isBulk = true
    forecast.lastStream = stream.id
    let isNew = stream.follower == 0
    if isNew {
      forecast.bodyBegan()
      stream.follower = stream.id
    }
    if last != 0, last != stream.id, let before = unsafe nghttp2_session_get_stream_user_data(handle, last) {
      // As in `stream(_:)`.
      unsafe Unmanaged<HTTPStream>.fromOpaque(before)._withUnsafeGuaranteedRef { before in
        // A new one joins the round where it was met.
        if isNew { stream.follower = before.follower }
        before.follower = stream.id
      }
    }
  }

  /// Its turn is over for good.
  func leaves(_ stream: HTTPStream) {
    for other in streams where other.follower == stream.id { other.follower = stream.follower }
    if forecast.lastStream == stream.id { forecast.lastStream = 0 }
  }
}
