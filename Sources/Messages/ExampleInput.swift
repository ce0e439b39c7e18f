// The examples of a Classify, a Regress or a MultiInference (tensorflow_serving/apis/input.proto):
//
//     Input { example_list 1 { examples 1 … } }                           or, of the two the last,
//           { example_list_with_context 2 { examples 1 …, context 2 } }
//
// Examples stay serialized: each is a range of the request's bytes. A context is what all examples have in common. In
// front of an example's bytes it makes one message with it, by protobuf's rule for messages one after the other: of features
// with one name the example's counts.

public import Wire

public struct ExampleInput: ~Escapable {
  let list: WireMessage
  /// The examples in the list.
  public let count: Int
  /// The bytes of all of them, without what stands around them.
  public let byteCount: Int
  /// What is to stand before each example; absent in a plain list.
  public let context: WireMessage

  /// - Parameter message: an `Input`, perhaps absent.
  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var list = WireExtent.absent
    var hasContext = false
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      guard tag == .length(1) || tag == .length(2) else {
        try reader.skip(tag)
        continue
      }
      // Of a oneof the last wins; a message after one of the same kind merges into it.
      if hasContext != (tag == .length(2)) { list = .absent }
      hasContext = tag == .length(2)
      try list.append(try reader.lengthDelimited())
    }
    self.list = WireMessage(message.bytes, at: list)
    var count = 0
    var byteCount = 0
    var context = WireExtent.absent
    var fields = WireReader(self.list)
    while let tag = try fields.nextTag() {
      switch tag {
      case .length(1):
        byteCount &+= try fields.lengthDelimited().count
        count &+= 1
      case .length(2) where hasContext: try context.append(try fields.lengthDelimited())
      default: try fields.skip(tag)
      }
    }
    self.count = count
    self.byteCount = byteCount
    self.context = WireMessage(message.bytes, at: context)
  }

  /// The examples, serialized.
  public var examples: WireFields {
    @_lifetime(copy self)
    get { WireFields(list, number: 1) }
  }
}
