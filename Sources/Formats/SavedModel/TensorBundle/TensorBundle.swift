// Saved tensors by name (tensorflow/core/util/tensor_bundle): TensorFlow's checkpoints since 1.x, and a SavedModel's variables.
//
//   PREFIX.index                 a table: "" → header, tensor name → where its bytes are
//   PREFIX.data-00000-of-00002   shards: bytes of tensors one after another
//
//   a partitioned variable       name → its whole shape and a list of slices; slice key → where that slice's bytes are
//
// The index is read at once and every entry held against the shard it points into, so that a bundle that opens has all its
// files whole. Bytes are read when a tensor is asked for, and no tensor leaves here whose checksum was not right.
import Engine
import Messages
import Records
import Synchronization
import Tensors
import Wire

/// A bundle, open.
final class TensorBundle: CheckpointReader, Sendable {
  /// Where a tensor's bytes stand, as the index says it; made sense of when the tensor is asked for.
  struct Entry: Sendable {
    var dtypeNumber: Int32
    var shape: TensorShapeProto
    var shard: Int
    var offset: Int
    var size: Int
    var maskedCRC32C: UInt32
    /// The parts of a partitioned variable; such an entry has no bytes of its own.
    var slices: [TensorSliceProto]
  }

  let prefix: String
  let entries: [[UInt8]: Entry]
  /// The shards that entries point into.
  private let shards: [Int: File]
  private let firstFailure = Mutex<FormatError?>(nil)

  /// Why the first read that failed did: the engine's error keeps only the text.
  var failure: FormatError? { firstFailure.withLock { $0 } }

  /// - Parameter prefix: the path without `.index`.
  init(prefix: String) throws(FormatError) {
    let index = try TensorBundleIndex(prefix: prefix)
    var shards: [Int: File] = [:]
    for shard in index.shards {
      let file = try File(index.path(ofShard: shard.number))
      try index.check(shard, byteCount: file.byteCount)
      shards[shard.number] = file
    }
    // Entries that share bytes could ask for any amount of memory.
    let claimed = index.entries.values.reduce(0) { $0.addingReportingOverflow($1.size).partialValue }
    let present = shards.values.reduce(0) { $0 + $1.byteCount }
    guard claimed >= 0, claimed <= present else {
      throw FormatError(.corrupt, "its tensors have \(claimed) bytes, the shards \(present)", file: index.path)
    }
    self.prefix = prefix
    entries = index.entries
    self.shards = shards
  }

  // MARK: CheckpointReader

  func tensor(_ key: String, slice: String) throws(RunError) -> Tensor {
    do throws(FormatError) {
      return try read(Array(key.utf8), name: key, slice: slice)
    } catch {
      firstFailure.withLock { $0 = $0 ?? error }
      let code: RunError.Code =
        switch error.kind {
        case .notFound: .notFound
        case .corrupt: .dataLoss
        case .invalid, .failed: .invalidArgument
        case .unsupported: .unimplemented
        case .unreadable: .internal
        }
      throw RunError(code, error.description)
    }
  }

  // MARK: Reading

  private func read(_ key: [UInt8], name: String, slice spec: String) throws(FormatError) -> Tensor {
    guard let entry = entries[key], !key.isEmpty else {
      throw FormatError(.notFound, "Key \(name) not found in checkpoint", file: prefix + ".index")
    }
    let shape: Shape
    do { shape = try entry.shape.shape() } catch {
      throw FormatError(.invalid, "\(error)", file: prefix + ".index", place: "key '\(name)'")
    }
    if spec.isEmpty && entry.slices.isEmpty { return try read(entry, shape, name) }
    let whole = TensorSlice(whole: shape)
    guard let wanted = spec.isEmpty ? whole : TensorSlice(spec: spec, of: shape) else {
      throw FormatError(
        .invalid, "'\(spec)' names no part of a tensor of shape \(shape)", file: prefix + ".index", place: "key '\(name)'")
    }
    // A tensor that was not partitioned is its own only part.
    var parts: [(slice: TensorSlice, entry: Entry)] = entry.slices.isEmpty ? [(whole, entry)] : []
    for proto in entry.slices {
      guard let part = TensorSlice(proto, of: shape) else {
        throw FormatError(
          .corrupt, "a slice is not within the shape \(shape)", file: prefix + ".index", place: "key '\(name)'")
      }
      guard let stored = entries[TensorSlice.key(key, proto)] else {
        throw FormatError(
          .corrupt, "there is no entry for the slice at \(part.starts) of shape \(part.shape)", file: prefix + ".index",
          place: "key '\(name)'")
      }
      parts.append((part, stored))
    }
    return try assemble(wanted, of: parts, entry.dtypeNumber, name)
  }

  /// The tensor an entry's bytes are.
  private func read(_ entry: Entry, _ shape: Shape, _ name: String) throws(FormatError) -> Tensor {
    guard let file = shards[entry.shard] else {
      // Entries without bytes of their own need no shard: a slice that is partitioned again.
      throw FormatError(.corrupt, "a slice has no bytes", file: prefix + ".index", place: "key '\(name)'")
    }
    let place = "key '\(name)', bytes \(entry.offset)..<\(entry.offset + entry.size)"
    func wrong(_ kind: FormatError.Kind, _ what: String) -> FormatError {
      FormatError(kind, what, file: file.path, place: place)
    }
    guard let dtype = DType(wire: Int(entry.dtypeNumber)) else {
      throw wrong(.corrupt, "\(entry.dtypeNumber) is no type of tensor elements")
    }
    if dtype == .resource || dtype == .variant { throw wrong(.unsupported, "a saved tensor of type \(dtype)") }
    if dtype == .string { return try readStrings(entry, shape, file, wrong) }
    let (expected, overflow) = shape.count.multipliedReportingOverflow(by: dtype.size)
    guard !overflow, expected == entry.size else {
      throw wrong(.corrupt, "\(entry.size) bytes for a \(dtype) tensor of shape \(shape)")
    }
    var buffer = TensorBuffer(byteCount: entry.size)
    var destination = buffer.mutableBytes
    let found = try read(&destination, of: file, at: entry.offset)
    guard found.masked == entry.maskedCRC32C else {
      throw wrong(.corrupt, "the checksum is \(found.masked.hex), expected \(entry.maskedCRC32C.hex)")
    }
    return Tensor(dtype: dtype, shape: shape, adopting: buffer)
  }

  /// Reads and sums, a stretch at a time, so that the sum finds the bytes in the cache.
  private func read(_ destination: inout MutableRawSpan, of file: File, at offset: Int) throws(FormatError) -> Checksum {
    let stretch = 1 << 18
    var checksum = Checksum()
    var at = 0
    while at < destination.byteCount {
      let end = min(at + stretch, destination.byteCount)
      try file.read(into: &destination, at..<end, at: offset + at)
      checksum.update(destination.bytes.extracting(at..<end))
      at = end
    }
    return checksum
  }

  /// Strings: the lengths as varints, the masked checksum of the lengths, the bytes. The checksum runs over each length as
  /// a number of four bytes (eight when it needs them), the masked checksum itself, and the bytes
  /// (`WriteStringTensor` in tensor_bundle.cc).
  private func readStrings(
    _ entry: Entry, _ shape: Shape, _ file: File, _ wrong: (FormatError.Kind, String) -> FormatError
  ) throws(FormatError) -> Tensor {
    guard shape.count <= entry.size, entry.size <= WireLimits.bytesMax else {
      throw wrong(.corrupt, "\(entry.size) bytes for \(shape.count) strings")
    }
    var bytes = [UInt8](repeating: 0, count: entry.size)
    try file.read(into: &bytes, at: entry.offset)
    var checksum = Checksum()
    var lengths: [Int] = []
    lengths.reserveCapacity(shape.count)
    var reader = WireReader(bytes.rawSpan, at: 0..<UInt32(bytes.count))
    var total = 0
    for _ in 0..<shape.count {
      guard let length = try? reader.varint(), length <= UInt64(entry.size) else {
        throw wrong(.corrupt, "the lengths of \(shape.count) strings are cut off or too large")
      }
      checksum.update(UInt32(length))
      lengths.append(Int(length))
      total += Int(length)
    }
    guard let stored = try? reader.fixed32(), total == entry.size - reader.position else {
      throw wrong(.corrupt, "\(entry.size) bytes, the strings have \(total) behind \(reader.position) of lengths and checksum")
    }
    guard checksum.masked == stored else {
      throw wrong(.corrupt, "the checksum of the lengths is \(checksum.masked.hex), expected \(stored.hex)")
    }
    checksum.update(stored)
    checksum.update(bytes.rawSpan.extracting(reader.position..<bytes.count))
    guard checksum.masked == entry.maskedCRC32C else {
      throw wrong(.corrupt, "the checksum is \(checksum.masked.hex), expected \(entry.maskedCRC32C.hex)")
    }
    var at = reader.position
    return Tensor(
      shape: shape,
      strings: lengths.map { length in
        defer { at += length }
        return Array(bytes[at..<at + length])
      })
  }

  // MARK: Slices

  /// Puts a part of a tensor together from those stored parts that have some of it.
  private func assemble(
    _ wanted: TensorSlice, of parts: [(slice: TensorSlice, entry: Entry)], _ dtypeNumber: Int32, _ name: String
  ) throws(FormatError) -> Tensor {
    func wrong(_ kind: FormatError.Kind, _ what: String) -> FormatError {
      FormatError(kind, what, file: prefix + ".index", place: "key '\(name)'")
    }
    guard let dtype = DType(wire: Int(dtypeNumber)), dtype != .string, dtype != .resource, dtype != .variant else {
      throw wrong(.unsupported, "a partitioned tensor of type \(dtypeNumber)")
    }
    // What the parts hold is what the shards hold.
    let (byteCount, overflow) = wanted.shape.count.multipliedReportingOverflow(by: dtype.size)
    let present = shards.values.reduce(0) { $0 + $1.byteCount }
    guard !overflow, byteCount <= present else {
      throw wrong(.corrupt, "\(wanted.shape.count) elements of \(dtype), the shards have \(present) bytes")
    }
    var buffer = TensorBuffer(byteCount: byteCount)
    var covered = 0
    for part in parts {
      guard let common = part.slice.intersection(wanted) else { continue }
      // Checked before reading: a slice named a million times is not read that often.
      guard common.shape.count <= wanted.shape.count - covered else { throw wrong(.corrupt, "slices overlap") }
      let stored = try read(part.entry, part.slice.shape, name)
      guard stored.dtype == dtype else { throw wrong(.corrupt, "a slice has type \(stored.dtype), expected \(dtype)") }
      covered += common.shape.count
      var destination = buffer.mutableBytes
      copy(common, from: stored.view.bytes, of: part.slice, to: &destination, of: wanted, dtype.size)
    }
    guard covered == wanted.shape.count else {
      throw wrong(.corrupt, "the slices have \(covered) of the \(wanted.shape.count) elements of \(wanted.shape)")
    }
    return Tensor(dtype: dtype, shape: wanted.shape, adopting: buffer)
  }

  /// Copies `common`, a row of the last dimension at a time, from the bytes of one slice to those of another.
  private func copy(
    _ common: TensorSlice, from: RawSpan, of source: TensorSlice, to: inout MutableRawSpan, of target: TensorSlice,
    _ size: Int
  ) {
    let rank = common.shape.rank
    let row = (rank == 0 ? 1 : common.shape[rank - 1]) * size
    // The index of the row, counted within `common`; a scalar is one row.
    for number in 0..<common.shape.count(upTo: max(rank - 1, 0)) {
      var rest = number
      var fromAt = 0
      var toAt = 0
      for dimension in (0..<rank).reversed() {
        var index = common.starts[dimension]
        if dimension < rank - 1 {
          index += rest % common.shape[dimension]
          rest /= common.shape[dimension]
        }
        fromAt += (index - source.starts[dimension]) * source.shape.count(from: dimension + 1)
        toAt += (index - target.starts[dimension]) * target.shape.count(from: dimension + 1)
      }
      let bytes = from.extracting(fromAt * size..<fromAt * size + row)
      let place = toAt * size..<toAt * size + row
      // Slicing checks that the row lies in the target; the two have different owners.
      unsafe to.withUnsafeMutableBytes { to in
        unsafe bytes.withUnsafeBytes { unsafe UnsafeMutableRawBufferPointer(rebasing: to[place]).copyMemory(from: $0) }
      }
    }
  }
}
