// The header list of one stream, kept as it came: copied once, back to back, into one buffer that the stream reuses.
//
//   entry:  [name length: 4][value length: 4][name][value]
//
// The fields every request is asked for are noticed on arrival (`KnownField`) and found again without a search. A field
// that comes twice is found by its first occurrence.
internal import Glibc

/// Fields the server looks at on every request, and the client on every answer.
public enum KnownField: Int, Sendable {
  case method, scheme, authority, path, status
  case te, contentType, userAgent
  case grpcTimeout, grpcEncoding, grpcAcceptEncoding, grpcStatus, grpcMessage
  static let count = 13
}

@safe public struct HeaderBlock: ~Copyable {
  private struct Slice: BitwiseCopyable {
    var start: UInt32 = 0
    var count: UInt32 = 0
  }

  private static let entryHead = 8

  private var storage = ByteBuffer()
  private var known = InlineArray<13, Slice>(repeating: Slice())
  /// Size of the list as RFC 9113 §6.5.2 counts it.
  private(set) var listBytes = 0

  mutating func clear(keeping capacityMax: Int) {
    storage.clear(keeping: capacityMax)
    known = InlineArray(repeating: Slice())
    listBytes = 0
  }

  /// Keeps a field, or says that the list has grown past `limit`.
  /// - Precondition: both pointers have their lengths readable.
  mutating func append(
    _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int, limit: Int
  ) -> Bool {
    unsafe append(name, nameCount, value, valueCount, limit: limit, lowercasing: false)
  }

  /// The same, its name in lower case whatever it came in.
  mutating func append(lowercasing name: RawSpan, _ value: RawSpan, limit: Int) -> Bool {
    append(name, value, limit: limit, lowercasing: true)
  }

  mutating func append(_ name: StaticString, _ value: RawSpan, limit: Int) -> Bool {
    // A literal's bytes live for the whole process.
    unsafe append(
      RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)), value, limit: limit,
      lowercasing: false)
  }

  mutating func append(_ name: StaticString, _ value: StaticString, limit: Int) -> Bool {
    unsafe append(
      name.utf8Start, name.utf8CodeUnitCount, value.utf8Start, value.utf8CodeUnitCount, limit: limit, lowercasing: false)
  }

  private mutating func append(_ name: RawSpan, _ value: RawSpan, limit: Int, lowercasing: Bool) -> Bool {
    if name.isEmpty { return false }
    // Both spans outlive the call; the name's start stands in for that of an empty value, which is not read.
    return unsafe name.withUnsafeBytes { name in
      unsafe value.withUnsafeBytes { value in
        let nameBase = unsafe name.baseAddress!.assumingMemoryBound(to: UInt8.self)
        let valueBase = unsafe value.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe append(nameBase, name.count, valueBase ?? nameBase, value.count, limit: limit, lowercasing: lowercasing)
      }
    }
  }

  @inline(__always)
  private mutating func append(
    _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int, limit: Int,
    lowercasing: Bool
  ) -> Bool {
    listBytes += nameCount + valueCount + 32
    if listBytes > limit { return false }
    let start = storage.count
    let size = HeaderBlock.entryHead + nameCount + valueCount
    // grow() gives exactly `size` bytes; lengths are below `limit`, which fits 32 bits.
    guard let entry = unsafe storage.grow(by: size) else { return false }
    unsafe entry.storeBytes(of: UInt32(truncatingIfNeeded: nameCount), as: UInt32.self)
    unsafe entry.storeBytes(of: UInt32(truncatingIfNeeded: valueCount), toByteOffset: 4, as: UInt32.self)
    let kept = unsafe (entry + HeaderBlock.entryHead).assumingMemoryBound(to: UInt8.self)
    unsafe memcpy(kept, name, nameCount)
    unsafe memcpy(kept + nameCount, value, valueCount)
    if lowercasing { for i in 0..<nameCount { unsafe kept[i] = Ascii.lowercased(kept[i]) } }
    if let field = unsafe KnownField(kept, nameCount), known[field.rawValue].start == 0 {
      known[field.rawValue] = Slice(start: UInt32(start + HeaderBlock.entryHead + nameCount), count: UInt32(valueCount))
    }
    return true
  }

  public func has(_ field: KnownField) -> Bool { known[field.rawValue].start != 0 }

  /// The value of a known field; empty when it did not come (ask `has` to tell the two apart).
  public subscript(_ field: KnownField) -> RawSpan {
    @_lifetime(borrow self)
    get {
      let slice = known[field.rawValue]
      return storage.bytes.extracting(Int(slice.start)..<Int(slice.start) + Int(slice.count))
    }
  }

  /// A request that wants the head of an answer and nothing else.
  var isHEAD: Bool {
    let method = self[.method]
    return method.equals("HEAD")
  }

  /// A known field as text, nil when it did not come.
  public func text(_ field: KnownField) -> String? {
    if !has(field) { return nil }
    let value = self[field]
    return value.text
  }

  /// The value of any field, by its lower-case name.
  public func value(of name: String) -> String? {
    var found: String?
    forEach { n, v in
      if found == nil, n.equals(text: name) { found = v.text }
    }
    return found
  }

  /// Every field in the order of arrival.
  public func forEach(_ body: (_ name: RawSpan, _ value: RawSpan) -> Void) {
    let bytes = storage.bytes
    var at = 0
    while at < bytes.byteCount {
      // Written by append(): the two lengths and what they announce are inside the buffer; extracting() checks again.
      let nameCount = Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self))
      let valueCount = Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at + 4, as: UInt32.self))
      let nameStart = at + HeaderBlock.entryHead
      body(
        bytes.extracting(nameStart..<nameStart + nameCount),
        bytes.extracting(nameStart + nameCount..<nameStart + nameCount + valueCount))
      at = nameStart + nameCount + valueCount
    }
  }
}

extension KnownField {
  /// - Precondition: `name` has `count` readable bytes.
  init?(_ name: UnsafePointer<UInt8>, _ count: Int) {
    func match(_ field: KnownField, _ text: StaticString) -> KnownField? {
      // Callers pass a text of exactly `count` bytes.
      unsafe memcmp(name, text.utf8Start, text.utf8CodeUnitCount) == 0 ? field : nil
    }
    let field: KnownField?
    switch count {
    case 2: field = match(.te, "te")
    case 5: field = match(.path, ":path")
    case 7:
      switch unsafe name[2] {
      case UInt8(ascii: "e"): field = match(.method, ":method")
      case UInt8(ascii: "c"): field = match(.scheme, ":scheme")
      default: field = match(.status, ":status")
      }
    case 10: field = unsafe name[0] == UInt8(ascii: ":") ? match(.authority, ":authority") : match(.userAgent, "user-agent")
    case 11: field = match(.grpcStatus, "grpc-status")
    case 12:
      switch unsafe name[5] {
      case UInt8(ascii: "n"): field = match(.contentType, "content-type")
      case UInt8(ascii: "t"): field = match(.grpcTimeout, "grpc-timeout")
      default: field = match(.grpcMessage, "grpc-message")
      }
    case 13: field = match(.grpcEncoding, "grpc-encoding")
    case 20: field = match(.grpcAcceptEncoding, "grpc-accept-encoding")
    default: field = nil
    }
    guard let field else { return nil }
    self = field
  }
}

extension RawSpan {
  /// Whether these are exactly the bytes of `text`.
  public func equals(_ text: StaticString) -> Bool {
    byteCount == text.utf8CodeUnitCount && starts(with: text)
  }

  public func equals(text: String) -> Bool {
    unsafe withUnsafeBytes { unsafe $0.elementsEqual(text.utf8) }
  }

  public func starts(with text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    if byteCount < count || count == 0 { return byteCount >= count }
    // A literal's bytes live for the whole process.
    return unsafe withUnsafeBytes { unsafe memcmp($0.baseAddress!, text.utf8Start, count) == 0 }
  }

  public func isEqual(to other: RawSpan) -> Bool {
    let count = byteCount
    if count != other.byteCount { return false }
    // Both have `count` bytes.
    return unsafe withUnsafeBytes { a in
      unsafe other.withUnsafeBytes { b in unsafe count == 0 || memcmp(a.baseAddress!, b.baseAddress!, count) == 0 }
    }
  }

  /// The bytes as text; what is not UTF-8 is replaced.
  public var text: String { unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
}
