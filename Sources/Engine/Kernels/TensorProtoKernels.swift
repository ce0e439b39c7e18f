// Tensors as the bytes of a TensorProto and back.
internal import Messages
internal import Tensors
internal import Wire

let tensorProtoKernels: [KernelDefinition] = [
  KernelDefinition("ParseTensor") { node throws(GraphError) in
    let type = try node.dtype("out_type")
    return { frame throws(RunError) in
      let serialized = try frame.strings(0)
      guard serialized.shape.rank == 0 else { throw .invalidArgument("Expected `serialized` to be a scalar, got shape: \(serialized.shape)") }
      try frame.parse(serialized.string(at: 0), as: type)
    }
  },
  KernelDefinition("SerializeTensor") { _ throws(GraphError) in
    { frame throws(RunError) in
      let x = frame.input(0)
      guard x.dtype != .resource, x.dtype != .variant else { throw .unimplemented("tensors of type \(x.dtype) are not serialized") }
      let size = TensorProtoSize(x.view, as: x.dtype == .string ? .typedFields : .content)
      try frame.outputStrings(0, []) { _, bytes throws(RunError) in
        bytes += [UInt8](wireSize: size.byteSize) { size.append(x.view, to: &$0) }
      }
    }
  },
]

extension Frame {
  /// The most bytes a parsed tensor may take: what the fields leave out is filled, so that few bytes may ask for many.
  private static let parsedMax = 1 << 30

  /// Output 0: the tensor these bytes are. Its strings stand in them, which outlive the run.
  fileprivate mutating func parse(_ bytes: RawSpan, as type: DType) throws(RunError) {
    let proto: TensorProto
    do { proto = try TensorProto(try WireMessage(bytes)) } catch {
      var text: [UInt8] = []
      Base64.encode(bytes, true, into: &text)
      // The alphabet of mail, not that of the web.
      for i in text.indices { if text[i] == UInt8(ascii: "-") { text[i] = UInt8(ascii: "+") } else if text[i] == UInt8(ascii: "_") { text[i] = UInt8(ascii: "/") } }
      throw .invalidArgument("Could not parse `serialized` as TensorProto, base64: \(String(decoding: text, as: UTF8.self))")
    }
    let elements: TensorElements
    do { elements = try proto.elements(bytesMax: Frame.parsedMax) } catch { throw .invalidArgument("Cannot parse tensor from proto: \(error)") }
    guard elements.dtype == type else {
      throw .invalidArgument("Type mismatch between parsed tensor (\(elements.dtype)) and dtype (\(type))")
    }
    var out = try output(0, type, elements.shape)
    var room = out.mutableBytes
    if type == .string {
      // The references are as many as the elements, and the bytes are a string's.
      unsafe elements.copyStringRefs(into: &room)
    } else {
      elements.copyElements(into: &room)
    }
  }
}
