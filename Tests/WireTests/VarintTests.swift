import Testing

@testable import Wire

@Suite struct VarintTests {
  /// Around each power of two, and all of the small ones.
  static let values: [UInt64] =
    Array(0..<300) + (8..<64).flatMap { [(1 << $0) - 1, 1 << $0, (1 << $0) + 1] as [UInt64] } + [.max]

  @Test func `what is written is as long as its size says and reads back, wherever the buffer ends`() throws {
    for value in VarintTests.values {
      let bytes = [UInt8](wireSize: Varint.size(value)) { $0.appendVarint(value) }
      #expect(bytes.count == Varint.size(value))
      for padding in [0, 1, 7, 8, 20] {
        let padded = bytes + [UInt8](repeating: 0xFF, count: padding)
        #expect(try Varint.count(padded.rawSpan, in: 0..<UInt32(bytes.count)) == 1)
        var position = 0
        #expect(Varint.read(padded.rawSpan, at: &position) == value)
        #expect(position == bytes.count)
      }
    }
  }

  @Test func `packed fields are counted as one by one reading counts them`() throws {
    // Every split of runs of continuation bytes over the eight-byte steps.
    for lead in 0..<10 {
      for run in 0..<12 {
        for tail in 0..<12 {
          let bytes =
            [UInt8](repeating: 1, count: lead) + [UInt8](repeating: 0x80, count: run)
            + [UInt8](repeating: 2, count: tail)
          let range = 0..<UInt32(bytes.count)
          let expected: WireError.Kind? =
            tail == 0 && run > 0 ? (run > 9 ? nil : .truncated) : (run > 9 ? .varintTooLong : nil)
          do {
            let count = try Varint.count(bytes.rawSpan, in: range)
            #expect(run <= 9 && (run == 0 || tail > 0), "\(lead) \(run) \(tail)")
            #expect(count == lead + tail, "\(lead) \(run) \(tail)")
          } catch {
            #expect(run > 9 || tail == 0, "\(lead) \(run) \(tail)")
            if let expected { #expect(error.kind == expected, "\(lead) \(run) \(tail)") }
          }
        }
      }
    }
  }
}
