// The memory that nghttp2's sessions live in, through the functions that nghttp2 calls.
import CNGHTTP2
import TestThreads
import Testing

@testable import HTTP

@Suite(.blocking) struct SessionMemoryTests {
  /// One block, and what the test wrote into it.
  @safe private struct Held {
    let block: UnsafeMutableRawPointer
    let count: Int
    let byte: UInt8

    /// - Precondition: `block` has `count` bytes.
    init(_ block: UnsafeMutableRawPointer, _ count: Int, _ byte: UInt8) {
      unsafe self.block = block
      self.count = count
      self.byte = byte
      unsafe block.initializeMemory(as: UInt8.self, repeating: byte, count: count)
    }

    var isIntact: Bool {
      unsafe UnsafeRawBufferPointer(start: block, count: count).allSatisfy { $0 == byte }
    }
  }

  @Test(arguments: [1, 16, 17, 224, 256, 257, 1024, 2928, 4096, 4097, 16_394, 100_000])
  func `a block is aligned and holds what was asked for`(_ size: Int) throws {
    let memory = SessionMemory()
    let functions = unsafe memory.functions
    let first = try unsafe #require(functions.malloc(size, functions.mem_user_data))
    let second = try unsafe #require(functions.malloc(size, functions.mem_user_data))
    let a = unsafe Held(first, size, 1), b = unsafe Held(second, size, 2)
    #expect(a.isIntact && b.isIntact)
    #expect(Int(bitPattern: first) % 16 == 0)
    unsafe functions.free(first, functions.mem_user_data)
    unsafe functions.free(second, functions.mem_user_data)
  }

  @Test(arguments: [24, 4096, 20_000]) func `zeroed memory is zero when it is used again`(_ size: Int) throws {
    let memory = SessionMemory()
    let functions = unsafe memory.functions
    for _ in 0..<3 {
      let block = try unsafe #require(functions.calloc(size / 8, 8, functions.mem_user_data))
      let isZero = unsafe UnsafeRawBufferPointer(start: block, count: size).allSatisfy { $0 == 0 }
      #expect(isZero)
      unsafe block.initializeMemory(as: UInt8.self, repeating: 0xff, count: size)
      unsafe functions.free(block, functions.mem_user_data)
    }
  }

  @Test func `a block that grows keeps its bytes`() throws {
    let memory = SessionMemory()
    let functions = unsafe memory.functions
    var block: UnsafeMutableRawPointer?
    var size = 0
    for next in [10, 20, 300, 5000, 60_000, 200_000] {
      unsafe block = functions.realloc(block, next, functions.mem_user_data)
      let grown = try unsafe #require(block)
      let isKept = unsafe UnsafeRawBufferPointer(start: grown, count: size).allSatisfy { $0 == UInt8(truncatingIfNeeded: size) }
      #expect(isKept)
      unsafe grown.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: next), count: next)
      size = next
    }
    unsafe functions.free(block, functions.mem_user_data)
    unsafe functions.free(nil, functions.mem_user_data)
  }

  @Test func `sizes beyond all memory are refused`() {
    let memory = SessionMemory()
    let functions = unsafe memory.functions
    let blocks = unsafe [
      functions.malloc(.max, functions.mem_user_data), functions.calloc(.max, 2, functions.mem_user_data),
    ]
    let areNil = unsafe blocks.allSatisfy { unsafe $0 == nil }
    #expect(areNil)
  }

  /// The seed is printed by the test's argument.
  @Test(arguments: 1...8 as ClosedRange<UInt64>) func `what was taken in any order is given back in any order`(_ seed: UInt64) throws {
    var random = seed &* 0x9e37_79b9_7f4a_7c15
    func next(_ limit: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % limit
    }
    let memory = SessionMemory()
    let functions = unsafe memory.functions
    var held: [Held] = []
    for round in 0..<20_000 {
      // Grows for the first half, shrinks in the second.
      if next(3) < (round < 10_000 ? 2 : 1) {
        let size = next(20) == 0 ? 1 + next(30_000) : 1 + next(400)
        let block = try unsafe #require(functions.malloc(size, functions.mem_user_data))
        unsafe held.append(Held(block, size, UInt8(next(256))))
      } else if !held.isEmpty {
        held.swapAt(next(held.count), held.count - 1)
        let last = held.removeLast()
        #expect(last.isIntact)
        unsafe functions.free(last.block, functions.mem_user_data)
      }
    }
    let areIntact = held.allSatisfy { $0.isIntact }
    #expect(areIntact)
    for block in held { unsafe functions.free(block.block, functions.mem_user_data) }
    // One slab of each size stays.
    #expect(memory.mappedBytes <= 24 * 65_536)
  }
}
