// What a run was fed with, taken out of the frame that was to run it: requests that run together are prepared one by one,
// each in a frame that is needed for the next.
//
// Nothing is copied that stays where it is anyhow: tensors in the request's bytes, constants, defaults. What stands in the
// frame's arena (numbers that were converted, references to strings) is copied once, into one piece of memory.
internal import Tensors

@safe public final class FedInputs: @unchecked Sendable {
  /// In the plan's order. They stand in the request, which stays where it is, or are kept by this object.
  public let values: [Value]
  /// Alive as long as we are; `nil` when nothing was copied.
  @unsafe private let copies: UnsafeMutableRawPointer?
  private let tensors: [Tensor]

  init(_ fed: [Value], _ arena: borrowing Arena, _ tensors: [Tensor]) {
    self.tensors = tensors
    var total = 0, strings = 0, blocks = 0
    for value in fed where value.block >= 0 {
      blocks += 1
      total += FedInputs.padded(value.byteCount)
    }
    // Who feeds strings that stand in the arena has allocated them there, beside the inputs.
    let ownsStrings = arena.blockCount > blocks
    if ownsStrings {
      for value in fed where value.block >= 0 && value.dtype == .string {
        for i in 0..<value.count where arena.holds(string: i, of: value) { strings += value.string(at: i).byteCount }
      }
    }
    guard blocks > 0 else {
      unsafe copies = nil
      values = fed
      return
    }
    let base = UnsafeMutableRawPointer.allocate(byteCount: max(total + strings, 1), alignment: Arena.alignment)
    unsafe copies = base
    var at = unsafe base, text = unsafe base + total
    values = fed.map { value in
      guard value.block >= 0 else { return value }
      // `total` has room for it, and for its strings behind all values.
      unsafe at.copyMemory(from: value.base, byteCount: value.byteCount)
      let copy = unsafe Value(dtype: value.dtype, shape: value.shape, base: at)
      unsafe at += FedInputs.padded(value.byteCount)
      if ownsStrings, value.dtype == .string {
        let refs = unsafe copy.base.assumingMemoryBound(to: StringRef.self)
        for i in 0..<value.count where arena.holds(string: i, of: value) {
          let ref = unsafe refs[i]
          if let from = unsafe ref.base { unsafe text.copyMemory(from: from, byteCount: ref.count) }
          unsafe refs[i] = StringRef(base: UnsafeRawPointer(text), count: ref.count)
          unsafe text += ref.count
        }
      }
      return copy
    }
  }

  deinit { unsafe copies?.deallocate() }

  private static func padded(_ byteCount: Int) -> Int { (byteCount + Arena.alignment - 1) & ~(Arena.alignment - 1) }
}

extension Arena {
  fileprivate func holds(string index: Int, of value: Value) -> Bool {
    // Compared, not read.
    guard let base = unsafe value.base.assumingMemoryBound(to: StringRef.self)[index].base else { return false }
    return unsafe holds(base)
  }
}
