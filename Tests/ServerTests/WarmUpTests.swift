import Engine
import Formats
import Foundation
import Lifecycle
import Records
import Schemas
import Serving
import SwiftProtobuf
import TestThreads
import Testing

@testable import server

/// A version directory of the test's own: a fixture's model, and a file of warm-up requests.
private final class Version {
  let directory = NSTemporaryDirectory() + "martlet-" + UUID().uuidString

  init(_ records: [UInt8]? = nil, fixture: String = "half_plus_two") throws {
    let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Fixtures/\(fixture)/1")
    try FileManager.default.copyItem(atPath: source.path, toPath: directory)
    guard let records else { return }
    try FileManager.default.createDirectory(atPath: directory + "/assets.extra", withIntermediateDirectories: true)
    try Data(records).write(to: URL(fileURLWithPath: directory + "/" + WarmUp.file))
  }
  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func warmUp(_ configuration: WarmUpConfiguration = WarmUpConfiguration()) throws -> (report: WarmUp.Report, model: Model) {
    let model = try SavedModelLoader().load(directory)
    let warmUp = WarmUp(configuration: configuration, options: ServingOptions())
    return (try warmUp(model, in: directory), model)
  }

  func failure(_ configuration: WarmUpConfiguration = WarmUpConfiguration()) -> LoadError? {
    do {
      _ = try warmUp(configuration)
      return nil
    } catch { return error as? LoadError }
  }
}

private func file(_ records: [[UInt8]]) -> [UInt8] {
  // Bytes have no padding: all of the span is initialised.
  records.flatMap { TFRecord.head(byteCount: $0.count) + $0 + TFRecord.tail(unsafe $0.span.bytes) }
}

private func predict(_ name: String = "x", model: String = "whatever", signature: String = "") throws -> [UInt8] {
  var request = Tensorflow_Serving_PredictRequest()
  request.modelSpec.name = model
  request.modelSpec.signatureName = signature
  var tensor = Tensorflow_TensorProto()
  tensor.dtype = .dtFloat
  tensor.tensorShape.dim = [.with { $0.size = 2 }]
  tensor.floatVal = [1, 2]
  request.inputs[name] = tensor
  var log = Tensorflow_Serving_PredictionLog()
  log.predictLog.request = request
  return try log.serializedBytes()
}

@Suite(.blocking) struct WarmUpTests {
  @Test func `the requests that came with a version are asked`() throws {
    let version = try Version(file([predict(), predict(model: ""), predict(signature: "serving_default")]))
    let (report, model) = try version.warmUp()
    #expect(report.records == 3)
    #expect(model.signatures.contains { $0.cost.estimate(rows: 2) != nil })
    #expect(try version.warmUp(WarmUpConfiguration(iterations: 3, threads: 4)).report.records == 3)
  }

  @Test func `without any, each signature runs once; and nothing does when that is not wanted`() throws {
    let (report, model) = try Version().warmUp()
    #expect(report.records == nil)
    #expect(model.signatures.contains { $0.cost.estimate(rows: 1) != nil })
    let cold = try Version(file([[0xFF]])).warmUp(WarmUpConfiguration(isEnabled: false))
    #expect(cold.report.records == nil)
    #expect(cold.model.signatures.allSatisfy { $0.cost.estimate(rows: 1) == nil })
  }

  @Test func `a request that fails, fails the load, with the client's words and the record's number`() throws {
    for threads in [1, 3] {
      let failure = try Version(file([predict(), predict("z")])).failure(WarmUpConfiguration(threads: threads))
      #expect(failure?.code == 3)
      #expect(failure?.message.contains("warm-up record 2 of ") == true)
      #expect(failure?.isTransient == false)
    }
    #expect(try Version(file([predict(signature: "none")])).failure()?.message.hasPrefix("Serving signature key \"none\" not found.") == true)
  }

  @Test func `a file that is no TFRecord file is told as TensorFlow Serving tells it`() throws {
    let garbage = try Version(Array("not a record file at all".utf8)).failure()
    #expect(garbage?.code == 15)
    #expect(
      garbage?.message.hasPrefix(
        "corrupted record at 0 (Is this even a TFRecord file?). Please verify your warmup data is in TFRecord format.") == true)
    let record = try predict()
    let cut = try Version(Array(file([record, record]).dropLast())).failure()
    #expect(cut?.message.hasPrefix("truncated record at \(record.count + 16). Please verify") == true)
    #expect(try Version([]).warmUp().report.records == 0)
  }

  @Test func `a thousand records and no more`() throws {
    #expect(try Version(file([[UInt8]](repeating: [], count: 1000))).warmUp().report.records == 1000)
    let failure = try Version(file([[UInt8]](repeating: [], count: 1001))).failure()
    #expect(failure?.code == 3)
    #expect(failure?.message.hasPrefix("Number of warmup records exceeds the maximum (1000) at ") == true)
  }

  @Test func `a record that is no PredictionLog, and one of a kind that is not asked`() throws {
    let failure = try Version(file([[0xFF, 0xFF]])).failure()
    #expect(failure?.code == 3)
    #expect(failure?.message.hasPrefix("Failed to parse warmup record: ") == true)
    let streamed = try Version(file([[7 << 3 | 2, 0]])).failure()
    #expect(streamed?.code == 12)
    #expect(streamed?.message.hasPrefix("Unsupported log_type for warmup: 7 ") == true)
    // A record that says nothing asks nothing.
    #expect(try Version(file([[]])).warmUp().report.records == 1)
  }

  @Test(arguments: 0..<20)
  func `any damage is an error or a warm-up`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    // The directory goes with the object.
    let whole = try Version()
    let model = try withExtendedLifetime(whole) { try SavedModelLoader().load(whole.directory) }
    let warmUp = WarmUp(configuration: WarmUpConfiguration(), options: ServingOptions())
    let record = try predict()
    for _ in 0..<10 {
      var damaged = record
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let version = try Version(file([record, damaged]))
      do {
        #expect(try warmUp(model, in: version.directory).records == 2)
      } catch {
        #expect(error.message.contains("warm-up record 2 of"), "seed \(seed): \(error.message)")
      }
    }
  }
}
