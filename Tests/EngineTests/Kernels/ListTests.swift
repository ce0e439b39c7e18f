import Engine
import Tensors
import Testing

@Suite struct ListTests {
  /// Nodes by name, inputs as `node` or `node:1`.
  private func run(
    _ nodes: [(name: String, op: String, inputs: [String], attributes: [String: Attribute])], _ fetch: String
  ) throws -> Tensor {
    let index = Dictionary(uniqueKeysWithValues: nodes.enumerated().map { ($1.name, $0) })
    func endpoint(_ name: String) -> Endpoint {
      let parts = name.split(separator: ":")
      return Endpoint(node: index[String(parts[0])]!, output: parts.count > 1 ? Int(parts[1])! : 0)
    }
    let session = Session(
      Graph(
        nodes: nodes.map { node in
          Node(name: node.name, op: node.op, inputs: node.inputs.map(endpoint), attributes: node.attributes)
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

  @Test func `lists are gathered, scattered to, split and concatenated`() throws {
    let nodes = [
      const("x", Tensor(.float, shape: [4, 1], [Float(1), 2, 3, 4])), const("lengths", Tensor(.int64, shape: [2], [Int64(2), 2])),
      const("unlike", Tensor(.int64, shape: [2], [Int64(1), 3])), const("short", Tensor(.int64, shape: [2], [Int64(1), 1])),
      const("new", Tensor(.float, shape: [1, 2, 1], [Float(8), 9])), int("shape", -1, 1), int("zero", 0), int("picks", 1, 1, 0), int("far", 2), int("leading"),
      ("list", "TensorListSplit", ["x", "shape", "lengths"], floats),
      ("changed", "TensorListScatterIntoExistingList", ["list", "new", "zero"], floats),
      ("picked", "TensorListGather", ["changed", "picks", "shape"], floats),
      ("whole", "TensorListConcatV2", ["changed", "shape", "leading"], floats),
      ("old", "TensorListConcatV2", ["list", "shape", "leading"], floats),
      ("beyond", "TensorListGather", ["list", "far", "shape"], floats),
      ("into", "TensorListScatterIntoExistingList", ["list", "new", "far"], floats),
      ("odd", "TensorListSplit", ["x", "shape", "unlike"], floats), ("part", "TensorListSplit", ["x", "shape", "short"], floats),
    ]
    #expect(try run(nodes, "picked").array(of: Float.self) == [3, 4, 3, 4, 8, 9])
    #expect(try run(nodes, "picked").shape == [3, 2, 1])
    #expect(try run(nodes, "whole").array(of: Float.self) == [8, 9, 3, 4])
    #expect(try run(nodes, "old").array(of: Float.self) == [1, 2, 3, 4])
    #expect(try run(nodes, "old:1").array(of: Int64.self) == [2, 2])
    for refused in ["beyond", "into", "odd", "part"] { #expect(throws: GraphError.self) { try run(nodes, refused) } }
  }

  @Test func `a tensor array grows if it says so, and refuses what it does not hold`() throws {
    func array(_ grows: Bool) -> [(name: String, op: String, inputs: [String], attributes: [String: Attribute])] {
      [
        scalar("two", 2), scalar("three", 3), const("x", Tensor(.float, shape: [1], [Float(5)])),
        ("array", "TensorArrayV3", ["two"], ["dtype": .type(.float), "dynamic_size": .bool(grows)]),
        ("flow", "Identity", ["array:1"], [:]),
        ("written", "TensorArrayWriteV3", ["array", "three", "x", "flow"], [:]),
        ("read", "TensorArrayReadV3", ["array", "three", "written"], ["dtype": .type(.float)]),
        ("unset", "TensorArrayReadV3", ["array", "two", "flow"], ["dtype": .type(.float)]),
        ("size", "TensorArraySizeV3", ["array", "written"], [:]),
      ]
    }
    #expect(try run(array(true), "read").array(of: Float.self) == [5])
    #expect(try run(array(true), "size").array(of: Int32.self) == [4])
    let fixed = #expect(throws: GraphError.self) { try run(array(false), "read") }
    #expect(fixed?.message.contains("Tried to write to index 3 but array is not resizeable and size is: 2") == true)
    let unset = #expect(throws: GraphError.self) { try run(array(true), "unset") }
    #expect(unset?.message.contains("Tried to read from index 2 but array size is: 2") == true)
  }
}
