// What a fuzzer, and the test that replays its corpus, does with bytes: reads them by every way in, and follows each to
// the end. Nothing may trap; a thrown error is an answer.

import Messages
import Records
import Tensors
import Wire

/// The ways in, by the name of their corpus.
public enum FuzzEntry: String, CaseIterable, Sendable {
  case predictRequest = "PredictRequest"
  case tensorProto = "TensorProto"
  case savedModel = "SavedModel"
  case example = "Example"
  case bundle = "Bundle"
  case records = "TFRecord"
  case classificationRequest = "ClassificationRequest"
  case multiInferenceRequest = "MultiInferenceRequest"
  case sessionRunRequest = "SessionRunRequest"
  case predictionLog = "PredictionLog"
  case predictBody = "PredictBody"
  case examplesBody = "ExamplesBody"

  /// A number made of everything that was read, so that nothing is read for nothing.
  @discardableResult
  public func callAsFunction(_ bytes: RawSpan) -> Int {
    switch self {
    case .records: return readRecords(bytes)
    case .predictBody: return readPredictBody(bytes)
    case .examplesBody: return readExamplesBody(bytes)
    default: return readMessage(bytes)
    }
  }

  private func readMessage(_ bytes: RawSpan) -> Int {
    do throws(WireError) {
      let message = try WireMessage(bytes)
      switch self {
      case .predictRequest: return try readPredict(message)
      case .tensorProto: return try readTensor(message)
      case .savedModel: return try readSavedModel(message)
      case .example: return try readExample(message)
      case .bundle: return try readBundle(message)
      case .records, .predictBody, .examplesBody: return 0
      case .classificationRequest: return try readClassify(message)
      case .multiInferenceRequest: return try readMultiInference(message)
      case .sessionRunRequest: return try readSessionRun(message)
      case .predictionLog:
        let log = try PredictionLog(message)
        return log.request.byteCount &+ (log.kind == nil ? 0 : 1)
      }
    } catch {
      return error.description.utf8.count
    }
  }
}

func readRecords(_ bytes: RawSpan) -> Int {
  var reader = TFRecordReader(bytes)
  var sum = 0
  do throws(TFRecordError) {
    while let record = try reader.next() { sum &+= 1 &+ record.byteCount }
  } catch {
    return error.description.utf8.count
  }
  return sum
}

func readPredict(_ message: WireMessage) throws(WireError) -> Int {
  let request = try PredictRequest(message)
  var sum = request.modelSpec.name.byteCount + request.modelSpec.versionLabel.byteCount
  var inputs = request.inputs
  while let input = try inputs.next() { sum &+= input.key.byteCount &+ (try readTensor(input.value)) }
  var filter = request.outputFilter
  while let name = try filter.nextSpan() { sum &+= String(showing: name).utf8.count }
  // What was read can be written, and is as long as its size says.
  let spec = [UInt8](wireSize: request.modelSpec.byteSize) { request.modelSpec.append(to: &$0) }
  precondition(spec.count == request.modelSpec.byteSize)
  return sum
}

func readTensor(_ message: WireMessage) throws(WireError) -> Int {
  let tensor = try TensorProto(message)
  do throws(TensorProtoError) {
    let elements = try tensor.elements(bytesMax: 1 << 16)
    if elements.dtype == .string {
      var sum = 0
      var count = 0
      var strings = elements.strings
      while let string = strings.next() {
        sum &+= string.byteCount
        count += 1
      }
      precondition(count == elements.count)
      return sum
    }
    var buffer = TensorBuffer(byteCount: elements.byteCount)
    var span = buffer.mutableBytes
    elements.copyElements(into: &span)
    if let bytes = elements.contiguousBytes { precondition(bytes.hasSameBytes(as: buffer.bytes)) }
    // Written and read again, the elements are the same.
    let view = TensorView(dtype: elements.dtype, shape: elements.shape, bytes: buffer.bytes)
    for encoding in [TensorEncoding.typedFields, .content] {
      let size = TensorProtoSize(view, as: encoding)
      let written = [UInt8](wireSize: size.byteSize) { size.append(view, to: &$0) }
      precondition(written.count == size.byteSize)
      guard let again = try? TensorProto(WireMessage(written.rawSpan)) else { preconditionFailure() }
      var second = TensorBuffer(byteCount: elements.byteCount)
      var room = second.mutableBytes
      try again.elements(bytesMax: 1 << 16).copyElements(into: &room)
      // A bool may be any byte in tensor_content, and is 0 or 1 in bool_val.
      precondition(elements.dtype == .bool || second.bytes.hasSameBytes(as: buffer.bytes))
    }
    return elements.byteCount
  } catch {
    return error.description.utf8.count
  }
}

func readSavedModel(_ message: WireMessage) throws(WireError) -> Int {
  var sum = 0
  let model = try SavedModel(message)
  var metaGraphs = model.metaGraphs
  while let next = try metaGraphs.nextMessage() {
    let metaGraph = try MetaGraphDef(next)
    var tags = try MetaInfoDef(metaGraph.metaInfo).tags
    while let tag = try tags.nextSpan() { sum &+= tag.byteCount }
    sum &+= try SaverDef(metaGraph.saver).filenameTensorName.byteCount
    var signatures = metaGraph.signatures
    while let signature = try signatures.next() { sum &+= try readSignature(signature.value) }
    var collections = metaGraph.collections
    while let entry = try collections.next() {
      let collection = try CollectionDef(entry.value)
      switch collection.kind {
      case .int64s: sum &+= try collection.int64s().count
      case .floats: sum &+= try collection.floats().count
      case .any:
        var values = collection.values
        while let any = try values.nextMessage() { sum &+= try AnyMessage(any).value.byteCount }
      default:
        var values = collection.values
        while let value = try values.nextSpan() { sum &+= value.byteCount }
      }
    }
    var assets = metaGraph.assets
    while let asset = try assets.nextMessage() { sum &+= try AssetFileDef(asset).filename.byteCount }
    sum &+= try readGraph(metaGraph.graph)
  }
  return sum
}

func readSignature(_ message: WireMessage) throws(WireError) -> Int {
  let signature = try SignatureDef(message)
  var sum = signature.methodName.byteCount
  var inputs = signature.inputs
  while let input = try inputs.next() { sum &+= try readInfo(input.value, depth: 0) }
  var outputs = signature.outputs
  while let output = try outputs.next() { sum &+= try readInfo(output.value, depth: 0) }
  var defaults = signature.defaults
  while let value = try defaults.next() { sum &+= try readTensor(value.value) }
  return sum
}

func readInfo(_ message: WireMessage, depth: Int) throws(WireError) -> Int {
  let info = try TensorInfo(message)
  var sum = info.name.byteCount &+ (info.shape.partialShape?.description.utf8.count ?? 0)
  if let sparse = try info.sparse() { sum &+= sparse.values.count }
  if info.encoding == .composite && depth < 20 {
    var components = info.components
    while let component = try components.nextMessage() { sum &+= try readInfo(component, depth: depth + 1) }
  }
  return sum
}

func readGraph(_ message: WireMessage) throws(WireError) -> Int {
  var sum = 0
  let bytes = message.bytes
  let index = try GraphIndex(message)
  for scope in [index.scope] + index.functions.map(\.scope) {
    for number in scope {
      let node = index.nodes[number]
      let found = index.node(named: bytes.extracting(node.name), in: scope, of: bytes)
      precondition(found != nil && (index.duplicate != nil || found == number))
      for input in index.inputs(of: number) { sum &+= input.count }
      for name in index.attributeNames(of: number) {
        if let value = try index.attribute(bytes.extracting(name), of: number, in: bytes) {
          sum &+= try readAttribute(value, depth: 0)
        }
      }
    }
  }
  for function in index.functions {
    precondition(index.function(named: bytes.extracting(function.name), of: bytes) != nil)
    let definition = try FunctionDef(WireMessage(bytes, at: function.definition))
    var arguments = definition.signature.inputArguments
    while let argument = try arguments.nextMessage() { sum &+= try OpArgDef(argument).name.byteCount }
    var attributes = definition.signature.attributes
    while let attribute = try attributes.nextMessage() {
      sum &+= try readAttribute(AttrValue(OpAttrDef(attribute).defaultValue), depth: 0)
    }
    var returns = definition.returns
    while let entry = try returns.next() { sum &+= entry.valueSpan.byteCount }
    var argumentAttributes = definition.argumentAttributes
    while let entry = try argumentAttributes.next() { sum &+= Int(truncatingIfNeeded: entry.keyNumber) }
  }
  return sum
}

func readAttribute(_ value: borrowing AttrValue, depth: Int) throws(WireError) -> Int {
  guard depth < 20 else { return 0 }
  switch value.kind {
  case .none: return 0
  case .string, .placeholder: return value.string?.byteCount ?? 0
  case .int: return Int(truncatingIfNeeded: value.int ?? 0)
  case .float: return Int(value.float?.bitPattern ?? 0)
  case .bool: return value.bool == true ? 1 : 0
  case .type: return value.type?.size ?? 0
  case .shape: return try value.shape()?.rank ?? 0
  case .tensor:
    guard let tensor = try value.tensor() else { return 0 }
    do throws(TensorProtoError) {
      return try tensor.elements(bytesMax: 1 << 16).count
    } catch {
      return 0
    }
  case .function:
    guard let function = try value.function() else { return 0 }
    return try readFunction(function, depth: depth)
  case .list:
    guard let list = value.list() else { return 0 }
    var sum = try list.ints().count
    sum &+= try list.floats().count
    sum &+= try list.bools().count
    sum &+= try list.typeNumbers().count
    var strings = list.strings
    while let string = try strings.nextSpan() { sum &+= string.byteCount }
    var shapes = list.shapes
    while let shape = try shapes.nextMessage() { sum &+= try TensorShapeProto(shape).rank }
    var functions = list.functions
    while let function = try functions.nextMessage() { sum &+= try readFunction(NameAttrList(function), depth: depth) }
    return sum
  }
}

func readFunction(_ function: borrowing NameAttrList, depth: Int) throws(WireError) -> Int {
  var sum = function.name.byteCount
  var attributes = function.attributes
  while let attribute = try attributes.next() {
    sum &+= try readAttribute(AttrValue(attribute.value), depth: depth + 1)
  }
  return sum
}

func readExample(_ message: WireMessage) throws(WireError) -> Int {
  let table = FeatureTable(["", "a", "b", "age", "feature_000"].map { (Array($0.utf8), FeatureKind.none) })
  var slots = [FeatureSlot](repeating: FeatureSlot(), count: table.count)
  var span = slots.mutableSpan
  try ExampleReader(table).read(message, into: &span)
  // The same bytes as a sequence.
  if let lists = try? FeatureListReader(table).read(message.bytes) { slots += lists.flatMap { $0 ?? [] } }
  var sum = 0
  for slot in slots {
    if slot.kind == .bytes {
      var count = 0
      slot.forEachString(of: message.bytes) { range in
        sum &+= message.bytes.extracting(range).byteCount
        count += 1
      }
      precondition(count == slot.count)
    } else {
      var buffer = TensorBuffer(byteCount: slot.byteCount)
      var room = buffer.mutableBytes
      slot.copyNumbers(of: message.bytes, into: &room)
      sum &+= buffer.byteCount
    }
  }
  return sum
}

func readBundle(_ message: WireMessage) throws(WireError) -> Int {
  let header = try BundleHeaderProto(message)
  let entry = try BundleEntryProto(message)
  var sum = Int(header.shardCount) &+ Int(entry.shard) &+ Int(truncatingIfNeeded: entry.offset)
  var slices = entry.slices
  while let slice = try slices.nextMessage() { sum &+= try TensorSliceProto(slice).extents.count }
  return sum &+ (entry.shape.partialShape?.extents?.count ?? 0)
}
