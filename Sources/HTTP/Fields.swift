// Header fields to be sent. `StaticFields` are made once and live as long as the process: nghttp2 takes their addresses
// and nothing is copied or counted per answer. Everything else goes through `FieldList`, which nghttp2 copies.
internal import CNGHTTP2
internal import Glibc

/// A header list that never changes and is never freed: `:status: 200` and its neighbours. Make few of them, at start.
@safe public struct StaticFields: @unchecked Sendable {
  let base: UnsafeMutablePointer<nghttp2_nv>
  let count: Int
  let hasLength: Bool

  public init(_ fields: [(name: String, value: String)]) {
    count = fields.count
    // Leaked on purpose: see above. Written here, read-only afterwards.
    unsafe base = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: max(fields.count, 1))
    hasLength = fields.contains { $0.name == "content-length" }
    for (i, field) in fields.enumerated() {
      unsafe (base + i).initialize(
        to: nghttp2_nv(
          name: StaticFields.bytes(field.name), value: StaticFields.bytes(field.value),
          namelen: field.name.utf8.count, valuelen: field.value.utf8.count,
          flags: UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)))
    }
  }

  static let headTooLarge = StaticFields([(":status", "431")])

  private static func bytes(_ text: String) -> UnsafeMutablePointer<UInt8> {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: text.utf8.count + 1)
    var i = 0
    for byte in text.utf8 {
      unsafe memory[i] = byte
      i += 1
    }
    unsafe memory[i] = 0
    return unsafe memory
  }
}

/// 204 or 304, whose answers have no content (RFC 9110 §6.4.1). The status is the first field: a pseudo-field has none before
/// it (RFC 9113 §8.3), and answers have no other.
/// - Precondition: `fields` has `count` entries, each with its bytes readable.
func haveBodilessStatus(_ fields: UnsafePointer<nghttp2_nv>, _ count: Int) -> Bool {
  guard count > 0, unsafe fields[0].namelen == 7, unsafe fields[0].valuelen == 3, unsafe fields[0].name[0] == UInt8(ascii: ":")
  else { return false }
  let digits = unsafe fields[0].value!
  return unsafe (digits[0] == UInt8(ascii: "2") || digits[0] == UInt8(ascii: "3")) && digits[1] == UInt8(ascii: "0")
    && digits[2] == UInt8(ascii: "4")
}

/// A header list made for one message: names and values back to back, copied by nghttp2 when it is submitted.
public struct FieldList: ~Copyable {
  private var storage = ByteBuffer()
  private var ends: [(name: Int, value: Int)] = []

  public init() {}

  public mutating func append(_ name: StaticString, _ value: String) {
    unsafe append(name.utf8Start, name.utf8CodeUnitCount, value)
  }

  public mutating func append(_ name: String, _ value: String) {
    var name = name
    name.withUTF8 { unsafe append($0.baseAddress, $0.count, value) }
  }

  private mutating func append(_ name: UnsafePointer<UInt8>?, _ nameCount: Int, _ value: String) {
    var value = value
    // Both sources outlive these calls; a list without memory for a field goes without it.
    guard unsafe storage.append(name, nameCount) else { return }
    let nameEnd = storage.count
    _ = value.withUTF8 { unsafe storage.append($0.baseAddress, $0.count) }
    ends.append((nameEnd, storage.count))
  }

  public var isEmpty: Bool { ends.isEmpty }

  public mutating func removeAll() {
    storage.clear()
    ends.removeAll(keepingCapacity: true)
  }

  /// The list in nghttp2's form, `first` before it, for the length of the call.
  func withNV<R>(after first: StaticFields? = nil, _ body: (UnsafeMutablePointer<nghttp2_nv>, Int) -> R) -> R {
    let firstCount = first?.count ?? 0
    let total = firstCount + ends.count
    return unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(total, 1)) { list in
      // Trivial elements: each of the `total` is written before it is read. Storage stays put while `self` is borrowed.
      let out = list.baseAddress!
      if let first { unsafe memcpy(out, first.base, firstCount * MemoryLayout<nghttp2_nv>.stride) }
      var at = 0
      for (i, end) in ends.enumerated() {
        let bytes = unsafe storage.unsafeBase!.assumingMemoryBound(to: UInt8.self)
        unsafe out[firstCount + i] = nghttp2_nv(
          name: bytes + at, value: bytes + end.name, namelen: end.name - at, valuelen: end.value - end.name, flags: 0)
        at = end.value
      }
      return unsafe body(out, total)
    }
  }
}
