// Certificates for one test run, made on the spot: nothing here is kept, so nothing here expires.
internal import COpenSSL

/// A certificate and its key, as PEM text.
public struct TestCertificate: Sendable {
  public let certificate: String
  public let key: String
}

/// Signs certificates: a root of its own, P-256 keys.
@safe public final class TestAuthority {
  private let key: OpaquePointer
  private let root: OpaquePointer
  private var serial = 1

  public init(_ name: String = "martlet test root") {
    unsafe key = TestAuthority.makeKey()
    unsafe root = X509_new()!
    unsafe TestAuthority.fill(root, name, key, issuer: root, serial: 1, from: -86_400, to: 86_400)
    unsafe TestAuthority.extend(root, NID_basic_constraints, "critical,CA:TRUE", issuer: root)
    unsafe TestAuthority.extend(root, NID_key_usage, "critical,keyCertSign,cRLSign", issuer: root)
    unsafe X509_sign(root, key, EVP_sha256())
  }

  deinit {
    unsafe X509_free(root)
    unsafe EVP_PKEY_free(key)
  }

  /// The root's certificate.
  public var pem: String { unsafe TestAuthority.pem { unsafe PEM_write_bio_X509($0, root) } }

  /// - Parameters:
  ///   - names: subject alternative names as OpenSSL writes them: `DNS:localhost,IP:127.0.0.1`.
  ///   - secondsLeft: how long it is good from now on; negative: it has expired.
  public func issue(
    _ subject: String, names: String = "DNS:localhost,IP:127.0.0.1", isClient: Bool = false, secondsLeft: Int = 86_400
  ) -> TestCertificate {
    let leaf = unsafe X509_new()!
    let own = unsafe TestAuthority.makeKey()
    // Both are written out below, within this function.
    defer {
      unsafe X509_free(leaf)
      unsafe EVP_PKEY_free(own)
    }
    serial += 1
    unsafe TestAuthority.fill(leaf, subject, own, issuer: root, serial: serial, from: -172_800, to: secondsLeft)
    unsafe TestAuthority.extend(leaf, NID_subject_alt_name, names, issuer: root)
    unsafe TestAuthority.extend(leaf, NID_ext_key_usage, isClient ? "clientAuth" : "serverAuth", issuer: root)
    unsafe X509_sign(leaf, key, EVP_sha256())
    return unsafe TestCertificate(
      certificate: TestAuthority.pem { unsafe PEM_write_bio_X509($0, leaf) },
      key: TestAuthority.pem { unsafe PEM_write_bio_PrivateKey($0, own, nil, nil, 0, nil, nil) })
  }

  private static func makeKey() -> OpaquePointer {
    let context = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil)
    defer { unsafe EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    unsafe EVP_PKEY_keygen_init(context)
    unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1)
    unsafe EVP_PKEY_keygen(context, &key)
    return unsafe key!
  }

  private static func fill(
    _ certificate: OpaquePointer, _ subject: String, _ key: OpaquePointer, issuer: OpaquePointer, serial: Int, from: Int,
    to: Int
  ) {
    unsafe X509_set_version(certificate, 2)
    unsafe ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial)
    unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), from)
    unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), to)
    let name = unsafe X509_get_subject_name(certificate)
    unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, subject, -1, -1, 0)
    unsafe X509_set_issuer_name(certificate, X509_get_subject_name(issuer))
    unsafe X509_set_pubkey(certificate, key)
  }

  private static func extend(_ certificate: OpaquePointer, _ kind: Int32, _ value: String, issuer: OpaquePointer) {
    var context = unsafe X509V3_CTX()
    unsafe X509V3_set_ctx(&context, issuer, certificate, nil, nil, 0)
    let made = unsafe X509V3_EXT_nconf_nid(nil, &context, kind, value)
    precondition(unsafe made != nil, "the extension \(value) cannot be made")
    unsafe X509_add_ext(certificate, made, -1)
    unsafe X509_EXTENSION_free(made)
  }

  private static func pem(_ write: (OpaquePointer?) -> Int32) -> String {
    let bio = unsafe BIO_new(BIO_s_mem())
    defer { unsafe BIO_free(bio) }
    precondition(unsafe write(bio) == 1)
    var text: [UInt8] = []
    var bytes = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      // At most as many bytes as the array has.
      let n = unsafe BIO_read(bio, &bytes, Int32(bytes.count))
      if n <= 0 { break }
      text += bytes[..<Int(n)]
    }
    return String(decoding: text, as: UTF8.self)
  }
}
