// What goes out: the bodies that nghttp2 asks for while it writes. Long pieces stay where they stand and are named in the
// outbox; short ones are copied behind their frame's head.
internal import CNGHTTP2
internal import Glibc

extension HTTP2Connection {
  func submitted(_ stream: HTTPStream, _ code: Int32) {
    if code != 0 { submitReset(stream, .internalError) }
    markDirty()
  }

  /// RFC 9110 §6.4.1: no content stands behind the head of an answer to HEAD, of a 204 or of a 304.
  /// - Precondition: `fields` has `count` entries, each with its bytes readable.
  func leavesBodyOut(_ stream: HTTPStream, _ fields: UnsafePointer<nghttp2_nv>, _ count: Int) -> Bool {
    unsafe stream.head.isHEAD || haveBodilessStatus(fields, count)
  }

  /// A head that is also the end. What the handler has for a body goes nowhere.
  /// - Precondition: as for `leavesBodyOut`.
  func submitBodiless(_ stream: HTTPStream, _ fields: UnsafePointer<nghttp2_nv>, _ count: Int) {
    stream.isBodiless = true
    stream.body.clear()
    let code = unsafe nghttp2_submit_response(handle, stream.id, fields, count, nil)
    submitted(stream, code)
    if code == 0 { answered(stream) }
  }

  func bodyProvider(_ stream: HTTPStream) -> nghttp2_data_provider {
    var provider = unsafe nghttp2_data_provider()
    // `streams` holds the stream until it closes, and nghttp2 reads from it only until then.
    unsafe provider.source.ptr = Unmanaged.passUnretained(stream).toOpaque()
    unsafe provider.read_callback = { session, id, buffer, room, flags, source, user in
      unsafe Unmanaged<HTTPStream>.fromOpaque(source!.pointee.ptr!)._withUnsafeGuaranteedRef { stream in
        let left = stream.body.count - stream.bodySent
        let n = min(left, room)
        var flag = UInt32(0)
        if n >= Quantum.gatherBytes {
          flag |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        } else if n > 0 {
          unsafe memcpy(buffer!, stream.body.unsafeBase! + stream.bodySent, n)
          stream.bodySent += n
        }
        if n == left {
          flag |= NGHTTP2_DATA_FLAG_EOF.rawValue
          if !stream.isRemoteEnded { unsafe ownerOf(user) { $0.answered(stream) } }
          if let trailers = stream.responseTrailers {
            flag |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            if unsafe nghttp2_submit_trailer(session, id, trailers.base, trailers.count) != 0 {
              return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
            }
          }
        }
        unsafe flags!.pointee = flag
        return n
      }
    }
    return unsafe provider
  }

  /// The body in pieces: what the queue has, `DEFERRED` when it has nothing, trailers behind the last.
  func queueProvider(_ stream: HTTPStream) -> nghttp2_data_provider {
    var provider = unsafe nghttp2_data_provider()
    // As in bodyProvider.
    unsafe provider.source.ptr = Unmanaged.passUnretained(stream).toOpaque()
    unsafe provider.read_callback = { session, id, buffer, room, flags, source, user in
      unsafe Unmanaged<HTTPStream>.fromOpaque(source!.pointee.ptr!)._withUnsafeGuaranteedRef { stream in
        if stream.queue.isEmpty, !stream.hasEnded || stream.hasSubmittedTrailers {
          stream.isDeferred = true
          return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        let front = unsafe stream.queue.front(room)
        let n = front.count
        let isLast = stream.hasEnded && n == stream.queue.count
        var flag = UInt32(0)
        if n >= Quantum.gatherBytes {
          flag |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        } else if n > 0 {
          unsafe memcpy(buffer!, front.baseAddress!, n)
          unsafe ownerOf(user) { $0.advance(stream, n) }
        }
        if isLast {
          unsafe ownerOf(user) { $0.answered(stream) }
          flag |= NGHTTP2_DATA_FLAG_EOF.rawValue
          if stream.hasTrailers {
            flag |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            let code = unsafe stream.endMore.withNV(after: stream.endFirst) { fields, count in
              unsafe nghttp2_submit_trailer(session, id, fields, count)
            }
            if code != 0 { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
          }
        }
        unsafe flags!.pointee = flag
        return n
      }
    }
    return unsafe provider
  }

  /// `n` bytes of the queue are on their way. A chunk that they end may be named in the outbox, which keeps it.
  func advance(_ stream: HTTPStream, _ n: Int) {
    releaseAnswer(n)
    if stream.owesWritable, stream.queue.count - n <= limits.streamBacklogBytesMax / 2 {
      stream.owesWritable = false
      caughtUp.append(stream)
    }
    if let done = stream.queue.advance(n) { loop.outbox.keep(done) }
  }

  func answered(_ stream: HTTPStream) {
    if role == .server, !stream.isRemoteEnded { answeredEarly.append(stream.id) }
  }

  /// A DATA frame whose body stays where it is.
  func sendData(_ source: UnsafeMutableRawPointer, _ head: UnsafePointer<UInt8>, _ length: Int) -> Int32 {
    if loop.outbox.isFull { return SessionCode.wouldBlock }
    pings.sent()
    // The stream lives until it is closed and its body until `finished` is emptied, after the write.
    unsafe Unmanaged<HTTPStream>.fromOpaque(source)._withUnsafeGuaranteedRef { stream in
      unsafe loop.outbox.copy(head, 9)
      if !stream.isStreaming {
        unsafe loop.outbox.reference(stream.body.unsafeBase! + stream.bodySent, length)
        stream.bodySent += length
      } else {
        unsafe loop.outbox.reference(stream.queue.front(length).baseAddress!, length)
        advance(stream, length)
      }
    }
    return SessionCode.ok
  }

  /// RFC 9113 §8.1: an answer that is complete before its request asks the peer to stop sending, once the answer is out
  /// (nghttp2 drops what stands behind a reset, and before it).
  func stopEarlyUploads() {
    for id in answeredEarly where unsafe nghttp2_session_get_stream_user_data(handle, id) != nil {
      if unsafe nghttp2_session_get_stream_remote_close(handle, id) == 1 { continue }
      _ = unsafe nghttp2_submit_rst_stream(handle, 0, id, StreamError.none.rawValue)
      markDirty()
    }
    answeredEarly.removeAll(keepingCapacity: true)
  }
}
