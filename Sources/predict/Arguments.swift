// Tensors as people type and read them.
internal import Client
internal import HTTP
internal import RPC
internal import Tensors

struct ArgumentError: Error {
  let description: String
}

/// What the command line asks, and whom.
struct Question {
  var target: Target
  var query: PredictQuery
  var timeout = Duration.seconds(60)
  /// Files for TLS; all nil and `usesTLS` false: plain.
  var usesTLS = false
  var trustedRoots: String?
  var certificate: String?
  var key: String?
  var serverName: String?

  /// The channel's configuration; reads the files.
  func configuration() throws(ArgumentError) -> Channel.Configuration {
    var configuration = PredictionClient.defaults
    guard usesTLS else { return configuration }
    do throws(TLSError) {
      configuration.tls = try .client(trustedRootsFile: trustedRoots, certificateFile: certificate, keyFile: key)
    } catch { throw ArgumentError(description: error.description) }
    configuration.tlsServerName = serverName
    return configuration
  }
}

func readArguments(_ arguments: [String]) throws(ArgumentError) -> Question {
  let words = arguments.filter { !$0.hasPrefix("--") }
  guard words.count >= 2 else { throw ArgumentError(description: "a server and a model are needed") }
  var question: Question
  do throws(TargetError) {
    question = Question(target: try Target(parsing: words[0]), query: PredictQuery(model: words[1], inputs: [:]))
  } catch { throw ArgumentError(description: error.description) }
  for option in arguments where option.hasPrefix("--") { try read(option, into: &question) }
  for word in words.dropFirst(2) {
    let (name, tensor) = try readInput(word)
    question.query.inputs[name] = tensor
  }
  return question
}

private func read(_ option: String, into question: inout Question) throws(ArgumentError) {
  if option == "--tls" {
    question.usesTLS = true
    return
  }
  let parts = option.dropFirst(2).split(separator: "=", maxSplits: 1).map(String.init)
  guard parts.count == 2 else { throw ArgumentError(description: "'\(option)' is not --name=value") }
  switch parts[0] {
  case "signature": question.query.signature = parts[1]
  case "label": question.query.versionLabel = parts[1]
  case "output": question.query.outputs.append(parts[1])
  case "version":
    guard let version = Int64(parts[1]) else { throw ArgumentError(description: "'\(parts[1])' is no version number") }
    question.query.version = version
  case "timeout":
    guard let seconds = Double(parts[1]), seconds > 0, seconds <= 1e9 else {
      throw ArgumentError(description: "'\(parts[1])' is no number of seconds")
    }
    question.timeout = .microseconds(Int64(seconds * 1e6))
  // Each of these makes no sense without TLS.
  case "ca": (question.trustedRoots, question.usesTLS) = (parts[1], true)
  case "cert": (question.certificate, question.usesTLS) = (parts[1], true)
  case "key": (question.key, question.usesTLS) = (parts[1], true)
  case "server-name": (question.serverName, question.usesTLS) = (parts[1], true)
  default: throw ArgumentError(description: "there is no option --\(parts[0])")
  }
}
/// `name[:type[extents]]=values`.
func readInput(_ word: String) throws(ArgumentError) -> (String, Tensor) {
  let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
  guard sides.count == 2 else { throw ArgumentError(description: "'\(word)' is not name=values") }
  let head = sides[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
  guard let name = head.first, !name.isEmpty else { throw ArgumentError(description: "'\(word)' has no name") }
  let kind = head.count == 2 ? head[1] : "float"
  let typeName = String(kind.prefix { $0 != "[" })
  guard let dtype = DType.allCases.first(where: { $0.name == typeName }) else {
    throw ArgumentError(description: "'\(typeName)' is no type")
  }
  let values = sides[1].isEmpty ? [] : sides[1].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  var extents = [values.count]
  if let open = kind.firstIndex(of: "[") {
    guard kind.last == "]" else { throw ArgumentError(description: "'\(kind)' has no closing bracket") }
    extents = []
    for part in kind[kind.index(after: open)...].dropLast().split(separator: ",") {
      guard let extent = Int(part) else { throw ArgumentError(description: "'\(part)' is no extent") }
      extents.append(extent)
    }
  }
  guard let shape = Shape(extents), shape.count == values.count else {
    throw ArgumentError(description: "\(values.count) values do not fill the shape of '\(name)'")
  }
  return (name, try tensor(dtype, shape, values))
}

private func tensor(_ dtype: DType, _ shape: Shape, _ values: [String]) throws(ArgumentError) -> Tensor {
  func numbers<T: LosslessStringConvertible & BitwiseCopyable>(_ type: T.Type) throws(ArgumentError) -> Tensor {
    let parsed = values.compactMap { T($0) }
    guard parsed.count == values.count else { throw ArgumentError(description: "one of the values is no \(dtype)") }
    return Tensor(dtype, shape: shape, parsed)
  }
  switch dtype {
  case .float: return try numbers(Float.self)
  case .double: return try numbers(Double.self)
  case .int32: return try numbers(Int32.self)
  case .int64: return try numbers(Int64.self)
  case .int16: return try numbers(Int16.self)
  case .int8: return try numbers(Int8.self)
  case .uint8: return try numbers(UInt8.self)
  case .uint16: return try numbers(UInt16.self)
  case .uint32: return try numbers(UInt32.self)
  case .uint64: return try numbers(UInt64.self)
  case .bool: return try numbers(Bool.self)
  case .string: return Tensor(shape: shape, strings: values.map { Array($0.utf8) })
  default: throw ArgumentError(description: "values of type \(dtype) cannot be typed here")
  }
}

/// The elements of a tensor as text; of a large one the first.
func text(_ tensor: Tensor) -> String {
  let shown = 32
  func list<T>(_ values: [T]) -> String {
    "[" + values.prefix(shown).map { "\($0)" }.joined(separator: ", ") + (values.count > shown ? ", ..." : "") + "]"
  }
  switch tensor.dtype {
  case .float: return list(tensor.array(of: Float.self))
  case .double: return list(tensor.array(of: Double.self))
  case .int32: return list(tensor.array(of: Int32.self))
  case .int64: return list(tensor.array(of: Int64.self))
  case .int16: return list(tensor.array(of: Int16.self))
  case .int8: return list(tensor.array(of: Int8.self))
  case .uint8: return list(tensor.array(of: UInt8.self))
  case .uint16: return list(tensor.array(of: UInt16.self))
  case .uint32: return list(tensor.array(of: UInt32.self))
  case .uint64: return list(tensor.array(of: UInt64.self))
  case .bool: return list(tensor.array(of: UInt8.self).map { $0 != 0 })
  case .string: return list(tensor.strings.map { "\"" + String(decoding: $0, as: UTF8.self) + "\"" })
  default: return "\(tensor.shape.count) elements"
  }
}
