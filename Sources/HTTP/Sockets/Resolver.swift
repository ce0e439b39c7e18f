// Names become addresses on a thread of their own, because getaddrinfo blocks for as long as name servers take. One look-up
// at a time; who asks for a name that is being looked up waits for the same answer.
internal import Synchronization
internal import Threads

public final class Resolver: Sendable {
  public typealias Answer = Result<[SocketAddress], SocketError>
  public typealias Completion = @Sendable (Answer) -> Void

  /// The process's resolver. Its thread starts with the first name.
  public static let shared = Resolver { endpoint in
    do throws(SocketError) { return .success(try SocketAddress.resolve(endpoint)) } catch { return .failure(error) }
  }

  private struct State {
    var order: [Endpoint] = []
    var waiting: [Endpoint: [Completion]] = [:]
    var isStarted = false
  }

  private let state = Mutex(State())
  private let work = Semaphore()
  private let lookUp: @Sendable (Endpoint) -> Answer

  /// - Parameter lookUp: runs on the resolver's thread.
  init(lookUp: @escaping @Sendable (Endpoint) -> Answer) { self.lookUp = lookUp }

  /// Resolves `endpoint` and tells `completion`: at once, on this thread, when there is no name in it; else later, on the
  /// resolver's.
  public func resolve(_ endpoint: Endpoint, completion: @escaping Completion) {
    switch endpoint {
    case .unix: return completion(lookUp(endpoint))
    case .tcp(let host, let port):
      if let address = SocketAddress(numeric: host, port: port) { return completion(.success([address])) }
    }
    let (isNew, isFirst) = state.withLock { state in
      let isNew = state.waiting[endpoint] == nil
      state.waiting[endpoint, default: []].append(completion)
      if isNew { state.order.append(endpoint) }
      defer { state.isStarted = true }
      return (isNew, !state.isStarted)
    }
    // Lives as long as the process, like the resolver it serves.
    if isFirst { _ = SystemThread(named: "resolver") { self.run() } }
    if isNew { work.signal() }
  }

  private func run() {
    while true {
      work.wait()
      guard let endpoint = state.withLock({ $0.order.first }) else { continue }
      let answer = lookUp(endpoint)
      let completions = state.withLock { state in
        state.order.removeFirst()
        return state.waiting.removeValue(forKey: endpoint)
      }
      for completion in completions ?? [] { completion(answer) }
    }
  }
}
