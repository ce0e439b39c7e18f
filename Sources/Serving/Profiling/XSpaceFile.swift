// Where a client asks a profile to be written: ROOT/SESSION/HOST.xplane.pb, as TensorBoard's profile plugin looks for it. Client
// and server share the file system, or the client asks for the profile in the answer.
internal import Glibc
internal import RPC
internal import Schemas
internal import SwiftProtobuf
internal import Wire

struct XSpaceFile: Equatable {
  let directory: String
  let name: String

  /// Who asks names the place; the names within it lead nowhere else.
  init(_ request: Tensorflow_ProfileRequest) throws(Status) {
    let root = request.repositoryRoot
    guard !root.contains("://") else { throw Status(.unimplemented, "File system scheme of '\(root)' not implemented") }
    guard root.hasPrefix("/") else {
      throw Status(.invalidArgument, "repository_root has to be an absolute path, or emit_xspace set; got '\(root)'")
    }
    let session = try XSpaceFile.component(request.sessionID, "session_id")
    // As TensorFlow does for the sake of Windows.
    let host = String(try XSpaceFile.component(request.hostName.isEmpty ? "localhost" : request.hostName, "host_name").map { $0 == ":" ? "_" : $0 })
    directory = (root.hasSuffix("/") ? root : root + "/") + session
    name = host + ".xplane.pb"
  }

  private static func component(_ text: String, _ what: String) throws(Status) -> String {
    guard !text.isEmpty, text != ".", text != "..", !text.utf8.contains(0), !text.contains("/"), text.utf8.count < 200 else {
      throw Status(serving: .invalidArgument, "\(what) has to be the name of a file or directory; got '\(text)'")
    }
    return text
  }

  func write(_ space: Tensorflow_Profiler_XSpace) throws(Status) {
    let bytes = try space.response()
    try makeDirectories()
    let path = directory + "/" + name
    // Nothing that is there already is written through: neither a link nor a device.
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw XSpaceFile.failure("open", path) }
    defer { close(descriptor) }
    var at = 0
    while at < bytes.count {
      // The rest of the array, which stays for the call.
      let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress! + at, $0.count - at) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw XSpaceFile.failure("write", path) }
      at += count
    }
  }

  private func makeDirectories() throws(Status) {
    var path = ""
    for component in directory.split(separator: "/") {
      path += "/" + component
      if unsafe mkdir(path, 0o755) != 0, errno != EEXIST { throw XSpaceFile.failure("mkdir", path) }
    }
  }

  private static func failure(_ operation: String, _ path: String) -> Status {
    Status(serving: .internal, "\(operation) \(path): \(unsafe String(cString: strerror(errno)))")
  }
}
