// The Date field (RFC 9110 §5.6.7), made once per second.
internal import Glibc

struct HTTPDate {
  /// `Sun, 06 Nov 1994 08:49:37 GMT`
  static let byteCount = 29

  private var second: Int64 = .min
  private var text: InlineArray<29, UInt8> = .init(repeating: 0)

  /// The text for a moment in seconds since 1970.
  mutating func bytes(at second: Int64) -> InlineArray<29, UInt8> {
    if second != self.second {
      text = HTTPDate.format(second)
      self.second = second
    }
    return text
  }

  /// The text for now.
  mutating func bytesNow() -> InlineArray<29, UInt8> {
    bytes(at: Int64(time(nil)))
  }

  static func format(_ second: Int64) -> InlineArray<29, UInt8> {
    let clamped = min(max(second, 0), 253_402_300_799)  // the year 9999 has four digits
    let days = clamped / 86_400
    let (year, month, day) = civil(days)
    var text: InlineArray<29, UInt8> = .init(repeating: Ascii.space)
    func put(_ word: StaticString, from: Int, at: Int, _ count: Int) {
      // Both tables are literals of three letters an entry, and the entries are within.
      for i in 0..<count { text[at + i] = unsafe word.utf8Start[from + i] }
    }
    func put(_ number: Int64, at: Int, digits: Int) {
      var number = number
      for i in (0..<digits).reversed() {
        text[at + i] = UInt8(ascii: "0") + UInt8(number % 10)
        number /= 10
      }
    }
    // 1 January 1970 was a Thursday.
    put("ThuFriSatSunMonTueWed", from: Int(days % 7) * 3, at: 0, 3)
    put(",", from: 0, at: 3, 1)
    put(day, at: 5, digits: 2)
    put("JanFebMarAprMayJunJulAugSepOctNovDec", from: Int(month - 1) * 3, at: 8, 3)
    put(year, at: 12, digits: 4)
    let time = clamped % 86_400
    put(time / 3600, at: 17, digits: 2)
    put(":", from: 0, at: 19, 1)
    put(time / 60 % 60, at: 20, digits: 2)
    put(":", from: 0, at: 22, 1)
    put(time % 60, at: 23, digits: 2)
    put("GMT", from: 0, at: 26, 3)
    return text
  }

  /// The date of a day since 1970. The year is taken to begin in March, so that the leap day is its last.
  private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468  // days from 1 March of year 0
    let era = shifted / 146_097  // 400 years
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let march = (5 * dayOfYear + 2) / 153  // months since March: 153 days are five of them
    let month = march < 10 ? march + 3 : march - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * march + 2) / 5 + 1)
  }
}
