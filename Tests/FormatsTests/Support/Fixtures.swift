import Engine
import Foundation
import Messages
import Tensors
import Wire

/// `Tests/Fixtures`, and models elsewhere that are laid out the same way.
struct Fixture: CustomStringConvertible, Sendable {
  var name: String
  /// The version directory.
  var directory: String

  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fixtures").path

  init(_ name: String) {
    self.name = name
    directory = Fixture.root + "/" + name + "/1"
  }

  /// Every fixture with golden answers.
  static let golden: [Fixture] = {
    func names(_ folder: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: root + folder)) ?? [] }
    let top = names("")
    // A folder without a version of its own is a folder of fixtures.
    return (top + top.flatMap { folder in names("/" + folder).map { folder + "/" + $0 } }).sorted().map(Fixture.init).filter {
      FileManager.default.fileExists(atPath: root + "/" + $0.name + "/golden")
    }
  }()

  var description: String { name }

  /// The golden requests, by `signature.case`.
  func cases(in folder: String = "golden") -> [(name: String, request: [UInt8], response: [UInt8]?)] {
    let path = Fixture.root + "/" + name + "/" + folder
    let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return files.filter { $0.hasSuffix(".request.pb") }.sorted().map { file in
      let name = String(file.dropLast(".request.pb".count))
      return (name, read(path + "/" + file)!, read(path + "/" + name + ".response.pb"))
    }
  }
}

func read(_ path: String) -> [UInt8]? { FileManager.default.contents(atPath: path).map(Array.init) }

/// A directory of the test's own, gone with it.
final class Scratch {
  let path: String

  init() {
    path = FileManager.default.temporaryDirectory.path + "/martlet-\(UUID().uuidString)"
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// A copy of a fixture's version directory.
  func copy(_ fixture: Fixture) -> String {
    let target = path + "/1"
    try! FileManager.default.copyItem(atPath: fixture.directory, toPath: target)
    return target
  }
}

func write(_ bytes: [UInt8], to path: String) { try! Data(bytes).write(to: URL(filePath: path)) }
