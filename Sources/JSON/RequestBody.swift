// What all bodies of requests have in common: they are objects, and may name a signature.

extension JSONReader {
  /// Steps into the body's object. False: it is empty.
  @_lifetime(self: copy self)
  mutating func enterBody() throws(BodyError) -> Bool {
    if bytes.byteCount == 0 { throw BodyError("JSON Parse error: The document is empty") }
    skipSpace()
    if next == 0 { throw BodyError(error(.emptyDocument)) }
    guard kind == .object else {
      let start = at
      do { try skipValue() } catch { throw BodyError(error) }
      throw BodyError("JSON Value: \(described(at: start)) Is not object")
    }
    return enterObject()
  }
}

/// Where the values of a body's members begin; the first of a name counts. Reading it says whether the body is JSON at all;
/// bytes behind the object do not matter.
struct BodyIndex {
  private var places: [Int?]

  init(_ bytes: RawSpan, _ names: [StaticString]) throws(BodyError) {
    places = Array(repeating: nil, count: names.count)
    var reader = JSONReader(bytes)
    guard try reader.enterBody() else { return }
    do {
      repeat {
        let name = try reader.name()
        for (i, other) in names.enumerated() where places[i] == nil && reader.text(name, equals: other) {
          places[i] = reader.at
        }
        try reader.skipValue()
      } while try reader.nextMember()
    } catch {
      throw BodyError(error)
    }
  }

  /// Where the value of the name with this number begins.
  subscript(index: Int) -> Int? { places[index] }
}

public enum RequestBody {
  /// The signature that a body names, an empty text if it names none. Reads all of the body: for who did not find what he
  /// thought it would be.
  public static func signatureName(_ bytes: RawSpan) throws(BodyError) -> String {
    let index = try BodyIndex(bytes, ["signature_name"])
    return try signatureName(bytes, at: index[0]) ?? ""
  }

  /// The signature that a body names first of all; `nil` when something else comes first.
  public static func leadingSignatureName(_ bytes: RawSpan) -> String? {
    var reader = JSONReader(bytes)
    reader.skipSpace()
    guard reader.kind == .object, reader.enterObject(), let name = try? reader.name(),
      reader.text(name, equals: "signature_name"), reader.kind == .string, let value = try? reader.string()
    else { return nil }
    return reader.text(value)
  }

  /// That a body is JSON, and an object.
  public static func check(_ bytes: RawSpan) throws(BodyError) { _ = try BodyIndex(bytes, []) }

  static func signatureName(_ bytes: RawSpan, at place: Int?) throws(BodyError) -> String? {
    guard let place else { return nil }
    var reader = JSONReader(bytes)
    reader.at = place
    guard reader.kind == .string, let string = try? reader.string() else {
      throw BodyError(
        "JSON Value: \(reader.described(at: reader.bodyStart)) not formatted correctly. 'signature_name' key must be a string value.")
    }
    return reader.text(string)
  }
}

extension JSONReader {
  /// Where the body's object begins.
  var bodyStart: Int {
    var reader = JSONReader(bytes)
    reader.skipSpace()
    return reader.at
  }

  /// Whether a name is a literal. Names with escapes are taken apart.
  func text(_ string: JSONString, equals literal: StaticString) -> Bool {
    guard string.isPlain else { return text(string) == literal.description }
    guard string.range.count == literal.utf8CodeUnitCount else { return false }
    for i in 0..<string.range.count {
      // The literal's bytes are there as long as the program.
      if unsafe byte(string.range.lowerBound + i) != literal.utf8Start[i] { return false }
    }
    return true
  }
}
