import Testing
import Wire

@testable import Formats

struct TableTests {
  private let entries: [(key: [UInt8], value: [UInt8])] = (0..<10).map { number in
    (Array("layer_\(number)/kernel".utf8), [UInt8](repeating: UInt8(number), count: number * 3))
  }

  private func read(_ bytes: [UInt8]) throws(FormatError) -> [(key: [UInt8], value: [UInt8])] {
    var found: [(key: [UInt8], value: [UInt8])] = []
    try Table.walk(bytes.rawSpan, file: "T") { (key, value) throws(FormatError) in found.append((key, Array(value))) }
    return found
  }

  private func same(_ a: [(key: [UInt8], value: [UInt8])], _ b: [(key: [UInt8], value: [UInt8])]) -> Bool {
    a.elementsEqual(b) { $0.key == $1.key && $0.value == $1.value }
  }

  @Test(arguments: [TableWriter.Compression.none, .snappy], 1...4)
  func `entries come back in order`(_ compression: TableWriter.Compression, _ interval: Int) throws {
    for perBlock in 1...11 {
      let writer = TableWriter(compression: compression, entriesPerBlock: perBlock, restartInterval: interval)
      #expect(same(try read(writer.table(entries)), entries))
    }
    #expect(try read(TableWriter(compression: compression).table([])).isEmpty)
  }

  @Test(arguments: [TableWriter.Compression.none, .snappy])
  func `a flipped bit is found, or was where nobody looks`(_ compression: TableWriter.Compression) throws {
    let table = TableWriter(compression: compression).table(entries)
    var unnoticed = 0
    for bit in 0..<table.count * 8 {
      var bytes = table
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      do throws(FormatError) {
        #expect(same(try read(bytes), entries), "bit \(bit)")
        unnoticed += 1
      } catch {
        #expect(error.file == "T", "\(error)")
      }
    }
    // The metaindex, where it stands, and padding.
    #expect(unnoticed < 60 * 8)
  }

  @Test func `a table cut anywhere is refused`() {
    let table = TableWriter().table(entries)
    for count in 0..<table.count {
      #expect(throws: FormatError.self) { _ = try read(Array(table.prefix(count))) }
    }
  }

  @Test func `what is wrong is said with file and place`() {
    func message(_ bytes: [UInt8]) -> String? {
      do throws(FormatError) {
        _ = try read(bytes)
        return nil
      } catch { return error.description }
    }
    #expect(message([1, 2, 3]) == "T: 3 bytes; a table has at least 48")
    var table = TableWriter().table(entries)
    table[table.count - 1] = 0
    #expect(
      message(table)
        == "T: byte \(table.count - 8): not a table: the magic number is 0x4775248b80fb57, expected 0xdb4775248b80fb57")
    table = TableWriter().table(entries)
    table[3] ^= 1
    #expect(message(table)?.hasPrefix("T: block at byte 0: the checksum is 0x") == true)
    let falling = [entries[1], entries[0]]
    #expect(message(TableWriter(restartInterval: 1).table(falling)) == "T: block at byte 0: the keys do not rise")
    #expect(message(TableWriter().table([entries[0], entries[0]])) == "T: block at byte 0: the keys do not rise")
  }

  @Test func `keys made long by sharing are not followed into all memory`() {
    // Each entry adds a byte to the last key: n entries of 4 bytes claim n² / 2 bytes of keys.
    let entries = (1..<8000).map { (key: [UInt8](repeating: 1, count: $0), value: [UInt8]()) }
    let table = TableWriter(entriesPerBlock: 10_000, restartInterval: 10_000).table(entries)
    do throws(FormatError) {
      try Table.walk(table.rawSpan, file: "T") { (_, _) throws(FormatError) in }
      Issue.record("not refused")
    } catch { #expect(error.message == "the keys take more than 64 times the file") }
  }
}
