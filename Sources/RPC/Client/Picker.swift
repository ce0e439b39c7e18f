// Which address takes the next call, and which addresses to connect to. Values over what the addresses are, asked for one
// at a time; nothing is allocated per call.

/// How a channel uses several addresses.
public enum LoadBalancing: Sendable, Hashable {
  /// The first address that answers takes every call until it is lost. For names with several addresses of one machine.
  case pickFirst
  /// Each address is connected to and they take calls in turn. For names with one address per replica: the default.
  case roundRobin
}

struct Picker {
  /// What an address is to the next call.
  enum Standing: Hashable {
    case idle, connecting, failed
    /// A connection with room for a stream.
    case ready
    /// Connected; every stream that the server allows is in use.
    case full
  }

  enum Pick: Hashable {
    case use(Int)
    /// Something may come of it: wait in line.
    case wait
    /// Every address has failed, or there is none.
    case fail
  }

  let policy: LoadBalancing
  /// Round robin: where to look first. Pick first: the address in use.
  private var next = 0

  init(_ policy: LoadBalancing) { self.policy = policy }

  mutating func pick(among count: Int, _ standing: (Int) -> Standing) -> Pick {
    if count == 0 { return .fail }
    var canWait = false
    let start = next < count ? next : 0
    for step in 0..<count {
      let index = start + step < count ? start + step : start + step - count
      switch standing(index) {
      case .ready:
        next = policy == .roundRobin ? index + 1 : index
        return .use(index)
      case .full:
        // Pick first stays with the address in use, full or not.
        if policy == .pickFirst { return .wait }
        canWait = true
      case .idle, .connecting: canWait = true
      case .failed: break
      }
    }
    return canWait ? .wait : .fail
  }

  /// An address to connect to now; ask again until there is none.
  /// - Parameter staggered: the latest attempt has had its head start over the next address.
  func connect(among count: Int, staggered: Bool, _ standing: (Int) -> Standing) -> Int? {
    switch policy {
    case .roundRobin: return (0..<count).first { standing($0) == .idle }
    case .pickFirst:
      var idle: Int?, isConnecting = false
      for index in 0..<count {
        switch standing(index) {
        case .ready, .full: return nil
        case .connecting: isConnecting = true
        case .idle: if idle == nil { idle = index }
        case .failed: break
        }
      }
      return isConnecting && !staggered ? nil : idle
    }
  }
}
