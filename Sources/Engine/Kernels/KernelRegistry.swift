// Where ops are found by name. Each family of ops is a file with a table; this file lists the tables.
// A definition is asked once per node, at load: it reads the attributes, looks at the inputs that are constant,
// and returns the kernel that will run. What it cannot serve it refuses there, never in a request.

/// How to make a kernel of an op.
public struct KernelDefinition: Sendable {
  /// What an op does besides computing its outputs from its inputs.
  public enum Effect: Sendable {
    /// Nothing: it may be folded, shared, and left out when nobody reads it.
    case none
    /// It reads state that may change between runs (a variable, a clock, a generator): never folded.
    case reads
    /// It changes state or may refuse the run (`Assign`, `Assert`): never left out when a control edge asks for it.
    case writes
  }

  public let op: String
  public let effect: Effect
  /// Inputs that the kernel, when they are constants, keeps in a form of its own and does not read in a run.
  public let packs: [Int]
  public let make: @Sendable (NodeContext) throws(GraphError) -> Kernel.Body

  public init(
    _ op: String, _ effect: Effect = .none, packs: [Int] = [],
    make: @escaping @Sendable (NodeContext) throws(GraphError) -> Kernel.Body
  ) {
    self.op = op
    self.effect = effect
    self.packs = packs
    self.make = make
  }
}

/// The definition of an op whose kernel needs nothing of its node.
func kernel(_ op: String, _ effect: KernelDefinition.Effect = .none, _ body: @escaping Kernel.Body) -> KernelDefinition {
  KernelDefinition(op, effect) { _ throws(GraphError) in body }
}

/// Every op the engine knows.
public struct KernelRegistry: Sendable {
  private var definitions: [String: KernelDefinition] = [:]

  public init(_ tables: [[KernelDefinition]]) {
    for definition in tables.joined() {
      precondition(definitions.updateValue(definition, forKey: definition.op) == nil, "\(definition.op) is defined twice")
    }
  }

  public subscript(op: String) -> KernelDefinition? { definitions[op] }

  /// The names of all ops, sorted.
  public var ops: [String] { definitions.keys.sorted() }

  public static let standard = KernelRegistry([
    controlKernels,
    resourceKernels,
    assignmentKernels,
    elementwiseKernels,
    reductionKernels,
    shapeKernels,
    arrayKernels,
    sliceKernels,
    paddingKernels,
    diagonalKernels,
    gatherKernels,
    matMulKernels,
    einsumKernels,
    activationKernels,
    convolutionKernels,
    poolingKernels,
    normalizationKernels,
    resizeKernels,
    exampleKernels,
    sequenceExampleKernels,
    tensorProtoKernels,
    setKernels,
    randomKernels,
    selectionKernels,
    tableKernels,
    stringKernels,
    textKernels,
    unicodeKernels,
    sparseKernels,
    sparseTensorKernels,
    crossKernels,
    raggedKernels,
    raggedVariantKernels,
    countingKernels,
    regexKernels,
    listKernels,
    tensorArrayKernels,
  ])
}
