import Testing

@testable import HTTP
@testable import RPC

@Suite struct Base64Tests {
  @Test(arguments: [
    ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
  ])
  func `the vectors of RFC 4648, with and without padding`(_ plain: String, _ encoded: String) {
    #expect(Base64.encode(Array(plain.utf8)) == encoded)
    #expect(Base64.decode(encoded.utf8) == Array(plain.utf8))
    let padded = encoded + String(repeating: "=", count: (4 - encoded.utf8.count % 4) % 4)
    #expect(Base64.decode(padded.utf8) == Array(plain.utf8))
  }

  @Test func `every length of every byte comes back`() {
    for count in 0..<200 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
      #expect(Base64.decode(Base64.encode(bytes).utf8) == bytes)
    }
  }

  @Test(arguments: ["A", "Zg=", "Zg===", "Z=g=", "Zg==Zg==", "Zh", "Zm9", "Z g=", "Zm-_", "====", "Zg\n"])
  func `what is not base64 is nothing`(_ text: String) { #expect(Base64.decode(text.utf8) == nil) }
}

@Suite struct MetadataTests {
  private func received(_ fields: [(String, String)]) -> Metadata {
    var block = HeaderBlock()
    for (name, value) in fields {
      let name = Array(name.utf8), value = Array(value.utf8)
      // The arrays outlive the call.
      let isKept = unsafe block.append(name, name.count, value, value.count, limit: 10_000)
      #expect(isKept)
    }
    return Metadata(block)
  }

  @Test func `names and values follow gRPC's rules`() throws {
    var metadata = Metadata()
    try metadata.add("x-a_b.9", "some value, ~")
    try metadata.add("x-a_b.9", "")
    try metadata.add("x-bin", bytes: [0, 255])
    try metadata.add("grpc-retry-pushback-ms", "100")
    #expect(metadata.texts("x-a_b.9") == ["some value, ~", ""])
    #expect(metadata["x-a_b.9"] == "some value, ~" && metadata["x-b"] == nil)
    #expect(metadata.bytes("x-bin") == [[0, 255]])
    for name in ["", "X", "a b", "ä", ":path", "a\n"] {
      #expect(throws: MetadataError.malformedName(name)) { try metadata.add(name, "1") }
    }
    for name in ["grpc-status", "grpc-anything", "content-type", "te", "connection", "host"] {
      #expect(throws: MetadataError.reservedName(name)) { try metadata.add(name, "1") }
    }
    #expect(throws: MetadataError.wrongKind(name: "x-bin")) { try metadata.add("x-bin", "1") }
    #expect(throws: MetadataError.wrongKind(name: "x")) { try metadata.add("x", bytes: []) }
    for (value, offset) in [("a\u{0}", 1), ("ü", 0), (" a", 0), ("a ", 1), ("a\r\nb", 1), ("\u{7f}", 0)] {
      #expect(throws: MetadataError.malformedValue(name: "x", offset: offset)) { try metadata.add("x", value) }
    }
  }

  @Test func `what came is split, decoded, and free of the transport's names`() {
    let metadata = received([
      (":path", "/a/b"), ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "1S"), ("x", "1"),
      ("x-bin", "AAE=,Ag, ,%%"), ("user-agent", "test"), ("x", "2"),
    ])
    #expect(metadata.texts("x") == ["1", "2"])
    #expect(metadata.bytes("x-bin") == [[0, 1], [2], []])
    #expect(metadata["user-agent"] == "test")
    #expect(metadata.fields.count == 6)
  }
}

@Suite struct StatusDetailsTests {
  @Test func `details are a google_rpc_Status`() {
    let status = Status(.notFound, "gone", details: [.init(typeURL: "t/x.Y", value: [8, 1])])
    #expect(status.details == [0x08, 5, 0x12, 4] + Array("gone".utf8) + [0x1a, 11, 0x0a, 5] + Array("t/x.Y".utf8) + [0x12, 2, 8, 1])
    let long = Status(.aborted, String(repeating: "a", count: 300), details: [])
    #expect(Array(long.details.prefix(5)) == [0x08, 10, 0x12, 0xac, 2])
    #expect(Status(.aborted).details.isEmpty)
  }
}
