// The first run of a plan is not a client's: it makes the arena as large as it has to be and tells what a run costs.
internal import Glibc
internal import Tensors

extension Model {
  /// Runs every signature twice on zeros, unknown extents taken as one. A signature that cannot take that (one that
  /// parses examples, say) is left as it is: it has not failed, it was not asked anything sensible. One that changes state is
  /// not run: the state a version begins with is its checkpoint's.
  public func warmUp() {
    var frame = Frame()
    for signature in signatures where !signature.plan.changesState {
      // Zeros may be what a loop of the model never ends on.
      frame.interruption = TimeLimit(seconds: 60)
      signature.warmUp(&frame)
    }
  }
}

extension Signature {
  /// What a guess at an input may hold; a declared shape can be larger than anybody's memory.
  private static let warmUpElementsMax = 1 << 24

  fileprivate func warmUp(_ frame: inout Frame) {
    var tensors: [Tensor] = []
    for input in inputs {
      guard let extents = input.shape.extents, let shape = Shape(extents.map { $0 < 0 ? 1 : $0 }),
        shape.count <= Signature.warmUpElementsMax, ![.resource, .variant].contains(input.dtype)
      else { return }
      tensors.append(
        input.defaultValue
          ?? (input.dtype == .string
            ? Tensor(shape: shape, strings: [[UInt8]](repeating: [], count: shape.count))
            : Tensor(dtype: input.dtype, shape: shape, adopting: TensorBuffer(byteCount: shape.count * input.dtype.size))))
    }
    // The first run allocates, the second is what a run costs.
    for attempt in 0..<2 {
      frame.begin(plan)
      for (i, tensor) in tensors.enumerated() { frame.feed(i, tensor) }
      let start = monotonicNanoseconds()
      do { try frame.run(plan) } catch { return }
      if attempt == 1 { cost.record(rows: 1, nanoseconds: monotonicNanoseconds() - start) }
    }
  }
}

/// The monotonic clock, in nanoseconds.
func monotonicNanoseconds() -> Int {
  var now = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &now)
  return now.tv_sec * 1_000_000_000 + now.tv_nsec
}
