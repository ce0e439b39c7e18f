import Engine
import Foundation
import Tensors
import TestThreads
import Testing
import Wire

@testable import Formats

@Suite(.blocking) struct TensorBundleTests {
  private let sharded = Fixture("sharded")

  private func open(_ directory: String) throws(FormatError) -> TensorBundle {
    try TensorBundle(prefix: directory + "/variables/variables")
  }

  private func error(_ bundle: TensorBundle, _ key: String, _ slice: String = "") -> RunError? {
    do throws(RunError) {
      _ = try bundle.tensor(key, slice: slice)
      return nil
    } catch { return error }
  }

  /// Why a bundle does not open.
  private func failure(_ directory: String) -> FormatError? {
    do throws(FormatError) {
      _ = try open(directory)
      return nil
    } catch { return error }
  }

  /// The keys of an index; `nil` when it is refused.
  private func keys(_ index: [UInt8]) -> Set<[UInt8]>? {
    do throws(FormatError) {
      return Set(try TensorBundleIndex(index.rawSpan, prefix: "P").entries.keys)
    } catch { return nil }
  }

  private func floats(_ tensor: Tensor) -> [Float] { tensor.array(of: Float.self) }

  /// `rows` [7, 3] and `columns` [3, 5] are partitioned, the others whole, over three shards.
  @Test func `tensors come from their shards, parts put together`() throws {
    let bundle = try open(sharded.directory)
    let rows = try bundle.tensor("rows", slice: "")
    #expect(rows.shape == [7, 3])
    #expect(floats(rows).prefix(4) == [-0.8113182, 1.4845988, 0.06532937, -2.4427042])
    let columns = try bundle.tensor("columns", slice: "")
    #expect(columns.shape == [3, 5])
    #expect(floats(columns).prefix(4) == [-0.85811085, -0.19662298, 0.13895045, -0.85811085])
    #expect(floats(try bundle.tensor("left", slice: "")).prefix(2) == [0.025873225, -1.5826246])
    #expect(try bundle.tensor("names", slice: "").strings.map { String(decoding: $0, as: UTF8.self) } == ["north", "south"])
  }

  @Test func `any part of a tensor is the part of the whole`() throws {
    let bundle = try open(sharded.directory)
    for (name, rowCount, columnCount) in [("rows", 7, 3), ("columns", 3, 5), ("left", 4, 3)] {
      let whole = floats(try bundle.tensor(name, slice: ""))
      for row in 0..<rowCount {
        for rows in 1...rowCount - row {
          for column in 0..<columnCount {
            for columns in 1...columnCount - column {
              let spec = "\(rowCount) \(columnCount) \(row),\(rows):\(column),\(columns)"
              let part = try bundle.tensor(name, slice: spec)
              let expected = (row..<row + rows).flatMap { whole[$0 * columnCount + column..<$0 * columnCount + column + columns] }
              #expect(part.shape == [rows, columns] && floats(part) == expected, "\(name) \(spec)")
            }
          }
        }
      }
    }
  }

  @Test func `what is not there or does not fit is said`() throws {
    let bundle = try open(sharded.directory)
    #expect(error(bundle, "no/such")?.code == .notFound)
    #expect(error(bundle, "no/such")?.message.hasSuffix("variables.index: Key no/such not found in checkpoint") == true)
    #expect(error(bundle, "")?.code == .notFound)
    #expect(error(bundle, "rows", "7 4 -:-")?.code == .invalidArgument)
    #expect(error(bundle, "rows", "7 3 5,3:-")?.code == .invalidArgument)
  }

  @Test func `a missing or shortened shard keeps the bundle from opening`() throws {
    let scratch = Scratch()
    let directory = scratch.copy(sharded)
    let shard = directory + "/variables/variables.data-00001-of-00003"
    let bytes = read(shard)!
    for count in 0..<bytes.count {
      write(Array(bytes.prefix(count)), to: shard)
      let error = failure(directory)
      #expect(error?.kind == .corrupt && error?.file == shard)
      #expect(error?.message == "the file has \(count) bytes, expected at least 48")
    }
    try FileManager.default.removeItem(atPath: shard)
    let error = failure(directory)
    #expect(error?.kind == .notFound && error?.file == shard)
  }

  @Test func `a flipped bit in a shard is found, with key and bytes`() throws {
    let scratch = Scratch()
    let directory = scratch.copy(sharded)
    let names = ["rows", "columns", "left", "right", "names"]
    for number in 0..<3 {
      let shard = directory + "/variables/variables.data-0000\(number)-of-00003"
      let bytes = read(shard)!
      for bit in stride(from: 0, to: bytes.count * 8, by: 3) {
        var flipped = bytes
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        write(flipped, to: shard)
        let bundle = try open(directory)
        let failed = names.filter { error(bundle, $0) != nil }
        #expect(failed.count == 1, "bit \(bit) of \(shard): \(failed)")
        #expect(bundle.failure?.kind == .corrupt && bundle.failure?.file == shard)
        #expect(bundle.failure?.place?.contains("key '\(failed[0])', bytes ") == true)
      }
      write(bytes, to: shard)
    }
  }

  @Test(arguments: ["sharded", "dtypes", "keras_text"])
  func `an index with a flipped bit or a cut opens to the same tensors or not at all`(_ name: String) throws {
    let scratch = Scratch()
    let directory = scratch.copy(Fixture(name))
    let index = directory + "/variables/variables.index"
    let bytes = read(index)!
    let keys = try open(directory).entries.keys.filter { $0.first != 0 }.map { String(decoding: $0, as: UTF8.self) }
    let contents = try open(directory)
    #expect(keys.allSatisfy { error(contents, $0) == nil })
    for bit in 0..<bytes.count * 8 {
      var flipped = bytes
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      guard let found = self.keys(flipped) else { continue }
      #expect(found == Set(contents.entries.keys), "bit \(bit)")
    }
    for count in 0..<bytes.count { #expect(self.keys(Array(bytes.prefix(count))) == nil) }
  }

  /// An index whose checksums are right can still lie about everything else.
  @Test func `entries that lie are refused`() throws {
    let scratch = Scratch()
    try FileManager.default.createDirectory(atPath: scratch.path + "/variables", withIntermediateDirectories: true)
    let prefix = scratch.path + "/variables/variables"
    write([UInt8](repeating: 7, count: 64), to: prefix + ".data-00000-of-00001")
    func failure(_ entries: [[UInt8]], header: [UInt8] = [8, 1]) -> String? {
      let named = entries.enumerated().map { (key: Array("k\($0)".utf8), value: $1) }
      write(TableWriter().table([(key: [], value: header)] + named), to: prefix + ".index")
      if let error = self.failure(scratch.path) { return error.message }
      guard let bundle = try? open(scratch.path) else { return nil }
      return entries.indices.lazy.compactMap { error(bundle, "k\($0)")?.message }.first
    }
    #expect(failure([entry(size: 1 << 40)]) == "the file has 64 bytes, expected at least 1099511627776")
    #expect(failure([entry(offset: 60)]) == "the file has 64 bytes, expected at least 76")
    #expect(failure([entry(offset: -1)]) == "16 bytes from byte -1 on")
    #expect(failure([entry(offset: .max, size: .max)]) == "9223372036854775807 bytes from byte 9223372036854775807 on")
    #expect(failure([entry(shard: 1)]) == "shard 1 of 1")
    #expect(failure([entry(shard: -1)]) == "shard -1 of 1")
    #expect(failure([entry()], header: []) == "0 shards")
    #expect(failure([entry()], header: [8, 1, 16, 1]) == "a bundle of big-endian tensors")
    #expect(failure([entry()], header: [8, 1, 26, 2, 16, 9]) == "a bundle for readers of version 9, this is 1")
    #expect(failure([entry(extents: [5])])?.contains("16 bytes for a float tensor of shape [5]") == true)
    #expect(failure([entry(extents: [1 << 40])])?.contains("16 bytes for a float tensor of shape [1099511627776]") == true)
    #expect(failure([entry(extents: [1 << 40, 1 << 40])])?.contains("more elements than fit") == true)
    #expect(failure([entry(extents: [-4])])?.contains("negative") == true)
    #expect(failure([entry(dtype: 99)])?.contains("99 is no type") == true)
    #expect(failure([entry(dtype: 20)])?.contains("a saved tensor of type resource") == true)
    #expect(failure([entry(dtype: 7)])?.contains("strings") == true)
    #expect(failure([entry()])?.contains("the checksum is 0x") == true)
    #expect(failure([entry(size: 40), entry(size: 40)]) == "its tensors have 80 bytes, the shards 64")
  }

  /// A BundleEntryProto: dtype 1, shape 2 (dim 2: size 1), shard_id 3, offset 4, size 5, crc32c 6.
  private func entry(
    dtype: Int = 1, extents: [Int] = [4], shard: Int = 0, offset: Int = 0, size: Int = 16
  ) -> [UInt8] {
    var dims: [UInt8] = []
    for extent in extents {
      let size = [8] + varint(extent)
      dims += [0x12, UInt8(size.count)] + size
    }
    var bytes = [8] + varint(dtype) + [0x12, UInt8(dims.count)] + dims
    bytes += [0x18] + varint(shard) + [0x20] + varint(offset) + [0x28] + varint(size) + [0x35, 0, 0, 0, 0]
    return bytes
  }

  private func varint(_ number: Int) -> [UInt8] {
    var rest = UInt64(bitPattern: Int64(number))
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
