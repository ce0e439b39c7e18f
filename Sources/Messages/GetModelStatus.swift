public import Wire

/// GetModelStatus's request (tensorflow_serving/apis/get_model_status.proto).
///
///     model_spec 1
public struct GetModelStatusRequest: ~Escapable {
  public let modelSpec: ModelSpec

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    modelSpec = try ModelSpec(WireMessage(message.bytes, at: try ModelSpec.extent(in: message, number: 1)))
  }

  /// The request that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    try self.init(WireMessage(bytes))
  }

  /// The bytes of a request for `spec`.
  public static func size(_ spec: borrowing ModelSpec) -> Int { WireSize.length(1, spec.byteSize) }

  public static func append(_ spec: borrowing ModelSpec, to output: inout OutputRawSpan) {
    output.appendLength(1, spec.byteSize)
    spec.append(to: &output)
  }
}

/// A version of a model and the state it is in.
///
///     version 1, state 2, status 3 (StatusProto)
public struct ModelVersionStatus: ~Escapable {
  public enum State: Int32, Sendable {
    case unknown = 0
    case start = 10
    case loading = 20
    case available = 30
    case unloading = 40
    case end = 50
  }

  public let version: Int64
  /// The state's number on the wire.
  public let stateNumber: Int32
  public let status: StatusProto

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var version: Int64 = 0
    var state: Int32 = 0
    var status = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): version = try reader.int64()
      case .varint(2): state = try reader.int32()
      case .length(3): try status.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.version = version
    stateNumber = state
    self.status = try StatusProto(WireMessage(message.bytes, at: status))
  }

  /// A status to write.
  @_lifetime(copy status)
  public init(version: Int64, state: State, status: consuming StatusProto) {
    self.version = version
    stateNumber = state.rawValue
    self.status = status
  }

  /// The state; a number that no state has shows as unknown.
  public var state: State { State(rawValue: stateNumber) ?? .unknown }

  var bodySize: Int {
    (version == 0 ? 0 : WireSize.varint(1, version))
      + (stateNumber == 0 ? 0 : WireSize.varint(2, Int64(stateNumber)))
      + WireSize.length(3, status.byteSize)
  }

  /// The bytes it takes in a GetModelStatusResponse. The status is written always, as TensorFlow Serving does.
  public var byteSize: Int { WireSize.length(1, bodySize) }

  public func append(to output: inout OutputRawSpan) {
    output.appendLength(1, bodySize)
    if version != 0 { output.appendVarint(1, version) }
    if stateNumber != 0 { output.appendVarint(2, Int64(stateNumber)) }
    output.appendLength(3, status.byteSize)
    status.append(to: &output)
  }
}

/// GetModelStatus's response: one `ModelVersionStatus` after another.
///
///     model_version_status 1
public struct GetModelStatusResponse: ~Escapable {
  let message: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    self.message = message
    var fields = WireFields(message, number: 1)
    while try fields.nextRange() != nil {}
  }

  /// The response that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) {
    try self.init(WireMessage(bytes))
  }

  /// Each a `ModelVersionStatus`.
  public var versions: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 1) }
  }
}
