import Foundation
import Records
import Schemas
import SwiftProtobuf
import Telemetry
import Testing
import Wire

@testable import Catalog
@testable import Serving

@Suite struct RecordFilesTests {
  private var limits: RequestLogLimits {
    var limits = RequestLogLimits()
    (limits.fileBytesMax, limits.fileSecondsMax, limits.totalBytesMax) = (100, 60, 250)
    return limits
  }

  /// 2026-11-27T15:30:45Z
  private let time = 1_795_793_445

  private func name(_ second: Int, _ number: Int) -> String { "log-20261127T1530\(second)Z-0000\(number).tfrecord" }

  @Test func `a file is followed by the next when it is full or old`() {
    var files = RecordFiles(stem: "log", limits, found: [])
    #expect(files.admit(60, at: time) == [.begin(name(45, 1))])
    #expect(files.admit(40, at: time + 1) == [])
    #expect(files.admit(1, at: time + 2) == [.begin(name(47, 2))])
    #expect(files.admit(1, at: time + 61) == [])
    guard case .begin? = files.admit(1, at: time + 62).first else {
      Issue.record("it is old")
      return
    }
    // A clock that was set back.
    guard case .begin? = files.admit(1, at: time).first else {
      Issue.record("it is from the future")
      return
    }
  }

  @Test func `a record larger than a file has one of its own`() {
    var files = RecordFiles(stem: "log", limits, found: [])
    #expect(files.admit(500, at: time) == [.begin(name(45, 1))])
    #expect(files.admit(1, at: time) == [.begin(name(45, 2)), .delete(name(45, 1))])
  }

  @Test func `the oldest go when all are too much, those of earlier processes first`() {
    let old = [
      RecordFiles.File(name: "log-20251127T153045Z-00007.tfrecord", byteCount: 90),
      RecordFiles.File(name: "log-20241127T153045Z-00007.tfrecord", byteCount: 90),
      RecordFiles.File(name: "log-other.tfrecord", byteCount: 1000), RecordFiles.File(name: "log", byteCount: 1000),
      RecordFiles.File(name: "log-2-20241127T153045Z-00007.tfrecord", byteCount: 1000),
    ]
    var files = RecordFiles(stem: "log", limits, found: old)
    #expect(files.admit(80, at: time) == [.begin(name(45, 1)), .delete("log-20241127T153045Z-00007.tfrecord")])
    #expect(files.files.map(\.byteCount) == [90, 80])
  }

  @Test func `a name that is there already is not taken again`() {
    var files = RecordFiles(stem: "log", limits, found: [RecordFiles.File(name: name(45, 3), byteCount: 5)])
    #expect(files.admit(1, at: time) == [.begin(name(45, 4))])
  }

  @Test func `what could not be written does not count, and its file goes if there is nothing else in it`() {
    var files = RecordFiles(stem: "log", limits, found: [])
    _ = files.admit(50, at: time)
    _ = files.admit(20, at: time)
    #expect(files.failed(20) == nil)
    #expect(files.files.map(\.byteCount) == [50])
    #expect(files.admit(10, at: time + 1) == [.begin(name(46, 2))])
    #expect(files.failed(10) == name(46, 2))
    #expect(files.failed(10) == nil)
  }

  @Test func `times are written as calendars have them`() {
    #expect(RecordFiles.text(0) == "19700101T000000Z")
    #expect(RecordFiles.text(951_782_399) == "20000228T235959Z")
    #expect(RecordFiles.text(951_782_400) == "20000229T000000Z")
    #expect(RecordFiles.text(4_107_542_400) == "21000301T000000Z")
    #expect(RecordFiles.text(-1) == "19691231T235959Z")
  }
}

@Suite struct RequestLogsTests {
  private func record(_ prefix: String, _ text: String, time: Int = 1_795_793_445) -> RequestLogs.Record {
    let log = RequestLog("m", RequestLogConfiguration(samplingRate: 0.5, attributes: 3, filenamePrefix: prefix))
    return RequestLogs.Record(
      log: log, api: .predict, version: 7, signature: "s", request: Array(text.utf8), response: [], time: time)
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  private func logCount(_ metrics: Metrics, _ code: String) -> MetricValue? {
    metrics.snapshot().value("/tensorflow/serving/request_log_count", ["m", code])
  }

  @Test func `records come out of the file as they went in`() throws {
    try withFolder { folder in
      let metrics = Metrics()
      let logs = RequestLogs(metrics, tags: ["serve", "x"])
      var request = Tensorflow_Serving_PredictRequest()
      request.modelSpec.name = "m"
      let bytes: [UInt8] = try request.serializedBytes()
      for _ in 0..<3 { logs.submit(record(folder + "/log", String(decoding: bytes, as: UTF8.self))) }
      logs.stop()
      #expect(logCount(metrics, "OK") == .integer(3))
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(names == ["log-20261127T153045Z-00001.tfrecord"])
      let file = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/" + names[0])))
      var reader = TFRecordReader(file.rawSpan)
      var count = 0
      while let record = try reader.next() {
        count += 1
        let log = try Tensorflow_Serving_PredictionLog(serializedBytes: [UInt8](record))
        #expect(log.logMetadata.modelSpec.name == "m" && log.logMetadata.modelSpec.version.value == 7)
        #expect(log.logMetadata.modelSpec.signatureName == "s")
        #expect(log.logMetadata.samplingConfig.samplingRate == 0.5 && log.logMetadata.samplingConfig.attributes == 3)
        #expect(log.logMetadata.savedModelTags == ["serve", "x"] && log.logMetadata.timestampSecs == 1_795_793_445)
        #expect(log.predictLog.request == request)
        #expect(log.predictLog.hasResponse)
      }
      #expect(count == 3)
    }
  }

  @Test func `a directory that is missing, and one that nobody may write, lose records and nothing else`() throws {
    try withFolder { folder in
      #expect(FileManager.default.createFile(atPath: folder + "/file", contents: nil))
      for prefix in [folder + "/missing/log", folder + "/file/log"] {
        let metrics = Metrics()
        let logs = RequestLogs(metrics)
        logs.submit(record(prefix, "a"))
        logs.submit(record(prefix, "b"))
        logs.stop()
        #expect(logCount(metrics, "UNAVAILABLE") == .integer(2))
        #expect(logCount(metrics, "OK") == nil)
      }
    }
  }

  @Test func `a directory that comes later is written to`() throws {
    try withFolder { folder in
      var writer = RecordFileWriter(prefix: folder + "/later/log", RequestLogLimits())
      let tooEarly = writer.write([1], at: 100, "m")
      try FileManager.default.createDirectory(atPath: folder + "/later", withIntermediateDirectories: false)
      // It is tried again after five seconds.
      let stillTooEarly = writer.write([1], at: 104, "m"), later = writer.write([1], at: 105, "m")
      #expect(!tooEarly && !stillTooEarly && later)
    }
  }

  @Test func `who finds the queue full is counted and does not wait`() throws {
    try withFolder { folder in
      let metrics = Metrics()
      let logs = RequestLogs(metrics, recordsMax: 0)
      for _ in 0..<5 { logs.submit(record(folder + "/log", "a")) }
      logs.stop()
      #expect(logCount(metrics, "RESOURCE_EXHAUSTED") == .integer(5))
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(names.isEmpty)
    }
  }

  @Test(arguments: [(0.0, 0...0), (1.0, 10_000...10_000), (0.25, 2200...2800), (1e-30, 0...0)])
  func `the sample is as large as its rate says`(_ rate: Double, _ expected: ClosedRange<Int>) {
    let log = RequestLog("m", RequestLogConfiguration(samplingRate: rate, filenamePrefix: "/x"))
    var random: UInt64 = 0x1234_5678_9ABC_DEF1
    var count = 0
    for _ in 0..<10_000 {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      if log.takes(random) { count += 1 }
    }
    #expect(expected.contains(count))
  }
}
