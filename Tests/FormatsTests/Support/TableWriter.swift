import Records
import Wire

@testable import Formats

/// Writes LevelDB tables, for tables that TensorFlow would not write: several blocks, compressed ones, wrong ones.
struct TableWriter {
  enum Compression: UInt8 {
    case none = 0
    case snappy = 1
  }
  var compression = Compression.none
  var entriesPerBlock = 3
  var restartInterval = 2

  func table(_ entries: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
    var file: [UInt8] = []
    var index: [(key: [UInt8], value: [UInt8])] = []
    for start in stride(from: 0, to: entries.count, by: entriesPerBlock) {
      let part = Array(entries[start..<min(start + entriesPerBlock, entries.count)])
      index.append((part.last!.key, append(block(part), to: &file)))
    }
    let metaindex = append(block([]), to: &file)
    let indexHandle = append(block(index), to: &file)
    var footer = metaindex + indexHandle
    footer += [UInt8](repeating: 0, count: 40 - footer.count)
    return file + footer + (0..<8).map { UInt8(truncatingIfNeeded: Table.magic >> UInt64(8 * $0)) }
  }

  /// Appends a block with its trailer; the handle.
  private func append(_ block: [UInt8], to file: inout [UInt8]) -> [UInt8] {
    let stored = compression == .snappy ? TableWriter.snappy(block) : block
    let handle = TableWriter.varint(file.count) + TableWriter.varint(stored.count)
    let covered = stored + [compression.rawValue]
    var checksum = Checksum()
    checksum.update(covered.rawSpan)
    file += covered + TableWriter.fixed32(checksum.masked)
    return handle
  }

  private func block(_ entries: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
    var bytes: [UInt8] = []
    var restarts: [Int] = []
    var last: [UInt8] = []
    for (i, entry) in entries.enumerated() {
      var shared = 0
      if i % restartInterval == 0 {
        restarts.append(bytes.count)
      } else {
        while shared < min(last.count, entry.key.count), last[shared] == entry.key[shared] { shared += 1 }
      }
      bytes += TableWriter.varint(shared) + TableWriter.varint(entry.key.count - shared)
      bytes += TableWriter.varint(entry.value.count) + entry.key[shared...] + entry.value
      last = entry.key
    }
    if restarts.isEmpty { restarts = [0] }
    for restart in restarts + [restarts.count] { bytes += TableWriter.fixed32(UInt32(restart)) }
    return bytes
  }

  static func varint(_ number: Int) -> [UInt8] {
    var rest = number
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  static func fixed32(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32(8 * $0)) } }

  /// Snappy with copies wherever four bytes or more occurred before. Slow, for small inputs.
  static func snappy(_ bytes: [UInt8]) -> [UInt8] {
    var output = varint(bytes.count)
    var literal: [UInt8] = []
    func flush() {
      guard !literal.isEmpty else { return }
      let count = literal.count - 1
      output += count < 60 ? [UInt8(count << 2)] : [61 << 2, UInt8(count & 0xFF), UInt8(count >> 8)]
      output += literal
      literal = []
    }
    var at = 0
    while at < bytes.count {
      var best = (length: 0, offset: 0)
      for offset in 1..<max(1, min(at, 70000) + 1) {
        var length = 0
        while length < 64, at + length < bytes.count, bytes[at + length - offset] == bytes[at + length] { length += 1 }
        if length > best.length { best = (length, offset) }
      }
      guard best.length >= 4 else {
        literal.append(bytes[at])
        at += 1
        continue
      }
      flush()
      if best.length <= 11, best.offset < 2048 {
        output += [UInt8(1 | (best.length - 4) << 2 | (best.offset >> 8) << 5), UInt8(best.offset & 0xFF)]
      } else if best.offset < 65536 {
        output += [UInt8(2 | (best.length - 1) << 2), UInt8(best.offset & 0xFF), UInt8(best.offset >> 8)]
      } else {
        output += [UInt8(3 | (best.length - 1) << 2)] + fixed32(UInt32(best.offset))
      }
      at += best.length
    }
    flush()
    return output
  }
}
