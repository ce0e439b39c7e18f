// From arguments to options, as TensorFlow's `Flags::Parse` reads them, and the usage text.
internal import HTTP

/// A flag: its name, where its value goes, what it means.
struct Flag: Sendable {
  enum Value: Sendable {
    case int(@Sendable (inout Options, Int) -> Void, range: ClosedRange<Int>, fallback: String)
    case bool(@Sendable (inout Options, Bool) -> Void, fallback: String)
    case string(@Sendable (inout Options, String) -> Void, fallback: String)
    /// Taken for the sake of command lines that have it. A value that asks for more than `fallback` gets a line in the log.
    case withoutEffect(Kind, fallback: String, reason: String)
  }
  /// What a value without effect has to look like.
  enum Kind: String, Sendable { case int, bool, string, float }

  var name: String
  var value: Value
  var help: String
}

/// Why the command line cannot be taken.
enum OptionsError: Error, Equatable {
  case malformed(flag: String, value: String, expected: String)
  case helpAsked
}

extension Flag {
  static let int32 = Int(Int32.min)...Int(Int32.max)
  static let uint32 = 0...Int(UInt32.max)

  static func int(
    _ name: String, in range: ClosedRange<Int> = int32, _ path: any WritableKeyPath<Options, Int> & Sendable, _ help: String
  ) -> Flag {
    Flag(name: name, value: .int({ $0[keyPath: path] = $1 }, range: range, fallback: String(Options()[keyPath: path])), help: help)
  }
  static func bool(_ name: String, _ path: any WritableKeyPath<Options, Bool> & Sendable, _ help: String) -> Flag {
    Flag(name: name, value: .bool({ $0[keyPath: path] = $1 }, fallback: String(Options()[keyPath: path])), help: help)
  }
  static func string(_ name: String, _ path: any WritableKeyPath<Options, String> & Sendable, _ help: String) -> Flag {
    Flag(name: name, value: .string({ $0[keyPath: path] = $1 }, fallback: Options()[keyPath: path]), help: help)
  }
  static func ignored(_ name: String, _ kind: Kind, _ fallback: String, _ reason: String) -> Flag {
    Flag(
      name: name, value: .withoutEffect(kind, fallback: fallback, reason: reason), help: "accepted, without effect: \(reason)")
  }
}

extension Options {
  /// Reads `arguments` (without the program's name). Of a flag that is given twice the last counts.
  init(_ arguments: [String]) throws(OptionsError) {
    for argument in arguments {
      guard argument.hasPrefix("--") else {
        unknown = unknown ?? argument
        continue
      }
      let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      let text = parts.count == 2 ? String(parts[1]) : nil
      if name == "help" { throw .helpAsked }
      guard let flag = flags.first(where: { $0.name == name }) else {
        unknown = unknown ?? argument
        continue
      }
      try set(flag, text, argument)
    }
    setChannelArguments(channelArguments)
    try setTransportLimits(transportLimits)
  }

  private mutating func set(_ flag: Flag, _ text: String?, _ argument: String) throws(OptionsError) {
    switch flag.value {
    case .int(let set, let range, _):
      // Without `=` TensorFlow's parser does not take it for the flag at all.
      guard let text else { return unknown = unknown ?? argument }
      guard let value = Int(text), range.contains(value) else {
        throw .malformed(flag: flag.name, value: text, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      set(&self, value)
    case .bool(let set, _):
      guard let value = Options.bool(text) else {
        throw .malformed(flag: flag.name, value: text ?? "", expected: "true or false")
      }
      set(&self, value)
    case .string(let set, _):
      guard let text else { return unknown = unknown ?? argument }
      set(&self, text)
    case .withoutEffect(let kind, let fallback, let reason):
      guard kind == .bool || text != nil else { return unknown = unknown ?? argument }
      guard let asksForMore = kind.differs(text, from: fallback) else {
        throw .malformed(flag: flag.name, value: text ?? "", expected: kind.expected)
      }
      if asksForMore { withoutEffect.append("--\(flag.name) has no effect here: \(reason)") }
    }
  }

  /// A bare flag is true.
  fileprivate static func bool(_ text: String?) -> Bool? {
    switch text {
    case nil, "true", "1": true
    case "false", "0": false
    default: nil
    }
  }
}

extension Flag.Kind {
  /// Whether the value is another than `fallback`; `nil` when it is none of the kind.
  fileprivate func differs(_ text: String?, from fallback: String) -> Bool? {
    switch self {
    case .bool: Options.bool(text).map { String($0) != fallback }
    case .int: text.flatMap { Int($0) }.map { $0 != Int(fallback) }
    case .float: text.flatMap { Float($0) }.map { $0 != Float(fallback) }
    case .string: text.map { $0 != fallback }
    }
  }

  fileprivate var expected: String {
    switch self {
    case .bool: "true or false"
    case .int: "a whole number"
    case .float: "a number"
    case .string: "a text"
    }
  }
}

extension Options {
  static let usage: String = {
    var text = "usage: martlet-server\nFlags:\n"
    for flag in flags {
      let (type, fallback) =
        switch flag.value {
        case .int(_, _, let fallback): ("int", fallback)
        case .bool(_, let fallback): ("bool", fallback)
        case .string(_, let fallback): ("string", "\"\(fallback)\"")
        case .withoutEffect(.string, let fallback, _): ("string", "\"\(fallback)\"")
        case .withoutEffect(let kind, let fallback, _): (kind.rawValue, fallback)
        }
      let shown = "--\(flag.name)=\(fallback)"
      let padding = String(repeating: " ", count: max(1, 52 - shown.count))
      text += "\t\(shown)\(padding)\(type)\t\(flag.help)\n"
    }
    text += "Limits of the transport (--transport_limits=name=value,...):\n"
    for limit in Limits.named { text += "\t\(limit.name)=\(Limits()[keyPath: limit.path])\n" }
    return text
  }()
}
