// All models at one moment, immutable. Requests name models by bytes, so the index is over bytes: an open-addressing table
// made when the snapshot is, a power of two in size and at most half full. Its keys come from the operator's configuration;
// a peer can look names up but not put any in, so a plain hash does.

/// All configured models, at one epoch.
public final class CatalogSnapshot: Sendable {
  /// Counts publications; zero is the empty catalog before the first.
  public let epoch: UInt64
  /// In the order they were published.
  public let models: [ModelEntry]

  /// Positions in `models` plus one; zero where free.
  private let table: [UInt32]

  init(epoch: UInt64, models: [ModelEntry]) {
    self.epoch = epoch
    self.models = models
    var size = 4
    while size < 2 * models.count { size *= 2 }
    var table = [UInt32](repeating: 0, count: size)
    for (position, model) in models.enumerated() {
      // UTF-8 code units have no padding: each byte of their span is initialised. So below.
      var at = unsafe CatalogSnapshot.hash(model.name.utf8.span.bytes) & (size - 1)
      while table[at] != 0 { at = (at + 1) & (size - 1) }
      table[at] = UInt32(position + 1)
    }
    self.table = table
  }

  /// The model a request names, by the UTF-8 bytes of its name.
  public func model(_ name: RawSpan) -> ModelEntry? {
    let mask = table.count &- 1
    var at = CatalogSnapshot.hash(name) & mask
    while table[at] != 0 {
      let model = models[Int(table[at]) &- 1]
      if unsafe CatalogSnapshot.equal(model.name.utf8.span.bytes, name) { return model }
      at = (at &+ 1) & mask
    }
    return nil
  }

  public func model(_ name: String) -> ModelEntry? { unsafe model(name.utf8.span.bytes) }

  /// FNV-1a, folded so that the low bits see the high ones.
  private static func hash(_ bytes: RawSpan) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for i in 0..<bytes.byteCount {
      // In bounds: `i` runs below `byteCount`, and every bit pattern is a byte.
      hash = (hash ^ UInt64(unsafe bytes.unsafeLoad(fromUncheckedByteOffset: i, as: UInt8.self))) &* 0x100_0000_01b3
    }
    return Int(truncatingIfNeeded: hash ^ (hash >> 32))
  }

  private static func equal(_ a: RawSpan, _ b: RawSpan) -> Bool {
    guard a.byteCount == b.byteCount else { return false }
    for i in 0..<a.byteCount {
      // In bounds: both spans have `byteCount` bytes, and every bit pattern is a byte.
      let (x, y) = unsafe (
        a.unsafeLoad(fromUncheckedByteOffset: i, as: UInt8.self), b.unsafeLoad(fromUncheckedByteOffset: i, as: UInt8.self)
      )
      if x != y { return false }
    }
    return true
  }
}
