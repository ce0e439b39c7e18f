// swift-tools-version: 6.2
//
// Fuzzes the SavedModel loader, from the files of a version directory to the first run. A package of its own, because every
// module must be built for the fuzzer:
//
//   Tests/Fuzz/Loader/run.sh [seconds for each entry, default 60] [entry ...]
import PackageDescription

let sanitized = ["-sanitize=fuzzer,address", "-parse-as-library"]

let package = Package(
  name: "martlet-loader-fuzz",
  dependencies: [.package(name: "martlet", path: "../../..")],
  targets: [
    .executableTarget(
      name: "loader-fuzzer", dependencies: [.product(name: "MartletEngine", package: "martlet")], path: "Fuzzer",
      swiftSettings: [
        .strictMemorySafety(), .enableExperimentalFeature("Lifetimes"), .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"), .unsafeFlags(sanitized),
      ],
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])])
  ],
  swiftLanguageModes: [.v6]
)
