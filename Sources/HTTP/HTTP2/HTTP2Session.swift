// nghttp2, and the translation between its callbacks and `HTTP2Connection`. nghttp2 does framing, HPACK, flow control and
// the protocol's rules; it does no I/O. Nothing else in the package imports it, except `Fields` for its header lists.
//
// Every callback's `user` pointer is the connection that owns the session: it deletes the session before it goes.
internal import CNGHTTP2

@safe struct HTTP2Session: ~Copyable {
  enum Role { case server, client }

  let handle: OpaquePointer

  init?(_ role: Role, limits: Limits, memory: borrowing SessionMemory, owner: HTTP2Connection) {
    var option: OpaquePointer?
    guard unsafe nghttp2_option_new(&option) == 0, let option = unsafe option else { return nil }
    defer { unsafe nghttp2_option_del(option) }
    unsafe nghttp2_option_set_no_auto_window_update(option, 1)
    // Closed streams are kept only for the old priority tree; without them a stream's memory goes when it ends.
    unsafe nghttp2_option_set_no_closed_streams(option, 1)
    unsafe nghttp2_option_set_max_settings(option, limits.settingsEntriesMax)
    unsafe nghttp2_option_set_max_outbound_ack(option, limits.outboundAcknowledgementsMax)
    unsafe nghttp2_option_set_max_continuations(option, limits.continuationsMax)
    // Ours is charged first, and says ENHANCE_YOUR_CALM; nghttp2's own says INTERNAL_ERROR.
    unsafe nghttp2_option_set_stream_reset_rate_limit(option, 2 * UInt64(limits.resetsBurst), 2 * UInt64(limits.resetsPerSecond))
    // Otherwise nghttp2 drops frames of types it does not know without a word, and a flood of them goes unseen.
    for type in FrameType.firstUnknown...UInt8.max { unsafe nghttp2_option_set_user_recv_extension_type(option, type) }
    unsafe nghttp2_option_set_peer_max_concurrent_streams(option, 100)

    var session: OpaquePointer?
    // The callbacks are copied into the session; `owner` outlives it.
    let user = unsafe Unmanaged.passUnretained(owner).toOpaque()
    let callbacks = unsafe Callbacks.shared.handle
    // Copied into the session as well; the memory is the loop's, which the owner keeps alive.
    var functions = unsafe memory.functions
    let code = memory.makingSession {
      switch role {
      case .server: unsafe nghttp2_session_server_new3(&session, callbacks, user, option, &functions)
      case .client: unsafe nghttp2_session_client_new3(&session, callbacks, user, option, &functions)
      }
    }
    guard code == 0, let session = unsafe session else { return nil }
    unsafe handle = session

    var settings = [
      nghttp2_settings_entry(settings_id: SettingID.initialWindowSize, value: UInt32(limits.streamWindowBytes)),
      nghttp2_settings_entry(settings_id: SettingID.maxFrameSize, value: UInt32(limits.frameBytesMax)),
      nghttp2_settings_entry(settings_id: SettingID.maxHeaderListSize, value: UInt32(limits.headerListBytesMax)),
    ]
    switch role {
    case .server:
      settings.append(
        nghttp2_settings_entry(settings_id: SettingID.maxConcurrentStreams, value: UInt32(limits.streamsPerConnectionMax)))
    case .client:
      settings.append(nghttp2_settings_entry(settings_id: SettingID.enablePush, value: 0))
    }
    _ = unsafe nghttp2_submit_settings(handle, 0, settings, settings.count)
    _ = unsafe nghttp2_session_set_local_window_size(handle, 0, 0, Int32(limits.connectionWindowBytes))
  }

  deinit { unsafe nghttp2_session_del(handle) }

  private enum SettingID {
    static let enablePush: Int32 = 2, maxConcurrentStreams: Int32 = 3, initialWindowSize: Int32 = 4
    static let maxFrameSize: Int32 = 5, maxHeaderListSize: Int32 = 6
  }
}

/// What a callback tells nghttp2.
enum SessionCode {
  static let ok: Int32 = 0
  static let callbackFailure = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
  static let resetStream = NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
  static let wouldBlock = NGHTTP2_ERR_WOULDBLOCK.rawValue
}

/// Frame types and flags, as bytes.
enum FrameType {
  static let data: UInt8 = 0, headers: UInt8 = 1, priority: UInt8 = 2, resetStream: UInt8 = 3, settings: UInt8 = 4
  static let ping: UInt8 = 6, goAway: UInt8 = 7, windowUpdate: UInt8 = 8
  /// Behind CONTINUATION.
  static let firstUnknown: UInt8 = 10
}

enum FrameFlag {
  static let endStream: UInt8 = 1, acknowledge: UInt8 = 1
}

/// The table of functions, the same for every session.
@safe private struct Callbacks: @unchecked Sendable {
  static let shared = Callbacks()
  /// Never freed, never changed after `init`.
  let handle: OpaquePointer

  private init() {
    var made: OpaquePointer?
    guard unsafe nghttp2_session_callbacks_new(&made) == 0, let table = unsafe made else { fatalError("out of memory") }
    unsafe handle = table

    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(table) { _, frame, user in
      unsafe ownerOf(user) { connection in
        unsafe connection.beginHeaders(frame!.pointee.hd.stream_id, frame!.pointee.headers.cat)
      }
    }
    unsafe nghttp2_session_callbacks_set_on_header_callback(table) { _, frame, name, nameCount, value, valueCount, _, user in
      unsafe ownerOf(user) { connection in
        unsafe connection.header(
          frame!.pointee.hd.stream_id, frame!.pointee.headers.cat, name!, nameCount, value!, valueCount)
      }
    }
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(table) { _, frame, user in
      unsafe ownerOf(user) { connection in
        let head = unsafe frame!.pointee.hd
        switch head.type {
        case FrameType.headers:
          return unsafe connection.headersComplete(
            head.stream_id, frame!.pointee.headers.cat, end: head.flags & FrameFlag.endStream != 0)
        case FrameType.data:
          return unsafe connection.dataComplete(
            head.stream_id, isEmpty: head.length <= frame!.pointee.data.padlen, end: head.flags & FrameFlag.endStream != 0)
        case FrameType.goAway:
          // The debug data is valid for the length of the callback.
          let text = unsafe UnsafeRawBufferPointer(
            start: frame!.pointee.goaway.opaque_data, count: frame!.pointee.goaway.opaque_data_len)
          return unsafe connection.goAway(StreamError(rawValue: frame!.pointee.goaway.error_code), text)
        default:
          return connection.controlFrame(head.type, acknowledges: head.flags & FrameFlag.acknowledge != 0)
        }
      }
    }
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table) { _, _, streamID, bytes, count, user in
      unsafe ownerOf(user) { unsafe $0.data(streamID, UnsafeRawBufferPointer(start: bytes, count: count)) }
    }
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(table) { _, streamID, code, user in
      unsafe ownerOf(user) { $0.streamClosed(streamID, StreamError(rawValue: code)) }
    }
    unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(table) { _, frame, _, user in
      unsafe ownerOf(user) { connection in
        let head = unsafe frame!.pointee.hd
        return head.type == FrameType.headers ? connection.headersNotSent(head.stream_id) : SessionCode.ok
      }
    }
    unsafe nghttp2_session_callbacks_set_unpack_extension_callback(table) { _, _, _, user in
      _ = unsafe ownerOf(user) { connection in
        connection.unknownFrame()
        return SessionCode.ok
      }
      return NGHTTP2_ERR_CANCEL.rawValue
    }
    unsafe nghttp2_session_callbacks_set_send_data_callback(table) { _, frame, head, length, source, user in
      unsafe ownerOf(user) { connection in
        unsafe connection.sendData(source!.pointee.ptr!, head!, length)
      }
    }
  }
}

/// The connection behind a callback's `user`.
func ownerOf<R>(_ user: UnsafeMutableRawPointer?, _ body: (HTTP2Connection) -> R) -> R {
  // Set at creation; see the head of the file.
  unsafe Unmanaged<HTTP2Connection>.fromOpaque(user!)._withUnsafeGuaranteedRef { body($0) }
}
