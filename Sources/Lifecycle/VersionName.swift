/// The version a directory's name says, as TensorFlow Serving reads it (`strings::safe_strto64`, that is
/// `absl::SimpleAtoi`): a decimal that fits 64 bits, with any leading zeros, one sign, and ASCII blanks around it.
func version(named name: String) -> Int64? {
  let isBlank: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || (9...13).contains($0) }
  var digits = Array(name.utf8)[...]
  while let last = digits.last, isBlank(last) { digits.removeLast() }
  digits = digits.drop(while: isBlank)
  var isNegative = false
  if let first = digits.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
    isNegative = first == UInt8(ascii: "-")
    digits.removeFirst()
  }
  guard !digits.isEmpty else { return nil }
  // Downwards, because the lowest number has no counterpart above.
  var negated: Int64 = 0
  for digit in digits {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
    let (tens, overflow) = negated.multipliedReportingOverflow(by: 10)
    let (next, underflow) = tens.subtractingReportingOverflow(Int64(digit - UInt8(ascii: "0")))
    if overflow || underflow { return nil }
    negated = next
  }
  return isNegative ? negated : negated == .min ? nil : -negated
}
