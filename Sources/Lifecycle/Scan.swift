// One look at a base path, and what is found there. Names that are no number are passed over; a *file* with a number for a
// name is found too, so that it can be reported: it is no version and never becomes one.
internal import Glibc

/// A child of a base path whose name is a number.
struct Child: Sendable, Equatable {
  var name: String
  var version: Int64
  var isDirectory: Bool
  /// Which file it is, whatever its name.
  var inode: UInt64 = 0
}

/// What a look at a base path found.
enum Scan: Sendable, Equatable {
  /// There is no such path.
  case missing
  /// It cannot be read: errno.
  case failed(Int32)
  /// Its numbered children, ordered by name.
  case listed([Child])

  init(basePath: String) {
    switch DirectoryEntry.all(in: basePath) {
    case .failure(let error):
      self = error.code == ENOENT ? .missing : .failed(error.code)
    case .success(let entries):
      let children = entries.compactMap { entry in
        version(named: entry.name).map {
          Child(name: entry.name, version: $0, isDirectory: entry.isDirectory, inode: entry.inode)
        }
      }
      self = .listed(children.sorted { $0.name < $1.name })
    }
  }

  /// The directory of each version. Of two names with one number the last in order wins, and the others are given too.
  static func directories(_ children: [Child]) -> (byVersion: [Int64: String], shadowed: [Child]) {
    var byVersion: [Int64: String] = [:]
    for child in children where child.isDirectory { byVersion[child.version] = child.name }
    return (byVersion, children.filter { $0.isDirectory && byVersion[$0.version] != $0.name })
  }
}
