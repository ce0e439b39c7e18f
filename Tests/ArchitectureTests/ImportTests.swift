import Foundation
import TestThreads
import Testing

/// The arrows of the design, module by module. An import that is not drawn here is a mistake in the code or in the picture.
/// Foundation stays out of everything a request passes through.
private let arrows: [String: Set<String>] = [
  "Threads": ["CLinux", "Glibc"],
  "Telemetry": ["Logging", "Synchronization", "Glibc", "Foundation"],
  "Tensors": [],
  "Wire": [],
  "Records": ["CLinux"],
  "Messages": ["Wire", "Tensors"],
  "JSON": ["Tensors", "Wire", "CKernels", "Glibc"],
  "Schemas": ["SwiftProtobuf", "Foundation", "FoundationEssentials"],
  "Engine": ["Tensors", "Messages", "Wire", "CKernels", "Telemetry", "Synchronization", "Glibc"],
  "Formats": ["Engine", "Messages", "Wire", "Records", "Tensors", "Schemas", "CLinux", "CKernels", "Synchronization", "Glibc", "Foundation", "SwiftProtobuf"],
  "Catalog": ["Engine", "Telemetry", "Threads", "Synchronization", "Glibc"],
  "Lifecycle": ["Catalog", "Formats", "Engine", "Schemas", "Telemetry", "CLinux", "Threads", "Synchronization", "Glibc"],
  "HTTP": ["CNGHTTP2", "COpenSSL", "CZlib", "CLinux", "Telemetry", "Threads", "Synchronization", "Glibc"],
  "RPC": ["HTTP", "Telemetry", "Synchronization", "Glibc"],
  "Serving": ["RPC", "HTTP", "JSON", "Messages", "Wire", "Records", "Tensors", "Schemas", "SwiftProtobuf", "Catalog", "Engine", "Telemetry", "Threads", "Synchronization", "Glibc"],
  "Client": ["RPC", "HTTP", "Messages", "Wire", "Tensors", "Synchronization", "Glibc"],
]

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

private func imports(of file: URL) throws -> [String] {
  try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
    let words = line.split(separator: " ")
    guard let at = words.firstIndex(of: "import"), at <= 2, words.count > at + 1,
      words[..<at].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "package", "private", "fileprivate"].contains($0) })
    else { return nil }
    // `import struct Foundation.URL`
    let name = ["struct", "class", "enum", "func", "protocol"].contains(String(words[at + 1])) ? words[at + 2] : words[at + 1]
    return String(name.prefix { $0 != "." })
  }
}

private func swiftFiles(below folder: URL) -> [URL] {
  let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
  return (all?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }
}

@Suite(.blocking) struct ImportTests {
  @Test func `every import is an arrow of the design`() throws {
    for (module, allowed) in arrows {
      for file in swiftFiles(below: root.appendingPathComponent("Sources/\(module)")) {
        for name in try imports(of: file) where !allowed.contains(name) {
          Issue.record("\(module)/\(file.lastPathComponent) imports \(name), which the design does not draw")
        }
      }
    }
  }

  @Test func `every Swift module under Sources is drawn`() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("Sources").path)
    for folder in folders where !swiftFiles(below: root.appendingPathComponent("Sources/\(folder)")).isEmpty {
      #expect(arrows[folder] != nil || ["server", "predict"].contains(folder), "\(folder) has no arrows")
    }
  }

  @Test func `the top level holds what the design names`() throws {
    let allowed: Set = ["Package.swift", "Sources", "Protos", "Tests", "LoadTests", "Deploy", "README.md", "Package.resolved"]
    for name in try FileManager.default.contentsOfDirectory(atPath: root.path) where !name.hasPrefix(".") {
      #expect(allowed.contains(name), "\(name) does not belong at the top level")
    }
  }
}
