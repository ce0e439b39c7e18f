// TLS as TensorFlow Serving is told of it: one file in protobuf text format with the PEM texts in it.
internal import HTTP
internal import Schemas
internal import SwiftProtobuf

extension Options {
  /// What `ssl_config_file` says, read again whenever it changes; nil without one.
  func certificates() throws(TLSError) -> CertificateStore? {
    if sslConfigFile.isEmpty { return nil }
    return try CertificateStore(.server, watching: [sslConfigFile]) { [sslConfigFile] () throws(TLSError) in
      try TLSConfiguration(sslConfigFile: sslConfigFile)
    }
  }
}

extension TLSConfiguration {
  /// A `tensorflow.serving.SSLConfig`. Its fields are named in errors, their contents never.
  init(sslConfigFile path: String) throws(TLSError) {
    try self.init(sslConfig: PEM(file: path))
  }

  init(sslConfig file: PEM) throws(TLSError) {
    let config: Tensorflow_Serving_SSLConfig
    do throws(TextFormatError) {
      config = try Tensorflow_Serving_SSLConfig(textFormat: Array(file.bytes))
    } catch {
      // Where, and not what: it may be a key.
      throw TLSError(
        .credentials, "parse", file.source,
        reason: "no text-format tensorflow.serving.SSLConfig: a mistake at \(error.position.line):\(error.position.column)")
    }
    guard !config.serverKey.isEmpty, !config.serverCert.isEmpty else {
      let missing = config.serverKey.isEmpty ? "server_key" : "server_cert"
      throw TLSError(.credentials, "use", file.source, reason: "\(missing) is empty; it holds the PEM text itself")
    }
    self.init()
    certificateChain = PEM(config.serverCert, source: "server_cert of \(file.source)")
    privateKey = PEM(config.serverKey, source: "server_key of \(file.source)")
    if !config.customCa.isEmpty { trustedRoots = PEM(config.customCa, source: "custom_ca of \(file.source)") }
    clientVerification = config.clientVerify ? .require : .none
    if config.clientVerify, config.customCa.isEmpty {
      throw TLSError(
        .credentials, "use", file.source, reason: "client_verify without custom_ca: no client's certificate could be good")
    }
  }
}
