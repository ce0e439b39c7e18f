import Testing
import Wire

/// What a walk over all fields of a message ends with: the fields, or the error.
enum Walk: Equatable {
  case fields([String])
  case error(WireError.Kind, Int)
}

func walk(_ bytes: [UInt8]) -> Walk {
  do {
    var fields: [String] = []
    var reader = WireReader(try WireMessage(bytes.rawSpan))
    while let tag = try reader.nextTag() {
      switch tag.type {
      case .varint: fields.append("\(tag.number)=\(try reader.varint())")
      case .fixed32: fields.append("\(tag.number)=\(try reader.fixed32())")
      case .fixed64: fields.append("\(tag.number)=\(try reader.fixed64())")
      case .length:
        let range = try reader.lengthDelimited()
        fields.append("\(tag.number)@\(range.lowerBound)..<\(range.upperBound)")
      default: try reader.skip(tag)
      }
    }
    return .fields(fields)
  } catch {
    return .error(error.kind, Int(error.offset))
  }
}

@Suite struct WireReaderTests {
  @Test func `each wire type is read`() {
    #expect(walk([]) == .fields([]))
    #expect(walk([0x08, 0x96, 0x01]) == .fields(["1=150"]))
    #expect(walk([0x15, 1, 0, 0, 0x80]) == .fields(["2=2147483649"]))
    #expect(walk([0x19, 1, 0, 0, 0, 0, 0, 0, 0x80]) == .fields(["3=9223372036854775809"]))
    #expect(walk([0x22, 2, 7, 7, 0x22, 0]) == .fields(["4@2..<4", "4@6..<6"]))
  }

  @Test func `a varint may be as long as ten bytes and no longer`() {
    #expect(walk([0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x01]) == .fields(["1=\(UInt64.max)"]))
    #expect(walk([0x08] + [UInt8](repeating: 0x80, count: 9) + [0x00]) == .fields(["1=0"]))
    #expect(walk([0x08] + [UInt8](repeating: 0x80, count: 10) + [0x00]) == .error(.varintTooLong, 1))
  }

  @Test func `field number zero and wire types six and seven are refused`() {
    #expect(walk([0x00, 0x00]) == .error(.fieldNumberZero, 0))
    #expect(walk([0x80, 0x00, 0x00]) == .error(.fieldNumberZero, 0))
    #expect(walk([0x08, 0x01, 0x0E]) == .error(.wireType, 2))
    #expect(walk([0x0F]) == .error(.wireType, 0))
  }

  @Test func `a tag has at most 32 bits in at most five bytes`() {
    #expect(walk([0xF8, 0xFF, 0xFF, 0xFF, 0x0F, 0x01]) == .fields(["536870911=1"]))
    #expect(walk([0x88, 0x80, 0x80, 0x80, 0x00, 0x05]) == .fields(["1=5"]))
    #expect(walk([0xF8, 0xFF, 0xFF, 0xFF, 0x1F, 0x01]) == .error(.tagTooLong, 0))
    #expect(walk([0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0x05]) == .error(.tagTooLong, 0))
  }

  @Test func `a length reaches no further than the message and is written in five bytes at most`() {
    #expect(walk([0x0A, 0x01]) == .error(.truncated, 1))
    #expect(walk([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]) == .error(.truncated, 1))
    #expect(walk([0x0A, 0x81, 0x80, 0x80, 0x80, 0x00, 7]) == .fields(["1@6..<7"]))
    #expect(walk([0x0A, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 7]) == .error(.lengthTooLong, 1))
  }

  @Test func `whatever is cut off anywhere is refused unless it ends between fields`() {
    let whole: [UInt8] = [
      0x08, 0x96, 0x01, 0x15, 1, 2, 3, 4, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x22, 2, 7, 7, 0x2B, 0x08, 0x01, 0x2C,
    ]
    let between: Set<Int> = [0, 3, 8, 17, 21, 25]
    for count in 0...whole.count {
      let result = walk(Array(whole[0..<count]))
      if between.contains(count) {
        guard case .fields = result else {
          Issue.record("\(count): \(result)")
          continue
        }
      } else {
        guard case .error(.truncated, _) = result else {
          Issue.record("\(count): \(result)")
          continue
        }
      }
    }
  }

  @Test func `groups are skipped, must end as they began, and nest a hundred deep`() {
    #expect(walk([0x0B, 0x10, 0x01, 0x0C, 0x18, 0x02]) == .fields(["3=2"]))
    #expect(walk([0x0B, 0x14]) == .error(.endGroup, 2))
    #expect(walk([0x0C]) == .error(.endGroup, 1))
    func nested(_ depth: Int) -> [UInt8] {
      [UInt8](repeating: 0x0B, count: depth) + [UInt8](repeating: 0x0C, count: depth)
    }
    #expect(walk(nested(100)) == .fields([]))
    #expect(walk(nested(101)) == .error(.tooDeep, 101))
    #expect(walk(nested(10_000)) == .error(.tooDeep, 101))
  }

  @Test func `a message in pieces reads as one, and errors stay in their piece`() throws {
    let bytes: [UInt8] = [0x08, 0x01, 0xEE, 0x10, 0x02, 0xEE, 0x18]
    var extent = WireExtent.absent
    for range in [0..<2, 2..<2, 3..<5] as [Range<UInt32>] { try extent.append(range) }
    #expect(extent.byteCount == 4 && !extent.isWhole)
    #expect(WireMessage(bytes.rawSpan, at: extent).copy() == [0x08, 0x01, 0x10, 0x02])
    var seen: [UInt64] = []
    var reader = WireReader(WireMessage(bytes.rawSpan, at: extent))
    while let tag = try reader.nextTag() { seen.append(UInt64(tag.number) * 10 + (try reader.varint())) }
    #expect(seen == [11, 22])

    try extent.append(6..<7)
    var broken = WireReader(WireMessage(bytes.rawSpan, at: extent))
    let error = #expect(throws: WireError.self) {
      while let tag = try broken.nextTag() { try broken.skip(tag) }
    }
    #expect(error == WireError(.truncated, at: 7))
  }

  @Test func `a message in more pieces than the limit is refused`() throws {
    var extent = WireExtent.absent
    for _ in 0..<WireLimits.piecesMax { try extent.append(0..<0) }
    let error = #expect(throws: WireError.self) { try extent.append(0..<0) }
    #expect(error?.kind == .tooManyPieces)
  }

  @Test func `an entry of a map may lack key or value, and of equal keys the last is found`() throws {
    let bytes: [UInt8] = [
      0x0A, 6, 0x0A, 1, 0x61, 0x12, 1, 1, 0x0A, 3, 0x0A, 1, 0x62, 0x0A, 6, 0x12, 1, 3, 0x0A, 1, 0x61, 0x0A, 0,
    ]
    let map = WireMap(try WireMessage(bytes.rawSpan), number: 1)
    var walked: [[UInt8]] = []
    var entries = map
    while let entry = try entries.next() { walked.append(Array(entry.key) + [0xFF] + Array(entry.valueSpan)) }
    #expect(walked == [[0x61, 0xFF, 1], [0x62, 0xFF], [0x61, 0xFF, 3], [0xFF]])
    let key: [UInt8] = [0x61]
    var found: [UInt8] = []
    if let entry = try map.entry(key.rawSpan) { found = Array(entry.valueSpan) }
    #expect(found == [3])
    let stranger: [UInt8] = [0x63]
    if try map.entry(stranger.rawSpan) != nil { Issue.record("found a key that is not there") }
  }
}
