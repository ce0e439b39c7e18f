// Methods by path. The path of a request is compared as bytes: no string is made to find a handler.
internal import HTTP

/// Answers unary calls. One object serves every loop: what it changes must be per loop or atomic.
public protocol UnaryHandler: AnyObject, Sendable {
  /// Called on the stream's loop with a complete message. Answers (`reply`, `fail`) before it returns, or calls `detach`.
  func handle(_ call: UnaryCall)
}

/// One of the two handlers is there.
final class Method: Sendable {
  let path: [UInt8]
  /// Its place in the table.
  let index: Int
  let unary: (any UnaryHandler)?
  let streaming: (any StreamingHandler)?

  init(path: [UInt8], index: Int, unary: (any UnaryHandler)?, streaming: (any StreamingHandler)?) {
    self.path = path
    self.index = index
    self.unary = unary
    self.streaming = streaming
  }

  func matches(_ other: RawSpan) -> Bool { unsafe path.withUnsafeBytes { unsafe other.isEqual(to: $0.bytes) } }
}

public struct MethodTable: Sendable {
  private var methods: [Method] = []
  /// Open addressing, at most half full: index into `methods` or -1.
  private var slots: [Int32] = [-1, -1]

  public init() {}

  /// - Precondition: `path` is `/package.Service/Method` and not registered yet.
  public mutating func register(path: String, _ handler: any UnaryHandler) { register(path, handler, nil) }

  /// The same for a call with any number of messages in either direction.
  public mutating func register(path: String, streaming handler: any StreamingHandler) { register(path, nil, handler) }

  private mutating func register(_ path: String, _ unary: (any UnaryHandler)?, _ streaming: (any StreamingHandler)?) {
    let bytes = Array(path.utf8)
    let isNew = unsafe bytes.withUnsafeBytes { unsafe find($0.bytes) == nil }
    precondition(bytes.first == UInt8(ascii: "/") && isNew, "method \(path) registered twice or malformed")
    methods.append(Method(path: bytes, index: methods.count, unary: unary, streaming: streaming))
    slots = Array(repeating: -1, count: max(4, (methods.count * 2).roundedUpToPowerOfTwo))
    for (i, method) in methods.enumerated() {
      var slot = unsafe method.path.withUnsafeBytes { unsafe MethodTable.hash($0.bytes) } & (slots.count - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(i)
    }
  }

  var count: Int { methods.count }

  public var paths: [String] { methods.map { String(decoding: $0.path, as: UTF8.self) } }

  func find(_ path: RawSpan) -> Unmanaged<Method>? {
    var slot = MethodTable.hash(path) & (slots.count - 1)
    while slots[slot] >= 0 {
      let index = Int(slots[slot])
      if methods[index].matches(path) {
        // The table keeps its methods; whoever holds the pointer holds the table.
        return unsafe Unmanaged.passUnretained(methods[index])
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// FNV-1a over words: the methods are ours, a peer cannot make them collide.
  private static func hash(_ path: RawSpan) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(path.byteCount)
    var at = 0
    while at + 8 <= path.byteCount {
      // Eight bytes are there.
      let word = unsafe path.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
      hash = (hash ^ word) &* 0x100_0000_01b3
      hash ^= hash >> 32
      at += 8
    }
    while at < path.byteCount {
      hash = (hash ^ UInt64(path[at])) &* 0x100_0000_01b3
      at += 1
    }
    return Int(truncatingIfNeeded: hash ^ hash >> 32)
  }
}

extension Int {
  fileprivate var roundedUpToPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
