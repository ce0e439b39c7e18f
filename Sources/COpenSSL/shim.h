#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// What OpenSSL defines as macros that Swift cannot see: casts, calls of SSL_CTX_ctrl, shifted constants.

static inline int copenssl_set_versions(SSL_CTX *_Nonnull context, int least, int most) {
  return SSL_CTX_set_min_proto_version(context, least) == 1 && SSL_CTX_set_max_proto_version(context, most) == 1;
}

// No renegotiation, no compression; the order of ciphers is the client's, who knows what its processor does fast.
static inline void copenssl_set_defaults(SSL_CTX *_Nonnull context, int has_tickets) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  if (!has_tickets) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
}

static inline int copenssl_set_groups(SSL_CTX *_Nonnull context, const char *_Nonnull list) {
  return SSL_CTX_set1_groups_list(context, list) == 1;
}

static inline int copenssl_add_chain(SSL_CTX *_Nonnull context, X509 *_Nonnull certificate) {
  return SSL_CTX_add0_chain_cert(context, certificate) == 1;
}

static inline void copenssl_set_cache_mode(SSL_CTX *_Nonnull context, long mode) {
  SSL_CTX_set_session_cache_mode(context, mode);
}

static inline int copenssl_set_server_name(SSL *_Nonnull ssl, const char *_Nonnull name) {
  return SSL_set_tlsext_host_name(ssl, name) == 1;
}

static inline void copenssl_set_no_partial_wildcards(SSL *_Nonnull ssl) {
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
}

static inline void copenssl_retry_read(BIO *_Nonnull bio) { BIO_set_retry_read(bio); }
static inline void copenssl_clear_retry(BIO *_Nonnull bio) { BIO_clear_retry_flags(bio); }

static inline int copenssl_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

// The key of a ticket's authentication code: SHA-256 over 32 bytes.
static inline int copenssl_set_ticket_mac(EVP_MAC_CTX *_Nonnull mac, const unsigned char *_Nonnull key, size_t count) {
  OSSL_PARAM parameters[3];
  parameters[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, count);
  parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
  parameters[2] = OSSL_PARAM_construct_end();
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}
