// Replays the fuzzers' corpus: seeds, and whatever once made the parser crash. See Tests/Fuzz/run.sh.
import Foundation
import FuzzEntries
import Testing
import Wire

@Suite struct CorpusTests {
  static func files(_ entry: FuzzEntry) throws -> [URL] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../Fuzz/Corpus/\(entry.rawValue)")
    return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
  }

  @Test(arguments: FuzzEntry.allCases)
  func `every file of the corpus is read without a crash by every way in`(entry: FuzzEntry) throws {
    let files = try CorpusTests.files(entry)
    #expect(!files.isEmpty)
    for file in files {
      let bytes = [UInt8](try Data(contentsOf: file))
      for entry in FuzzEntry.allCases { entry(bytes.rawSpan) }
      // And whatever of it a broken connection would leave.
      for count in stride(from: 0, to: min(bytes.count, 600), by: 7) {
        entry(Array(bytes[0..<count]).rawSpan)
      }
    }
  }
}
