import TestThreads
import Testing

@testable import HTTP

@Suite(.blocking) struct CompressionTests {
  private func pack(_ bytes: [UInt8], _ coding: ContentCoding, limit: Int = .max / 2) throws -> [UInt8]? {
    guard var compressor = Compressor(coding) else { throw Decompressor.Failure.outOfMemory }
    var output = ByteBuffer()
    let isDone = unsafe bytes.withUnsafeBytes { unsafe compressor.compress($0.bytes, into: &output, limit: limit) }
    let packed = unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }
    return isDone ? packed : nil
  }

  private func unpack(_ bytes: [UInt8], _ coding: ContentCoding, limit: Int = 1 << 30) throws
    -> (failure: Decompressor.Failure?, bytes: [UInt8], capacity: Int)
  {
    guard var decompressor = Decompressor(coding) else { throw Decompressor.Failure.outOfMemory }
    var output = ByteBuffer()
    let failure = unsafe bytes.withUnsafeBytes { unsafe decompressor.decompress($0.bytes, into: &output, limit: limit) }
    let plain = unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }
    return (failure, plain, output.capacity)
  }

  private let samples: [[UInt8]] = [
    [], [7], Array("a short text, a short text".utf8), [UInt8](repeating: 0, count: 100_000),
    (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 2_654_435_761 >> 7) },
  ]

  @Test(arguments: ContentCoding.allCases) func `what is compressed comes back`(_ coding: ContentCoding) throws {
    for sample in samples {
      let packed = try #require(try pack(sample, coding))
      let result = try unpack(packed, coding, limit: sample.count)
      #expect(result.failure == nil && result.bytes == sample)
    }
  }

  @Test func `bytes made by others are read`() throws {
    // `printf hello | gzip -n` and `zlib.compress(b"hello")`.
    let gzip: [UInt8] = [
      0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0,
    ]
    let zlib: [UInt8] = [0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06, 0x2c, 0x02, 0x15]
    #expect(try unpack(gzip, .gzip).bytes == Array("hello".utf8))
    #expect(try unpack(zlib, .deflate).bytes == Array("hello".utf8))
    guard case .corrupt = try unpack(zlib, .gzip).failure else { throw Decompressor.Failure.outOfMemory }
    guard case .corrupt = try unpack(gzip, .deflate).failure else { throw Decompressor.Failure.outOfMemory }
  }

  @Test(arguments: ContentCoding.allCases) func `a bomb costs no more than its limit`(_ coding: ContentCoding) throws {
    let bomb = try #require(try pack([UInt8](repeating: 0, count: 20_000_000), coding))
    #expect(bomb.count < 40_000)
    for limit in [0, 1, 1000, 100_000, 19_999_999] {
      let result = try unpack(bomb, coding, limit: limit)
      #expect(result.failure == .tooLarge(limit: limit))
      #expect(result.bytes.count == limit && result.capacity <= max(limit, 512))
    }
    #expect(try unpack(bomb, coding, limit: 20_000_000).failure == nil)
  }

  @Test(arguments: ContentCoding.allCases) func `every cut is noticed`(_ coding: ContentCoding) throws {
    let packed = try #require(try pack(Array("a short text, a short text".utf8), coding))
    for n in 0..<packed.count { #expect(try unpack(Array(packed[..<n]), coding).failure == .truncated(received: n)) }
  }

  @Test(arguments: ContentCoding.allCases) func `every flipped byte of the data is noticed`(_ coding: ContentCoding) throws {
    let plain = Array("a short text, a short text".utf8)
    let packed = try #require(try pack(plain, coding))
    // Bytes 4 to 9 of a gzip header (time, flags of the compressor, system) say nothing about the data.
    for i in packed.indices where coding == .deflate || !(4...9).contains(i) {
      var damaged = packed
      damaged[i] ^= 0x55
      let result = try unpack(damaged, coding)
      #expect(result.failure != nil, "byte \(i)")
    }
  }

  @Test func `members follow one another, and nothing else may`() throws {
    let one = try #require(try pack([1, 2, 3], .gzip)), two = try #require(try pack([4], .gzip))
    #expect(try unpack(one + two, .gzip).bytes == [1, 2, 3, 4])
    #expect(try unpack(one + two, .gzip, limit: 3).failure == .tooLarge(limit: 3))
    #expect(try unpack(one + [0], .gzip).failure == .trailing(count: 1))
    #expect(try unpack(one + [0, 0], .gzip).failure == .trailing(count: 2))
    #expect(try unpack(one + two.dropLast(), .gzip).failure != nil)
    let zlib = try #require(try pack([1], .deflate))
    #expect(try unpack(zlib + zlib, .deflate).failure == .trailing(count: zlib.count))
  }

  @Test func `what does not shrink is given up, and the buffer is as before`() throws {
    var state: UInt64 = 1
    let noise = (0..<100_000).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 33)
    }
    #expect(try pack(noise, .gzip, limit: noise.count - 1) == nil)
    #expect(try pack([1, 2, 3], .gzip, limit: 2) == nil)
    #expect(try pack(noise, .gzip) != nil)
  }

  @Test func `the codecs of a loop are as good the hundredth time, after failures too`() throws {
    var codecs = Codecs()
    let plain = Array("a short text, a short text".utf8)
    for round in 0..<100 {
      let coding = round % 2 == 0 ? ContentCoding.gzip : .deflate
      var packed = ByteBuffer(), again = ByteBuffer()
      let isPacked = unsafe plain.withUnsafeBytes { unsafe codecs.compress($0.bytes, coding, into: &packed, limit: 1000) }
      #expect(isPacked)
      if round % 3 == 0 {
        let failure = codecs.decompress(packed.bytes, coding, into: &again, limit: 5)
        #expect(failure == .tooLarge(limit: 5))
        again.clear()
      }
      let failure = codecs.decompress(packed.bytes, coding, into: &again, limit: 1000)
      let bytes = unsafe again.bytes.withUnsafeBytes { unsafe Array($0) }
      #expect(failure == nil && bytes == plain)
    }
  }

  @Test(arguments: 0..<60) func `slices of any size come to the same`(_ seed: Int) throws {
    var state = UInt64(seed) &* 2_654_435_761 &+ 1
    func random(_ n: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % n
    }
    let coding = ContentCoding.allCases[seed % 2], width = 1 + random(255)
    let plain = (0..<random(60_000)).map { _ in UInt8(random(width)) }
    guard var compressor = Compressor(coding), var decompressor = Decompressor(coding) else { throw Decompressor.Failure.outOfMemory }
    var output = ByteBuffer(), at = 0
    compressor.begin()
    var progress = Compressor.Progress.more
    while progress == .more {
      let slice = CodecSlice(inputBytes: 1 + random(5000), outputBytes: 1 + random(5000))
      progress = unsafe plain.withUnsafeBytes { unsafe compressor.advance($0.bytes, &at, into: &output, end: .max / 2, slice) }
    }
    #expect(progress == .done && at == plain.count)
    var packed = unsafe output.bytes.withUnsafeBytes { unsafe Array($0) }
    #expect(try unpack(packed, coding).bytes == plain, "seed \(seed)")
    // Whole or damaged or cut, with room or without.
    if seed % 3 == 1 { packed[random(packed.count)] ^= UInt8(1 << random(8)) }
    if seed % 3 == 2 { packed.removeLast(random(packed.count)) }
    let limit = seed % 5 == 0 ? random(plain.count + 1) : plain.count
    let whole = try unpack(packed, coding, limit: limit)
    output = ByteBuffer()
    at = 0
    decompressor.begin()
    var end = Decompressor.Progress.more
    while end == .more {
      let slice = CodecSlice(inputBytes: 1 + random(500), outputBytes: 1 + random(5000)), before = output.count
      end = unsafe packed.withUnsafeBytes { unsafe decompressor.advance($0.bytes, &at, into: &output, end: limit, slice) }
      #expect(output.count - before <= slice.outputBytes)
    }
    #expect(end == (whole.failure.map { .failed($0) } ?? .done), "seed \(seed)")
    #expect(unsafe output.bytes.withUnsafeBytes { unsafe Array($0) } == whole.bytes, "seed \(seed)")
  }

  @Test(arguments: [
    ("identity,deflate,gzip", true), ("gzip", true), ("identity, gzip ,br", true), ("identity", false), ("", false),
    ("gzipped", false), ("x-gzip", false), (",gzip", true), ("identity;gzip", false),
  ]) func `a list names a coding or does not`(_ list: String, _ isNamed: Bool) {
    let answer = unsafe Array(list.utf8).withUnsafeBytes { unsafe ContentCoding.gzip.isNamed(in: $0.bytes) }
    #expect(answer == isNamed)
  }
}
