"""gRPC's interoperability cases, between our server and grpcio, and between our client and grpcio.

Each case is first run by grpcio against a grpcio server: a case that fails there is wrong itself.
"""
import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

import interop
from harness import OPTIONS, ROOT
from interop import (BoolValue, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest, StreamingInputCallResponse,
                     StreamingOutputCallRequest, StreamingOutputCallResponse, zeros)
from rawgrpc import RawCall, frame
from test_tls import Authority

DEBUG = ROOT / ".build" / "debug"
UNARY = "/grpc.testing.TestService/UnaryCall"
INPUT = "/grpc.testing.TestService/StreamingInputCall"
OUTPUT = "/grpc.testing.TestService/StreamingOutputCall"
DUPLEX = "/grpc.testing.TestService/FullDuplexCall"
OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 4, 8, 12, 13


@dataclass
class Peer:
    port: int
    ca_file: Path | None = None

    def channel(self):
        if not self.ca_file:
            return grpc.insecure_channel(f"127.0.0.1:{self.port}", OPTIONS)
        return grpc.secure_channel(f"localhost:{self.port}", grpc.ssl_channel_credentials(self.ca_file.read_bytes()), OPTIONS)


def run(tool, *flags):
    return subprocess.Popen([DEBUG / tool, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


@contextlib.contextmanager
def our_server(*flags):
    """The port of our TestService. It must leave cleanly."""
    process = run("interop-server", "--port=0", *flags)
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), line or process.stderr.read()
        yield int(line.split()[-1])
        process.terminate()
        assert process.wait(20) == 0, process.stderr.read()
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def their_server(credentials=None):
    server, port = interop.start_server(credentials)
    yield port
    server.stop(None).wait()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours():
    with our_server() as port:
        yield port


@pytest.fixture(scope="module")
def ours_tls(authority):
    certificate, key = authority.issue("ours")
    with our_server(f"--tls_certificate={certificate}", f"--tls_key={key}") as port:
        yield port


@pytest.fixture(scope="module")
def theirs():
    with their_server() as port:
        yield port


@pytest.fixture(scope="module")
def theirs_tls(authority):
    certificate, key = authority.issue("theirs")
    with their_server(grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])) as port:
        yield port


@pytest.fixture(params=["ours", "theirs"])
def port(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["ours", "theirs", "ours_tls", "theirs_tls"])
def peer(request, authority):
    return Peer(request.getfixturevalue(request.param), authority.certificate if request.param.endswith("_tls") else None)


@pytest.fixture
def channel(peer):
    with peer.channel() as channel:
        yield channel


@pytest.mark.parametrize("case", interop.CASES, ids=lambda case: case.__name__)
def test_grpcio_client(case, channel):
    case(interop.Stub(channel), channel)


CLIENT_CASES = [case.__name__ for case in interop.CASES]
# grpcio's server cannot refuse a request for not being compressed, which is what the probes of these ask for.
PROBED = {"client_compressed_unary", "client_compressed_streaming"}


@pytest.mark.parametrize("case", [case for case in CLIENT_CASES if case not in PROBED])
def test_our_client(case, peer):
    check_client(case, peer)


@pytest.mark.parametrize("case", sorted(PROBED))
def test_our_client_and_server(case, ours):
    check_client(case, Peer(ours))


@pytest.mark.parametrize("case", sorted(PROBED))
def test_our_compressed_requests_are_read_by_grpcio(case, theirs):
    check_client(case, Peer(theirs), "--no_probe")


def check_client(case, peer, *flags):
    security = [f"--ca_file={peer.ca_file}"] if peer.ca_file else []
    process = run("interop-client", "--server_host=127.0.0.1", f"--server_port={peer.port}", f"--test_case={case}", *security, *flags)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err


# What grpcio cannot show.

@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_uncompressed_request_where_a_compressed_one_is_expected(ours, encoding):
    request = SimpleRequest(expect_compressed=BoolValue(value=True), response_size=314159, payload=zeros(271828))
    with RawCall(ours, UNARY, encoding=encoding) as call:
        call.send(request, end=True)
        assert call.finish() == INVALID_ARGUMENT
    with RawCall(ours, UNARY, encoding=encoding) as call:
        call.send(request, compressed=True, end=True)
        assert call.finish() == OK
        [(_, response)] = call.messages(SimpleResponse)
        assert response.payload.body == bytes(314159)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_and_plain_messages_in_one_request_stream(ours, encoding):
    with RawCall(ours, INPUT, encoding=encoding) as call:
        call.send(StreamingInputCallRequest(expect_compressed=BoolValue(value=True), payload=zeros(27182)), end=True)
        assert call.finish() == INVALID_ARGUMENT
    with RawCall(ours, INPUT, encoding=encoding) as call:
        call.send(StreamingInputCallRequest(expect_compressed=BoolValue(value=True), payload=zeros(27182)), compressed=True)
        call.send(StreamingInputCallRequest(expect_compressed=BoolValue(value=False), payload=zeros(45904)), end=True)
        assert call.finish() == OK
        [(_, response)] = call.messages(StreamingInputCallResponse)
        assert response.aggregated_payload_size == 73086


@pytest.mark.parametrize("accept, used", [("gzip", {"gzip"}), ("deflate", {"deflate"}), ("identity,deflate,gzip", {"gzip", "deflate"})])
def test_the_flag_of_a_compressed_response(ours, accept, used):
    """grpcio's server sends gzip to whoever asks, whatever they accept."""
    for compressed in (True, False):
        with RawCall(ours, UNARY, accept=accept) as call:
            call.send(SimpleRequest(response_compressed=BoolValue(value=compressed), response_size=314159, payload=zeros(271828)), end=True)
            assert call.finish() == OK
            [(flag, response)] = call.messages(SimpleResponse)
            assert len(response.payload.body) == 314159
            assert flag == compressed
            assert not flag or call.head["grpc-encoding"] in used


def test_a_client_that_accepts_no_compression_gets_none(ours):
    with RawCall(ours, UNARY, accept=None) as call:
        call.send(SimpleRequest(response_compressed=BoolValue(value=True), response_size=314159), end=True)
        assert call.finish() == OK
        [(flag, response)] = call.messages(SimpleResponse)
        assert not flag and response.payload.body == bytes(314159)


def test_the_flags_of_a_response_stream(port):
    parameters = [ResponseParameters(size=31415, compressed=BoolValue(value=True)), ResponseParameters(size=92653, compressed=BoolValue(value=False))]
    with RawCall(port, OUTPUT) as call:
        call.send(StreamingOutputCallRequest(response_parameters=parameters), end=True)
        assert call.finish() == OK
        messages = call.messages(StreamingOutputCallResponse)
        assert [(flag, len(message.payload.body)) for flag, message in messages] == [(True, 31415), (False, 92653)]


def test_a_request_in_an_encoding_nobody_knows(ours):
    with RawCall(ours, UNARY, encoding="snappy") as call:
        call.send_bytes(frame(b"?", True), end=True)
        assert call.finish() == UNIMPLEMENTED
        accepted = (call.trailers or call.head).get("grpc-accept-encoding") or call.head["grpc-accept-encoding"]
        assert {"identity", "gzip", "deflate"} == {name.strip() for name in accepted.split(",")}


def test_a_compressed_flag_without_an_encoding(ours):
    with RawCall(ours, UNARY) as call:
        call.send_bytes(frame(b"?", True), end=True)
        assert call.finish() == INTERNAL


def test_the_server_keeps_the_deadline_itself(port):
    """The client only announces it, and would wait for ever."""
    with RawCall(port, DUPLEX, timeout="50m") as call:
        call.send(StreamingOutputCallRequest(payload=zeros(27182)))
        try:
            assert call.finish() == DEADLINE_EXCEEDED
        except KeyError:
            assert call.reset == 8


def test_a_response_stream_waits_for_the_clients_window(port):
    """65,535 bytes of window, opened as the client reads: the answer is larger."""
    with RawCall(port, DUPLEX, window=65535) as call:
        call.send(StreamingOutputCallRequest(response_parameters=interop.sizes(1 << 20, 3)))
        assert len(call.next(StreamingOutputCallResponse)[1].payload.body) == 1 << 20
        assert len(call.next(StreamingOutputCallResponse)[1].payload.body) == 3
        call.close()
        assert call.finish() == OK


def test_responses_come_one_by_one_while_the_request_is_open(port):
    with RawCall(port, DUPLEX) as call:
        for size in (0, 1, 70000, 2):
            call.send(StreamingOutputCallRequest(response_parameters=interop.sizes(size)))
            assert len(call.next(StreamingOutputCallResponse)[1].payload.body) == size
        call.close()
        assert call.finish() == OK


def test_a_status_ends_a_stream_whose_request_is_open(port):
    with RawCall(port, DUPLEX) as call:
        call.send(StreamingOutputCallRequest(response_parameters=interop.sizes(7)))
        call.next(StreamingOutputCallResponse)
        call.send(StreamingOutputCallRequest(response_status=interop.EchoStatus(code=8, message="enough")))
        assert call.finish() == RESOURCE_EXHAUSTED
        assert call.trailers["grpc-message"] == "enough"


def test_calls_side_by_side_on_one_channel(channel):
    """The description's concurrent_large_unary, smaller, with streams between."""
    stub = interop.Stub(channel)
    calls = [stub.UnaryCall.future(SimpleRequest(**interop.LARGE), timeout=interop.SECONDS) for _ in range(40)]
    for case in (interop.ping_pong, interop.client_streaming, interop.server_streaming):
        case(stub, channel)
    assert all(call.result().payload.body == bytes(314159) for call in calls)
