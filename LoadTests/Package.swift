// swift-tools-version: 6.2
//
// Benchmarks and yardsticks, in a package of their own so that what they need stays out of the server's.
import PackageDescription

let swift: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

let package = Package(
  name: "martlet-load-tests",
  dependencies: [.package(name: "martlet", path: "..")],
  targets: [
    // Our parser beside protobuf's C++ and C, on the payloads those parse.
    .executableTarget(
      name: "parser-bench", dependencies: [.product(name: "MartletWire", package: "martlet")], swiftSettings: swift),
    // Classify's way from bytes to tensors beside protobuf's C++.
    .executableTarget(
      name: "example-bench",
      dependencies: [.product(name: "MartletEngine", package: "martlet"), .product(name: "MartletWire", package: "martlet")],
      swiftSettings: swift),
    // A REST body to a tensor and back, beside RapidJSON.
    .executableTarget(
      name: "json-bench",
      dependencies: [.product(name: "MartletJSON", package: "martlet"), .product(name: "MartletWire", package: "martlet")],
      swiftSettings: swift),
    // Answers every Predict with a constant: the floor under everything else.
    .executableTarget(
      name: "noop-server", dependencies: [.product(name: "MartletTransport", package: "martlet")], swiftSettings: swift),
    // As many bytes without any protocol: what the kernel alone costs.
    .executableTarget(name: "echo-server"),
    // A closed or open loop of calls through our client.
    .executableTarget(
      name: "rpc-load", dependencies: [.product(name: "MartletTransport", package: "martlet")], swiftSettings: swift),
    // Our matrix products beside OpenBLAS's.
    .executableTarget(
      name: "gemm-bench", dependencies: [.product(name: "MartletKernels", package: "martlet")],
      linkerSettings: [.linkedLibrary("openblas"), .linkedLibrary("m")]),
  ],
  swiftLanguageModes: [.v6]
)
