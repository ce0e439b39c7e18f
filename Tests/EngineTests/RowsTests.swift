// Inputs taken out of a frame, and rows of several requests in one run.
import Tensors
import Testing

@testable import Engine

private func node(_ name: String, _ op: String, _ inputs: Int...) -> Node {
  Node(name: name, op: op, inputs: inputs.map { Endpoint(node: $0) })
}

/// Gives back what it is fed.
private func echo(_ count: Int) throws -> Plan {
  let session = Session(Graph(nodes: (0..<count).map { node("x\($0)", "Placeholder") }))
  let ends = (0..<count).map { session.endpoint("x\($0)")! }
  return try session.plans([.init(feeds: ends, fetches: ends)])[0]
}

private func floats(_ shape: Shape, _ values: Float...) -> Tensor { Tensor(.float, shape: shape, values) }

extension Value {
  fileprivate var floats: [Float] { (0..<count).map { span(of: Float.self)[$0] } }
  fileprivate var texts: [String] { Tensor(copying: view).strings.map { String(decoding: $0, as: UTF8.self) } }
  fileprivate mutating func set(_ values: [Float]) {
    var span = mutableSpan(of: Float.self)
    for (i, value) in values.enumerated() { span[i] = value }
  }
}

@Suite struct FedInputsTests {
  @Test func `what stood in the frame outlives the frame's next run`() throws {
    let plan = try echo(3)
    var frame = Frame()
    frame.begin(plan)
    var numbers = try frame.feed(0, dtype: .float, shape: [2, 2])
    numbers.set([0, 1, 2, 3])
    frame.feed(1, floats([1], 9))
    // A string whose bytes stand in the frame too, beside one that stands elsewhere.
    let outside = Tensor(shape: [1], strings: [Array("outside".utf8)])
    var strings = try frame.feed(2, dtype: .string, shape: [3])
    let scratch = try unsafe frame.scratch(byteCount: 6)
    for (i, byte) in "inside".utf8.enumerated() { unsafe scratch.base.storeBytes(of: byte, toByteOffset: i, as: UInt8.self) }
    var refs = unsafe strings.mutableSpan(of: StringRef.self)
    unsafe refs[0] = StringRef(base: scratch.base, count: 6)
    unsafe refs[1] = Value(outside).span(of: StringRef.self)[0]
    unsafe refs[2] = StringRef(base: nil, count: 0)
    let inputs = frame.fedInputs(of: plan)

    // Somebody else's run, over the same memory.
    frame.begin(plan)
    for input in 0..<3 {
      var value = try frame.feed(input, dtype: .float, shape: [64])
      value.set([Float](repeating: -1, count: 64))
    }
    #expect(inputs.values.map(\.shape) == [[2, 2], [1], [3]])
    #expect(inputs.values[0].floats == [0, 1, 2, 3])
    #expect(inputs.values[1].floats == [9])
    #expect(inputs.values[2].texts == ["inside", "outside", ""])
    withExtendedLifetime(outside) {}
  }

  @Test func `what stands elsewhere is not copied`() throws {
    let plan = try echo(1)
    let tensor = floats([2], 1, 2)
    var frame = Frame()
    frame.begin(plan)
    frame.feed(0, tensor)
    let inputs = frame.fedInputs(of: plan)
    #expect(unsafe UnsafeRawPointer(inputs.values[0].base) == tensor.unsafeBase)
  }
}

@Suite struct RowsTests {
  private func joined(_ parts: [Tensor], padding: Int = 0) throws -> (Shape, [Float]) {
    let plan = try echo(1)
    var frame = Frame()
    frame.begin(plan)
    try frame.feed(0, joining: parts.map { unsafe Value($0) }, padding: padding)
    try frame.run(plan)
    let output = frame.output(0, of: plan)
    return (output.shape, output.floats)
  }

  @Test func `rows stand one after the other`() throws {
    let (shape, values) = try joined([floats([1, 2], 1, 2), floats([0, 2]), floats([2, 2], 3, 4, 5, 6)])
    #expect(shape == [3, 2])
    #expect(values == [1, 2, 3, 4, 5, 6])
  }

  @Test func `padding repeats the first row of the last part that has one`() throws {
    let (shape, values) = try joined([floats([1, 2], 1, 2), floats([2, 2], 3, 4, 5, 6), floats([0, 2])], padding: 2)
    #expect(shape == [5, 2])
    #expect(values == [1, 2, 3, 4, 5, 6, 3, 4, 3, 4])
  }

  @Test func `smaller rows are filled up at the end of each dimension`() throws {
    let (shape, values) = try joined([floats([1, 2, 1], 1, 2), floats([2, 1, 3], 3, 4, 5, 6, 7, 8)], padding: 1)
    #expect(shape == [4, 2, 3])
    #expect(values == [1, 1, 1, 2, 1, 1, 3, 4, 5, 3, 3, 3, 6, 7, 8, 3, 3, 3, 3, 4, 5, 3, 3, 3])
    let (vector, numbers) = try joined([floats([1], 1), floats([2], 2, 3)])
    #expect(vector == [3] && numbers == [1, 2, 3])
  }

  @Test func `what would be larger than memory is refused`() throws {
    let plan = try echo(1)
    var frame = Frame(bytesMax: 1 << 20)
    frame.begin(plan)
    func line(_ dimension: Int) -> Value {
      var extents = [Int](repeating: 1, count: 8)
      extents[dimension] = 1000
      return unsafe Value(Tensor(.float, shape: Shape(extents)!, [Float](repeating: 0, count: 1000)))
    }
    for dimensions in [2, 7] {
      do throws(RunError) {
        try frame.feed(0, joining: (1...dimensions).map(line), padding: 0)
        Issue.record("it was fed")
      } catch { #expect(error.code == .resourceExhausted) }
    }
  }

  @Test func `each sees their own rows of the outputs`() throws {
    let plan = try echo(2)
    var frame = Frame()
    frame.begin(plan)
    frame.feed(0, floats([3, 2], 1, 2, 3, 4, 5, 6))
    frame.feed(1, floats([3], 7, 8, 9))
    try frame.run(plan)
    frame.show(rows: 1..<3)
    #expect(frame.output(0, of: plan).shape == [2, 2])
    #expect(frame.output(0, of: plan).floats == [3, 4, 5, 6])
    #expect(frame.output(1, of: plan).floats == [8, 9])
    frame.show([nil, floats([1], 10)])
    #expect(frame.output(0, of: plan).floats == [3, 4, 5, 6])
    #expect(frame.output(1, of: plan).floats == [10])
    frame.show([])
    #expect(frame.output(1, of: plan).floats == [8, 9])
    frame.showAll()
    #expect(frame.output(1, of: plan).floats == [7, 8, 9])
    frame.show(rows: 0..<1)
    frame.begin(plan)
    frame.feed(0, floats([2], 1, 2))
    frame.feed(1, floats([], 3))
    try frame.run(plan)
    #expect(frame.output(0, of: plan).floats == [1, 2])
  }

  @Test func `tensors are joined when their rows are alike`() {
    #expect(Tensor(joining: [floats([1, 2], 1, 2), floats([0, 2]), floats([1, 2], 3, 4)])?.array(of: Float.self) == [1, 2, 3, 4])
    #expect(Tensor(joining: [floats([1, 2], 1, 2), floats([1, 3], 1, 2, 3)]) == nil)
    #expect(Tensor(joining: [floats([1], 1), floats([1, 1], 1)]) == nil)
    #expect(Tensor(joining: [floats([1], 1), Tensor(.int32, shape: [1], [1 as Int32])]) == nil)
    let texts = Tensor(joining: [Tensor(shape: [1], strings: [[1, 2]]), Tensor(shape: [2], strings: [[], [3]])])
    #expect(texts?.shape == [3])
    #expect(texts?.strings == [[1, 2], [], [3]])
  }
}
