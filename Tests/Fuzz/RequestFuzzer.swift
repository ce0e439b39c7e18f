// libFuzzer's way into the parser of HTTP/1.1 requests; see run.sh.
@testable import RequestReading

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafeRawPointer?, _ count: Int) -> CInt {
  // libFuzzer lends the bytes for the call.
  fuzzRequests(unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count)))
  return 0
}
