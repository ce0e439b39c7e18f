import Testing

@testable import Lifecycle

@Suite struct PolicyTests {
  typealias Row = (version: Int64, state: VersionSnapshot.State, isAspired: Bool)

  private func action(_ rows: [Row]) -> PolicyAction? {
    let versions = rows.map { VersionSnapshot(version: $0.version, state: $0.state, isAspired: $0.isAspired) }
    let answer = availabilityPreservingAction(versions)
    // Pure: the order of the snapshot and asking again change nothing.
    #expect(availabilityPreservingAction(versions.reversed()) == answer)
    return answer
  }

  @Test func `nothing asks for nothing`() { #expect(action([]) == nil) }

  @Test func `the highest new version is loaded first`() {
    #expect(action([(1, .new, true), (3, .new, true), (2, .new, true)]) == .load(3))
    #expect(action([(1, .new, true), (3, .loading, true)]) == .load(1))
  }

  @Test func `loading goes before unloading`() {
    #expect(action([(1, .ready, false), (2, .ready, true), (3, .new, true)]) == .load(3))
  }

  @Test func `what serves stays while its successor is not ready`() {
    for state in [VersionSnapshot.State.loading, .ended, .unloading] {
      #expect(action([(1, .ready, false), (2, state, true)]) == nil)
    }
  }

  @Test func `what serves goes once its successor is ready`() {
    #expect(action([(1, .ready, false), (2, .ready, true)]) == .unload(1))
  }

  @Test func `what serves goes when nothing is wanted`() {
    #expect(action([(1, .ready, false)]) == .unload(1))
    #expect(action([(1, .ready, false), (2, .ended, false)]) == .unload(1))
  }

  @Test func `of several that are not wanted the oldest goes, and one stays`() {
    #expect(action([(1, .ready, false), (2, .ready, false), (3, .loading, true)]) == .unload(1))
    #expect(action([(2, .ready, false), (3, .loading, true)]) == nil)
  }

  @Test func `what is wanted and ready is left alone`() {
    #expect(action([(1, .ready, true), (2, .ready, true)]) == nil)
  }

  @Test(arguments: [
    (VersionPolicy.latest(1), [1, 5, 3], [5]), (.latest(2), [1, 5, 3], [3, 5]), (.latest(9), [1, 5], [1, 5]),
    (.latest(0), [1, 5], [5]), (.latest(1), [], []), (.all, [1, 5, 3], [1, 3, 5]), (.specific([3, 7]), [1, 5, 3], [3]),
    (.specific([]), [1, 2], []), (.latest(1), [-5, -7], [-5]),
  ] as [(VersionPolicy, [Int64], Set<Int64>)])
  func `a version policy chooses among the versions found`(_ policy: VersionPolicy, _ found: [Int64], _ aspired: Set<Int64>) {
    #expect(policy.aspired(found) == aspired)
  }
}

@Suite struct VersionNameTests {
  @Test(arguments: [
    ("1", 1), ("00000123", 123), ("0", 0), ("-1", -1), ("+7", 7), (" 12 ", 12), ("\t12\n", 12), ("-0", 0),
    ("9223372036854775807", .max), ("-9223372036854775808", .min),
    ("00000000000000000000000000000009223372036854775807", .max),
  ] as [(String, Int64)])
  func `a number is a version`(_ name: String, _ expected: Int64) { #expect(version(named: name) == expected) }

  @Test(arguments: [
    "", " ", "-", "+", "--1", "+-1", "1a", "a1", "1.0", "1 2", "0x10", "1_000", "tmp", ".1", "- 1", "١",
    "9223372036854775808", "-9223372036854775809", "99999999999999999999", "1\u{0}",
  ])
  func `anything else is not`(_ name: String) { #expect(version(named: name) == nil) }

  @Test func `of two directories with one number the last in order wins`() {
    let children = ["001", "01", "1", "2"].map { Child(name: $0, version: version(named: $0)!, isDirectory: true) }
    let (found, shadowed) = Scan.directories(children)
    #expect(found == [1: "1", 2: "2"])
    #expect(shadowed.map(\.name) == ["001", "01"])
  }

  @Test func `a numbered file is no version`() {
    let children = [
      Child(name: "1", version: 1, isDirectory: true), Child(name: "2", version: 2, isDirectory: false),
    ]
    #expect(Scan.directories(children).byVersion == [1: "1"])
  }
}
