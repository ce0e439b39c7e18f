// swift-tools-version: 6.2
//
// The map of Martlet, top to bottom: leaves first, the executable that sees everything last.
// Two flows meet at one hinge. Requests: HTTP → RPC → Serving → Engine. Models: Lifecycle → Formats → Engine.
// The hinge is Catalog. `Tests/ArchitectureTests` holds every `import` against the arrows drawn here.
import PackageDescription

/// Settings shared by every Swift target, tests included.
let swift: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

/// HTTP, RPC and Serving: every object that changes belongs to one thread, a loop's or a worker's. Debug builds, and with
/// them the tests, check each access for exclusivity at run time; release builds rely on that, because the checks cost a
/// seventh of a small request.
let loopConfined = swift + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let optimizedC: [CSetting] = [.unsafeFlags(["-O3"])]

let package = Package(
  name: "martlet",
  products: [
    .executable(name: "martlet-server", targets: ["server"]),
    .executable(name: "martlet-predict", targets: ["predict"]),
    .library(name: "MartletClient", targets: ["Client"]),
    .library(name: "MartletTransport", targets: ["HTTP", "RPC"]),
    .library(name: "MartletWire", targets: ["Wire", "Messages", "Tensors"]),
    .library(name: "MartletJSON", targets: ["JSON", "Tensors"]),
    .library(name: "MartletKernels", targets: ["CKernels"]),
    .library(name: "MartletEngine", targets: ["Engine", "Formats"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // System libraries: a module map and a shim header, nothing else.
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // C for what Swift cannot reach.
    .target(name: "CLinux", cSettings: optimizedC),
    .target(name: "CKernels", cSettings: optimizedC),

    // Leaves.
    .target(name: "Telemetry", dependencies: [.product(name: "Logging", package: "swift-log")], swiftSettings: swift),
    .target(name: "Threads", dependencies: ["CLinux"], swiftSettings: swift),
    .target(name: "Tensors", swiftSettings: swift),
    .target(name: "Wire", swiftSettings: swift),
    .target(name: "Records", dependencies: ["CLinux"], swiftSettings: swift),
    .target(name: "Messages", dependencies: ["Wire", "Tensors"], swiftSettings: swift),
    .target(
      name: "Schemas", dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
      swiftSettings: [.swiftLanguageMode(.v6)]),

    .target(name: "JSON", dependencies: ["Tensors", "Wire", "CKernels"], swiftSettings: swift),

    // Models: bytes on disk become a slot.
    .target(
      name: "Engine", dependencies: ["Tensors", "Messages", "Wire", "CKernels", "Telemetry"], swiftSettings: swift),
    .target(
      name: "Formats", dependencies: ["Engine", "Messages", "Wire", "Records", "Tensors", "Schemas", "CLinux"], swiftSettings: swift),
    .target(name: "Catalog", dependencies: ["Engine", "Telemetry"], swiftSettings: swift),
    .target(
      name: "Lifecycle", dependencies: ["Catalog", "Formats", "Engine", "Schemas", "Telemetry", "CLinux", "Threads"],
      swiftSettings: swift),

    // Requests: bytes on a socket become an answer.
    .target(
      name: "HTTP", dependencies: ["CNGHTTP2", "COpenSSL", "CZlib", "CLinux", "Telemetry", "Threads"],
      swiftSettings: loopConfined),
    .target(name: "RPC", dependencies: ["HTTP", "Telemetry"], swiftSettings: loopConfined),
    .target(
      name: "Serving",
      dependencies: [
        "RPC", "HTTP", "JSON", "Messages", "Wire", "Records", "Tensors", "Schemas", "Catalog", "Engine", "Telemetry", "Threads",
      ],
      swiftSettings: loopConfined),
    .target(name: "Client", dependencies: ["RPC", "HTTP", "Messages", "Wire", "Tensors"], swiftSettings: swift),

    // One question from the command line.
    .executableTarget(name: "predict", dependencies: ["Client", "RPC", "HTTP", "Tensors", "Telemetry"], swiftSettings: swift),

    // The story, start to drain.
    .executableTarget(
      name: "server",
      dependencies: [
        "Serving", "RPC", "HTTP", "Lifecycle", "Catalog", "Formats", "Records", "Engine", "Messages", "Wire", "Schemas", "Telemetry",
        "Threads", "CLinux",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: swift),

    // Tests mirror Sources.
    .target(name: "TestThreads", dependencies: ["Threads"], path: "Tests/TestThreads", swiftSettings: swift),
    .target(
      name: "TransportSupport", dependencies: ["CNGHTTP2", "COpenSSL"], path: "Tests/TransportSupport", swiftSettings: swift),
    .testTarget(
      name: "HTTPTests", dependencies: ["TestThreads", "HTTP", "TransportSupport", "CLinux", "CNGHTTP2"], path: "Tests/HTTPTests",
      exclude: ["make_http1_cases.py", "http1_cases.jsonl"], swiftSettings: swift),
    .testTarget(
      name: "RPCTests", dependencies: ["TestThreads", "RPC", "HTTP", "Telemetry", "TransportSupport"], path: "Tests/RPCTests", swiftSettings: swift),
    // gRPC's interoperability cases: its test service and its client on our RPC, driven by Tests/EndToEnd.
    .target(
      name: "InteropSchemas", dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
      path: "Tests/Interop/Schemas", swiftSettings: [.swiftLanguageMode(.v6)]),
    .executableTarget(
      name: "interop-server",
      dependencies: ["InteropSchemas", "RPC", "HTTP", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
      path: "Tests/Interop/Server", swiftSettings: swift),
    .executableTarget(
      name: "interop-client",
      dependencies: ["InteropSchemas", "RPC", "HTTP", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
      path: "Tests/Interop/Client", swiftSettings: swift),
    .testTarget(name: "ArchitectureTests", dependencies: ["TestThreads"], swiftSettings: swift),
    .testTarget(name: "TelemetryTests", dependencies: ["TestThreads", "Telemetry", "Threads"], swiftSettings: swift),
    .testTarget(name: "ThreadsTests", dependencies: ["Threads"], swiftSettings: swift),
    .testTarget(name: "RecordsTests", dependencies: ["Records", "Wire", "CLinux"], swiftSettings: swift),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: swift),
    .testTarget(name: "WireTests", dependencies: ["Wire"], swiftSettings: swift),
    .testTarget(
      name: "MessagesTests", dependencies: ["TestThreads", "Messages", "Wire", "Tensors", "CProtoOracle", "FuzzEntries"],
      swiftSettings: swift),
    .testTarget(
      name: "JSONTests", dependencies: ["TestThreads", "JSON", "Tensors", "Wire", "CKernels", "FuzzEntries"],
      exclude: ["make_numbers.py", "make_syntax_cases.cc", "numbers.jsonl", "syntax_cases.jsonl"], swiftSettings: swift),
    .testTarget(
      name: "EngineTests", dependencies: ["TestThreads", "Engine", "Tensors", "CKernels"],
      exclude: ["Goldens", "make_goldens.py", "make_nn_goldens.py"],
      swiftSettings: swift),
    .testTarget(
      name: "FormatsTests",
      dependencies: [
        "TestThreads",
        "Formats", "Engine", "Messages", "Wire", "Records", "Tensors", "Schemas", "CLinux",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: swift),
    .testTarget(name: "CatalogTests", dependencies: ["TestThreads", "Catalog", "Engine", "Threads"], swiftSettings: swift),
    .testTarget(
      name: "LifecycleTests", dependencies: ["TestThreads", "Lifecycle", "Catalog", "Engine", "Threads"], swiftSettings: swift),
    .testTarget(
      name: "ServingTests",
      dependencies: [
        "TestThreads",
        "Serving", "Client", "Catalog", "Engine", "RPC", "HTTP", "Messages", "Wire", "Tensors", "Schemas", "Telemetry", "Records",
        "TransportSupport",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: swift),
    .testTarget(
      name: "ClientTests",
      dependencies: [
        "Client", "HTTP", "Tensors", "Schemas", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: swift),
    .testTarget(name: "PredictTests", dependencies: ["predict", "Client", "RPC", "HTTP", "Tensors"], swiftSettings: swift),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "TestThreads",
        "server", "Serving", "Lifecycle", "Catalog", "Formats", "Engine", "Records", "HTTP", "Schemas", "Telemetry",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: swift),
    // What the fuzzers call, once for libFuzzer and once for the corpus in MessagesTests.
    .target(
      name: "FuzzEntries", dependencies: ["JSON", "Messages", "Wire", "Records", "Tensors"], path: "Tests/Fuzz/Entries",
      swiftSettings: swift),
    // An independent parser of the same messages, for MessagesTests: protobuf-c.
    .target(
      name: "CProtoOracle", path: "Tests/CProtoOracle", exclude: ["generate.sh"],
      cSettings: [.headerSearchPath("generated")], linkerSettings: [.linkedLibrary("protobuf-c")]),
  ],
  swiftLanguageModes: [.v6]
)
