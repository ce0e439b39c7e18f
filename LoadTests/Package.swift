// swift-tools-version: 6.2
// Load generators and yardsticks: a package of its own, so that what they need stays out of the product's.
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
  name: "LoadTests",
  dependencies: [.package(name: "martlet", path: "..")],
  targets: [
    // Answers every Predict with a constant: the floor under everything else.
    .executableTarget(
      name: "noop-server", dependencies: [.product(name: "MartletTransport", package: "martlet")], swiftSettings: swift)
  ],
  swiftLanguageModes: [.v6]
)
