// libFuzzer's way into the reader of protobuf text format; see run.sh.
@testable import TextFormat

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafeRawPointer?, _ count: Int) -> CInt {
  // libFuzzer lends the bytes for the call.
  let text = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
  do throws(TextFormatError) {
    let written = textFormat(try TextFormatTree(text).fields)
    let again = textFormat(try TextFormatTree(written).fields)
    precondition(again == written, "what was read is written as something else")
  } catch {
    precondition(error.position.line > 0 && !error.reason.isEmpty)
  }
  return 0
}
