import Engine
import Tensors
import Testing

@Suite struct ListTests {
  /// Nodes by name, inputs as `node` or `node:1`.
  private func run(
    _ nodes: [(name: String, op: String, inputs: [String], attributes: [String: Attribute])], _ fetch: String
  ) throws -> Tensor {
    let index = Dictionary(uniqueKeysWithValues: nodes.enumerated().map { ($1.name, $0) })
    let session = Session(
      Graph(
        nodes: nodes.map { node in
          Node(name: node.name, op: node.op, inputs: node.inputs.map { Endpoint(node: index[$0]!) }, attributes: node.attributes)
        }))
    return try session.run(.init(feeds: [], fetches: [session.endpoint(fetch)!]))[0]
  }

  private func const(_ name: String, _ tensor: Tensor) -> (name: String, op: String, inputs: [String], attributes: [String: Attribute]) {
    (name, "Const", [], ["value": .tensor(tensor)])
  }
  private func int(_ name: String, _ values: Int32...) -> (name: String, op: String, inputs: [String], attributes: [String: Attribute]) {
    const(name, Tensor(.int32, shape: [values.count], values))
  }
  private func scalar(_ name: String, _ value: Int32) -> (name: String, op: String, inputs: [String], attributes: [String: Attribute]) {
    const(name, Tensor(.int32, shape: [], [value]))
  }
  private let floats: [String: Attribute] = ["element_dtype": .type(.float)]

  @Test(arguments: [[Int32(2)], [-1]])
  func `a list stacks what was set, zeros elsewhere, and leaves the list it came from`(declared: [Int32]) throws {
    let nodes = [
      const("shape", Tensor(.int32, shape: [1], declared)), scalar("three", 3), scalar("one", 1), scalar("two", 2),
      const("x", Tensor(.float, shape: [2], [Float(5), 6])), const("y", Tensor(.float, shape: [2], [Float(7), 8])),
      ("list", "TensorListReserve", ["shape", "three"], floats),
      ("first", "TensorListSetItem", ["list", "one", "x"], floats),
      ("second", "TensorListSetItem", ["first", "two", "y"], floats),
      ("third", "TensorListSetItem", ["first", "one", "y"], floats),
      ("stack", "TensorListStack", ["second", "shape"], floats),
      ("other", "TensorListStack", ["third", "shape"], floats),
      ("both", "Pack", ["stack", "other"], [:]),
    ]
    let both = try run(nodes, "both")
    #expect(both.array(of: Float.self) == [0, 0, 5, 6, 7, 8, 0, 0, 7, 8, 0, 0])
    #expect(both.shape == [2, 3, 2])
  }

  @Test func `a list made of a tensor gives its rows, and grows`() throws {
    let nodes = [
      const("x", Tensor(.int64, shape: [2, 1], [Int64(4), 5])), const("new", Tensor(.int64, shape: [1], [Int64(6)])),
      int("shape", 1), scalar("two", 2),
      ("list", "TensorListFromTensor", ["x", "shape"], ["element_dtype": .type(.int64)]),
      ("longer", "TensorListPushBack", ["list", "new"], ["element_dtype": .type(.int64)]),
      ("item", "TensorListGetItem", ["longer", "two", "shape"], ["element_dtype": .type(.int64)]),
      ("length", "TensorListLength", ["longer"], [:]),
    ]
    #expect(try run(nodes, "item").array(of: Int64.self) == [6])
    #expect(try run(nodes, "length").array(of: Int32.self) == [3])
  }

  @Test func `an index past the end is refused, and so is what is no list`() throws {
    let nodes = [
      int("shape", 2), scalar("three", 3), const("x", Tensor(.float, shape: [2], [Float(5), 6])),
      ("list", "TensorListReserve", ["shape", "three"], floats),
      ("item", "TensorListGetItem", ["list", "three", "shape"], floats),
      ("wrong", "TensorListGetItem", ["x", "three", "shape"], floats),
    ]
    #expect(throws: GraphError(.failed, "Trying to access element 3 in a list with 3 elements.\n\t [[{{node item}}]]")) {
      try run(nodes, "item")
    }
    #expect(throws: GraphError(.failed, "Input handle is not a list\n\t [[{{node wrong}}]]")) { try run(nodes, "wrong") }
  }
}
