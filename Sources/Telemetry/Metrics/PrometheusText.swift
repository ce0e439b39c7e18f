// Prometheus' text format as TensorFlow Serving's exporter writes it (util/prometheus_exporter.cc), so that dashboards and
// scrapers see what they know: only `# TYPE` lines, colons for slashes, `{}` where there are no labels, bounds in six digits.
//
// Two things differ, where its way loses something. A line break in a label is escaped. A sum is written in full: six digits
// stand still for minutes on a server that has run for days, and every average over them is wrong.
internal import Glibc

public struct PrometheusText {
  public static let contentType = "text/plain"

  public private(set) var bytes: [UInt8] = []

  public init() {}

  public static func bytes(of snapshot: MetricsSnapshot) -> [UInt8] {
    var text = PrometheusText()
    for name in snapshot.names { snapshot.family(name).map { text.append($0) } }
    return text.bytes
  }

  public mutating func append(_ family: MetricFamily) {
    let name = PrometheusText.metricName(family.description.name)
    append("# TYPE \(name) \(family.description.kind.rawValue)\n")
    let labelNames = family.description.labels.map(PrometheusText.labelName)
    var bounds: [String] = []
    for point in family.points {
      let labels = zip(labelNames, point.labels).map { "\($0)=\"\(PrometheusText.escaped($1))\"" }.joined(separator: ",")
      switch point.value {
      case .integer(let value): append("\(name){\(labels)} \(value)\n")
      case .real(let value): append("\(name){\(labels)} \(PrometheusText.number(value))\n")
      case .histogram(let value):
        if bounds.isEmpty { bounds = value.bounds.map(PrometheusText.sixDigits) + ["+Inf"] }
        append(value, name, labels, bounds)
      }
    }
  }

  private mutating func append(_ value: HistogramValue, _ name: String, _ labels: String, _ bounds: [String]) {
    let bucket = "\(name)_bucket{\(labels)\(labels.isEmpty ? "" : ",")le=\""
    var sum: UInt64 = 0
    for (bound, count) in zip(bounds, value.counts) {
      sum &+= count
      append(bucket)
      append("\(bound)\"} \(sum)\n")
    }
    append("\(name)_sum{\(labels)} \(PrometheusText.number(value.sum))\n\(name)_count{\(labels)} \(sum)\n")
  }

  private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}

extension PrometheusText {
  /// `[a-zA-Z_:][a-zA-Z0-9_:]*`, by TensorFlow Serving's rule.
  static func metricName(_ name: String) -> String { sanitized(name, keepingUnderscore: true, with: ":") }

  static func labelName(_ name: String) -> String { sanitized(name, keepingUnderscore: false, with: "_") }

  private static func sanitized(_ name: String, keepingUnderscore: Bool, with other: Character) -> String {
    var text = ""
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: "_") where keepingUnderscore: text.append("_")
      default: text.append(other)
      }
    }
    return text.utf8.first.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } == true ? "_" + text : text
  }

  static func escaped(_ value: String) -> String {
    if !value.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\n") }) {
      return value
    }
    var text = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// As many digits as it takes, and none behind the point of a whole number.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return Int64(exactly: value).map(String.init) ?? "\(value)"
  }

  /// C's `%g`, which is what `absl::StrCat` makes of a double.
  static func sixDigits(_ value: Double) -> String {
    // Six digits, a sign, a point and an exponent: less than the buffer.
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
      _ = unsafe withVaList([value]) { unsafe vsnprintf(buffer.baseAddress, buffer.count, "%g", $0) }
      return unsafe String(cString: buffer.baseAddress!)
    }
  }
}
