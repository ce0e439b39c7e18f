// A trace as TensorFlow's profilers write it (tsl/profiler/protobuf/xplane.proto): one plane for the host, a line for each
// thread, events by the id of their name, times in picoseconds since the trace began; a second plane says when that was.
// TensorBoard's profile plugin reads it.
internal import Schemas

extension Tensorflow_Profiler_XSpace {
  /// The plane of the host's threads, by the name that readers look for.
  static let hostPlane = "/host:CPU"
  static let environmentPlane = "Task Environment"

  init(_ trace: Trace, host: String) {
    self.init()
    hostnames = [host]
    var plane = Tensorflow_Profiler_XPlane()
    plane.id = 1
    plane.name = Self.hostPlane
    var names = Names()
    var dropped = 0
    for line in trace.lines {
      var message = Tensorflow_Profiler_XLine()
      message.id = Int64(line.thread)
      message.name = "\(line.name)/\(line.thread)"
      let (events, lost) = line.events
      dropped += lost
      message.events = events.filter { $0.start >= trace.start }.sorted { ($0.start, $1.end) < ($1.start, $0.end) }.map { event in
        var xEvent = Tensorflow_Profiler_XEvent()
        xEvent.metadataID = names.id(of: event.name)
        xEvent.offsetPs = Int64(clamping: (event.start - trace.start) &* 1000)
        xEvent.durationPs = Int64(clamping: (event.end > event.start ? event.end - event.start : 0) &* 1000)
        if let details = event.details { xEvent.stats = names.stats(details) }
        return xEvent
      }
      message.durationPs = Int64(clamping: (trace.end - trace.start) &* 1000)
      plane.lines.append(message)
    }
    plane.eventMetadata = names.events
    plane.statMetadata = names.statMetadata
    planes = [plane, Self.environment(trace)]
    if dropped > 0 { warnings = ["\(dropped) earlier events were dropped: a thread keeps the latest \(Tracer.eventsPerLineMax)"] }
  }

  /// When the trace began and ended, in nanoseconds of the wall clock.
  private static func environment(_ trace: Trace) -> Tensorflow_Profiler_XPlane {
    var plane = Tensorflow_Profiler_XPlane()
    plane.name = environmentPlane
    let times = [("profile_start_time", trace.wallStart), ("profile_stop_time", trace.wallStart &+ (trace.end - trace.start))]
    for (index, (name, time)) in times.enumerated() {
      var metadata = Tensorflow_Profiler_XStatMetadata()
      metadata.id = Int64(index + 1)
      metadata.name = name
      plane.statMetadata[metadata.id] = metadata
      var stat = Tensorflow_Profiler_XStat()
      stat.metadataID = metadata.id
      stat.uint64Value = time
      plane.stats.append(stat)
    }
    return plane
  }

  /// Whether there is nothing in it.
  var isEmptyTrace: Bool { planes.allSatisfy { $0.lines.allSatisfy(\.events.isEmpty) } }

  /// Names are written once, and meant by their numbers.
  private struct Names {
    private var ids: [TraceEvent.Name: Int64] = [:]
    var events: [Int64: Tensorflow_Profiler_XEventMetadata] = [:]

    private static let statNames = ["model", "version", "signature", "status", "rows", "waited_us"]

    mutating func id(of name: TraceEvent.Name) -> Int64 {
      if let known = ids[name] { return known }
      let id = Int64(ids.count + 1)
      ids[name] = id
      var metadata = Tensorflow_Profiler_XEventMetadata()
      metadata.id = id
      metadata.name =
        switch name {
        // As TensorFlow names its ops' events: readers take them apart again.
        case .op(let node, let op): "\(node):\(op)"
        case .request(let text): text
        }
      events[id] = metadata
      return id
    }

    func stats(_ details: TraceEvent.Details) -> [Tensorflow_Profiler_XStat] {
      let values: [Tensorflow_Profiler_XStat.OneOf_Value?] = [
        .strValue(details.model), details.version.map { .int64Value($0) }, .strValue(details.signature), .strValue(details.status),
        .int64Value(Int64(details.rows)), .int64Value(Int64(clamping: details.waited / 1000)),
      ]
      return values.enumerated().compactMap { index, value in
        value.map { value in
          var stat = Tensorflow_Profiler_XStat()
          stat.metadataID = Int64(index + 1)
          stat.value = value
          return stat
        }
      }
    }

    var statMetadata: [Int64: Tensorflow_Profiler_XStatMetadata] {
      var all: [Int64: Tensorflow_Profiler_XStatMetadata] = [:]
      for (index, name) in Names.statNames.enumerated() {
        var metadata = Tensorflow_Profiler_XStatMetadata()
        metadata.id = Int64(index + 1)
        metadata.name = name
        all[metadata.id] = metadata
      }
      return all
    }
  }
}
