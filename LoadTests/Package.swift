// swift-tools-version: 6.2
//
// Benchmarks, in a package of their own so that what they need stays out of the server's.
import PackageDescription

let package = Package(
  name: "martlet-load-tests",
  dependencies: [.package(name: "martlet", path: "..")],
  targets: [
    .executableTarget(
      name: "parser-bench",
      dependencies: [.product(name: "MartletWire", package: "martlet")],
      swiftSettings: [
        .strictMemorySafety(),
        .enableExperimentalFeature("Lifetimes"),
        .unsafeFlags(["-enable-cmo-everything"], .when(configuration: .release)),
      ],
      // With everything inlined across modules, each of them holds its own copy of what it specialised.
      linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "muldefs"], .when(configuration: .release))])
  ],
  swiftLanguageModes: [.v6]
)
