// SessionRun (tensorflow_serving/apis/session_service.proto).
//
//     SessionRunRequest  { model_spec 1, feed 2 { name 1, tensor 2 } …, fetch 3 …, target 4 …, options 5, tensor_name_is_alias 6 }
//     SessionRunResponse { tensor 1 { name 1, tensor 2 } …, metadata 2, model_spec 3 }

public import Tensors
public import Wire

/// SessionRun's request.
public struct SessionRunRequest: ~Escapable {
  let message: WireMessage
  public let modelSpec: ModelSpec
  /// Whether names are aliases of the signature instead of tensors' names.
  public let hasAliases: Bool
  /// `options.timeout_in_ms`; zero for none.
  public let timeoutMilliseconds: Int64

  /// The request that fills `bytes`.
  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) throws(WireError) { try self.init(WireMessage(bytes)) }

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    let bytes = message.bytes
    self.message = message
    var spec = WireExtent.absent
    var options = WireExtent.absent
    var hasAliases = false
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(1): try spec.append(try reader.lengthDelimited())
      case .length(5): try options.append(try reader.lengthDelimited())
      case .varint(6): hasAliases = try reader.bool()
      default: try reader.skip(tag)
      }
    }
    modelSpec = try ModelSpec(WireMessage(bytes, at: spec))
    self.hasAliases = hasAliases
    timeoutMilliseconds = try SessionRunRequest.timeout(WireMessage(bytes, at: options))
  }

  /// RunOptions: timeout_in_ms 2. Traces and thread pools are not ours to give.
  private static func timeout(_ options: WireMessage) throws(WireError) -> Int64 {
    var timeout: Int64 = 0
    var reader = WireReader(options)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(2): timeout = try reader.int64()
      default: try reader.skip(tag)
      }
    }
    return timeout
  }

  /// The tensors to feed: messages for `NamedTensorProto`.
  public var feeds: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 2) }
  }

  /// The names of the tensors to answer with.
  public var fetches: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 3) }
  }

  /// The names of the nodes to run besides.
  public var targets: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 4) }
  }
}

/// SessionRun's response, to be written. Its metadata is left out: nothing was traced.
public enum SessionRunResponse {
  /// The bytes of an entry of `tensor`.
  public static func size(_ name: RawSpan, _ tensor: TensorProtoSize) -> Int {
    WireSize.length(1, NamedTensorProto.size(name, tensor))
  }

  public static func append(
    _ name: RawSpan, _ tensor: borrowing TensorView, _ size: TensorProtoSize, to output: inout OutputRawSpan
  ) {
    output.appendLength(1, NamedTensorProto.size(name, size))
    NamedTensorProto.append(name, tensor, size, to: &output)
  }

  /// The bytes of `model_spec`.
  public static func size(_ spec: borrowing ModelSpec) -> Int { WireSize.length(3, spec.byteSize) }

  public static func append(_ spec: borrowing ModelSpec, to output: inout OutputRawSpan) {
    output.appendLength(3, spec.byteSize)
    spec.append(to: &output)
  }
}
