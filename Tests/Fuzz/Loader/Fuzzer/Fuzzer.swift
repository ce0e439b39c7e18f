// libFuzzer's way in. The bytes stand in for one file of a whole and right version directory, which is then loaded, and every
// signature of what loads is run on zeros. FUZZ_MODEL names the directory to copy, FUZZ_ENTRY the file to replace:
//
//   Graph   saved_model.pb     Index   variables/variables.index     Shard   its first shard     Text   saved_model.pbtxt
import Engine
import Formats
import Glibc

struct Scene {
  let directory: String
  let replaced: String

  init() {
    func environment(_ name: String) -> String {
      // The environment's strings live as long as the process.
      guard let value = unsafe getenv(name) else { fatalError("\(name) must be set") }
      return unsafe String(cString: value)
    }
    directory = "/dev/shm/martlet-fuzz-\(getpid())"
    let source = environment("FUZZ_MODEL")
    guard unsafe system("mkdir -p \(directory) && cp -r \(source)/. \(directory)") == 0 else { fatalError("cannot copy \(source)") }
    switch environment("FUZZ_ENTRY") {
    case "Graph": replaced = directory + "/saved_model.pb"
    case "Index": replaced = directory + "/variables/variables.index"
    case "Shard": replaced = directory + "/variables/variables.data-00000-of-00001"
    case "Text":
      unlink(directory + "/saved_model.pb")
      replaced = directory + "/saved_model.pbtxt"
    case let entry: fatalError("there is no entry \(entry)")
    }
  }

  func play(_ bytes: UnsafeRawBufferPointer) {
    let file = unsafe open(replaced, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    // libFuzzer lends the bytes for the call.
    unsafe precondition(write(file, bytes.baseAddress, bytes.count) == bytes.count)
    close(file)
    _ = SavedModelLoader.inspect(directory)
    do throws(FormatError) {
      try SavedModelLoader().load(directory).warmUp()
    } catch {
      precondition(!error.description.isEmpty)
    }
  }
}

let scene = Scene()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafeRawPointer?, _ count: Int) -> CInt {
  unsafe scene.play(UnsafeRawBufferPointer(start: bytes, count: count))
  return 0
}
