// Tests that hold their thread: they play a peer by hand on a blocking socket, or they compute for long. On the cooperative
// pool, which has a thread per CPU, two of them would make every task in the process wait, the handlers under test among them;
// so they run on threads of their own, and the kernel shares the CPUs out. (Not on Dispatch's: they are the pool's.)
internal import Synchronization
public import Testing
internal import Threads

/// Runs each job at once: a thread that has nothing to do takes it, or a new one.
private final class BlockingThreads: TaskExecutor {
  static let shared = BlockingThreads()

  private struct State {
    var jobs: [UnownedJob] = []
    /// Threads that wait, less those that have been woken.
    var idle = 0
  }

  private let state = Mutex(State())
  private let waiting = Semaphore()

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isTaken = state.withLock { state in
      state.jobs.append(job)
      if state.idle == 0 { return false }
      state.idle -= 1
      return true
    }
    if isTaken { waiting.signal() } else { _ = SystemThread(named: "test", work) }
  }

  private func work() {
    while true {
      let job = state.withLock { state in
        if state.jobs.isEmpty { state.idle += 1 }
        return state.jobs.isEmpty ? nil : state.jobs.removeFirst()
      }
      if let job { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) } else { waiting.wait() }
    }
  }
}

/// `@Suite(.blocking)`: these tests may hold the thread that they run on.
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
