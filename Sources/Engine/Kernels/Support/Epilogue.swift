// What follows a product while its numbers are still close by: a bias for each column, an activation.
internal import CKernels
internal import Tensors

/// An activation: those that hold a number within bounds are done in registers, the others in a pass of their own.
struct Activation: Sendable, Equatable {
  var low = -Float.infinity
  var high = Float.infinity
  /// `ck_activation_none` when the bounds say all.
  var curve = ck_activation_none
  var alpha: Float = 0

  static let none = Activation()

  /// The activation an op stands for; `nil` for an op that is none.
  init?(op: String, alpha: Float = 0.2) {
    switch op {
    case "Relu": low = 0
    case "Relu6": (low, high) = (0, 6)
    case "LeakyRelu": (curve, self.alpha) = (ck_activation_leaky_relu, alpha)
    case "Elu": curve = ck_activation_elu
    case "Selu": curve = ck_activation_selu
    case "Sigmoid": curve = ck_activation_sigmoid
    case "Tanh": curve = ck_activation_tanh
    case "Softplus": curve = ck_activation_softplus
    case "Softsign": curve = ck_activation_softsign
    case "_Swish": curve = ck_activation_swish
    case "_Gelu": curve = ck_activation_gelu
    default: return nil
    }
  }

  private init() {}

  /// Applies all of it to a tensor.
  /// - Precondition: the tensor is of type `T` and the caller's to change.
  @unsafe func apply<T: Real>(_ type: T.Type, _ value: Value) {
    let x = unsafe value.pointer(T.self)
    if curve != ck_activation_none { return unsafe T.activate(curve, T(alpha), value.count, x, x) }
    if self == .none { return }
    for i in 0..<value.count { unsafe x[i] = x[i] < T(low) ? T(low) : x[i] > T(high) ? T(high) : x[i] }
  }

  /// Applies what the bounds do not say to `rows` rows.
  /// - Precondition: `x` holds them, `stride` elements apart.
  @unsafe func finish<T: Real>(_ x: UnsafeMutablePointer<T>, rows: Int, columns: Int, stride: Int) {
    if curve == ck_activation_none { return }
    if stride == columns { return unsafe T.activate(curve, T(alpha), rows * columns, x, x) }
    for row in 0..<rows { unsafe T.activate(curve, T(alpha), columns, x + row * stride, x + row * stride) }
  }
}

/// The tail of a fused op, as TensorFlow's remapper writes it: `fused_ops = ["BiasAdd", "Add", "Relu"]`, the bias and the tensor that
/// is added after the op's own inputs.
struct Epilogue: Sendable {
  /// The input that is the bias.
  var bias: Int?
  /// The input that is added, element for element.
  var add: Int?
  var activation = Activation.none

  static let none = Epilogue()

  private init() {}

  /// - Parameter own: how many inputs the op has without its tail.
  init(_ node: NodeContext, own: Int, adds: Bool = false) throws(GraphError) {
    for op in try node.strings("fused_ops", default: []) {
      if op == "BiasAdd", bias == nil, add == nil, activation == .none {
        bias = own
      } else if op == "Add", adds, add == nil, activation == .none {
        add = own + (bias == nil ? 0 : 1)
      } else if activation == .none,
        let activation = Activation(op: op, alpha: try node.float("leakyrelu_alpha", default: 0.2))
      {
        self.activation = activation
      } else {
        throw node.unsupported("cannot fuse '\(op)'")
      }
    }
  }

  /// What the step adds, when it has the shape of the product: then it is added in registers, and may lend its memory.
  func addend(_ frame: borrowing Frame, _ dtype: DType, _ shape: Shape) -> Value? {
    guard let add else { return nil }
    let value = frame.input(add)
    return value.dtype == dtype && value.shape == shape ? value : nil
  }

  /// Adds a tensor of another shape to a product that stands in scratch memory: output 0.
  func sum<T: Real>(_ type: T.Type, _ frame: inout Frame, _ product: Value, _ add: Int) throws(RunError) {
    let value = frame.input(add)
    guard value.dtype == product.dtype else {
      throw .invalidArgument("AddV2: the inputs are \(product.dtype) and \(value.dtype)")
    }
    guard let broadcast = Broadcast(product.shape, value.shape) else {
      throw .invalidArgument("Incompatible shapes: \(product.shape) vs. \(value.shape)")
    }
    guard let loop = unsafe ck_binary_loop(CK_ADD, product.kernelType) else { throw unsupported("AddV2", product.dtype) }
    let out = try frame.output(0, product.dtype, broadcast.shape)
    let size = product.dtype.size
    broadcast.forEachRow { row in
      // Rows lie within the shapes they were made from; the loop was chosen for the type.
      _ = unsafe loop(
        row.count, product.base + row.start[0] * size, row.step[0], value.base + row.start[1] * size, row.step[1],
        out.base + row.output * size)
    }
    unsafe activation.apply(T.self, out)
  }

  /// The bias of the step, one number for each of `columns`.
  func bias<T: Real>(_ type: T.Type, _ frame: borrowing Frame, columns: Int, of shape: Shape) throws(RunError) -> Value? {
    guard let bias else { return nil }
    let value = frame.input(bias)
    guard value.dtype == T.dtype else { throw .invalidArgument("the bias is \(value.dtype), the product \(T.dtype)") }
    guard value.shape.rank == 1 else { throw .invalidArgument("Biases must be 1D: \(value.shape)") }
    guard value.count == columns else {
      throw .invalidArgument(
        "Must provide as many biases as the last dimension of the input tensor: \(value.shape) vs. \(shape)")
    }
    return value
  }
}
