import Testing

@testable import HTTP

@Suite struct BudgetTests {
  private func charge(_ budget: inout Budget, at nanoseconds: UInt64, times: Int) -> Int {
    var granted = 0
    for _ in 0..<times where budget.charge(now: MonotonicTime(nanoseconds: nanoseconds)) { granted += 1 }
    return granted
  }

  @Test func `a burst is free, then tokens come by the second`() {
    var budget = Budget(perSecond: 100, burst: 5, now: MonotonicTime(nanoseconds: 0))
    let granted = [
      charge(&budget, at: 0, times: 10), charge(&budget, at: 1_000_000, times: 10), charge(&budget, at: 10_000_000, times: 10),
    ]
    #expect(granted == [5, 0, 1])
  }

  @Test func `a long rest fills no more than the burst`() {
    var budget = Budget(perSecond: 1000, burst: 3, now: MonotonicTime(nanoseconds: 0))
    let granted = [charge(&budget, at: 0, times: 10), charge(&budget, at: .max, times: 10)]
    #expect(granted == [3, 3])
  }
}

@Suite struct ByteBufferTests {
  @Test func `bytes start on a cache line and survive growth`() {
    var buffer = ByteBuffer()
    var expected: [UInt8] = []
    for n in 0..<300 {
      let chunk = [UInt8](repeating: UInt8(n & 255), count: n)
      let appended = unsafe buffer.append(chunk.span.bytes)
      #expect(appended)
      expected += chunk
    }
    let same = unsafe buffer.bytes.withUnsafeBytes { unsafe $0.elementsEqual(expected) && UInt(bitPattern: $0.baseAddress) % 64 == 0 }
    #expect(same)
  }

  @Test func `what a writer leaves out is zero`() {
    var buffer = ByteBuffer()
    let filled = buffer.append(byteCount: 4) { $0.append(9) }
    #expect(filled)
    let bytes = unsafe buffer.bytes.withUnsafeBytes { unsafe Array($0) }
    #expect(bytes == [9, 0, 0, 0])
  }

  @Test func `removing from the start keeps the rest`() {
    var buffer = ByteBuffer()
    _ = buffer.append(byteCount: 4) { output in for i in 1...4 { output.append(UInt8(i)) } }
    buffer.removeFirst(3)
    let bytes = unsafe buffer.bytes.withUnsafeBytes { unsafe Array($0) }
    #expect(bytes == [4])
  }
}

@Suite struct CPUsTests {
  @Test(arguments: [
    ("max 100000", nil), ("150000 100000", 2), ("100000 100000", 1), ("50000 100000\n", 1), ("800000 100000", 8), ("", nil),
    ("junk", nil), ("-1 100000", nil),
  ] as [(String, Int?)])
  func `a quota is a number of processors, rounded up`(_ text: String, _ expected: Int?) {
    #expect(CPUs.quotaV2(text) == expected)
  }

  @Test func `the old form means the same`() {
    #expect(CPUs.quotaV1("-1", "100000") == nil)
    #expect(CPUs.quotaV1("250000\n", "100000\n") == 3)
  }
}

@Suite struct HeaderBlockTests {
  private func append(_ block: inout HeaderBlock, _ name: String, _ value: String, limit: Int = 1000) -> Bool {
    var name = name, value = value
    return name.withUTF8 { n in
      value.withUTF8 { v in unsafe block.append(n.baseAddress!, n.count, v.baseAddress!, v.count, limit: limit) }
    }
  }

  @Test func `known fields are found at once, others by name, the first of two wins`() {
    var block = HeaderBlock()
    let all = [
      append(&block, ":path", "/a"), append(&block, "x-tag", "1"), append(&block, "x-tag", "2"),
      append(&block, "grpc-timeout", "1S"), append(&block, "grpc-timeout", "2S"), append(&block, "grpc-message", "no"),
    ]
    #expect(all == Array(repeating: true, count: 6))
    let found = [
      block.text(.path), block.text(.grpcTimeout), block.value(of: "x-tag"), block.text(.grpcMessage), block.text(.te),
      block.value(of: "te"),
    ]
    #expect(found == ["/a", "1S", "1", "no", nil, nil])
  }

  @Test func `names that only resemble known ones are not known`() {
    for name in ["ze", ":pathx", ":methoc", "grpc-tineout", "content-typo", "grpc-statuz", "grpc-encodinG", ":sch-me"] {
      var block = HeaderBlock()
      _ = append(&block, name, "v")
      let known = (0..<KnownField.count).filter { block.has(KnownField(rawValue: $0)!) }
      #expect(known == [], "\(name)")
    }
  }

  @Test func `a list at its limit takes no more`() {
    var block = HeaderBlock()
    let first = append(&block, "a", "b", limit: 34), second = append(&block, "a", "b", limit: 34)
    #expect(first && !second)
  }
}

@Suite struct BufferPoolTests {
  @Test func `a buffer given back is taken again, if it fits and is not twice too large`() {
    var pool = BufferPool(retainedMax: 1 << 20)
    var first = pool.take(capacity: 100_000)!
    _ = first.append(byteCount: 5) { _ in }
    pool.give(first)
    let capacities = [pool.take(capacity: 40_000)!.capacity, pool.take(capacity: 90_000)!.capacity]
    #expect(capacities == [40_000, 100_000])
  }

  @Test func `what is taken again is empty`() {
    var pool = BufferPool(retainedMax: 1 << 20)
    var first = pool.take(capacity: 100_000)!
    _ = first.append(byteCount: 5) { _ in }
    pool.give(first)
    let count = pool.take(capacity: 100_000)!.count
    #expect(count == 0)
  }

  @Test func `no more is kept than the limit`() {
    var pool = BufferPool(retainedMax: 150_000)
    let first = pool.take(capacity: 100_000)!
    let second = pool.take(capacity: 100_000)!
    pool.give(first)
    pool.give(second)
    let kept = [pool.take(capacity: 60_000)!.capacity, pool.take(capacity: 60_000)!.capacity]
    #expect(kept == [100_000, 60_000])
  }
}
