// The first six tests say what TensorFlow Serving's own test of its exporter says.
import Testing

@testable import Telemetry

private func text(_ description: MetricDescription, _ values: [([String], MetricValue)]) -> String {
  var snapshot = MetricsSnapshot()
  for (labels, value) in values { snapshot.add(value, to: description, labels) }
  return String(decoding: PrometheusText.bytes(of: snapshot), as: UTF8.self)
}

@Suite struct PrometheusTextTests {
  @Test func `a counter is a type line and a line for each series`() {
    #expect(
      text(MetricDescription("/test/path/total", .counter, labels: ["name"]), [(["abc"], .integer(2))])
        == "# TYPE :test:path:total counter\n:test:path:total{name=\"abc\"} 2\n")
  }

  @Test func `labels stand in the order of the description`() {
    #expect(
      text(MetricDescription("/test/path/gague", .gauge, labels: ["x", "y"]), [(["abc", "def"], .integer(5))])
        == "# TYPE :test:path:gague gauge\n:test:path:gague{x=\"abc\",y=\"def\"} 5\n")
  }

  @Test func `a histogram's buckets are cumulative, and a value on a bound counts in the next`() {
    let layout = HistogramLayout(.exponential(scale: 1, growth: 2, count: 10))
    let histogram = Histogram(layout)
    for value: UInt64 in [2, 20, 200] { histogram.record(value) }
    let name = ":test:path:histogram", label = "status=\"good\""
    let counts = [("1", 0), ("2", 0), ("4", 1), ("8", 1), ("16", 1), ("32", 2), ("64", 2), ("128", 2), ("256", 3), ("512", 3), ("+Inf", 3)]
    let buckets = counts.map { "\(name)_bucket{\(label),le=\"\($0)\"} \($1)\n" }.joined()
    #expect(
      text(MetricDescription("/test/path/histogram", .histogram, labels: ["status"]), [(["good"], histogram.value)])
        == "# TYPE \(name) histogram\n\(buckets)\(name)_sum{\(label)} 222\n\(name)_count{\(label)} 3\n")
  }

  @Test func `quotes and backslashes of a label's value are escaped`() {
    #expect(
      text(MetricDescription("/test/path/total", .counter, labels: ["name"]), [([#""abc\""#], .integer(2))])
        == #"""
        # TYPE :test:path:total counter
        :test:path:total{name="\"abc\\\""} 2

        """#)
  }

  @Test func `a label's name keeps letters and digits`() {
    #expect(
      text(MetricDescription("/test/path/total", .counter, labels: ["my-name+1"]), [(["abc"], .integer(2))])
        .hasSuffix(":test:path:total{my_name_1=\"abc\"} 2\n"))
  }

  @Test func `a metric's name keeps underscores and does not begin with a digit`() {
    #expect(
      text(MetricDescription("0/path-total_count", .counter, labels: ["name"]), [(["abc"], .integer(2))])
        == "# TYPE _0:path:total_count counter\n_0:path:total_count{name=\"abc\"} 2\n")
  }

  @Test func `without labels there are braces all the same`() {
    #expect(text(MetricDescription("/a", .counter), [([], .integer(7))]) == "# TYPE :a counter\n:a{} 7\n")
    let value = HistogramValue(bounds: [1], counts: [2, 3], sum: 4)
    #expect(
      text(MetricDescription("/h", .histogram), [([], .histogram(value))])
        == "# TYPE :h histogram\n:h_bucket{le=\"1\"} 2\n:h_bucket{le=\"+Inf\"} 5\n:h_sum{} 4\n:h_count{} 5\n")
  }

  @Test func `a line break in a label stays within its line`() {
    #expect(text(MetricDescription("/a", .gauge, labels: ["l"]), [(["x\ny"], .integer(1))]) == "# TYPE :a gauge\n:a{l=\"x\\ny\"} 1\n")
  }

  @Test func `a declared family without series is a type line`() {
    var snapshot = MetricsSnapshot()
    snapshot.declare(MetricDescription("/a", .counter, labels: ["l"]))
    #expect(String(decoding: PrometheusText.bytes(of: snapshot), as: UTF8.self) == "# TYPE :a counter\n")
  }

  @Test func `bounds have the six digits that TensorFlow Serving writes`() {
    let bounds = Buckets.exponential(scale: 10, growth: 1.8, count: 33).bounds.map(PrometheusText.sixDigits)
    #expect(bounds[..<9] == ["10", "18", "32.4", "58.32", "104.976", "188.957", "340.122", "612.22", "1102"])
    #expect(bounds.last == "1.47476e+09")
  }

  @Test func `sums are written in full`() {
    #expect(PrometheusText.number(123_456_789_012) == "123456789012")
    #expect(PrometheusText.number(0.1) == "0.1")
    #expect(PrometheusText.number(-.infinity) == "-Inf")
    #expect(PrometheusText.number(.nan) == "NaN")
  }

  @Test func `families and series stand in order, whatever the order of counting`() {
    var snapshot = MetricsSnapshot()
    let b = MetricDescription("/b", .counter, labels: ["l"])
    for label in ["z", "a", "m"] { snapshot.add(1, to: b, [label]) }
    snapshot.add(1, to: MetricDescription("/a", .counter))
    #expect(
      String(decoding: PrometheusText.bytes(of: snapshot), as: UTF8.self)
        == "# TYPE :a counter\n:a{} 1\n# TYPE :b counter\n:b{l=\"a\"} 1\n:b{l=\"m\"} 1\n:b{l=\"z\"} 1\n")
  }
}
