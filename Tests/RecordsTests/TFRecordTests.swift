import Testing
import Wire

@testable import Records

private func file(_ records: [[UInt8]]) -> [UInt8] {
  records.flatMap { TFRecord.head(byteCount: $0.count) + $0 + TFRecord.tail($0.rawSpan) }
}

private func read(_ bytes: [UInt8]) -> (records: [[UInt8]], error: TFRecordError?) {
  var reader = TFRecordReader(bytes.rawSpan)
  var records: [[UInt8]] = []
  do throws(TFRecordError) {
    while let record = try reader.next() { records.append([UInt8](record)) }
    return (records, nil)
  } catch {
    return (records, error)
  }
}

@Suite struct TFRecordTests {
  /// What `tf.io.TFRecordWriter` makes of `b"abc"` and `b""`.
  static let theirs: [UInt8] = [
    0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb0, 0x99, 0x49, 0x0e, 0x61, 0x62, 0x63, 0x6e,
    0x57, 0xf1, 0x21, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, 0x03, 0x98, 0x07, 0xd8,
    0xea, 0x82, 0xa2,
  ]

  @Test func `what is written is read`() {
    let records: [[UInt8]] = [[1, 2, 3], [], [UInt8](repeating: 7, count: 100_000), [0]]
    let bytes = file(records)
    #expect(bytes.count == records.map { $0.count + TFRecord.overheadBytes }.reduce(0, +))
    let (seen, error) = read(bytes)
    #expect(seen == records)
    #expect(error == nil)
    #expect(read([]).records.isEmpty)
  }

  @Test func `TensorFlow writes the same bytes`() { #expect(file([Array("abc".utf8), []]) == TFRecordTests.theirs) }

  @Test func `a file that ends anywhere but between records is said to, with the records before`() {
    let bytes = file([[1, 2, 3], [4, 5]])
    for end in 0..<bytes.count {
      let (records, error) = read(Array(bytes[..<end]))
      #expect(records == (end < 19 ? [] : [[1, 2, 3]]))
      #expect(error == (end == 0 || end == 19 ? nil : .truncated(offset: end < 19 ? 0 : 19)), "\(end)")
    }
  }

  @Test func `every bit that is wrong is noticed`() {
    let bytes = file([[1, 2, 3]])
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      guard case .corrupted(offset: 0, _, _)? = read(damaged).error else {
        Issue.record("bit \(bit)")
        continue
      }
    }
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func `no bytes make the reader trap`(_ seed: UInt64) {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    func random() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
    var bytes = file((0..<random() % 4).map { _ in (0..<random() % 40).map { _ in UInt8(truncatingIfNeeded: random()) } })
    // A length whose checksum is right, and that reaches beyond everything.
    if seed % 3 == 0 { bytes += TFRecord.head(byteCount: Int(random() >> 1)) }
    for _ in 0..<random() % 3 where !bytes.isEmpty { bytes[Int(random() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random()) }
    if random() % 2 == 0 { bytes.removeLast(Int(random() % UInt64(bytes.count + 1))) }
    let (records, error) = read(bytes)
    #expect(error != nil || file(records) == bytes)
  }
}
