import Glibc
import Synchronization
import Testing
import Threads

@Suite(.timeLimit(.minutes(1))) struct ThreadsTests {
  private func nameOfThisThread() -> String {
    var text = [CChar](repeating: 0, count: 17)
    guard let file = unsafe fopen("/proc/thread-self/comm", "r") else { return "" }
    defer { unsafe fclose(file) }
    guard unsafe fgets(&text, Int32(text.count), file) != nil else { return "" }
    return String(decoding: text.prefix { $0 > 32 }.map(UInt8.init), as: UTF8.self)
  }

  private func niceness() -> Int32 { getpriority(Int32(PRIO_PROCESS.rawValue), 0) }

  @Test func `a thread has its name and has run when it is joined`() {
    let seen = Mutex("")
    SystemThread(named: "loop-7") { [self] in seen.withLock { $0 = nameOfThisThread() } }.join()
    #expect(seen.withLock { $0 } == "loop-7")
  }

  @Test func `a thread knows its name and its number`() {
    let seen = Mutex<(id: Int, name: String)>((0, ""))
    SystemThread(named: "loop-with-a-long-name") { seen.withLock { $0 = SystemThread.current } }.join()
    #expect(seen.withLock { $0.name } == "loop-with-a-lon")
    #expect(seen.withLock { $0.id } > 0 && seen.withLock { $0.id } != SystemThread.current.id)
  }

  @Test func `a thread takes no signals`() {
    let isBlocked = Mutex(false)
    SystemThread(named: "quiet") {
      var blocked = sigset_t()
      unsafe pthread_sigmask(SIG_BLOCK, nil, &blocked)
      let answer = unsafe sigismember(&blocked, SIGTERM) == 1
      isBlocked.withLock { $0 = answer }
    }.join()
    #expect(isBlocked.withLock { $0 })
  }

  @Test func `a background thread is nicer than the others, and they stay as they were`() {
    let nice = Mutex<[Int32]>([])
    let before = niceness()
    SystemThread(named: "loader", priority: .background) { [self] in nice.withLock { $0.append(niceness()) } }.join()
    SystemThread(named: "worker") { [self] in nice.withLock { $0.append(niceness()) } }.join()
    #expect(nice.withLock { $0 } == [min(before + 10, 19), before])
  }

  @Test func `a semaphore lets through as many as it was signalled`() {
    let semaphore = Semaphore(), passes = Passes()
    let threads = (0..<4).map { i in
      SystemThread(named: "waiter-\(i)") {
        for _ in 0..<100 {
          semaphore.wait()
          passes.add()
        }
      }
    }
    for _ in 0..<400 { semaphore.signal() }
    for thread in threads { thread.join() }
    #expect(passes.count == 400)
  }

  @Test func `a wait with an end ends, and takes a signal that is there`() {
    let semaphore = Semaphore()
    #expect(!semaphore.wait(atMost: .zero))
    #expect(!semaphore.wait(atMost: .milliseconds(2)))
    #expect(!semaphore.wait(atMost: .seconds(-1)))
    semaphore.signal()
    #expect(semaphore.wait(atMost: .zero))
    semaphore.signal()
    #expect(semaphore.wait(atMost: .seconds(1000)))
    #expect(!semaphore.wait(atMost: .zero))
  }
}

private final class Passes: Sendable {
  private let value = Atomic<Int>(0)
  func add() { value.add(1, ordering: .relaxed) }
  var count: Int { value.load(ordering: .relaxed) }
}
