/// Is told of every step of a frame's runs: for who profiles. A frame without one asks nobody, and reads no clock.
public protocol StepObserver: AnyObject {
  /// A step has run.
  /// - Parameters:
  ///   - node: the node's name.
  ///   - op: its operation.
  ///   - start: by the monotonic clock, in nanoseconds.
  func ran(_ node: String, _ op: String, from start: UInt64, to end: UInt64)
}
