// Messages written by hand for the tests: fields as bytes, composed.
import Wire

func field(_ number: UInt32, _ value: UInt64) -> [UInt8] {
  [UInt8](wireSize: WireSize.varint(number, value)) { $0.appendVarint(number, value) }
}

func field(_ number: UInt32, _ bytes: [UInt8]) -> [UInt8] {
  [UInt8](wireSize: WireSize.length(number, bytes.count)) { $0.appendBytes(number, bytes.rawSpan) }
}

func field(_ number: UInt32, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

func varints(_ values: [UInt64]) -> [UInt8] {
  values.flatMap { value in [UInt8](wireSize: Varint.size(value)) { $0.appendVarint(value) } }
}

func littleEndian<T: FixedWidthInteger>(_ values: [T]) -> [UInt8] {
  values.flatMap { value in (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) } }
}

func floats(_ values: [Float]) -> [UInt8] { littleEndian(values.map(\.bitPattern)) }

/// A TensorShapeProto.
func shape(_ extents: [Int64]) -> [UInt8] {
  extents.flatMap { field(2, $0 == 0 ? [] : field(1, UInt64(bitPattern: $0))) }
}
