import Foundation
import Messages
import RPC
import Schemas
import SwiftProtobuf
import Tensors
import Testing
import Wire

@testable import Catalog
@testable import Engine
@testable import Serving

/// Each type through a model that gives back what it gets, in both encodings.
@Suite struct TypesTests {
  private func echo(_ tensor: TensorMessage, content: Bool = false) throws -> TensorMessage? {
    var options = ServingOptions()
    options.tensorContentResponses = content
    let dtype = try #require(DType(wire: tensor.dtype.rawValue))
    let model = try Model.echo(dtype)
    let request = Request(["x": tensor]).bytes
    var frame = Frame()
    let parsed = try PredictRequest(request.rawSpan)
    let run = try PredictRun(parsed, model, options, feeding: &frame)
    try run.execute(&frame)
    let layout = PredictResponseLayout(run, parsed.modelSpec, options, frame)
    let bytes = [UInt8](wireSize: layout.byteCount) { output in layout.append(parsed.modelSpec, frame, to: &output) }
    return try Tensorflow_Serving_PredictResponse(serializedBytes: bytes).outputs["y"]
  }

  private static let typed: [TensorMessage] = [
    TensorMessage(.dtFloat, [2]) { $0.floatVal = [1.5, -.infinity] },
    TensorMessage(.dtDouble, [2]) { $0.doubleVal = [1.5, -1e300] },
    TensorMessage(.dtInt32, [3]) { $0.intVal = [0, -1, .max] },
    TensorMessage(.dtInt16, [2]) { $0.intVal = [-32768, 7] },
    TensorMessage(.dtInt8, [2]) { $0.intVal = [-128, 127] },
    TensorMessage(.dtUint8, [2]) { $0.intVal = [255, 0] },
    TensorMessage(.dtUint16, [2]) { $0.intVal = [65535, 1] },
    TensorMessage(.dtInt64, [2]) { $0.int64Val = [.min, .max] },
    TensorMessage(.dtUint32, [2]) { $0.uint32Val = [.max, 1] },
    TensorMessage(.dtUint64, [2]) { $0.uint64Val = [.max, 1] },
    TensorMessage(.dtBool, [3]) { $0.boolVal = [true, false, true] },
    TensorMessage(.dtHalf, [2]) { $0.halfVal = [0x3C00, 0xFBFF] },
    TensorMessage(.dtBfloat16, [2]) { $0.halfVal = [0x3F80, 0xFF80] },
    TensorMessage(.dtComplex64, [1]) { $0.scomplexVal = [1, -2] },
    TensorMessage(.dtComplex128, [1]) { $0.dcomplexVal = [1, -2] },
    TensorMessage(.dtString, [3]) { $0.stringVal = [Data(), Data([0, 0xFF]), Data(repeating: 65, count: 300)] },
    TensorMessage(.dtFloat, []) { $0.floatVal = [3] },
    TensorMessage(.dtString, [0, 4]),
    TensorMessage(.dtInt64, [2, 0]),
  ]

  @Test(arguments: typed) func `a typed field comes back as it was sent`(_ tensor: TensorMessage) throws {
    #expect(try echo(tensor) == tensor)
  }

  @Test(arguments: typed) func `tensor_content comes back as it was sent, and means the same`(_ tensor: TensorMessage) throws {
    let content = try #require(try echo(tensor, content: true))
    #expect(content.extents == tensor.extents)
    let empty = tensor.extents.contains(0)
    #expect(content.tensorContent.isEmpty == empty)
    #expect(try echo(content, content: true) == content)
    #expect(try echo(content) == tensor)
  }

  @Test func `a scalar without a value is zero, a string without a value empty`() throws {
    #expect(try echo(TensorMessage(.dtFloat, []))?.floatVal == [0])
    #expect(try echo(TensorMessage(.dtString, [2]))?.stringVal == [Data(), Data()])
  }

  /// Requests at every offset from an aligned address. In place exactly when the values happen to be aligned.
  @Test(arguments: [DType.float, .double, .int32, .uint8, .complex128])
  func `values are read in place where they are aligned and copied where they are not`(_ dtype: DType) throws {
    let model = try Model.echo(dtype)
    let tensor = TensorMessage(Tensorflow_DataType(rawValue: Int(dtype.rawValue))!, [4]) { message in
      message.tensorContent = Data((0..<4 * dtype.size).map { UInt8(truncatingIfNeeded: $0 * 7) })
    }
    let bytes = Request(["x": tensor]).bytes
    var seen: Set<Bool> = []
    for offset in 0..<16 {
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 16, alignment: 64)
      defer { unsafe room.deallocate() }
      let message = unsafe UnsafeMutableRawBufferPointer(rebasing: room[offset..<offset + bytes.count])
      unsafe message.copyBytes(from: bytes)
      var frame = Frame()
      // The room outlives the run.
      let parsed = try unsafe PredictRequest(UnsafeRawBufferPointer(message).bytes)
      let run = try PredictRun(parsed, model, ServingOptions(), feeding: &frame)
      try run.execute(&frame)
      let output = frame.output(0, of: model.signatures[0].plan)
      let base = unsafe UnsafeRawPointer(output.base)
      let isInPlace = unsafe base >= UnsafeRawPointer(message.baseAddress!) && base < UnsafeRawPointer(message.baseAddress! + message.count)
      let at = bytes.firstRange(of: Array(tensor.tensorContent))!.lowerBound + Int(bitPattern: message.baseAddress!)
      #expect(isInPlace == (at % dtype.size == 0))
      let isAligned = Int(bitPattern: base) % dtype.size == 0
      #expect(isAligned)
      #expect(Array(output.view.bytes) == Array(tensor.tensorContent))
      seen.insert(isInPlace)
    }
    #expect(seen == (dtype.size == 1 ? [true] : [true, false]))
  }

  @Test func `a tensor larger than allowed is refused, and a run larger than allowed as well`() throws {
    var options = ServingOptions()
    options.tensorBytesMax = 1 << 20
    let model = try Model.echo(.float)
    var frame = Frame(bytesMax: 1 << 16)
    let large = Request(["x": TensorMessage(.dtFloat, [1 << 19]) { $0.floatVal = [1] }]).bytes
    #expect(throws: Status(.invalidArgument, "tensor parsing error: x")) {
      _ = try PredictRun(try PredictRequest(large.rawSpan), model, options, feeding: &frame)
    }
    let fair = Request(["x": TensorMessage(.dtFloat, [1 << 17]) { $0.floatVal = [1] }]).bytes
    do {
      _ = try PredictRun(try PredictRequest(fair.rawSpan), model, options, feeding: &frame)
      Issue.record("there was room")
    } catch let status as Status {
      #expect(status.code == .resourceExhausted)
    }
  }
}
