public import Wire

/// Which model, version and signature a request is for (tensorflow_serving/apis/model.proto).
///
///     name 1, signature_name 3, and one of: version 2 (an Int64Value), version_label 4
public struct ModelSpec: ~Escapable {
  /// The oneof `version_choice`.
  public enum VersionChoice: Sendable, Equatable {
    /// The latest.
    case none
    /// `version`. An Int64Value without a value chooses 0.
    case number(Int64)
    /// `version_label`: `versionLabel`.
    case label
  }

  /// Whether the message was there at all; an empty one is not an absent one.
  public let isPresent: Bool
  public let name: RawSpan
  public let signatureName: RawSpan
  public let versionChoice: VersionChoice
  /// Empty unless the choice is `.label`.
  public let versionLabel: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var name: Range<UInt32> = 0..<0
    var signatureName: Range<UInt32> = 0..<0
    var choice = VersionChoice.none
    var label: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): name = try reader.lengthDelimited()
      case .length(3): signatureName = try reader.lengthDelimited()
      case .length(2):
        // Of a oneof the last wins; a number after a number merges into it.
        let value = try ModelSpec.int64Value(WireMessage(message.bytes, at: try reader.lengthDelimited()))
        if case .number(let earlier) = choice {
          choice = .number(value ?? earlier)
        } else {
          choice = .number(value ?? 0)
        }
        label = 0..<0
      case .length(4):
        label = try reader.lengthDelimited()
        choice = .label
      default: try reader.skip(tag)
      }
    }
    isPresent = message.isPresent
    self.name = message.bytes.extracting(name)
    self.signatureName = message.bytes.extracting(signatureName)
    versionChoice = choice
    versionLabel = message.bytes.extracting(label)
  }

  /// A spec to write: with a version, or with none.
  @_lifetime(copy name, copy signatureName)
  public init(name: RawSpan, signatureName: RawSpan = RawSpan(), version: Int64? = nil) {
    isPresent = true
    self.name = name
    self.signatureName = signatureName
    if let version { versionChoice = .number(version) } else { versionChoice = .none }
    versionLabel = RawSpan()
  }

  /// A spec to write, with a label.
  @_lifetime(copy name, copy signatureName, copy versionLabel)
  public init(name: RawSpan, signatureName: RawSpan = RawSpan(), versionLabel: RawSpan) {
    isPresent = true
    self.name = name
    self.signatureName = signatureName
    versionChoice = .label
    self.versionLabel = versionLabel
  }

  /// google.protobuf.Int64Value: value 1.
  static func int64Value(_ message: WireMessage) throws(WireError) -> Int64? {
    var value: Int64? = nil
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): value = try reader.int64()
      default: try reader.skip(tag)
      }
    }
    return value
  }

  /// Where the field of that number, a ModelSpec, stands in a request; the other fields are stepped over.
  static func extent(in message: WireMessage, number: UInt32) throws(WireError) -> WireExtent {
    var extent = WireExtent.absent
    var fields = WireFields(message, number: number)
    while let range = try fields.nextRange() { try extent.append(range) }
    return extent
  }

  // MARK: Writing

  static func versionSize(_ version: Int64) -> Int { version == 0 ? 0 : WireSize.varint(1, version) }

  /// The bytes the message takes.
  public var byteSize: Int {
    let size = WireSize.string(1, name) + WireSize.string(3, signatureName)
    switch versionChoice {
    case .none: return size
    case .number(let version): return size + WireSize.length(2, ModelSpec.versionSize(version))
    case .label: return size + WireSize.length(4, versionLabel.byteCount)
    }
  }

  /// Writes the message: `byteSize` bytes.
  public func append(to output: inout OutputRawSpan) {
    output.appendString(1, name)
    if case .number(let version) = versionChoice {
      output.appendLength(2, ModelSpec.versionSize(version))
      if version != 0 { output.appendVarint(1, version) }
    }
    output.appendString(3, signatureName)
    if versionChoice == .label { output.appendBytes(4, versionLabel) }
  }
}
