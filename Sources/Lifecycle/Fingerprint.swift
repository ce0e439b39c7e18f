// Whether a version directory is still being written. A copy in progress grows files and adds entries; both leave a fresh
// time behind. A directory that was copied aside and renamed keeps the times its files got while they were copied, so it
// counts as quiet at once; only its own time, which the rename touches, is left out.

/// A version directory's files at one moment: names, sizes, times.
struct Fingerprint: Sendable, Equatable {
  private(set) var fileCount = 0
  private(set) var byteCount: Int64 = 0
  private var digest = 0
  /// Nanoseconds since 1970.
  private(set) var newestChange: Int64 = 0
  /// The directory and those in it, to be watched.
  private(set) var directories: [String] = []

  /// Deep enough for any format; a loop of links ends here.
  private static let depthMax = 6
  /// More than any model has. What goes past it is not looked at.
  private static let entriesMax = 100_000

  init(directory: String) {
    var hasher = Hasher()
    var entries = 0
    visit(directory, depth: 0, &hasher, &entries)
    digest = hasher.finalize()
  }

  private mutating func visit(_ directory: String, depth: Int, _ hasher: inout Hasher, _ entries: inout Int) {
    directories.append(directory)
    guard depth < Fingerprint.depthMax else { return }
    let names = (try? DirectoryEntry.all(in: directory).get())?.map(\.name).sorted() ?? []
    for name in names {
      entries += 1
      guard entries <= Fingerprint.entriesMax else { return }
      let path = directory + "/" + name
      guard let status = FileStatus(path) else { continue }
      hasher.combine(path)
      hasher.combine(status.modified)
      if status.isDirectory {
        newestChange = max(newestChange, status.modified)
        visit(path, depth: depth + 1, &hasher, &entries)
      } else {
        hasher.combine(status.size)
        hasher.combine(status.inode)
        newestChange = max(newestChange, status.changed)
        fileCount += 1
        byteCount &+= status.size
      }
    }
  }
}
