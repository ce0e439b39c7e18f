import Messages
import Wire

/// A bundle's index file: where every tensor's bytes stand, and which shards that takes.
struct TensorBundleIndex {
  /// A shard, and the bytes its entries need it to have.
  struct Shard {
    var number: Int
    var bytesNeeded: Int
    /// The entry that needs the last of them.
    var key: [UInt8]
  }

  let prefix: String
  let shardCount: Int
  let entries: [[UInt8]: TensorBundle.Entry]
  /// The shards that entries point into, by number.
  let shards: [Shard]

  var path: String { prefix + ".index" }

  func path(ofShard shard: Int) -> String {
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }
    return "\(prefix).data-\(digits(shard))-of-\(digits(shardCount))"
  }

  init(prefix: String) throws(FormatError) {
    let path = prefix + ".index"
    let file = try File(path)
    let bytes = try file.contents(bytesMax: WireLimits.bytesMax)
    try self.init(bytes.rawSpan, prefix: prefix)
  }

  init(_ bytes: RawSpan, prefix: String) throws(FormatError) {
    let path = prefix + ".index"
    var header: BundleHeaderProto? = nil
    var entries: [[UInt8]: TensorBundle.Entry] = [:]
    var shards: [Int: Shard] = [:]
    try Table.walk(bytes, file: path) { (key, value) throws(FormatError) in
      func wrong(_ kind: FormatError.Kind, _ what: String) -> FormatError {
        FormatError(kind, what, file: path, place: key.isEmpty ? "the header" : "key '\(String(showing: key.rawSpan))'")
      }
      do {
        guard let known = header else {
          // The empty key is the first.
          guard key.isEmpty else { throw wrong(.corrupt, "there is no header before it") }
          let found = try BundleHeaderProto(WireMessage(value))
          guard !found.isBigEndian else { throw wrong(.unsupported, "a bundle of big-endian tensors") }
          // kTensorBundleVersion in tensor_bundle.h.
          guard found.version.minConsumer <= 1 else {
            throw wrong(.unsupported, "a bundle for readers of version \(found.version.minConsumer), this is 1")
          }
          guard found.shardCount > 0 else { throw wrong(.corrupt, "\(found.shardCount) shards") }
          header = found
          return
        }
        let proto = try BundleEntryProto(WireMessage(value))
        var slices: [TensorSliceProto] = []
        var fields = proto.slices
        while let slice = try fields.nextMessage() { slices.append(try TensorSliceProto(slice)) }
        let (end, overflow) = proto.offset.addingReportingOverflow(proto.size)
        guard proto.offset >= 0, proto.size >= 0, !overflow else {
          throw wrong(.corrupt, "\(proto.size) bytes from byte \(proto.offset) on")
        }
        guard proto.shard >= 0, proto.shard < known.shardCount else {
          throw wrong(.corrupt, "shard \(proto.shard) of \(known.shardCount)")
        }
        let shard = Int(proto.shard)
        if slices.isEmpty, shards[shard].map({ $0.bytesNeeded <= Int(end) }) ?? true {
          shards[shard] = Shard(number: shard, bytesNeeded: Int(end), key: key)
        }
        entries[key] = TensorBundle.Entry(
          dtypeNumber: proto.dtypeNumber, shape: proto.shape, shard: shard, offset: Int(proto.offset),
          size: slices.isEmpty ? Int(proto.size) : 0, maskedCRC32C: proto.maskedCRC32C, slices: slices)
      } catch let error as WireError {
        throw wrong(.corrupt, "\(error)")
      } catch let error as FormatError {
        throw error
      } catch {
        throw wrong(.corrupt, "\(error)")
      }
    }
    guard let header else { throw FormatError(.corrupt, "there is no header", file: path) }
    self.prefix = prefix
    shardCount = Int(header.shardCount)
    self.entries = entries
    self.shards = shards.values.sorted { $0.number < $1.number }
  }

  /// Whether a shard of `byteCount` bytes has all its entries.
  func check(_ shard: Shard, byteCount: Int) throws(FormatError) {
    guard byteCount >= shard.bytesNeeded else {
      throw FormatError(
        .corrupt, "the file has \(byteCount) bytes, expected at least \(shard.bytesNeeded)", file: path(ofShard: shard.number),
        place: "key '\(String(showing: shard.key.rawSpan))'")
    }
  }
}
