public import Wire

/// A status code and its message (tensorflow_serving/apis/status.proto).
///
///     error_code 1 (tensorflow.error.Code: gRPC's numbers), error_message 2
public struct StatusProto: ~Escapable {
  public let errorCode: Int32
  public let errorMessage: RawSpan

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var code: Int32 = 0
    var text: Range<UInt32> = 0..<0
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .varint(1): code = try reader.int32()
      case .length(2): text = try reader.lengthDelimited()
      default: try reader.skip(tag)
      }
    }
    errorCode = code
    errorMessage = message.bytes.extracting(text)
  }

  /// A status to write.
  @_lifetime(copy errorMessage)
  public init(errorCode: Int32, errorMessage: RawSpan) {
    self.errorCode = errorCode
    self.errorMessage = errorMessage
  }

  public var byteSize: Int {
    (errorCode == 0 ? 0 : WireSize.varint(1, Int64(errorCode))) + WireSize.string(2, errorMessage)
  }

  public func append(to output: inout OutputRawSpan) {
    if errorCode != 0 { output.appendVarint(1, Int64(errorCode)) }
    output.appendString(2, errorMessage)
  }
}
