// RegexReplace and RegexFullMatch, with the pattern in an attribute, in a constant, or computed.
internal import Tensors

let regexKernels: [KernelDefinition] = [
  KernelDefinition("StaticRegexReplace") { node throws(GraphError) in
    let regex = try node.regex(try node.string("pattern"))
    let rewrite = try node.rewrite(try node.bytes("rewrite"), regex)
    let isGlobal = try node.bool("replace_global", default: true)
    return { frame throws(RunError) in try frame.regexReplace(regex, rewrite, isGlobal) }
  },
  KernelDefinition("RegexReplace") { node throws(GraphError) in
    let isGlobal = try node.bool("replace_global", default: true)
    // Compiled once when it can be.
    if let pattern = node.string(at: 1), let text = node.string(at: 2) {
      let regex = try node.regex(String(decoding: pattern, as: UTF8.self))
      let rewrite = try node.rewrite(text, regex)
      return { frame throws(RunError) in try frame.regexReplace(regex, rewrite, isGlobal) }
    }
    return { frame throws(RunError) in
      let regex = try frame.pattern(1)
      let text = try frame.strings(2)
      guard text.count == 1 else { throw .invalidArgument("Rewrite must be scalar, but received \(text.shape)") }
      let bytes = unsafe text.string(at: 0).withUnsafeBytes { unsafe Array($0) }
      guard let rewrite = Rewrite(bytes, groups: regex.groupCount) else {
        throw .invalidArgument("Invalid rewrite pattern: \(text.text(at: 0))")
      }
      try frame.regexReplace(regex, rewrite, isGlobal)
    }
  },
  KernelDefinition("StaticRegexFullMatch") { node throws(GraphError) in
    let regex = try node.regex(try node.string("pattern"))
    return { frame throws(RunError) in try frame.regexMatch(regex) }
  },
  KernelDefinition("RegexFullMatch") { node throws(GraphError) in
    if let pattern = node.string(at: 1) {
      let regex = try node.regex(String(decoding: pattern, as: UTF8.self))
      return { frame throws(RunError) in try frame.regexMatch(regex) }
    }
    return { frame throws(RunError) in try frame.regexMatch(try frame.pattern(1)) }
  },
]

extension NodeContext {
  /// The string of an input that is a constant; `nil` when it is computed, or no single string.
  fileprivate func string(at input: Int) -> [UInt8]? {
    guard input < constants.count, let tensor = constants[input], tensor.dtype == .string, tensor.shape.count == 1 else {
      return nil
    }
    return tensor.strings[0]
  }

  fileprivate func regex(_ pattern: String) throws(GraphError) -> Regex {
    do { return try Regex(pattern) } catch { throw unsupported("Invalid pattern: \(pattern), error: \(error.message)") }
  }

  fileprivate func rewrite(_ text: [UInt8], _ regex: Regex) throws(GraphError) -> Rewrite {
    guard let rewrite = Rewrite(text, groups: regex.groupCount) else {
      throw invalid("Invalid rewrite pattern: \(String(decoding: text, as: UTF8.self))")
    }
    return rewrite
  }
}

/// What a match is replaced by: text, and groups named `\0` to `\9`.
private struct Rewrite: Sendable {
  enum Piece: Sendable {
    case text([UInt8])
    case group(Int)
  }
  var pieces: [Piece] = []

  init?(_ text: [UInt8], groups: Int) {
    var literal: [UInt8] = []
    var i = 0
    while i < text.count {
      let byte = text[i]
      i += 1
      guard byte == 92 else {
        literal.append(byte)
        continue
      }
      guard i < text.count else { return nil }
      let next = text[i]
      i += 1
      if next == 92 {
        literal.append(92)
      } else if next >= 48, next <= 57, Int(next - 48) <= groups {
        pieces += [.text(literal), .group(Int(next - 48))]
        literal = []
      } else {
        return nil
      }
    }
    pieces.append(.text(literal))
  }

  func append(_ match: [Int], of text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
    for piece in pieces {
      switch piece {
      case .text(let literal): bytes += literal
      case .group(let group):
        // Places within the text, or -1 both.
        if match[2 * group] >= 0 { unsafe bytes += text[match[2 * group]..<match[2 * group + 1]] }
      }
    }
  }
}

extension Frame {
  fileprivate func pattern(_ input: Int) throws(RunError) -> Regex {
    let pattern = try strings(input)
    guard pattern.count == 1 else { throw .invalidArgument("Pattern must be scalar, but received \(pattern.shape)") }
    do { return try Regex(pattern.text(at: 0)) } catch {
      throw .invalidArgument("Invalid pattern: \(pattern.text(at: 0)), error: \(error.message)")
    }
  }

  fileprivate mutating func regexMatch(_ regex: Regex) throws(RunError) {
    let x = try strings(0)
    let out = try output(0, .bool, x.shape)
    var matcher = Regex.Matcher(regex)
    for i in 0..<x.count {
      // `i` is within the output.
      unsafe out.pointer(Bool.self)[i] = regex.find(x.ref(i).buffer, whole: true, &matcher)
    }
  }

  fileprivate mutating func regexReplace(_ regex: Regex, _ rewrite: Rewrite, _ isGlobal: Bool) throws(RunError) {
    let x = try strings(0)
    var matcher = Regex.Matcher(regex)
    try outputStrings(0, x.shape) { i, bytes throws(RunError) in
      let text = unsafe x.ref(i).buffer
      var at = 0
      var end = -1
      while at <= text.count, unsafe regex.find(text, from: at, &matcher) {
        let (first, last) = (matcher.match[0], matcher.match[1])
        unsafe bytes += text[at..<first]
        if first == last, first == end {
          // Nothing, right behind a match: not a second one. A character is passed over.
          guard first < text.count else {
            at = first
            break
          }
          let length = unsafe Regex.character(text, first).1
          unsafe bytes += text[first..<(first + length)]
          at = first + length
          end = -1
          continue
        }
        unsafe rewrite.append(matcher.match, of: text, to: &bytes)
        at = last
        end = last
        if !isGlobal { break }
        if first == last {
          guard at < text.count else { break }
          let length = unsafe Regex.character(text, at).1
          unsafe bytes += text[at..<(at + length)]
          at += length
        }
      }
      if at < text.count { unsafe bytes += text[at...] }
    }
  }
}
