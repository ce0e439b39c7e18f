// What can be asked about models: their versions' status, their signatures, who is there, who is ready.
internal import Catalog
internal import Engine
internal import HTTP
internal import JSON
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Tensors
internal import Wire

extension CatalogSnapshot {
  /// The versions that a target means, newest first, as GetModelStatus reports them.
  func statuses(_ model: RESTModel) throws(Status) -> [VersionStatus] {
    let entry = self.model(model.name)
    var statuses = entry?.statuses ?? []
    switch model.choice {
    case .latest: break
    case .version(let version):
      statuses.removeAll { $0.version != version }
      if statuses.isEmpty { throw Status(serving: .notFound, "Could not find version \(version) of model \(model.name)") }
    case .label(let label):
      guard let version = entry?.labels[label] else {
        throw Status(serving: .invalidArgument, "Unrecognized servable version label: \(label)")
      }
      statuses.removeAll { $0.version != version }
    }
    guard !statuses.isEmpty else { throw Status(serving: .notFound, "Could not find any versions of model \(model.name)") }
    return statuses
  }
}

/// The pages' texts, with one space for each level as protobuf's JSON printer has it, and all fields there.
enum ModelPages {
  static func status(_ statuses: [VersionStatus]) -> [UInt8] {
    var page = JSONPage()
    page.object {
      $0.member("model_version_status") { put(statuses, into: &$0) }
    }
    return page.bytes
  }

  /// Every configured model.
  static func list(_ models: [ModelEntry]) -> [UInt8] {
    var page = JSONPage()
    page.object {
      $0.member("models") {
        $0.array(models.sorted { $0.name < $1.name }) { page, model in
          page.object {
            $0.member("name", model.name)
            $0.member("model_version_status") { put(model.statuses, into: &$0) }
            $0.member("version_labels") {
              $0.object {
                for (label, version) in model.labels.sorted(by: { $0.key < $1.key }) { $0.member(label, String(version)) }
              }
            }
          }
        }
      }
    }
    return page.bytes
  }

  private static func put(_ statuses: [VersionStatus], into page: inout JSONPage) {
    page.array(statuses) { page, status in
      page.object {
        $0.member("version", String(status.version))
        $0.member("state", "\(status.state)".uppercased())
        $0.member("status") {
          $0.object {
            $0.member("error_code", Status.Code(rawValue: status.errorCode)?.name ?? "UNKNOWN")
            $0.member("error_message", status.errorMessage)
          }
        }
      }
    }
  }

  static func metadata(_ name: String, _ slot: Slot) throws(Status) -> [UInt8] {
    var signatures: [(String, Tensorflow_SignatureDef)] = []
    do {
      for (name, bytes) in slot.model.signatureDefs.sorted(by: { $0.name < $1.name }) {
        signatures.append((name, try Tensorflow_SignatureDef(serializedBytes: bytes)))
      }
    } catch {
      throw Status(serving: .internal, "the signatures of the model cannot be read: \(error)")
    }
    var page = JSONPage()
    page.object {
      $0.member("model_spec") {
        $0.object {
          $0.member("name", name)
          $0.member("signature_name", "")
          $0.member("version", String(slot.version))
        }
      }
      $0.member("metadata") {
        $0.object {
          $0.member("signature_def") {
            $0.object {
              $0.member("signature_def") {
                $0.object {
                  for (name, signature) in signatures { $0.member(name) { put(signature, into: &$0) } }
                }
              }
            }
          }
        }
      }
    }
    return page.bytes
  }

  private static func put(_ signature: Tensorflow_SignatureDef, into page: inout JSONPage) {
    page.object {
      $0.member("inputs") { put(signature.inputs, into: &$0) }
      $0.member("outputs") { put(signature.outputs, into: &$0) }
      $0.member("method_name", signature.methodName)
      $0.member("defaults") {
        $0.object {
          for (name, tensor) in signature.defaults.sorted(by: { $0.key < $1.key }) {
            $0.member(name) { $0.raw((try? tensor.jsonString()) ?? "{}") }
          }
        }
      }
    }
  }

  private static func put(_ tensors: [String: Tensorflow_TensorInfo], into page: inout JSONPage) {
    page.object {
      for (name, info) in tensors.sorted(by: { $0.key < $1.key }) {
        $0.member(name) { put(info, into: &$0) }
      }
    }
  }

  private static func put(_ info: Tensorflow_TensorInfo, into page: inout JSONPage) {
    page.object {
      $0.member("dtype", name(ofType: info.dtype.rawValue))
      if info.hasTensorShape {
        $0.member("tensor_shape") {
          $0.object {
            $0.member("dim") {
              $0.array(info.tensorShape.dim) { page, dim in
                page.object {
                  $0.member("size", String(dim.size))
                  $0.member("name", dim.name)
                }
              }
            }
            $0.member("unknown_rank") { $0.raw(info.tensorShape.unknownRank ? "true" : "false") }
          }
        }
      }
      switch info.encoding {
      case .cooSparse(let sparse):
        $0.member("coo_sparse") {
          $0.object {
            $0.member("values_tensor_name", sparse.valuesTensorName)
            $0.member("indices_tensor_name", sparse.indicesTensorName)
            $0.member("dense_shape_tensor_name", sparse.denseShapeTensorName)
          }
        }
      case .compositeTensor(let composite):
        $0.member("composite_tensor") {
          $0.object { $0.member("components") { $0.array(composite.components) { put($1, into: &$0) } } }
        }
      case .name(let name): $0.member("name", name)
      case nil: break
      }
    }
  }

  /// `DT_FLOAT`, `DT_FLOAT_REF`: the names of types.proto.
  private static func name(ofType number: Int) -> String {
    guard let type = DType(wire: number) else { return "DT_INVALID" }
    return "DT_" + type.name.uppercased() + (number > 100 ? "_REF" : "")
  }
}

/// A JSON text in the making, a member or an element to a line.
struct JSONPage {
  private var text = JSONText()
  private var depth = 0
  private var isFirst = true

  var bytes: [UInt8] { text.bytes + [UInt8(ascii: "\n")] }

  mutating func object(_ members: (inout JSONPage) -> Void) { nest("{", "}", members) }

  mutating func array<Element>(_ elements: [Element], _ put: (inout JSONPage, Element) -> Void) {
    nest("[", "]") { page in
      for element in elements {
        page.separate()
        put(&page, element)
      }
    }
  }

  mutating func member(_ name: String, _ value: (inout JSONPage) -> Void) {
    separate()
    text.quote(name)
    text.put(": ")
    value(&self)
  }

  mutating func member(_ name: String, _ value: String) { member(name) { $0.text.quote(value) } }

  /// A value that is JSON already.
  mutating func raw(_ value: String) { text.append(raw: value) }

  private mutating func nest(_ open: StaticString, _ close: StaticString, _ body: (inout JSONPage) -> Void) {
    text.put(open)
    depth += 1
    isFirst = true
    body(&self)
    depth -= 1
    if !isFirst { text.newLine(depth) }
    text.put(close)
    isFirst = false
  }

  private mutating func separate() {
    if !isFirst { text.put(",") }
    isFirst = false
    text.newLine(depth)
  }
}
