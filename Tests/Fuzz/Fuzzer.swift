// libFuzzer's way in. FUZZ_ENTRY names the entry; see run.sh.
import FuzzEntries
import Glibc

let entry: FuzzEntry = {
  // The environment's string lives as long as the process.
  guard let name = unsafe getenv("FUZZ_ENTRY"), let entry = FuzzEntry(rawValue: unsafe String(cString: name)) else {
    fatalError("FUZZ_ENTRY must be one of \(FuzzEntry.allCases.map(\.rawValue))")
  }
  return entry
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafeRawPointer?, _ count: Int) -> CInt {
  // libFuzzer lends the bytes for the call.
  entry(unsafe UnsafeRawBufferPointer(start: bytes, count: count).bytes)
  return 0
}
