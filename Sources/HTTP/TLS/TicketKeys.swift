// The keys that seal session tickets (RFC 8446 §4.6.1, RFC 5077). Tickets hold the session, so the server keeps none.
//
// A key seals for one period and opens for another: whoever learns today's key cannot read last week's sessions, and a
// ticket is good for at least a period. All contexts of one `CertificateStore` share the keys, so a new certificate costs
// clients no full handshake; a change of what is asked of clients does, because the session's context id then differs.
internal import COpenSSL
internal import Synchronization

final class TicketKeys: Sendable {
  struct Key: Equatable {
    static let nameCount = 16, secretCount = 32
    let name: [UInt8]
    let cipher: [UInt8]
    let mac: [UInt8]

    /// Nil: the system has no randomness to give.
    init?() {
      guard let name = OpenSSLRandom.bytes(Key.nameCount), let cipher = OpenSSLRandom.bytes(Key.secretCount),
        let mac = OpenSSLRandom.bytes(Key.secretCount)
      else { return nil }
      self.name = name
      self.cipher = cipher
      self.mac = mac
    }
  }

  /// How long a key seals, and then how long it still opens; also the life of a ticket.
  static let periodSeconds = 12 * 3600

  private struct State {
    var current: Key?
    var previous: Key?
    var madeAt = MonotonicTime(nanoseconds: 0)
  }
  private let state = Mutex(State())

  /// The key to seal with; nil: no randomness, and then no ticket.
  func sealing(now: MonotonicTime) -> Key? {
    state.withLock { state in
      TicketKeys.rotate(&state, now)
      return state.current
    }
  }

  /// The key of that name, and whether it is the one that seals now.
  func opening(_ name: UnsafeRawBufferPointer, now: MonotonicTime) -> (key: Key, isCurrent: Bool)? {
    state.withLock { state in
      TicketKeys.rotate(&state, now)
      if let key = state.current, unsafe key.name.elementsEqual(name) { return (key, true) }
      if let key = state.previous, unsafe key.name.elementsEqual(name) { return (key, false) }
      return nil
    }
  }

  private static func rotate(_ state: inout State, _ now: MonotonicTime) {
    let period = UInt64(periodSeconds) * 1_000_000_000
    let age = now.nanoseconds(since: state.madeAt)
    if state.current != nil, age < period { return }
    state.previous = age < 2 * period ? state.current : nil
    state.current = Key()
    state.madeAt = now
  }
}

enum OpenSSLRandom {
  static func bytes(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    // Fills exactly `count` bytes of the array.
    guard unsafe RAND_bytes(&bytes, Int32(count)) == 1 else {
      _ = OpenSSLErrors.take()
      return nil
    }
    return bytes
  }
}

// MARK: what OpenSSL asks for

extension TicketKeys {
  /// Sets up `cipher` and `mac` to seal a ticket, and names the key and the vector it was sealed with.
  /// - Returns: OpenSSL's code: 1 done, 0 no ticket, negative failure.
  func seal(
    name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer
  ) -> Int32 {
    guard let key = sealing(now: .now) else { return 0 }
    // OpenSSL's buffers: 16 bytes of name, EVP_MAX_IV_LENGTH of vector; AES-CBC's is 16.
    unsafe name.update(from: key.name, count: Key.nameCount)
    guard unsafe RAND_bytes(vector, 16) == 1 else { return -1 }
    guard unsafe EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipher, vector) == 1,
      unsafe copenssl_set_ticket_mac(mac, key.mac, key.mac.count) == 1
    else { return -1 }
    return 1
  }

  /// Sets up `cipher` and `mac` to open a ticket.
  /// - Returns: OpenSSL's code: 1 use it, 2 use it and send a fresh one, 0 unknown key: a full handshake, negative failure.
  func open(
    name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer,
    renewsAlways: Bool
  ) -> Int32 {
    guard let found = unsafe opening(UnsafeRawBufferPointer(start: name, count: Key.nameCount), now: .now) else { return 0 }
    guard unsafe EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, found.key.cipher, vector) == 1,
      unsafe copenssl_set_ticket_mac(mac, found.key.mac, found.key.mac.count) == 1
    else { return -1 }
    return found.isCurrent && !renewsAlways ? 1 : 2
  }
}
