"""Certificates made for one test run, the SSLConfig that names them, and channels that trust them."""
import json
import subprocess

import grpc

from harness import OPTIONS


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=20, check=True, **options).stdout


class Authority:
    """A root, and what it signs. Made for one test run."""

    def __init__(self, folder, name="root"):
        self.folder, self.name, self.serial = folder, name, 0
        self.key, self.certificate = folder / f"{name}.key", folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 1, "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, subject, names="DNS:localhost,IP:127.0.0.1"):
        """The PEM texts of a certificate and its key."""
        self.serial += 1
        stem = self.folder / f"{self.name}-{self.serial}"
        key, asked, made, more = (stem.with_suffix(suffix) for suffix in (".key", ".csr", ".pem", ".ext"))
        more.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}", "-keyout", key, "-out", asked)
        openssl("x509", "-req", "-in", asked, "-CA", self.certificate, "-CAkey", self.key, "-days", 1, "-set_serial", 100 + self.serial, "-extfile", more, "-out", made)
        return made, key


def write_config(path, certificate, key, authority=None, verify=False):
    """An SSLConfig, moved into place whole."""
    def quoted(file):
        return json.dumps(file.read_text())
    text = f"server_key: {quoted(key)}\nserver_cert: {quoted(certificate)}\nclient_verify: {str(verify).lower()}\n"
    if authority:
        text += f"custom_ca: {quoted(authority.certificate)}\n"
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.rename(path)
    return path


def channel(server, authority, client=None, address=None):
    certificate, key = client or (None, None)
    credentials = grpc.ssl_channel_credentials(
        authority.certificate.read_bytes(), key and key.read_bytes(), certificate and certificate.read_bytes())
    made = grpc.secure_channel(address or f"localhost:{server.port}", credentials, OPTIONS)
    server.channels.append(made)
    return made
