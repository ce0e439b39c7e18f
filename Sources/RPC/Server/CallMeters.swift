// Calls by method and status, whoever answered them: a handler, a deadline, or what stands before every handler. Each loop has
// a block; a method's words are the calls that began, then those that ended, by code.
internal import HTTP
internal import Synchronization
public import Telemetry

/// A loop's counts.
struct CallMeters {
  static let codeCount = 17
  private static let wordsPerMethod = 1 + codeCount

  let block: MeterBlock

  /// - Parameter methods: those of the table; behind them one for all that there are not.
  init(methods: Int) { block = MeterBlock(wordCount: (methods + 1) * CallMeters.wordsPerMethod) }

  func began(_ method: Int) { block.add(at: method * CallMeters.wordsPerMethod) }

  func ended(_ method: Int, _ code: Status.Code) {
    block.add(at: method * CallMeters.wordsPerMethod + 1 + min(code.rawValue, CallMeters.codeCount - 1))
  }

  static func began(_ method: Int, in block: MeterBlock) -> UInt64 { block[method * wordsPerMethod] }

  static func ended(_ method: Int, _ code: Int, in block: MeterBlock) -> UInt64 { block[method * wordsPerMethod + 1 + code] }
}

extension RPCServer {
  private static let started = MetricDescription(
    "martlet_grpc_started_total", .counter, labels: ["grpc_service", "grpc_method"])
  private static let handled = MetricDescription(
    "martlet_grpc_handled_total", .counter, labels: ["grpc_service", "grpc_method", "grpc_code"])

  /// What the transport and gRPC have counted so far, from any thread. Methods that a client made up share one series without
  /// a name.
  public func pour(into snapshot: inout MetricsSnapshot) {
    http.pour(into: &snapshot)
    snapshot.declare(RPCServer.started)
    snapshot.declare(RPCServer.handled)
    let names = paths.map { path -> [String] in
      let parts = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
      return [parts.first ?? "", parts.count > 1 ? parts[1] : ""]
    }
    for block in callMeters.blocks {
      for (method, name) in (names + [["", ""]]).enumerated() {
        let began = CallMeters.began(method, in: block)
        if began == 0 { continue }
        snapshot.add(began, to: RPCServer.started, name)
        for code in 0..<CallMeters.codeCount {
          let ended = CallMeters.ended(method, code, in: block)
          if ended > 0 { snapshot.add(ended, to: RPCServer.handled, name + [Status.Code(rawValue: code)?.name ?? "UNKNOWN"]) }
        }
      }
    }
  }
}

/// The blocks of a server's loops.
final class CallMeterBoard: Sendable {
  private let list = Mutex<[MeterBlock]>([])
  func add(_ block: MeterBlock) { list.withLock { $0.append(block) } }
  var blocks: [MeterBlock] { list.withLock { $0 } }
}
