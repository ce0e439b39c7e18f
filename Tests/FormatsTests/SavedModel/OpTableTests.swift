import Engine
import Tensors
import Testing

@testable import Formats

struct OpTableTests {
  /// Without a definition a node of the op is not held against anything, and its kernel is on its own.
  @Test func `every op the engine has a kernel for has its definition in the table`() {
    // Names with an underscore are our own fused ops: no file has them.
    let missing = KernelRegistry.standard.ops.filter { OpDefinition.registered[$0] == nil && !$0.hasPrefix("_") }
    #expect(missing == [], "python Protos/op_table.py \(missing.joined(separator: " "))")
  }

  @Test func `a line of the table says what TensorFlow's OpDef says`() {
    #expect(
      OpDefinition.registered["Split"]
        == OpDefinition(
          inputs: [
            OpArgument(name: "split_dim", element: .type(.int32)), OpArgument(name: "value", element: .attribute("T")),
          ],
          outputs: [OpArgument(name: "output", element: .attribute("T"), length: .number("num_split"))]))
    #expect(
      OpDefinition.registered["Shape"]
        == OpDefinition(
          inputs: [OpArgument(name: "input", element: .attribute("T"))],
          outputs: [OpArgument(name: "output", element: .attribute("out_type"))], defaults: ["out_type": .type(.int32)]))
    #expect(
      OpDefinition.registered["IdentityN"]
        == OpDefinition(
          inputs: [OpArgument(name: "input", length: .types("T"))], outputs: [OpArgument(name: "output", length: .types("T"))]))
  }
}
