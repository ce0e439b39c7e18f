// Single ops against TensorFlow: `Goldens/*.jsonl`, written by `make_goldens.py`.
import Engine
import Foundation
import Tensors

/// A run of one op as TensorFlow made it.
struct Golden: Decodable, CustomStringConvertible, Sendable {
  struct Entry: Decodable, Sendable {
    var t: Int
    var s: [Int]
    var b: Data?
    var v: [Data]?
    /// A constant in every real graph.
    var c: Bool?

    var tensor: Tensor {
      let shape = Shape(s)!
      if let v { return Tensor(shape: shape, strings: v.map { [UInt8]($0) }) }
      // The span is read before the array goes.
      return unsafe Tensor(dtype: DType(wire: t)!, shape: shape, bytes: [UInt8](b!).span.bytes)
    }
  }

  struct Attr: Decodable, Sendable {
    var s: Data?
    var i: Int?
    var f: Float?
    var b: Bool?
    var type: Int?
    var shape: [Int]?
    var list: [Attr]?

    var attribute: Attribute {
      if let s { return .string([UInt8](s)) }
      if let i { return .int(i) }
      if let f { return .float(f) }
      if let b { return .bool(b) }
      if let type { return .type(DType(wire: type)!) }
      if let list { return .list(list.map(\.attribute)) }
      return .shape(PartialShape(shape))
    }
  }

  var op: String
  var attrs: [String: Attr?]
  var `in`: [Entry]
  var out: [Entry]?
  var code: UInt8?
  var error: String?
  var rtol: Double?

  var description: String { "\(op)(\(`in`.map { "\(DType(wire: $0.t)!)\($0.s)" }.joined(separator: ", ")))" }

  static func load(_ family: String) throws -> [Golden] {
    let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Goldens/\(family).jsonl")
    let decoder = JSONDecoder()
    return try Data(contentsOf: url).split(separator: UInt8(ascii: "\n")).map { try decoder.decode(Golden.self, from: $0) }
  }

  /// How the inputs reach the op.
  enum Feeding: CaseIterable {
    case borrowed, arena, constant
    /// The first input is fed, the others are constants, as a layer has them.
    case weights

    func isConstant(_ input: Int) -> Bool { self == .constant || self == .weights && input > 0 }
  }

  /// Runs the op and says what differs from TensorFlow; `nil` when nothing does.
  func difference(_ feeding: Feeding) -> String? {
    var nodes: [Node] = []
    let inputs = `in`.map(\.tensor)
    for (i, tensor) in inputs.enumerated() {
      nodes.append(
        feeding.isConstant(i) || `in`[i].c == true
          ? Node(name: "x\(i)", op: "Const", attributes: ["value": .tensor(tensor)]) : Node(name: "x\(i)", op: "Placeholder"))
    }
    nodes.append(
      Node(
        name: op, op: op, inputs: inputs.indices.map { Endpoint(node: $0) },
        attributes: attrs.compactMapValues { $0?.attribute }))
    let outputs = max(out?.count ?? 1, 1)
    let fed = inputs.indices.filter { !feeding.isConstant($0) && `in`[$0].c != true }
    let session = Session(Graph(nodes: nodes))
    let plan: Plan
    do {
      let feeds = fed.map { Endpoint(node: $0) }
      plan = try session.plans([
        .init(feeds: feeds, fetches: (0..<outputs).map { Endpoint(node: inputs.count, output: $0) })
      ])[0]
    } catch {
      return code == nil ? "refused at load: \(error)" : nil
    }
    var frame = Frame()
    frame.begin(plan)
    for (i, tensor) in fed.map({ inputs[$0] }).enumerated() {
      if feeding != .arena {
        frame.feed(i, tensor)
      } else {
        let value = try! frame.feed(i, dtype: tensor.dtype, shape: tensor.shape)
        // The value is as large as the tensor, which outlives the run; its strings stay where they are.
        unsafe value.base.copyMemory(from: tensor.unsafeBase, byteCount: value.byteCount)
      }
    }
    do {
      try frame.run(plan)
    } catch {
      guard let code else { return "failed with \(error.code): \(error.message)" }
      let text = error.message.components(separatedBy: "\n\t [[")[0]
      if error.code.rawValue != code { return "code \(error.code.rawValue) for \(code): \(text) for: \(self.error!)" }
      return text == self.error! ? nil : "text: \(text)\n                 for: \(self.error!)"
    }
    guard let out else { return "gave an answer, expected: \(self.error!)" }
    for (i, expected) in out.enumerated() {
      let value = frame.output(i, of: plan)
      let want = expected.tensor
      if value.dtype != want.dtype || value.shape != want.shape {
        return "output \(i) is \(value.dtype) \(value.shape), expected \(want.dtype) \(want.shape)"
      }
      if let text = Golden.difference(Tensor(copying: value.view), want, rtol) { return "output \(i): \(text)" }
    }
    withExtendedLifetime(inputs) {}
    return nil
  }

  static func difference(_ got: Tensor, _ want: Tensor, _ rtol: Double?) -> String? {
    func compare(_ got: [Double], _ want: [Double], _ tolerance: Double) -> String? {
      let tolerance = rtol ?? tolerance
      for (i, (a, b)) in zip(got, want).enumerated() {
        let isClose = a == b || a.isNaN && b.isNaN || abs(a - b) <= tolerance * max(abs(b), 1e-6)
        if !isClose { return "element \(i) is \(a), expected \(b)" }
      }
      return nil
    }
    switch want.dtype {
    case .string: return got.strings == want.strings ? nil : "\(got.strings.map { String(decoding: $0, as: UTF8.self) }), expected \(want.strings.map { String(decoding: $0, as: UTF8.self) })"
    case .float, .complex64:
      return compare(got.floats, want.floats, want.dtype == .float ? 1e-5 : 1e-4)
    case .double, .complex128: return compare(got.doubles, want.doubles, 1e-10)
    case .half: return compare(got.halves, want.halves, 2e-3)
    case .bfloat16: return compare(got.bfloats, want.bfloats, 1.6e-2)
    default:
      let (a, b) = (got.bytes, want.bytes)
      return a == b ? nil : "bytes \(a.prefix(48)), expected \(b.prefix(48))"
    }
  }
}

extension Tensor {
  var bytes: [UInt8] { unsafe view.bytes.withUnsafeBytes { unsafe Array($0) } }
  private func numbers<T: BitwiseCopyable>(_ type: T.Type) -> [T] {
    unsafe view.bytes.withUnsafeBytes { unsafe Array($0.bindMemory(to: T.self)) }
  }
  var floats: [Double] { numbers(Float.self).map(Double.init) }
  var doubles: [Double] { numbers(Double.self) }
  var halves: [Double] { numbers(Float16.self).map(Double.init) }
  var bfloats: [Double] { numbers(UInt16.self).map { Double(Float(bitPattern: UInt32($0) << 16)) } }
}
