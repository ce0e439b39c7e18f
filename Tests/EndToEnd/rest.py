"""Requests over HTTP as different clients send them."""
import http.client
import json
import subprocess

import requests


def encoded(body):
    return body if body is None or isinstance(body, bytes) else json.dumps(body).encode()


def ask(server, method, target, body=None, headers=None):
    """One exchange over HTTP/1.1 with Python's own client: status, fields, body."""
    return ask_port(server.port, method, target, body, headers)


def ask_port(port, method, target, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, target, encoded(body), headers or {})
        answer = connection.getresponse()
        return answer.status, dict((name.lower(), value) for name, value in answer.getheaders()), answer.read()
    finally:
        connection.close()


def asked(server, method, target, body=None):
    status, fields, answer = ask(server, method, target, body)
    assert fields["content-type"] == "application/json"
    return status, json.loads(answer)


class Clients:
    """Whoever asks a server with a plain port and one with TLS: each a function from a request to status and body."""

    def __init__(self, plain_port, tls_port, authority):
        self.plain = f"http://127.0.0.1:{plain_port}"
        self.plain_port = plain_port
        self.tls = f"https://localhost:{tls_port}"
        self.authority = str(authority.certificate)
        self.session = requests.Session()
        # The environment's certificates would come before these.
        self.session.trust_env = False
        self.session.verify = self.authority

    def http1(self, method, target, body, headers):
        status, _, answer = ask_port(self.plain_port, method, target, body, headers)
        return status, answer

    def http1_tls(self, method, target, body, headers):
        """`requests`, on one connection that stays."""
        answer = self.session.request(method, self.tls + target, data=encoded(body), headers=headers, timeout=20)
        return answer.status_code, answer.content

    def http2(self, method, target, body, headers):
        return curl("2", self.plain + target, method, body, headers, "--http2-prior-knowledge")

    def http2_tls(self, method, target, body, headers):
        return curl("2", self.tls + target, method, body, headers, "--http2", "--cacert", self.authority)


NAMES = ["http1", "http1_tls", "http2", "http2_tls"]


def curl(version, url, method, body, headers, *options):
    command = ["curl", "-sS", "--max-time", "20", "--path-as-is", "-X", method, *options, "-w", "\n%{http_version} %{http_code}"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    if body is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run([*command, url], input=encoded(body), capture_output=True, check=True, timeout=30)
    answer, _, told = done.stdout.rpartition(b"\n")
    spoken, status = told.decode().split()
    assert spoken == version
    return int(status), answer
