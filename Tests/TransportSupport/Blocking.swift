// Tests that play a peer by hand read and write blocking sockets. On the cooperative pool, which has a thread per CPU, two of
// them would make every other test wait; so their tasks run on threads that may block.
internal import Dispatch
public import Testing

private final class BlockingThreads: TaskExecutor {
  static let shared = BlockingThreads()
  private let queue = DispatchQueue(label: "blocking tests", attributes: .concurrent)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}

/// `@Suite(.blocking)`: these tests may block the thread that they run on.
public struct BlockingTrait: SuiteTrait, TestTrait, TestScoping {
  public var isRecursive: Bool { true }

  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(BlockingThreads.shared) { try await function() }
  }
}

extension Trait where Self == BlockingTrait {
  public static var blocking: Self { BlockingTrait() }
}
