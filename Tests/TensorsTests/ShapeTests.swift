import Tensors
import Testing

@Suite struct ShapeTests {
  @Test func `a shape knows its elements`() {
    let shape: Shape = [2, 3, 4]
    #expect(shape.count == 24)
    #expect(shape.count(from: 1) == 12)
    #expect(shape.count(upTo: 2) == 6)
    #expect(shape.description == "[2,3,4]")
    #expect(Shape().count == 1)
    #expect(([0, 5] as Shape).count == 0)
  }

  @Test func `no shape has a negative extent, nine dimensions or more elements than an Int counts`() {
    #expect(Shape([-1]) == nil)
    #expect(Shape([Int](repeating: 1, count: 9)) == nil)
    #expect(Shape([1 << 40, 1 << 40]) == nil)
    #expect(Shape([0, 1 << 40, 1 << 40]) == nil)
  }

  @Test func `a partial shape admits what fits`() {
    #expect(PartialShape([-1, 3]).admits([7, 3]))
    #expect(!PartialShape([-1, 3]).admits([7, 4]))
    #expect(!PartialShape([-1, 3]).admits([3]))
    #expect(PartialShape(nil).admits([1, 2, 3]))
    #expect(PartialShape([-1, 3]).description == "[?,3]")
  }
}

@Suite struct TensorTests {
  @Test func `numbers come back as they went in`() {
    #expect(Tensor(.float, shape: [3], [1, 2, 3] as [Float]).array(of: Float.self) == [1, 2, 3])
    #expect(Tensor(.int64, shape: [], [7] as [Int64]).array(of: Int64.self) == [7])
  }

  @Test func `strings keep their bytes beside them`() {
    let tensor = Tensor(shape: [2, 2], strings: [[1, 2], [], [3], [4, 5, 6]])
    #expect(tensor.strings == [[1, 2], [], [3], [4, 5, 6]])
    #expect(Tensor(copying: tensor.view).strings == tensor.strings)
  }

  @Test func `reference types are read as their base`() {
    #expect(DType(wire: 101) == .float)
    #expect(DType(wire: 0) == nil)
    #expect(DType(wire: 100) == nil)
    #expect(DType(wire: 34) == nil)
    #expect(DType(wire: -1) == nil)
  }
}
