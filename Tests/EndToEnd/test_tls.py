"""TLS as TensorFlow Serving's operators set it up, against grpcio (BoringSSL), Python's ssl and the openssl command."""
import contextlib
import http.client
import random
import socket
import ssl
import subprocess
import threading

import grpc
import numpy as np
import pytest

from certificates import Authority, channel, openssl, write_config
from harness import BINARY, FIXTURES, OPTIONS, Code, floats, free_port, refused, until

MODELS = {"half_plus_two": FIXTURES / "half_plus_two"}


def expect_answer(server, over):
    answer = server.predict("half_plus_two", {"x": floats(1, 2)}, channel=over)
    assert list(answer.outputs["y"].float_val) == [2.5, 3.0]


@pytest.fixture
def serve_tls(serve, tmp_path, authority):
    def start(verify=False, **flags):
        config = write_config(tmp_path / "ssl.config", *authority.issue("first"), authority=authority, verify=verify)
        server = serve(MODELS, ssl_config_file=config, **flags)
        server.config = config
        server.channel = channel(server, authority, authority.issue("waiter"))
        server.wait("half_plus_two")
        return server
    return start


def subject_seen(server, authority):
    """Whose certificate a new connection is shown."""
    context = ssl.create_default_context(cafile=authority.certificate)
    with socket.create_connection(("localhost", server.port), timeout=10) as plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
        return dict(pair for part in wrapped.getpeercert()["subject"] for pair in part)["commonName"]


# Calls.

def test_grpcio_calls_over_tls(serve_tls, authority):
    server = serve_tls()
    expect_answer(server, channel(server, authority))
    large = np.arange(1_000_000, dtype=np.float32)
    answer = server.predict("half_plus_two", {"x": large}, channel=channel(server, authority))
    assert len(answer.outputs["y"].float_val) == large.size
    np.testing.assert_allclose(answer.outputs["y"].float_val[-3:], large[-3:] / 2 + 2)


def test_a_client_that_trusts_somebody_else_stays_away(serve_tls, tmp_path):
    server = serve_tls()
    stranger = Authority(tmp_path, "stranger")
    with refused(Code.UNAVAILABLE):
        server.predict("half_plus_two", {"x": floats(1)}, channel=channel(server, stranger), timeout=5)


def test_mutual_tls(serve_tls, authority, tmp_path):
    server = serve_tls(verify=True)
    expect_answer(server, channel(server, authority, authority.issue("client")))
    with refused(Code.UNAVAILABLE):
        server.predict("half_plus_two", {"x": floats(1)}, channel=channel(server, authority), timeout=5)
    stranger = Authority(tmp_path, "stranger")
    with refused(Code.UNAVAILABLE):
        server.predict("half_plus_two", {"x": floats(1)}, channel=channel(server, authority, stranger.issue("client")), timeout=5)
    assert "peer did not return a certificate" in server.log()
    expect_answer(server, server.channel)


def test_the_unix_socket_speaks_tls_too(serve_tls, authority, tmp_path):
    path = tmp_path / "grpc.sock"
    server = serve_tls(grpc_socket_path=path)
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    over = grpc.secure_channel(f"unix:{path}", credentials, OPTIONS + [("grpc.ssl_target_name_override", "localhost")])
    server.channels.append(over)
    expect_answer(server, over)


def test_the_second_port_is_plain_unless_asked(serve_tls, authority):
    rest = free_port()
    server = serve_tls(rest_api_port=rest)
    expect_answer(server, server.new_channel(f"127.0.0.1:{rest}"))
    assert "--rest_api_tls" in server.log()
    both = free_port()
    server = serve_tls(rest_api_port=both, rest_api_tls="true")
    expect_answer(server, channel(server, authority, address=f"localhost:{both}"))


def test_clear_text_is_turned_away(serve_tls):
    server = serve_tls()
    with refused(Code.UNAVAILABLE):
        server.predict("half_plus_two", {"x": floats(1)}, channel=server.new_channel(), timeout=5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.sendall(b"GET /v1/models/half_plus_two HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while chunk := plain.recv(4096):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 400 ") and b"TLS" in answer
    assert "does not speak TLS" in server.log()
    expect_answer(server, server.channel)


# Versions, resumption.

def s_client(server, authority, *more, cwd):
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-servername", "localhost", "-CAfile", str(authority.certificate),
         "-verify_return_error", *map(str, more)],
        input="", capture_output=True, text=True, errors="replace", timeout=20, cwd=cwd)


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_versions_and_resumption(serve_tls, authority, tmp_path, version):
    server = serve_tls()
    session = tmp_path / "session.pem"

    def handshake(*more):
        """What the command says up to the first ticket: in 1.3 those come behind the handshake."""
        last = "Post-Handshake New Session Ticket" if version == "tls1_3" else "Verify return code"
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-servername", "localhost", "-CAfile", str(authority.certificate),
             f"-{version}", "-alpn", "h2", *map(str, more)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=tmp_path)
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if last in line:
                    break
            return "".join(lines)
        finally:
            process.kill()
            process.communicate()

    first = handshake("-sess_out", session)
    assert "ALPN protocol: h2" in first, first
    assert session.exists(), first
    again = handshake("-sess_in", session)
    assert f"Reused, TLSv1.{version[-1]}" in again, again


def test_old_versions_are_refused(serve_tls, authority, tmp_path):
    server = serve_tls()
    result = s_client(server, authority, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", cwd=tmp_path)
    assert result.returncode != 0
    assert "protocol version" in result.stderr or "no protocols available" in result.stderr, result.stderr


def test_no_protocol_in_common(serve_tls, authority, tmp_path):
    server = serve_tls()
    result = s_client(server, authority, "-alpn", "spdy/3", cwd=tmp_path)
    assert "no application protocol" in result.stderr, result.stderr


def test_renegotiation_is_refused(serve_tls, authority, tmp_path):
    server = serve_tls()
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-tls1_2", "-alpn", "http/1.1", "-CAfile", str(authority.certificate)],
        input="R\n", capture_output=True, text=True, errors="replace", timeout=20, cwd=tmp_path)
    assert "no renegotiation" in result.stderr, result.stderr
    expect_answer(server, server.channel)


# Attacks.

def test_garbage_and_half_a_handshake_hurt_nobody(serve_tls, authority):
    server = serve_tls(transport_limits="handshake_milliseconds=1500")
    expect_answer(server, server.channel)
    hello = client_hello()
    dice = random.Random(7)
    before = server.resident_bytes()
    with contextlib.ExitStack() as stack:
        def connect():
            return stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        halves = [connect() for _ in range(300)]
        for half in halves:
            half.sendall(hello[:dice.randrange(1, len(hello))])
        for _ in range(200):
            garbage = bytearray(hello)
            for _ in range(dice.randrange(1, 20)):
                garbage[dice.randrange(len(garbage))] = dice.randrange(256)
            peer = connect()
            with contextlib.suppress(ConnectionError):
                peer.sendall(garbage + dice.randbytes(dice.randrange(2000)))
        expect_answer(server, channel(server, authority))
        assert server.resident_bytes() - before < 300 * 128 * 1024
        # A hello that never ends is not waited for.
        for half in halves:
            with contextlib.suppress(ConnectionError):
                while half.recv(4096):
                    pass
        expect_answer(server, channel(server, authority))
    # Not a line for each of them.
    assert server.log().count("TLS: handshake") < 100


def test_idle_connections_are_small(serve_tls, authority):
    """One idle connection over TLS is 23 KB: 8 of HTTP/2, the rest OpenSSL's. Its record buffers, 34 KB more, are given back."""
    server = serve_tls()
    context = ssl.create_default_context(cafile=authority.certificate)
    context.set_alpn_protocols(["h2"])
    with contextlib.ExitStack() as stack:
        def connect(count):
            for _ in range(count):
                plain = stack.enter_context(socket.create_connection(("localhost", server.port), timeout=10))
                wrapped = stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
                wrapped.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
                assert wrapped.recv(9)
        # The first ones pay for what is shared.
        connect(50)
        before = server.resident_bytes()
        connect(400)
        each = (server.resident_bytes() - before) / 400
    assert each < 36 * 1024, f"{each:.0f} bytes each"


def client_hello():
    """The first bytes of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# New certificates.

def test_a_new_certificate_is_served_without_a_restart(serve_tls, authority):
    server = serve_tls()
    assert subject_seen(server, authority) == "first"
    over = channel(server, authority)
    stopped, failures, calls = threading.Event(), [], [0]

    def call():
        while not stopped.is_set():
            try:
                expect_answer(server, over)
                calls[0] += 1
            except (grpc.RpcError, AssertionError) as error:
                failures.append(error)
    caller = threading.Thread(target=call)
    caller.start()
    try:
        write_config(server.config, *authority.issue("second"), authority=authority)
        until(lambda: subject_seen(server, authority) == "second", what="the second certificate")
        seen = calls[0]
        until(lambda: calls[0] > seen + 10, what="calls on the old connection")
    finally:
        stopped.set()
        caller.join()
    assert not failures
    assert "/CN=second" in server.log()


def test_a_bad_file_changes_nothing_and_is_named(serve_tls, authority):
    server = serve_tls()
    good = server.config.read_text()
    server.config.write_text("server_key: 'nonsense'")
    until(lambda: "server_cert is empty" in server.log(), what="the reason in the log")
    assert str(server.config) in server.log()
    assert subject_seen(server, authority) == "first"
    write_config(server.config, authority.issue("third")[0], authority.issue("fourth")[1])
    until(lambda: "key values mismatch" in server.log(), what="the second reason in the log")
    assert subject_seen(server, authority) == "first"
    expect_answer(server, channel(server, authority))
    # One line for each, however often it is tried.
    assert server.log().count("server_cert is empty") == 1
    server.config.write_text(good)
    until(lambda: "can be read again" in server.log(), what="peace")


def test_a_bad_file_at_the_start_is_an_end(tmp_path, authority):
    config = tmp_path / "ssl.config"
    arguments = [BINARY, f"--port={free_port()}", "--model_name=m", f"--model_base_path={FIXTURES / 'half_plus_two'}", f"--ssl_config_file={config}"]

    def start():
        return subprocess.run(arguments, capture_output=True, text=True, errors="replace", timeout=20)
    missing = start()
    assert missing.returncode == 255 and "No such file" in missing.stdout + missing.stderr
    write_config(config, *authority.issue("first"), verify=True)
    unverifiable = start()
    assert unverifiable.returncode == 255 and "custom_ca" in unverifiable.stdout + unverifiable.stderr


# HTTP/1.1.

@pytest.mark.parametrize("protocols", [["http/1.1"], ["spdy/3", "http/1.1"], None])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_http_1_1_over_tls(serve_tls, authority, protocols, version):
    server = serve_tls()
    context = ssl.create_default_context(cafile=authority.certificate)
    context.minimum_version = context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(protocols)
    connection = http.client.HTTPSConnection("localhost", server.port, timeout=10, context=context)
    seen = None
    # Several on one connection; there is nothing to GET here yet, and that is said in HTTP/1.1.
    for _ in range(3):
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.version == 11 and answer.status == 404, answer.status
        answer.read()
        seen = seen or connection.sock
        assert connection.sock is seen
    assert seen.selected_alpn_protocol() == (protocols and "http/1.1")
    connection.close()


# The client in Swift.

def ask_in_swift(target, *arguments):
    return subprocess.run([BINARY.parent / "martlet-predict", target, "half_plus_two", "x=1,2", *map(str, arguments)], capture_output=True, text=True, timeout=20)


def test_the_swift_client_speaks_tls(serve_tls, authority, tmp_path):
    server = serve_tls(verify=True)
    certificate, key = authority.issue("swift")
    ours = [f"--cert={certificate}", f"--key={key}"]
    result = ask_in_swift(f"dns:///localhost:{server.port}", f"--ca={authority.certificate}", *ours)
    assert result.returncode == 0 and "[2.5, 3.0]" in result.stdout, result.stderr
    # Nobody's certificate, a name that is not the server's, a root that did not sign, and no TLS at all.
    stranger = Authority(tmp_path, "stranger")
    for wrong in ([f"--ca={authority.certificate}"], [f"--ca={authority.certificate}", *ours, "--server-name=elsewhere"],
                  [f"--ca={stranger.certificate}", *ours], []):
        result = ask_in_swift(f"localhost:{server.port}", "--timeout=5", *wrong)
        assert result.returncode == 1 and "UNAVAILABLE" in result.stderr, result
