import Testing
import Wire

@Suite struct ByteTableTests {
  @Test func `names of every length are found by their bytes and no other`() {
    let names = (0..<200).map { length in (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) } }
    let table = ByteTable(names)
    #expect(table.count == 200)
    for (number, name) in names.enumerated() {
      #expect(table.index(of: name.rawSpan) == number)
      #expect(Array(table[number]) == name)
      for position in name.indices {
        var other = name
        other[position] ^= 1
        #expect(table.index(of: other.rawSpan) == nil)
      }
    }
  }

  @Test func `of equal names the first keeps its number, and an empty table knows nobody`() {
    let name = Array("a".utf8)
    #expect(ByteTable([name, name, Array("b".utf8)]).index(of: name.rawSpan) == 0)
    #expect(ByteTable([]).index(of: name.rawSpan) == nil)
    #expect(ByteTable([[]]).index(of: RawSpan()) == 0)
  }
}
