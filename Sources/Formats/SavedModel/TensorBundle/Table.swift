// LevelDB's table (leveldb/doc/table_format.md): sorted keys and their values, immutable.
//
//   [data block][trailer] … [metaindex block][trailer][index block][trailer][footer]
//
//   block    entries: shared length, own length, value length (varints), own part of the key, value
//            then where entries begin whose keys stand whole ("restarts"), 4 bytes each, and their number
//   trailer  compression (0 none, 1 snappy), masked CRC-32C of block and that byte
//   index    last key of a data block or somewhat more → where the block stands: offset, size (varints)
//   footer   where the metaindex and the index stand, padded to 40 bytes, then the magic number
//
// A bundle's index is small and every key of it is wanted, so it is walked once from front to back; nobody seeks, restarts
// are only checked to fit, and the metaindex (filters) is not read. Blocks must come in the order of the file and keys must
// rise: with that, time and memory stay in proportion to the file whatever it claims.
import Records
import Wire

enum Table {
  static let footerSize = 48
  static let trailerSize = 5
  static let magic: UInt64 = 0xDB47_7524_8B80_FB57
  /// Shared prefixes make keys longer than the file: all keys together may take this many times its size.
  static let keyExpansionMax = 64

  /// Whether the bytes end as a table does.
  static func hasFooter(_ bytes: RawSpan) -> Bool {
    bytes.byteCount >= footerSize && bytes.number(at: bytes.byteCount - 8, 8) == magic
  }

  /// Hands every entry of the table to `body`, in the order of the keys.
  static func walk(
    _ bytes: RawSpan, file: String, _ body: (_ key: [UInt8], _ value: RawSpan) throws(FormatError) -> Void
  ) throws(FormatError) {
    let footer = bytes.byteCount - footerSize
    guard footer >= 0 else {
      throw FormatError(.corrupt, "\(bytes.byteCount) bytes; a table has at least \(footerSize)", file: file)
    }
    let found = bytes.number(at: footer + 40, 8)
    guard found == magic else {
      throw FormatError(
        .corrupt, "not a table: the magic number is 0x\(String(found, radix: 16)), expected 0x\(String(magic, radix: 16))",
        file: file, place: "byte \(footer + 40)")
    }
    var handles = WireReader(bytes, at: UInt32(truncatingIfNeeded: footer)..<UInt32(truncatingIfNeeded: footer + 40))
    guard bytes.byteCount <= WireLimits.bytesMax, (try? BlockHandle(&handles)) != nil,
      let index = try? BlockHandle(&handles)
    else { throw FormatError(.corrupt, "the footer holds no block handles", file: file, place: "byte \(footer)") }

    var keyBytes = bytes.byteCount * keyExpansionMax + 65536
    var nextBlock = 0
    var last: [UInt8]? = nil
    let indexBlock = try Block(bytes, index, end: footer, file: file)
    var indexEntries = Entries(indexBlock, file: file)
    while let found = try indexEntries.next(&keyBytes) {
      let value = indexBlock.bytes.rawSpan.extracting(found)
      var reader = WireReader(value, at: 0..<UInt32(value.byteCount))
      guard let handle = try? BlockHandle(&reader) else {
        throw FormatError(.corrupt, "an index entry holds no block handle", file: file, place: "byte \(index.offset)")
      }
      guard handle.offset >= nextBlock else {
        throw FormatError(
          .corrupt, "a block begins at \(handle.offset), the one before ends at \(nextBlock)", file: file,
          place: "byte \(index.offset)")
      }
      let block = try Block(bytes, handle, end: footer, file: file)
      nextBlock = handle.offset + handle.size + trailerSize
      var entries = Entries(block, file: file)
      while let value = try entries.next(&keyBytes) {
        if let last, !last.lexicographicallyPrecedes(entries.key) {
          throw FormatError(.corrupt, "the keys do not rise", file: file, place: "block at byte \(handle.offset)")
        }
        try body(entries.key, block.bytes.rawSpan.extracting(value))
        last = entries.key
      }
      if let last, indexEntries.key.lexicographicallyPrecedes(last) {
        throw FormatError(.corrupt, "a key is behind the block's last", file: file, place: "block at byte \(handle.offset)")
      }
    }
  }

  /// Where a block stands, its trailer not counted.
  private struct BlockHandle {
    var offset: Int
    var size: Int

    init(_ reader: inout WireReader) throws(WireError) {
      offset = Int(truncatingIfNeeded: min(try reader.varint(), UInt64(Int32.max)))
      size = Int(truncatingIfNeeded: min(try reader.varint(), UInt64(Int32.max)))
    }
  }

  /// A block, checked and decompressed.
  private struct Block {
    let offset: Int
    let bytes: [UInt8]
    /// Where the entries end and the restarts begin.
    let end: Int

    init(_ table: RawSpan, _ handle: BlockHandle, end footer: Int, file: String) throws(FormatError) {
      let place = "block at byte \(handle.offset)"
      guard handle.offset + handle.size + trailerSize <= footer else {
        throw FormatError(
          .corrupt, "\(handle.size) bytes and their trailer do not fit before the footer at \(footer)", file: file,
          place: place)
      }
      let trailer = handle.offset + handle.size
      let stored = UInt32(table.number(at: trailer + 1, 4))
      var checksum = Checksum()
      checksum.update(table.extracting(handle.offset..<trailer + 1))
      guard checksum.masked == stored else {
        throw FormatError(
          .corrupt, "the checksum is \(checksum.masked.hex), expected \(stored.hex)", file: file, place: place)
      }
      let raw = table.extracting(handle.offset..<trailer)
      switch table.byte(trailer) {
      case 0: bytes = Array(raw)
      case 1:
        do throws(Snappy.Malformed) { bytes = try Snappy.decompress(raw) } catch {
          throw FormatError(.corrupt, "\(error)", file: file, place: place)
        }
      case let type: throw FormatError(.unsupported, "compression \(type); known are none and snappy", file: file, place: place)
      }
      let restarts = bytes.count < 4 ? -1 : bytes[(bytes.count - 4)...].reversed().reduce(0) { $0 << 8 | Int($1) }
      guard restarts >= 0, restarts <= bytes.count / 4 - 1 else {
        throw FormatError(.corrupt, "\(restarts) restarts in \(bytes.count) bytes", file: file, place: place)
      }
      offset = handle.offset
      end = bytes.count - 4 * (restarts + 1)
    }
  }

  /// The entries of a block, one after the other.
  private struct Entries {
    private let block: Block
    private let file: String
    private var position = 0
    /// The key of the entry that `next` returned last.
    private(set) var key: [UInt8] = []

    init(_ block: Block, file: String) {
      self.block = block
      self.file = file
    }

    /// Where in the block the next entry's value stands; `nil` at the end.
    /// - Parameter keyBytes: What the keys still to come may take together.
    mutating func next(_ keyBytes: inout Int) throws(FormatError) -> Range<Int>? {
      guard position < block.end else { return nil }
      var reader = WireReader(block.bytes.rawSpan, at: UInt32(position)..<UInt32(block.end))
      guard let shared = try? reader.varint(), let own = try? reader.varint(), let size = try? reader.varint() else {
        throw malformed("the lengths are cut off")
      }
      guard shared <= UInt64(key.count) else { throw malformed("shares \(shared) bytes with a key of \(key.count)") }
      let start = reader.position
      let left = UInt64(block.end - start)
      guard own <= left, size <= left - own else { throw malformed("key and value do not fit in the block") }
      let value = start + Int(own)
      key.removeLast(key.count - Int(shared))
      key.append(contentsOf: block.bytes[start..<value])
      keyBytes -= key.count
      guard keyBytes >= 0 else { throw malformed("the keys take more than \(keyExpansionMax) times the file") }
      position = value + Int(size)
      return value..<position
    }

    private func malformed(_ what: String) -> FormatError {
      FormatError(.corrupt, what, file: file, place: "entry at byte \(position) of the block at byte \(block.offset)")
    }
  }
}

extension RawSpan {
  /// - Precondition: `offset` is in the span.
  func byte(_ offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < byteCount)
    // Below the count, just checked.
    return unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  /// `count` bytes as a number, little endian.
  func number(at offset: Int, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for i in 0..<count { value |= UInt64(byte(offset + i)) << UInt64(8 * i) }
    return value
  }
}
