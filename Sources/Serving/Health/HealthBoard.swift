// From the events of health to every loop: the catalog's writer, the start and the drain tell the board; each loop has what
// came of it at its desk, and tells its watchers. Check and Watch touch nothing that another loop touches.
//
//   Catalog.publish ─┐
//   start, drain ────┴► HealthBoard (HealthState behind a lock) ──report──► HealthDesk, one per loop ──► watchers
internal import Catalog
internal import HTTP
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Synchronization

/// What health says at one moment.
struct HealthReport: Sendable {
  var statuses: [String: HealthStatus]
  /// There will be no other: watchers are let go.
  var isLast = false
}

final class HealthBoard: Sendable {
  private struct Posting {
    var state: HealthState
    var loops: [EventLoop] = []
  }

  /// What holds before the first event.
  let first: HealthReport
  private let posting: Mutex<Posting>

  init(_ state: HealthState) {
    first = HealthReport(statuses: state.statuses)
    posting = Mutex(Posting(state: state))
  }

  /// From now on these loops are told. Their desks begin with `first`.
  func show(on loops: [EventLoop]) { posting.withLock { $0.loops = loops } }

  /// From any thread. `event` is made under the lock, so that a later one never overtakes it.
  func post(_ event: () -> HealthState.Event) {
    posting.withLock { posting in
      let event = event()
      guard posting.state.receive(event) || event.isLast else { return }
      let report = HealthReport(statuses: posting.state.statuses, isLast: posting.state.isDraining)
      for loop in posting.loops { loop.enqueue { LoopState.of(loop).health.show(report) } }
    }
  }
}

extension HealthState.Event {
  fileprivate var isLast: Bool { if case .draining = self { true } else { false } }
}

/// One loop's view of health, and who watches it there. Confined to the loop.
final class HealthDesk {
  private(set) var report: HealthReport
  private var watchers: [ObjectIdentifier: HealthWatcher] = [:]

  init(_ report: HealthReport) { self.report = report }

  func show(_ report: HealthReport) {
    self.report = report
    // Whoever is told may leave.
    for watcher in Array(watchers.values) { watcher.tell(report) }
  }

  func admit(_ watcher: HealthWatcher) {
    watchers[ObjectIdentifier(watcher)] = watcher
    watcher.tell(report)
  }

  func dismiss(_ watcher: HealthWatcher) { watchers[ObjectIdentifier(watcher)] = nil }
}

/// One call of Watch. A client that does not read is told the latest when it does.
final class HealthWatcher: CallHandler {
  private let desk: HealthDesk
  private let call: StreamingCall
  private var watch: HealthWatch?
  private var isBehind = false

  init(_ call: StreamingCall, _ desk: HealthDesk) {
    self.call = call
    self.desk = desk
  }

  func received(_ message: consuming ByteBuffer, on call: StreamingCall) {
    guard watch == nil else { return leave(Status(.unimplemented, "more than one message in a request of Watch")) }
    do throws(Status) {
      watch = HealthWatch(try Grpc_Health_V1_HealthCheckRequest(request: message.bytes).service)
      desk.admit(self)
    } catch {
      leave(error)
    }
  }

  func ended(_ call: StreamingCall) {
    if watch == nil { leave(Status(.internal, "request ended without a message")) }
  }

  func writable(_ call: StreamingCall) {
    isBehind = false
    tell(desk.report)
  }

  func cancelled(_ call: StreamingCall) { desk.dismiss(self) }

  func tell(_ report: HealthReport) {
    if !isBehind, let news = watch?.news(report.statuses) {
      do throws(Status) {
        isBehind = !call.write(try Grpc_Health_V1_HealthCheckResponse(news).response())
      } catch {
        return leave(error)
      }
    }
    // A stream that waits for news that cannot come would hold up the drain.
    if report.isLast { leave(Status(.unavailable, "the server is shutting down")) }
  }

  private func leave(_ status: Status) {
    desk.dismiss(self)
    call.finish(status)
  }
}
