// A compressed message made plain: at once, or slice by slice where a loop has others to look after.
//
// What it came as and what it becomes are both there until it is done, and both count (`heldBytes`).
public import HTTP

extension MessageAssembler {
  /// What a message has become so far, when one slice was not enough for it.
  final class Unpacking {
    var decompressor: Decompressor?
    var plain: ByteBuffer
    /// Bytes of the message that have been read.
    var at: Int

    init(_ decompressor: consuming Decompressor, _ plain: consuming ByteBuffer, _ at: Int) {
      self.decompressor = consume decompressor
      self.plain = plain
      self.at = at
    }
  }

  public enum Unpacked: Hashable, Sendable {
    /// The message is plain, or was.
    case done
    case more
    case failed(Failure)
  }

  /// What has been made of a message that is not plain yet.
  public var unpackedBytes: Int { unpacking?.plain.count ?? 0 }

  /// Bytes of the message at hand, in every form.
  var heldBytes: Int { receivedBytes + unpackedBytes }

  /// Makes a complete compressed message plain; does nothing to a plain one.
  /// - Parameter room: what the caller has memory for now, if that is less than the limits.
  public mutating func decompress(with codecs: inout Codecs, _ pool: inout BufferPool, room: Int = .max) -> Failure? {
    while true {
      switch decompress(with: &codecs, &pool, room: room, .whole) {
      case .more: continue
      case .done: return nil
      case .failed(let failure): return failure
      }
    }
  }

  /// The same slice by slice: again for as long as it says `more`.
  /// - Parameter room: for all of the plain message.
  public mutating func decompress(
    with codecs: inout Codecs, _ pool: inout BufferPool, room: Int, _ slice: CodecSlice
  ) -> Unpacked {
    guard isCompressed, let coding else { return .done }
    // An empty message is empty in every coding, as gRPC C++ has it.
    if length == 0 {
      _ = become(ByteBuffer())
      return .done
    }
    let most = min(plainLimit, max(room, 0))
    var plain = ByteBuffer(), at = 0
    var decompressor: Decompressor
    if let unpacking {
      swap(&plain, &unpacking.plain)
      at = unpacking.at
      decompressor = unpacking.decompressor.take()!
    } else {
      guard let taken = codecs.takeDecompressor(coding) else { return .failed(.outOfMemory(length: length)) }
      decompressor = taken
      decompressor.begin()
      if length > MessageAssembler.smallLength / 4, let pooled = pool.take(capacity: min(most, length * 4)) { plain = pooled }
    }
    let progress = decompressor.advance(buffer.bytes, &at, into: &plain, end: most, slice)
    if progress == .more {
      keep(decompressor, plain, at)
      return .more
    }
    unpacking = nil
    codecs.give(decompressor)
    if progress == .done { plain = become(plain) }
    if plain.capacity > MessageAssembler.smallLength { pool.give(plain) }
    switch progress {
    case .more, .done: return .done
    case .failed(.tooLarge): return .failed(.tooLarge(length: most + 1, limit: most))
    case .failed(.outOfMemory): return .failed(.outOfMemory(length: length))
    case .failed(let failure): return .failed(.corrupt(coding, failure))
    }
  }

  private mutating func keep(_ decompressor: consuming Decompressor, _ plain: consuming ByteBuffer, _ at: Int) {
    guard let unpacking else { return unpacking = Unpacking(decompressor, plain, at) }
    unpacking.decompressor = consume decompressor
    unpacking.plain = plain
    unpacking.at = at
  }
}
