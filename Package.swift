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
  .unsafeFlags(["-enable-cmo-everything"], .when(configuration: .release)),
]

let optimizedC: [CSetting] = [.unsafeFlags(["-O3"])]

let package = Package(
  name: "martlet",
  products: [
    .executable(name: "martlet-server", targets: ["server"]),
    .library(name: "MartletClient", targets: ["Client"]),
    .library(name: "MartletTransport", targets: ["HTTP", "RPC"]),
    .library(name: "MartletWire", targets: ["Wire", "Messages", "Tensors"]),
    .library(name: "MartletEngine", targets: ["Engine", "Formats"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // System libraries: a module map and a shim header, nothing else.
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),

    // C for what Swift cannot reach.
    .target(name: "CLinux", cSettings: optimizedC),
    .target(name: "CKernels", cSettings: optimizedC),

    // Leaves.
    .target(name: "Telemetry", dependencies: [.product(name: "Logging", package: "swift-log")], swiftSettings: swift),
    .target(name: "Tensors", swiftSettings: swift),
    .target(name: "Wire", swiftSettings: swift),
    .target(name: "Messages", dependencies: ["Wire", "Tensors"], swiftSettings: swift),
    .target(
      name: "Schemas", dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
      swiftSettings: [.swiftLanguageMode(.v6)]),

    // Models: bytes on disk become a slot.
    .target(
      name: "Engine", dependencies: ["Tensors", "Messages", "CKernels", "COpenBLAS", "Telemetry"], swiftSettings: swift),
    .target(name: "Formats", dependencies: ["Engine", "Messages", "Wire", "Tensors", "Schemas"], swiftSettings: swift),
    .target(name: "Catalog", dependencies: ["Engine", "Telemetry"], swiftSettings: swift),
    .target(
      name: "Lifecycle", dependencies: ["Catalog", "Formats", "Engine", "Schemas", "Telemetry", "CLinux"],
      swiftSettings: swift),

    // Requests: bytes on a socket become an answer.
    .target(name: "HTTP", dependencies: ["CNGHTTP2", "CLinux", "Telemetry"], swiftSettings: swift),
    .target(name: "RPC", dependencies: ["HTTP"], swiftSettings: swift),
    .target(
      name: "Serving",
      dependencies: ["RPC", "Messages", "Wire", "Tensors", "Schemas", "Catalog", "Engine", "Telemetry"],
      swiftSettings: swift),
    .target(name: "Client", dependencies: ["RPC", "Messages", "Tensors"], swiftSettings: swift),

    // The story, start to drain.
    .executableTarget(
      name: "server", dependencies: ["Serving", "Lifecycle", "Catalog", "RPC", "HTTP", "Schemas", "Telemetry"],
      swiftSettings: swift),

    // Tests.
    .testTarget(name: "WireTests", dependencies: ["Wire"], path: "Tests/WireTests", swiftSettings: swift),
    .testTarget(
      name: "MessagesTests", dependencies: ["Messages", "Wire", "Tensors", "CProtoOracle", "FuzzEntries"],
      path: "Tests/MessagesTests",
      swiftSettings: swift),
    .target(
      name: "FuzzEntries", dependencies: ["Messages", "Wire", "Tensors"], path: "Tests/Fuzz/Entries",
      swiftSettings: swift),
    // An independent parser of the same messages, for the tests above: protobuf-c.
    .target(
      name: "CProtoOracle", path: "Tests/CProtoOracle", exclude: ["generate.sh"],
      cSettings: [.headerSearchPath("generated")], linkerSettings: [.linkedLibrary("protobuf-c")]),
  ],
  swiftLanguageModes: [.v6]
)
