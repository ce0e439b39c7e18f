// What our views read in a message, as the text `oracle_dump` makes of what protobuf-c reads. See CProtoOracle/oracle.c.
// Everything is visited, so that whatever is wrong anywhere in the bytes is thrown here.

import Tensors
import Wire

@testable import Messages

struct Dump {
  var fields: [(number: UInt32, text: String)] = []

  var text: String {
    "{" + fields.sorted { $0.number < $1.number }.map { "\($0.number)=\($0.text);" }.joined() + "}"
  }

  // MARK: Values

  static func hex(_ span: RawSpan) -> String {
    "\"" + Array(span).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\""
  }

  /// A string as C sees it: to the first zero byte.
  static func cString(_ span: RawSpan) -> String {
    let bytes = Array(span).prefix { $0 != 0 }
    return hex(Array(bytes).rawSpan)
  }

  mutating func string(_ number: UInt32, _ span: RawSpan, always: Bool = false) {
    let text = Dump.cString(span)
    if always || text != "\"\"" { fields.append((number, text)) }
  }

  mutating func bytes(_ number: UInt32, _ span: RawSpan, always: Bool = false) {
    if always || !span.isEmpty { fields.append((number, Dump.hex(span))) }
  }

  mutating func number(_ number: UInt32, _ value: some BinaryInteger, always: Bool = false) {
    if always || value != 0 { fields.append((number, String(value))) }
  }

  mutating func bool(_ number: UInt32, _ value: Bool) {
    if value { fields.append((number, "1")) }
  }

  mutating func add(_ number: UInt32, _ text: String) { fields.append((number, text)) }

  mutating func list(_ number: UInt32, _ values: [String]) {
    if !values.isEmpty { fields.append((number, "[" + values.joined(separator: ",") + "]")) }
  }

  mutating func strings(_ number: UInt32, _ source: consuming WireFields) throws(WireError) {
    var values: [String] = []
    while let next = try source.nextSpan() { values.append(Dump.cString(next)) }
    list(number, values)
  }

  mutating func messages(
    _ number: UInt32, _ source: consuming WireFields, _ dump: (WireMessage) throws(WireError) -> String
  ) throws(WireError) {
    var values: [String] = []
    while let next = try source.nextMessage() { values.append(try dump(next)) }
    list(number, values)
  }

  mutating func message(
    _ number: UInt32, _ message: WireMessage, _ dump: (WireMessage) throws(WireError) -> String
  ) throws(WireError) {
    if message.isPresent { fields.append((number, try dump(message))) }
  }

  enum Key { case string, number }
  enum Value { case string, message }

  mutating func map(
    _ number: UInt32, _ source: consuming WireMap, key: Key = .string, value: Value = .message,
    _ dump: (WireMessage) throws(WireError) -> String = { message throws(WireError) in "" }
  ) throws(WireError) {
    var entries: [(key: String, number: UInt32, text: String)] = []
    while let entry = try source.next() {
      let name = key == .string ? Dump.cString(entry.key) : String(UInt32(truncatingIfNeeded: entry.keyNumber))
      let text: String
      switch value {
      case .string: text = Dump.cString(entry.valueSpan)
      case .message: text = entry.value.isPresent ? try dump(entry.value) : "{}"
      }
      let order = key == .string ? 0 : UInt32(truncatingIfNeeded: entry.keyNumber)
      if let same = entries.firstIndex(where: { $0.key == name }) {
        entries[same].text = text
      } else {
        entries.append((name, order, text))
      }
    }
    guard !entries.isEmpty else { return }
    // Keys in hexadecimal order as their bytes do.
    entries.sort { key == .string ? $0.key < $1.key : $0.number < $1.number }
    fields.append((number, "<" + entries.map { "\($0.key):\($0.text)" }.joined(separator: ",") + ">"))
  }
}

/// One function for each message.
enum Dumps {
  static func modelSpec(_ spec: borrowing ModelSpec) -> String {
    var dump = Dump()
    dump.string(1, spec.name)
    dump.string(3, spec.signatureName)
    switch spec.versionChoice {
    case .none: break
    case .number(let version): dump.add(2, version == 0 ? "{}" : "{1=\(version);}")
    case .label: dump.string(4, spec.versionLabel, always: true)
    }
    return dump.text
  }

  /// Whether a singular message field occurred.
  static func has(_ message: WireMessage, _ number: UInt32) throws(WireError) -> Bool {
    var fields = WireFields(message, number: number)
    return try fields.nextRange() != nil
  }

  static func predictRequest(_ message: WireMessage) throws(WireError) -> String {
    let request = try PredictRequest(message)
    var dump = Dump()
    if try has(message, 1) { dump.add(1, modelSpec(request.modelSpec)) }
    try dump.map(2, request.inputs, tensor)
    try dump.strings(3, request.outputFilter)
    return dump.text
  }

  static func predictResponse(_ message: WireMessage) throws(WireError) -> String {
    let response = try PredictResponse(message)
    var dump = Dump()
    try dump.map(1, response.outputs, tensor)
    if try has(message, 2) { dump.add(2, modelSpec(response.modelSpec)) }
    return dump.text
  }

  static func shape(_ message: WireMessage) throws(WireError) -> String {
    let shape = try TensorShapeProto(message)
    var dump = Dump()
    var extents: [String] = []
    for dimension in 0..<shape.rank {
      if dimension < Shape.rankMax {
        extents.append(shape[dimension] == 0 ? "{}" : "{1=\(shape[dimension]);}")
      } else {
        // Beyond what is kept inline: read again, for the comparison only.
        var fields = WireFields(message, number: 2)
        for _ in 0..<dimension { _ = try fields.nextRange() }
        let range = try fields.nextRange() ?? 0..<0
        let extent = try TensorShapeProto.extent(message.bytes, at: range)
        extents.append(extent == 0 ? "{}" : "{1=\(extent);}")
      }
    }
    dump.list(2, extents)
    dump.bool(3, shape.isRankUnknown)
    return dump.text
  }

  static func tensor(_ message: WireMessage) throws(WireError) -> String {
    let tensor = try TensorProto(message)
    var dump = Dump()
    dump.number(1, tensor.dtypeNumber)
    if try has(message, 2) {
      var extent = WireExtent.absent
      var fields = WireFields(message, number: 2)
      while let range = try fields.nextRange() { try extent.append(range) }
      dump.add(2, try shape(WireMessage(message.bytes, at: extent)))
    }
    dump.bytes(4, message.bytes.extracting(tensor.content))
    for number in [5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17] as [UInt32] { dump.list(number, values(message, number)) }
    // A bytes field, singular: the last counts.
    var last: Range<UInt32> = 0..<0
    var float8 = WireFields(message, number: 18)
    while let range = try float8.nextRange() { last = range }
    dump.bytes(18, message.bytes.extracting(last))
    return dump.text
  }

  /// The values of one typed field, by way of the chunks the engine's decoding uses.
  static func values(_ message: WireMessage, _ number: UInt32) -> [String] {
    var values: [String] = []
    var chunks = ValueChunks(message, number: number)
    while let chunk = chunks.next() {
      var position = Int(chunk.range.lowerBound)
      let end = Int(chunk.range.upperBound)
      if number == 8 {
        values.append(Dump.hex(message.bytes.extracting(chunk.range)))
        continue
      }
      let before = values.count
      while position < end {
        switch number {
        case 5, 9:
          let bits = unsafe message.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
          values.append(String(bits, radix: 16))
          position += 4
        case 6, 12:
          let bits = unsafe message.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
          values.append(String(bits, radix: 16))
          position += 8
        default:
          let value = Varint.read(message.bytes, at: &position)
          switch number {
          case 7, 13: values.append(String(Int32(truncatingIfNeeded: value)))
          case 10: values.append(String(Int64(bitPattern: value)))
          case 11: values.append(value == 0 ? "0" : "1")
          case 16: values.append(String(UInt32(truncatingIfNeeded: value)))
          default: values.append(String(value))
          }
        }
      }
      precondition(values.count - before == chunk.count)
    }
    return values
  }

  static func feature(_ message: WireMessage) throws(WireError) -> String {
    let feature = try Feature(message)
    var dump = Dump()
    guard feature.kind != .none else { return dump.text }
    var list = Dump()
    var values: [String] = []
    var stretches = FeatureValues(feature)
    while let range = try stretches.next() {
      var position = Int(range.lowerBound)
      let end = Int(range.upperBound)
      if feature.kind == .bytes { values.append(Dump.hex(message.bytes.extracting(range))) }
      while feature.kind != .bytes && position < end {
        if feature.kind == .float {
          let bits = unsafe message.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
          values.append(String(bits, radix: 16))
          position += 4
        } else {
          values.append(String(Int64(bitPattern: Varint.read(message.bytes, at: &position))))
        }
      }
    }
    list.list(1, values)
    dump.add(UInt32(feature.kind.rawValue), list.text)
    return dump.text
  }

  static func features(_ message: WireMessage) throws(WireError) -> String {
    var dump = Dump()
    try dump.map(1, WireMap(message, number: 1), feature)
    return dump.text
  }

  static func example(_ message: WireMessage) throws(WireError) -> String {
    var dump = Dump()
    var extent = WireExtent.absent
    var fields = WireFields(message, number: 1)
    while let range = try fields.nextRange() { try extent.append(range) }
    try dump.message(1, WireMessage(message.bytes, at: extent), features)
    return dump.text
  }

  static func savedModel(_ message: WireMessage) throws(WireError) -> String {
    let model = try SavedModel(message)
    var dump = Dump()
    dump.number(1, model.schemaVersion)
    try dump.messages(2, model.metaGraphs, metaGraph)
    return dump.text
  }

  static func metaGraph(_ message: WireMessage) throws(WireError) -> String {
    let metaGraph = try MetaGraphDef(message)
    var dump = Dump()
    try dump.message(1, metaGraph.metaInfo, metaInfo)
    try dump.message(2, metaGraph.graph, graph)
    try dump.message(3, metaGraph.saver, saver)
    try dump.map(4, metaGraph.collections, collection)
    try dump.map(5, metaGraph.signatures, signature)
    try dump.messages(6, metaGraph.assets, asset)
    return dump.text
  }

  static func metaInfo(_ message: WireMessage) throws(WireError) -> String {
    let info = try MetaInfoDef(message)
    var dump = Dump()
    dump.string(1, info.metaGraphVersion)
    try dump.strings(4, info.tags)
    dump.string(5, info.tensorflowVersion)
    dump.bool(7, info.isStrippedOfDefaults)
    try dump.map(8, info.functionAliases, value: .string)
    return dump.text
  }

  static func saver(_ message: WireMessage) throws(WireError) -> String {
    let saver = try SaverDef(message)
    var dump = Dump()
    dump.string(1, saver.filenameTensorName)
    dump.string(2, saver.saveTensorName)
    dump.string(3, saver.restoreOpName)
    dump.number(7, saver.version)
    return dump.text
  }

  static func collection(_ message: WireMessage) throws(WireError) -> String {
    let collection = try CollectionDef(message)
    var dump = Dump()
    guard let kind = collection.kind else { return dump.text }
    var list = Dump()
    switch kind {
    case .nodes: try list.strings(1, collection.values)
    case .bytes:
      var values: [String] = []
      var source = collection.values
      while let next = try source.nextSpan() { values.append(Dump.hex(next)) }
      list.list(1, values)
    case .int64s: list.list(1, try collection.int64s().map { String($0) })
    case .floats: list.list(1, try collection.floats().map { String($0.bitPattern, radix: 16) })
    case .any: try list.messages(1, collection.values, any)
    }
    dump.add(kind.rawValue, list.text)
    return dump.text
  }

  static func any(_ message: WireMessage) throws(WireError) -> String {
    let any = try AnyMessage(message)
    var dump = Dump()
    dump.string(1, any.typeURL)
    dump.bytes(2, any.value)
    return dump.text
  }

  static func signature(_ message: WireMessage) throws(WireError) -> String {
    let signature = try SignatureDef(message)
    var dump = Dump()
    try dump.map(1, signature.inputs, tensorInfo)
    try dump.map(2, signature.outputs, tensorInfo)
    dump.string(3, signature.methodName)
    try dump.map(4, signature.defaults, tensor)
    return dump.text
  }

  static func tensorInfo(_ message: WireMessage) throws(WireError) -> String {
    let info = try TensorInfo(message)
    var dump = Dump()
    dump.number(2, info.dtypeNumber)
    var extent = WireExtent.absent
    var fields = WireFields(message, number: 3)
    while let range = try fields.nextRange() { try extent.append(range) }
    try dump.message(3, WireMessage(message.bytes, at: extent), shape)
    switch info.encoding {
    case .none: break
    case .dense: dump.string(1, info.name, always: true)
    case .sparse:
      var parts = Dump()
      if let sparse = try info.sparse() {
        parts.string(1, sparse.values.rawSpan)
        parts.string(2, sparse.indices.rawSpan)
        parts.string(3, sparse.denseShape.rawSpan)
      }
      dump.add(4, parts.text)
    case .composite:
      var parts = Dump()
      try parts.messages(2, info.components, tensorInfo)
      dump.add(5, parts.text)
    }
    return dump.text
  }

  static func asset(_ message: WireMessage) throws(WireError) -> String {
    let asset = try AssetFileDef(message)
    var dump = Dump()
    var extent = WireExtent.absent
    var fields = WireFields(message, number: 1)
    while let range = try fields.nextRange() { try extent.append(range) }
    try dump.message(1, WireMessage(message.bytes, at: extent), tensorInfo)
    dump.string(2, asset.filename)
    return dump.text
  }

  static func graph(_ message: WireMessage) throws(WireError) -> String {
    let graph = try GraphDef(message)
    var dump = Dump()
    try dump.messages(1, graph.nodes, node)
    try dump.message(2, graph.library) { library throws(WireError) in
      var dump = Dump()
      try dump.messages(1, FunctionDefLibrary(library).functions, function)
      return dump.text
    }
    if try has(message, 4) { dump.add(4, versions(graph.versions)) }
    // The index holds what the views do.
    let index = try GraphIndex(message)
    var nodes = graph.nodes
    var count = 0
    while let next = try nodes.nextMessage() {
      let view = try NodeDef(next)
      let node = index.nodes[count]
      precondition(message.bytes.extracting(node.name).hasSameBytes(as: view.name))
      precondition(message.bytes.extracting(node.op).hasSameBytes(as: view.op))
      if index.duplicate == nil {
        precondition(index.node(named: view.name, in: index.scope, of: message.bytes) == count)
      }
      count += 1
    }
    precondition(index.scope == 0..<count && index.versions == graph.versions)
    return dump.text
  }

  static func versions(_ versions: VersionDef) -> String {
    var dump = Dump()
    dump.number(1, versions.producer)
    dump.number(2, versions.minConsumer)
    return dump.text
  }

  static func node(_ message: WireMessage) throws(WireError) -> String {
    let node = try NodeDef(message)
    var dump = Dump()
    dump.string(1, node.name)
    dump.string(2, node.op)
    try dump.strings(3, node.inputs)
    dump.string(4, node.device)
    try dump.map(5, node.attributes, attribute)
    return dump.text
  }

  static func attribute(_ message: WireMessage) throws(WireError) -> String {
    let attribute = try AttrValue(message)
    var dump = Dump()
    switch attribute.kind {
    case .none: break
    case .list:
      guard let list = attribute.list() else { break }
      var values = Dump()
      var strings: [String] = []
      var source = list.strings
      while let next = try source.nextSpan() { strings.append(Dump.hex(next)) }
      values.list(2, strings)
      values.list(3, try list.ints().map { String($0) })
      values.list(4, try list.floats().map { String($0.bitPattern, radix: 16) })
      values.list(5, try list.bools().map { $0 ? "1" : "0" })
      values.list(6, try list.typeNumbers().map { String($0) })
      try values.messages(7, list.shapes, shape)
      try values.messages(8, list.tensors, tensor)
      try values.messages(9, list.functions, nameAttrList)
      dump.add(1, values.text)
    case .string: if let string = attribute.string { dump.bytes(2, string, always: true) }
    case .int: dump.number(3, attribute.int ?? -1, always: true)
    case .float: dump.add(4, String((attribute.float ?? 0).bitPattern, radix: 16))
    case .bool: dump.add(5, attribute.bool == true ? "1" : "0")
    case .type: dump.number(6, attribute.typeNumber ?? -1, always: true)
    case .shape: dump.add(7, try shape(attribute.body))
    case .tensor: dump.add(8, try tensor(attribute.body))
    case .placeholder: if let string = attribute.string { dump.string(9, string, always: true) }
    case .function: dump.add(10, try nameAttrList(attribute.body))
    }
    return dump.text
  }

  static func nameAttrList(_ message: WireMessage) throws(WireError) -> String {
    let list = try NameAttrList(message)
    var dump = Dump()
    dump.string(1, list.name)
    try dump.map(2, list.attributes, attribute)
    return dump.text
  }

  static func function(_ message: WireMessage) throws(WireError) -> String {
    let function = try FunctionDef(message)
    var dump = Dump()
    if try has(message, 1) { dump.add(1, try op(function.signature.message)) }
    try dump.messages(3, function.nodes, node)
    try dump.map(4, function.returns, value: .string)
    try dump.map(5, function.attributes, attribute)
    try dump.map(6, function.controlReturns, value: .string)
    try dump.map(7, function.argumentAttributes, key: .number) { message throws(WireError) in
      var dump = Dump()
      try dump.map(1, WireMap(message, number: 1), attribute)
      return dump.text
    }
    return dump.text
  }

  static func op(_ message: WireMessage) throws(WireError) -> String {
    let op = try OpDef(message)
    var dump = Dump()
    dump.string(1, op.name)
    try dump.messages(2, op.inputArguments, argument)
    try dump.messages(3, op.outputArguments, argument)
    try dump.messages(4, op.attributes) { message throws(WireError) in
      let attribute = try OpAttrDef(message)
      var dump = Dump()
      dump.string(1, attribute.name)
      dump.string(2, attribute.type)
      try dump.message(3, attribute.defaultValue, Dumps.attribute)
      return dump.text
    }
    dump.bool(17, op.isStateful)
    try dump.strings(20, op.controlOutputs)
    return dump.text
  }

  static func argument(_ message: WireMessage) throws(WireError) -> String {
    let argument = try OpArgDef(message)
    var dump = Dump()
    dump.string(1, argument.name)
    dump.number(3, argument.typeNumber)
    dump.string(4, argument.typeAttribute)
    dump.string(5, argument.numberAttribute)
    dump.string(6, argument.typeListAttribute)
    dump.bool(16, argument.isReference)
    return dump.text
  }

  static func bundleHeader(_ message: WireMessage) throws(WireError) -> String {
    let header = try BundleHeaderProto(message)
    var dump = Dump()
    dump.number(1, header.shardCount)
    dump.number(2, header.endianness)
    if try has(message, 3) { dump.add(3, versions(header.version)) }
    return dump.text
  }

  static func bundleEntry(_ message: WireMessage) throws(WireError) -> String {
    let entry = try BundleEntryProto(message)
    var dump = Dump()
    dump.number(1, entry.dtypeNumber)
    var extent = WireExtent.absent
    var fields = WireFields(message, number: 2)
    while let range = try fields.nextRange() { try extent.append(range) }
    try dump.message(2, WireMessage(message.bytes, at: extent), shape)
    dump.number(3, entry.shard)
    dump.number(4, entry.offset)
    dump.number(5, entry.size)
    if entry.maskedCRC32C != 0 { dump.add(6, String(entry.maskedCRC32C, radix: 16)) }
    try dump.messages(7, entry.slices) { message throws(WireError) in
      var dump = Dump()
      dump.list(
        1,
        try TensorSliceProto(message).extents.map { extent in
          var dump = Dump()
          dump.number(1, extent.start)
          if let length = extent.length { dump.number(2, length, always: true) }
          return dump.text
        })
      return dump.text
    }
    return dump.text
  }

  static func namedTensor(_ message: WireMessage) throws(WireError) -> String {
    let named = try NamedTensorProto(message)
    var dump = Dump()
    dump.string(1, named.name)
    try dump.message(2, named.tensor, tensor)
    return dump.text
  }
}
