// The files a request log is written to, as a value: which file a record goes to, when the next file begins, and which old ones
// have to go. It holds names and sizes; `RecordFileWriter` touches the disk.
//
//   PREFIX-20261127T153045Z-00001.tfrecord        a file's time is when it was begun; the number tells those of one second apart
//
// Files of earlier processes with the same prefix count, and go, like our own: a server that restarts every hour is not to fill
// the disk.

/// How large logs may become.
public struct RequestLogLimits: Sendable, Equatable {
  /// A file that has as many bytes is followed by the next.
  public var fileBytesMax = 64 << 20
  /// So is one that is as old, in seconds.
  public var fileSecondsMax = 3600
  /// All files of one prefix together; the oldest go first, the one being written never.
  public var totalBytesMax = 1 << 30

  public init() {}
}

struct RecordFiles: Equatable {
  struct File: Equatable {
    var name: String
    var byteCount: Int
  }

  enum Action: Equatable {
    /// Close what is open, and begin this file.
    case begin(String)
    case delete(String)
  }

  /// The name's part before the time.
  private let stem: String
  private let limits: RequestLogLimits
  /// Oldest first; the last is the one being written, if `began` says so.
  private(set) var files: [File]
  /// When the current file was begun, in seconds since 1970.
  private(set) var began: Int?
  private var lastNumber = 0

  static let suffix = ".tfrecord"

  /// - Parameters:
  ///   - stem: the last component of the prefix.
  ///   - found: what the directory holds.
  init(stem: String, _ limits: RequestLogLimits, found: [File]) {
    self.stem = stem
    self.limits = limits
    files = found.filter { RecordFiles.isOurs($0.name, stem) }.sorted { $0.name < $1.name }
  }

  /// Named by us, for this stem.
  private static func isOurs(_ name: String, _ stem: String) -> Bool {
    guard name.hasPrefix(stem + "-"), name.hasSuffix(suffix) else { return false }
    let middle = name.dropFirst(stem.count + 1).dropLast(suffix.count).split(separator: "-", omittingEmptySubsequences: false)
    return middle.count == 2 && middle[0].count == 16 && middle[0].hasSuffix("Z") && middle[1].allSatisfy(\.isASCII) && Int(middle[1]) != nil
  }

  /// What to do before `byteCount` bytes are written.
  mutating func admit(_ byteCount: Int, at seconds: Int) -> [Action] {
    var actions: [Action] = []
    let isDue: Bool
    if let began, let current = files.last {
      let isFull = current.byteCount > 0 && current.byteCount + byteCount > limits.fileBytesMax
      // A clock that was set back makes no file immortal.
      isDue = isFull || (current.byteCount > 0 && (seconds - began >= limits.fileSecondsMax || seconds < began))
    } else {
      isDue = true
    }
    if isDue {
      let name = nextName(at: seconds)
      files.append(File(name: name, byteCount: 0))
      began = seconds
      actions.append(.begin(name))
    }
    files[files.count - 1].byteCount += byteCount
    var total = files.reduce(0) { $0 + $1.byteCount }
    while total > limits.totalBytesMax, files.count > 1 {
      total -= files[0].byteCount
      actions.append(.delete(files.removeFirst().name))
    }
    return actions
  }

  /// What was admitted could not be written; the next record begins a file of its own. Returns the file that is not worth
  /// keeping, because there is nothing in it.
  mutating func failed(_ byteCount: Int) -> String? {
    guard began != nil, let current = files.last else { return nil }
    began = nil
    files[files.count - 1].byteCount = current.byteCount - byteCount
    return current.byteCount == byteCount ? files.removeLast().name : nil
  }

  private mutating func nextName(at seconds: Int) -> String {
    let last = files.last?.name ?? ""
    var name = ""
    repeat {
      lastNumber += 1
      name = "\(stem)-\(RecordFiles.text(seconds))-\(RecordFiles.padded(lastNumber, 5))\(RecordFiles.suffix)"
    } while name <= last && last.hasPrefix("\(stem)-\(RecordFiles.text(seconds))-") && lastNumber < 99_999
    return name
  }

  private static func padded(_ number: Int, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  /// `20261127T153045Z`.
  static func text(_ seconds: Int) -> String {
    // Howard Hinnant's civil_from_days: eras of 400 years that begin in March.
    let days = seconds.floorDivided(by: 86_400), second = seconds - days * 86_400
    let shifted = days + 719_468
    let era = shifted.floorDivided(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return "\(padded(year, 4))\(padded(month, 2))\(padded(day, 2))T\(padded(second / 3600, 2))\(padded(second / 60 % 60, 2))\(padded(second % 60, 2))Z"
  }
}

extension Int {
  fileprivate func floorDivided(by divisor: Int) -> Int { self >= 0 ? self / divisor : -((divisor - 1 - self) / divisor) }
}
