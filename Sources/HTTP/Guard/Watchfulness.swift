/// Finds peers that are gone without having said so: silence is answered by a PING, silence after that is the end. A value,
/// asked when its timer fires; a busy connection pays nothing but a count of its reads.
struct Watchfulness {
  enum Action: Equatable { case wait, ping, close }

  private var mark: UInt64 = 0
  private var isAsking = false

  /// - Parameter readCount: reads that brought bytes, so far.
  mutating func timerFired(readCount: UInt64) -> Action {
    if readCount != mark {
      mark = readCount
      isAsking = false
      return .wait
    }
    if isAsking { return .close }
    isAsking = true
    return .ping
  }
}
