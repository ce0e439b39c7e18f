/// Text that is no JSON, in the words of RapidJSON, which TensorFlow Serving's clients know.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: Sendable {
    case emptyDocument
    case invalidValue
    case missingName
    case missingColon
    case missingCommaInObject
    case missingCommaInArray
    case invalidHexDigit
    case invalidSurrogate
    case invalidEscape
    case missingQuotationMark
    case controlCharacter
    case numberTooBig
    case missingFraction
    case missingExponent
    /// Ours: RapidJSON goes as deep as its stack does, and then crashes.
    case nestedTooDeep
  }

  public let kind: Kind
  /// Bytes before what is wrong.
  public let offset: Int

  init(_ kind: Kind, at offset: Int) {
    self.kind = kind
    self.offset = offset
  }

  public var description: String {
    let text =
      switch kind {
      case .emptyDocument: "The document is empty."
      case .invalidValue: "Invalid value."
      case .missingName: "Missing a name for object member."
      case .missingColon: "Missing a colon after a name of object member."
      case .missingCommaInObject: "Missing a comma or '}' after an object member."
      case .missingCommaInArray: "Missing a comma or ']' after an array element."
      case .invalidHexDigit: "Incorrect hex digit after \\u escape in string."
      case .invalidSurrogate: "The surrogate pair in string is invalid."
      case .invalidEscape: "Invalid escape character in string."
      case .missingQuotationMark: "Missing a closing quotation mark in string."
      case .controlCharacter: "Invalid escape character in string."
      case .numberTooBig: "Number too big to be stored in double."
      case .missingFraction: "Miss fraction part in number."
      case .missingExponent: "Miss exponent in number."
      case .nestedTooDeep: "Nested deeper than \(JSONReader.depthMax) levels."
      }
    return "\(text) at offset: \(offset)"
  }
}
