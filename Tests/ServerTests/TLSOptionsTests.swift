import HTTP
import Testing

@testable import server

@Suite struct TLSOptionsTests {
  private func failure(_ text: String) -> TLSError? {
    do throws(TLSError) {
      _ = try TLSConfiguration(sslConfig: PEM(text, source: "ssl.config"))
      return nil
    } catch { return error }
  }

  @Test func `the four fields of SSLConfig`() throws {
    let text = "server_key: 'KEY\\nLINE' server_cert: \"CERT\" custom_ca: 'CA' client_verify: true"
    let configuration = try TLSConfiguration(sslConfig: PEM(text, source: "ssl.config"))
    #expect(configuration.privateKey == PEM("KEY\nLINE", source: "server_key of ssl.config"))
    #expect(configuration.certificateChain == PEM("CERT", source: "server_cert of ssl.config"))
    #expect(configuration.trustedRoots == PEM("CA", source: "custom_ca of ssl.config"))
    #expect(configuration.clientVerification == .require)
  }

  @Test func `a PEM text may stand there as it is, over several lines`() throws {
    let text = "server_key: '-----BEGIN KEY-----\nabc\n-----END KEY-----\n', server_cert: \"a\r\nb\""
    let configuration = try TLSConfiguration(sslConfig: PEM(text, source: "f"))
    #expect(configuration.privateKey == PEM("-----BEGIN KEY-----\nabc\n-----END KEY-----\n", source: "server_key of f"))
    #expect(configuration.certificateChain == PEM("a\r\nb", source: "server_cert of f"))
  }

  @Test(arguments: ["server_key: SECRET", "server_key: 'SECRET", "server_key: 'a' SECRET", "server_key: 'a' server_key: 'SECRET'", "SECRET: 1"])
  func `no mistake shows what may be a key`(text: String) {
    let error = failure(text)
    #expect(error != nil)
    #expect(error?.description.contains("SECRET") == false)
    #expect(error?.reason.contains(":") == true)
  }

  @Test func `without client_verify no client is asked`() throws {
    let configuration = try TLSConfiguration(sslConfig: PEM("server_key: 'K' server_cert: 'C' custom_ca: 'A'", source: "f"))
    #expect(configuration.clientVerification == .none)
  }

  @Test func `what is wrong is named, and no key is shown`() {
    #expect(failure("server_key: 'K'")?.reason.contains("server_cert is empty") == true)
    #expect(failure("server_cert: 'C'")?.reason.contains("server_key is empty") == true)
    #expect(failure("server_key: 'K' server_cert: 'C' client_verify: true")?.reason.contains("custom_ca") == true)
    let error = failure("server_key: 'SECRET' nonsense")
    #expect(error?.source == "ssl.config")
    #expect(error?.description.contains("SECRET") == false)
    #expect(throws: TLSError.self) { try TLSConfiguration(sslConfigFile: "/nowhere/ssl.config") }
  }

  @Test func `the second port stays plain unless it is asked for`() throws {
    #expect(try Options(["--ssl_config_file=f", "--rest_api_port=8501"]).hasPlainRest)
    #expect(try !Options(["--ssl_config_file=f", "--rest_api_port=8501", "--rest_api_tls"]).hasPlainRest)
    #expect(try !Options(["--rest_api_port=8501"]).hasPlainRest)
    let options = try Options(["--rest_api_port=8501", "--port=8500"])
    #expect(options.http(nil).plainEndpoints.isEmpty)
    #expect(try Options(["--ssl_config_file=f", "--rest_api_port=8501"]).http(nil).plainEndpoints == [.tcp(host: "0.0.0.0", port: 8501)])
  }
}
