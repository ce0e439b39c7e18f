public import Wire

/// A graph (tensorflow/core/framework/graph.proto). To walk one, make a `GraphIndex`.
///
///     node 1, library 2, versions 4
public struct GraphDef: ~Escapable {
  let message: WireMessage
  /// A `FunctionDefLibrary`.
  public let library: WireMessage
  public let versions: VersionDef

  @_lifetime(copy message)
  public init(_ message: WireMessage) throws(WireError) {
    var library = WireExtent.absent
    var versions = WireExtent.absent
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      switch tag {
      case .length(2): try library.append(try reader.lengthDelimited())
      case .length(4): try versions.append(try reader.lengthDelimited())
      default: try reader.skip(tag)
      }
    }
    self.message = message
    self.library = WireMessage(message.bytes, at: library)
    self.versions = try VersionDef(WireMessage(message.bytes, at: versions))
  }

  /// Each a `NodeDef`.
  public var nodes: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 1) }
  }
}

/// The functions of a graph (tensorflow/core/framework/function.proto).
///
///     function 1, gradient 2
public struct FunctionDefLibrary: ~Escapable {
  let message: WireMessage

  @_lifetime(copy message)
  public init(_ message: WireMessage) { self.message = message }

  /// Each a `FunctionDef`.
  public var functions: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 1) }
  }

  /// Each a GradientDef. Nobody differentiates here.
  public var gradients: WireFields {
    @_lifetime(copy self)
    get { WireFields(message, number: 2) }
  }
}
