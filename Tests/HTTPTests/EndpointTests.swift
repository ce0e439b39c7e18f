import HTTP
import Testing

@Suite struct EndpointTests {
  @Test func `an endpoint is read as people write it`() {
    #expect(Endpoint(text: "127.0.0.1:8500") == .tcp(host: "127.0.0.1", port: 8500))
    #expect(Endpoint(text: "localhost:0") == .tcp(host: "localhost", port: 0))
    #expect(Endpoint(text: "[::1]:65535") == .tcp(host: "::1", port: 65535))
    #expect(Endpoint(text: "unix:/run/martlet.sock") == .unix(path: "/run/martlet.sock"))
    #expect(Endpoint(text: "unix:relative:1") == .unix(path: "relative:1"))
  }

  @Test(arguments: [
    "", ":", "host", "host:", ":8500", "host:-1", "host:65536", "host:http", "host:8500x", "::1:8500", "[]:1", "unix:",
    "host:99999999999999999999",
  ])
  func `what is no endpoint is none`(_ text: String) { #expect(Endpoint(text: text) == nil) }

  @Test(arguments: ["10.0.0.1:80", "[::1]:80", "unix:/a"])
  func `an endpoint says what it was read from`(_ text: String) { #expect(Endpoint(text: text)?.description == text) }
}
