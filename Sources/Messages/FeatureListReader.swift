public import Wire

/// Reads the feature lists of sequence examples (tensorflow/core/example/example.proto).
///
///     SequenceExample { context 1, feature_lists 2 } ─ FeatureLists { feature_list 1 … } ─ entry { key 1, FeatureList 2 } ─ { Feature 1 … }
///
/// The context is laid out as the features of an Example are, for `ExampleReader` to read.
public struct FeatureListReader: Sendable {
  public let table: FeatureTable

  public init(_ table: FeatureTable) { self.table = table }

  /// For each list of the table its steps, `nil` for one that is missing. Lists the table does not have are skipped. Of lists with
  /// one name the last counts.
  public func read(_ bytes: RawSpan) throws(WireError) -> [[FeatureSlot]?] {
    var lists = [[FeatureSlot]?](repeating: nil, count: table.count)
    var reader = WireReader(try WireMessage(bytes))
    while let tag = try reader.nextTag() {
      guard tag == .length(2) else {
        try reader.skip(tag)
        continue
      }
      // Occurrences of `feature_lists` merge, and merging maps is overwriting: so one after the other.
      var entries = WireFields(WireMessage(bytes, at: try reader.lengthDelimited()), number: 1)
      while let range = try entries.nextRange() {
        let entry = try WireMapEntry(WireMessage(bytes, at: range))
        guard let index = table.index(of: entry.key) else { continue }
        var steps: [FeatureSlot] = []
        var features = WireFields(entry.value, number: 1)
        while let feature = try features.nextRange() {
          steps.append(try FeatureSlot(try Feature(WireMessage(bytes, at: feature)), in: feature, isEntry: false))
        }
        lists[index] = steps
      }
    }
    return lists
  }
}
