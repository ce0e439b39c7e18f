"""The server that nobody takes down. While each attack runs, a neighbour on another connection asks and must be answered
rightly and soon; memory stays within a stated bound; afterwards the descriptors are back and the processor is at rest.

The bounds are generous, because a test machine is not quiet: an attack that works goes beyond them by far.
"""
import contextlib
import json
import os
import resource
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import grpc
import pytest

from attacker import *
from harness import FIXTURES, OPTIONS, PREDICT, Server, floats, request, until

MODEL = "half_plus_two"
MB = 1 << 20
REQUEST = request(MODEL, {"x": floats(1, 2, 5)}).SerializeToString()


def big_request(count):
    return message(request(MODEL, {"x": floats(*range(count))}).SerializeToString())


class Neighbour:
    def __init__(self, server, certificate):
        self.answer = server.channel.unary_unary(PREDICT)(REQUEST, timeout=20)
        script = Path(__file__).parent / "neighbour.py"
        self.process = subprocess.Popen(
            [sys.executable, script, server.address, REQUEST.hex(), self.answer.hex(), certificate or ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def begin(self):
        self.process.stdin.write("begin\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.write("end\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


def start(folder, certificate=None, ssl_config_file=None, **limits):
    """A server with its own limits of the transport, in the names of `--transport_limits`."""
    flags = {"transport_limits": ",".join(f"{name}={value}" for name, value in limits.items())} if limits else {}
    if ssl_config_file:
        flags["ssl_config_file"] = ssl_config_file
    server = Server(folder, model_name=MODEL, model_base_path=FIXTURES / MODEL, **flags)
    if certificate:
        server.address = f"localhost:{server.port}"
        server.channel = grpc.secure_channel(server.address, grpc.ssl_channel_credentials(certificate.read_bytes()), OPTIONS)
        server.channels.append(server.channel)
    server.wait(MODEL)
    server.neighbour = Neighbour(server, certificate)
    server.neighbour.begin()
    time.sleep(0.3)
    server.quiet = server.neighbour.end()
    return server


def finish(server):
    server.neighbour.close()
    assert server.stop() == 0, server.log()[-4000:]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """One server with the limits that everybody has."""
    server = start(tmp_path_factory.mktemp("attacked"))
    yield server
    finish(server)


@pytest.fixture
def guarded(tmp_path):
    """Servers with limits of the test's own."""
    servers = []

    def make(**limits):
        servers.append(start(tmp_path, **limits))
        return servers[-1]

    yield make
    for server in servers:
        finish(server)


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def status_bytes(server, field):
    fields = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(fields.split(f"{field}:")[1].split()[0]) * 1024


def is_at_rest(server, seconds=0.3):
    """Less than a twentieth of a processor over an interval with nobody asking."""
    before = server.cpu_seconds()
    time.sleep(seconds)
    return server.cpu_seconds() - before <= max(0.02, seconds / 20)


def kept_waiting(pid):
    """Thread -> seconds that it could have run and the kernel ran somebody else."""
    seen = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            seen[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return seen


def longest_wait(pid, before):
    """Of any one thread since `before`. On a busy machine this is no fault of the server's; what the server does in its own time is
    not in it."""
    return max(seconds - before.get(task, 0) for task, seconds in kept_waiting(pid).items())


@contextlib.contextmanager
def neighbourly(server, grows_by=64 * MB, worst=0.25):
    """The block is an attack. What it must not do is checked here."""
    base = descriptors(server)
    resident = status_bytes(server, "VmRSS")
    # The high-water mark starts again from here.
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    pids = server.process.pid, server.neighbour.process.pid
    waited = [kept_waiting(pid) for pid in pids]
    server.neighbour.begin()
    try:
        yield
    finally:
        seen = server.neighbour.end()
    server.must_be_alive()
    excused = sum(longest_wait(pid, before) for pid, before in zip(pids, waited))
    grown = status_bytes(server, "VmHWM") - resident
    print(f"neighbour: {seen['count']} calls, worst {seen['worst'] * 1e3:.1f} ms ({excused * 1e3:.1f} kept waiting), median {seen['median'] * 1e3:.2f} ms; grew by {grown / MB:.1f} MB")
    assert not seen["wrong"], seen
    assert seen["worst"] < worst + 10 * server.quiet["worst"] + excused, f"{seen}, quiet: {server.quiet}, kept waiting: {excused}"
    assert grown < grows_by, f"grew by {grown / MB:.1f} MB"
    until(lambda: descriptors(server) <= base, what=f"{base} descriptors")
    until(lambda: is_at_rest(server), what="rest")


def numbered(make, last=2**31 - 1):
    """A batch of a hundred streams at a time, each made from its number."""
    def say():
        for first in range(1, last - 200, 200):
            yield b"".join(make(stream) for stream in range(first, first + 200, 2))
    return say


def repeated(*pieces, first=b""):
    """The same over and over, about 64 KB at a time."""
    batch = b"".join(pieces)
    batch *= max(1, (64 << 10) // len(batch))

    def say():
        yield first or batch
        while True:
            yield batch
    return say


# Streams made to be ended: CVE-2023-44487 and CVE-2025-8671.

RESETS = {
    "by us": lambda s: headers(s) + reset(s),
    "after a body": lambda s: headers(s) + data(s, message(REQUEST)[:20]) + reset(s),
    "by a window beyond its size": lambda s: headers(s) + window(s, WINDOW_MAX),
    "by a window update of zero": lambda s: headers(s) + window(s, 0),
    "by a head without pseudo-headers": lambda s: headers(s, block(("a", "b"))),
    "by an upper-case name": lambda s: headers(s, CALL + literal("Upper", "x")),
    "by a body longer than its content-length": lambda s: headers(s, CALL + literal("content-length", "1")) + data(s, b"abc"),
    "by a stream that depends on itself": lambda s: headers(s, word(s) + b"\0" + CALL, END_HEADERS | WITH_PRIORITY),
    "by connection-specific fields": lambda s: headers(s, CALL + literal("connection", "close")),
    "by trailers that do not end the stream": lambda s: headers(s) + headers(s, block(("a", "b"))),
}


@pytest.mark.parametrize("make", RESETS.values(), ids=RESETS.keys())
def test_streams_made_to_be_reset(attacked, make):
    with neighbourly(attacked):
        outcome = flood(attacked.port, numbered(make))
    print(f"{outcome.connections} connections, {outcome.hang_ups} hang-ups, {outcome.codes}, {outcome.bytes / MB:.1f} MB")
    assert outcome.hang_ups > 0 and outcome.codes <= {ENHANCE_YOUR_CALM, PROTOCOL_ERROR, STREAM_CLOSED}


# Frames that cost the sender nothing.

OPEN = headers(1)
THOUSAND = b"".join(headers(s) for s in range(1, 2001, 2))
FLOODS = {
    "CONTINUATION": repeated(frame(CONTINUATION, 0, 1, literal("a", "b")), first=headers(1, flags=0)),
    "empty CONTINUATION": repeated(frame(CONTINUATION, 0, 1), first=headers(1, flags=0)),
    "large CONTINUATION": repeated(frame(CONTINUATION, 0, 1, literal("a", "b" * 16000)), first=headers(1, flags=0)),
    "empty DATA": repeated(data(1), first=OPEN),
    "padded empty DATA": repeated(frame(DATA, PADDED, 1, b"\0"), first=OPEN),
    "SETTINGS": repeated(settings()),
    "SETTINGS of many entries": repeated(settings(*[(INITIAL_WINDOW_SIZE, 65535)] * 30)),
    "windows of no stream": repeated(settings((INITIAL_WINDOW_SIZE, 0)), settings((INITIAL_WINDOW_SIZE, WINDOW_MAX))),
    "windows of a thousand streams": repeated(settings((INITIAL_WINDOW_SIZE, 0)), settings((INITIAL_WINDOW_SIZE, WINDOW_MAX)), first=THOUSAND),
    "header table sizes": repeated(settings((HEADER_TABLE_SIZE, 0)), settings((HEADER_TABLE_SIZE, 2**32 - 1))),
    "PING": repeated(frame(PING, payload=b"12345678")),
    "PING acknowledgements": repeated(frame(PING, ACK, payload=b"12345678")),
    "PRIORITY": repeated(frame(PRIORITY, 0, 1, word(3) + b"\x10")),
    "WINDOW_UPDATE of one byte": repeated(window(0, 1)),
    "unknown frames": repeated(frame(0x77)),
    "large unknown frames": repeated(frame(0x77, 0, 0, b"x" * 16384)),
    "ALTSVC and ORIGIN": repeated(frame(0x0a, 0, 1), frame(0x0c)),
}


def cases(names, deaf):
    """Everything from a peer that reads, and what is answered also from one that does not."""
    return pytest.mark.parametrize(
        "name, listens", [pytest.param(name, listens, id=name if listens else f"{name}, deaf") for listens in (True, False) for name in (names if listens else deaf)])


@cases(FLOODS, deaf=["SETTINGS", "PING", "windows of a thousand streams"])
def test_floods(attacked, name, listens):
    with neighbourly(attacked):
        outcome = flood(attacked.port, FLOODS[name], listens=listens)
    print(f"{outcome.connections} connections, {outcome.hang_ups} hang-ups, {outcome.codes}, {outcome.bytes / MB:.1f} MB")
    assert outcome.hang_ups > 0


# Frames for streams that are over: nothing is answered, and the sender pays as much as the server.
CLOSED = headers(5, block(*PSEUDO[1:], (":method", "GET")), END_HEADERS | END_STREAM)
DROPPED = {
    "HEADERS of an older stream": repeated(headers(3, CALL, END_HEADERS | END_STREAM), first=CLOSED),
    "WINDOW_UPDATE of an older stream": repeated(window(3, 1), first=CLOSED),
    "DATA of padding": repeated(frame(DATA, PADDED, 1, b"\xff" + b"\0" * 255), first=OPEN),
}


@pytest.mark.parametrize("name", DROPPED)
def test_floods_that_are_dropped(attacked, name):
    with neighbourly(attacked):
        outcome = flood(attacked.port, DROPPED[name])
    print(f"{outcome.connections} connections, {outcome.hang_ups} hang-ups, {outcome.codes}, {outcome.bytes / MB:.1f} MB")


# HPACK.

def bomb(references):
    entry = literal("x", "y" * 4000, indexed=True)
    return lambda s: headers(s, CALL + (entry if s == 1 else b"") + b"\xbe" * references, END_HEADERS | END_STREAM)


BOMBS = {
    "references to a long entry": bomb(12_000),
    "table sizes up and down": lambda s: headers(s, b"\x20\x3f\xe1\x1f" + CALL + literal("x", "y" * 3000, indexed=True), END_HEADERS | END_STREAM),
    "entries that evict each other": lambda s: headers(s, CALL + b"".join(literal(f"n{i}", "y" * 100, indexed=True) for i in range(100)), END_HEADERS | END_STREAM),
    "Huffman that decodes to much": lambda s: headers(s, CALL + b"\x00\x01x" + integer(8000, 7, 0x80) + b"\x00" * 8000, END_HEADERS | END_STREAM),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_header_bombs(attacked, make):
    with neighbourly(attacked):
        flood(attacked.port, numbered(make))


def test_a_list_over_the_limit_is_431_and_the_connection_lives(attacked):
    with neighbourly(attacked), Peer(attacked.port) as peer:
        fields = [literal(f"n{i}", "y" * 1000) for i in range(17)]
        # In two frames: the server's larger frame size does not count before it is acknowledged.
        peer.say(headers(1, CALL + b"".join(fields[:8]), END_STREAM), frame(CONTINUATION, END_HEADERS, 1, b"".join(fields[8:])))
        assert peer.answer(1)[0][":status"] == "431"
        peer.say(headers(3), data(3, message(REQUEST), END_STREAM))
        assert peer.answer(3)[0]["grpc-status"] == "0"


# Messages that break the rules, one at a time: the stream ends, or the connection, and nobody else notices.

WRONG_STREAMS = {
    "an upper-case name": lambda: headers(1, CALL + literal("Upper", "x")),
    "no path": lambda: headers(1, block(*(field for field in PSEUDO if field[0] != ":path"))),
    "two paths": lambda: headers(1, block(*PSEUDO, (":path", "/"))),
    "a pseudo-header behind a field": lambda: headers(1, block(*PSEUDO[:3], ("a", "b"), PSEUDO[3])),
    "an unknown pseudo-header": lambda: headers(1, block(*PSEUDO, (":colour", "red"))),
    "a response's pseudo-header": lambda: headers(1, block(*PSEUDO, (":status", "200"))),
    "a connection-specific field": lambda: headers(1, CALL + literal("transfer-encoding", "chunked")),
    "te other than trailers": lambda: headers(1, block(*PSEUDO, ("te", "gzip"))),
    "a name with a line end": lambda: headers(1, CALL + literal("a\r\nb", "x")),
    "a value with a line end": lambda: headers(1, CALL + literal("a", "x\r\ny: z")),
    "an empty name": lambda: headers(1, CALL + literal("", "x")),
    "less body than content-length": lambda: headers(1, CALL + literal("content-length", "10")) + data(1, b"abc", END_STREAM),
    "more body than content-length": lambda: headers(1, CALL + literal("content-length", "1")) + data(1, b"abc", END_STREAM),
    "two content-lengths": lambda: headers(1, CALL + literal("content-length", "1") + literal("content-length", "2")) + data(1, b"a", END_STREAM),
    "a content-length that is no number": lambda: headers(1, CALL + literal("content-length", "-1")) + data(1, b"a", END_STREAM),
    "trailers with a pseudo-header": lambda: headers(1) + headers(1, block((":path", "/")), END_HEADERS | END_STREAM),
}


@pytest.mark.parametrize("make", WRONG_STREAMS.values(), ids=WRONG_STREAMS.keys())
def test_a_wrong_message_ends_its_stream_only(attacked, make):
    with Peer(attacked.port) as peer:
        peer.say(make())
        answer = peer.answer(1)
        assert answer and (answer[2] in (PROTOCOL_ERROR, CANCEL) or answer[0].get(":status", "").startswith("4")), answer
        peer.say(headers(3), data(3, message(REQUEST), END_STREAM))
        assert peer.answer(3)[0]["grpc-status"] == "0"


WRONG_CONNECTIONS = {
    "a window beyond its size": (window(0, WINDOW_MAX), {FLOW_CONTROL_ERROR}),
    "a window update of zero": (window(0, 0), {PROTOCOL_ERROR}),
    "an even stream": (headers(2), {PROTOCOL_ERROR}),
    "stream zero": (headers(0), {PROTOCOL_ERROR}),
    "a stream twice": (headers(1, CALL, END_HEADERS | END_STREAM) + headers(1), {PROTOCOL_ERROR, STREAM_CLOSED}),
    "DATA on stream zero": (data(0, b"x"), {PROTOCOL_ERROR}),
    "DATA on an idle stream": (data(9, b"x"), {PROTOCOL_ERROR, STREAM_CLOSED}),
    "RST_STREAM on an idle stream": (reset(9), {PROTOCOL_ERROR}),
    "WINDOW_UPDATE on an idle stream": (window(9, 1), {PROTOCOL_ERROR}),
    "PUSH_PROMISE": (headers(1) + frame(PUSH_PROMISE, END_HEADERS, 1, word(2) + CALL), {PROTOCOL_ERROR}),
    "CONTINUATION of nothing": (frame(CONTINUATION, END_HEADERS, 1, CALL), {PROTOCOL_ERROR}),
    "a frame between HEADERS and CONTINUATION": (headers(1, flags=0) + frame(PING, payload=b"12345678"), {PROTOCOL_ERROR}),
    "CONTINUATION of another stream": (headers(1, flags=0) + frame(CONTINUATION, END_HEADERS, 3), {PROTOCOL_ERROR}),
    "a PING of seven bytes": (frame(PING, payload=b"1234567"), {FRAME_SIZE_ERROR}),
    "SETTINGS of seven bytes": (frame(SETTINGS, payload=b"1234567"), {FRAME_SIZE_ERROR}),
    "SETTINGS with a window beyond its size": (settings((INITIAL_WINDOW_SIZE, 2**31)), {FLOW_CONTROL_ERROR}),
    "SETTINGS with a frame size too small": (settings((MAX_FRAME_SIZE, 1)), {PROTOCOL_ERROR}),
    "an acknowledgement of nothing": (frame(SETTINGS, ACK) * 3, {PROTOCOL_ERROR}),
    "padding longer than its frame": (headers(1) + frame(DATA, PADDED, 1, b"\xff123"), {PROTOCOL_ERROR}),
    "a frame longer than allowed": (b"\xff\xff\xff" + bytes((DATA, 0)) + word(1), {FRAME_SIZE_ERROR}),
    "a table size beyond what was allowed": (headers(1, b"\x3f\xff\xff\x7f" + CALL), {COMPRESSION_ERROR}),
    "an index of nothing": (headers(1, CALL + b"\xff\xff\x7f"), {COMPRESSION_ERROR}),
    "an integer without end": (headers(1, CALL + b"\xff" + b"\xff" * 50), {COMPRESSION_ERROR}),
    "Huffman with a bad end": (headers(1, CALL + b"\x00\x01x\x84\xff\xff\xff\xff"), {COMPRESSION_ERROR}),
}


@pytest.mark.parametrize("say, codes", WRONG_CONNECTIONS.values(), ids=WRONG_CONNECTIONS.keys())
def test_a_wrong_frame_ends_its_connection_only(attacked, say, codes):
    with neighbourly(attacked), Peer(attacked.port) as peer:
        peer.say(say)
        assert peer.goodbye() in codes


def test_the_last_stream_of_all(attacked):
    with Peer(attacked.port) as peer:
        peer.say(headers(WINDOW_MAX), data(WINDOW_MAX, message(REQUEST), END_STREAM))
        assert peer.answer(WINDOW_MAX)[0]["grpc-status"] == "0"
        # There is no number left: whatever comes, others are served.
        peer.say(headers(1))


# Announced and not sent.

def test_two_gigabytes_announced_and_not_sent(attacked):
    peers = []
    with neighbourly(attacked, grows_by=160 * MB), contextlib.ExitStack() as open_peers:
        for _ in range(50):
            peer = open_peers.enter_context(Peer(attacked.port))
            for first in range(1, 400, 20):
                peer.say(b"".join(headers(s) + data(s, message(b"x" * 16, WINDOW_MAX)) for s in range(first, first + 20, 2)))
            peer.say(frame(PING, payload=b"12345678"))
            peers.append(peer)
        for peer in peers:
            while (heard := peer.frame()) is not None and heard[:2] != (PING, ACK):
                pass
            assert heard, "closed"


def test_four_gigabytes_are_refused_by_their_announcement(attacked):
    with neighbourly(attacked), Peer(attacked.port) as peer:
        peer.say(headers(1), data(1, message(b"x" * 100, 2**32 - 1)))
        assert peer.answer(1)[0]["grpc-status"] == "8"


# Compressed.

def test_gzip_bombs(attacked):
    """A thousand times as long as what is sent."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(MB)) for _ in range(1024)) + packer.flush()
    zipped = CALL + literal("grpc-encoding", "gzip")
    body = b"\1" + message(bomb)[1:]
    # The most that is made of it is 64 MB, slice by slice; freed pieces linger.
    with neighbourly(attacked, grows_by=384 * MB), Peer(attacked.port, patience=30) as peer:
        peer.agree()
        for stream in range(1, 9, 2):
            peer.say(headers(stream, zipped))
            for at in range(0, len(body), 16384):
                peer.say(data(stream, body[at:at + 16384]))
            peer.say(data(stream, flags=END_STREAM))
            fields, _, _ = peer.answer(stream)
            print(fields)
            assert fields["grpc-status"] in ("8", "3")


def test_a_hundred_gzip_bombs_at_once(attacked):
    """Each becomes a megabyte: none of them is large, a read full of them is. They are inflated one after the other."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(bytes(MB)) + packer.flush()
    zipped = CALL + literal("grpc-encoding", "gzip")
    call = lambda s: headers(s, zipped) + data(s, b"\1" + message(bomb)[1:], END_STREAM)
    with neighbourly(attacked, grows_by=384 * MB):
        outcome = flood(attacked.port, numbered(call), seconds=1)
    print(f"{outcome.connections} connections, {outcome.bytes / MB:.1f} MB")


# Who does not read, or reads a byte at a time.

def test_a_client_that_never_reads(guarded):
    server = guarded(write_stall_milliseconds=1000)
    ask = big_request(250_000)

    def say():
        yield settings((INITIAL_WINDOW_SIZE, WINDOW_MAX)) + window(0, WINDOW_MAX - 65535)
        for s in range(1, 2**31, 2):
            yield headers(s)
            for at in range(0, len(ask), 16384):
                yield data(s, ask[at:at + 16384])
            yield data(s, flags=END_STREAM)

    # Four connections with a request in the making and its answer, a megabyte each, and what grows of them.
    with neighbourly(server, grows_by=200 * MB):
        outcome = flood(server.port, say, seconds=2.5, listens=False, agrees=True)
    # Cut for not reading, not for sending more than it may.
    assert outcome.hang_ups > 0 and FLOW_CONTROL_ERROR not in outcome.codes


@pytest.mark.parametrize("trickle", [0, 1])
def test_a_window_of_zero_then_one_byte_at_a_time(guarded, trickle):
    """The socket is never full: what holds the answers back is the window alone."""
    server = guarded(write_stall_milliseconds=1000)
    with neighbourly(server), Peer(server.port, PREFACE + settings((INITIAL_WINDOW_SIZE, 0))) as peer:
        for s in range(1, 401, 2):
            peer.say(headers(s), data(s, message(REQUEST), END_STREAM))
        ended, began = set(), time.monotonic()
        peer.socket.settimeout(0.1)
        while len(ended) < 200 and time.monotonic() - began < 10:
            with contextlib.suppress(TimeoutError):
                while heard := peer.frame():
                    if heard[0] == RST_STREAM:
                        ended.add(heard[2])
            if heard is None:
                break
            if trickle and not peer.say(*(window(s, 1) for s in range(1, 401, 2))):
                break
        assert len(ended) == 200 or heard is None, f"{len(ended)} of 200 streams ended"


# Slow on purpose.

def slowly(server, pieces, greeting=PREFACE + settings(), connections=100, every=0.05, seconds=15):
    """Many connections that each say one of `pieces` now and then; how many the server has ended after all."""
    peers = [Peer(server.port, greeting) for _ in range(connections)]
    ended, began = set(), time.monotonic()
    try:
        for piece in pieces:
            for i, peer in enumerate(peers):
                if i in ended:
                    continue
                if not peer.say(piece) or peer.hung_up():
                    ended.add(i)
                elif reset_seen(peer):
                    ended.add(i)
            if len(ended) == connections or time.monotonic() - began > seconds:
                break
            time.sleep(every)
    finally:
        for peer in peers:
            peer.close()
    return len(ended)


def reset_seen(peer):
    at = 0
    heard = peer.heard
    while len(heard) - at >= 9:
        if heard[at + 3] in (RST_STREAM, GOAWAY):
            return True
        at += 9 + int.from_bytes(heard[at:at + 3], "big")
    return False


def drops(body):
    """A byte at a time, over and over."""
    while True:
        for byte in body:
            yield bytes((byte,))


def trickle_data(first):
    yield first
    while True:
        yield data(1, b"x")


LORIS = {
    "no preface": (b"", iter([b""] * 1000)),
    "a preface in drops": (b"PRI", iter([b" ", b"*", b" ", b"H"] + [b""] * 1000)),
    "a preface and nothing": (PREFACE, iter([b""] * 1000)),
    "HEADERS in drops": (PREFACE + settings() + headers(1, CALL + literal("a", "b" * 9000))[:30], drops(b"b")),
    "CONTINUATION in drops": (PREFACE + settings() + headers(1, flags=0), drops(frame(CONTINUATION, 0, 1, b"\0\1a" + integer(2000, 7) + b"b" * 2000))),
    "DATA in drops": (PREFACE + settings() + headers(1) + data(1, message(b"", 1 << 20) + b"x" * 10000)[:30], drops(b"x")),
    "one byte of DATA at a time": (PREFACE + settings() + headers(1), trickle_data(data(1, message(b"", 1 << 20)))),
    "a call without its message": (PREFACE + settings() + headers(1), iter([b""] * 1000)),
}

# The same in HTTP/1.1; `b"GE"` could still become either.
POST = b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: a\r\n"
LORIS |= {
    "HTTP/1.1: a method in drops": (b"GE", iter([b"T"] + [b""] * 1000)),
    "HTTP/1.1: a head in drops": (POST, drops(b"a: b\r\n")),
    "HTTP/1.1: a head and nothing": (POST + b"a: b\r\n", iter([b""] * 1000)),
    "HTTP/1.1: a body in drops": (POST + b"Content-Length: 100000\r\n\r\n", drops(b"[")),
    "HTTP/1.1: chunks of one byte": (POST + b"Transfer-Encoding: chunked\r\n\r\n", iter([b"1\r\n[\r\n"] * 1000)),
    "HTTP/1.1: a body that does not come": (POST + b"Content-Length: 100000\r\n\r\n", iter([b""] * 1000)),
}


@pytest.mark.parametrize("name", LORIS)
def test_slow_loris(guarded, name):
    server = guarded(handshake_milliseconds=1000, header_milliseconds=1000, body_milliseconds=1000)
    greeting, pieces = LORIS[name]
    with neighbourly(server):
        assert slowly(server, pieces, greeting) == 100


# HTTP/1.1.

GET = b"GET /v1/models/half_plus_two HTTP/1.1\r\nHost: a\r\n\r\n"
FLOODS_OF_TEXT = {
    "requests behind one another": repeated(GET),
    "a head without end": repeated(b"a: b\r\n", first=POST),
    "one line without end": repeated(b"a", first=b"GET /"),
    "empty lines": repeated(b"\r\n"),
    "chunks of one byte": repeated(b"1\r\n[\r\n", first=POST + b"Transfer-Encoding: chunked\r\n\r\n"),
    "a chunk extension without end": repeated(b"a=b;", first=POST + b"Transfer-Encoding: chunked\r\n\r\n1;"),
    "trailers without end": repeated(b"a: b\r\n", first=POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"),
    "a body that nobody wants": repeated(b"x" * 1000, first=b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n"),
}


@cases(FLOODS_OF_TEXT, deaf=["requests behind one another"])
def test_floods_of_text(attacked, name, listens):
    with neighbourly(attacked):
        outcome = flood(attacked.port, FLOODS_OF_TEXT[name], greeting=b"", listens=listens)
    print(f"{outcome.connections} connections, {outcome.hang_ups} hang-ups, {outcome.bytes / MB:.1f} MB")
    # Requests may go on for ever, as fast as their answers are read; chunks of one byte are a body.
    if name not in ("requests behind one another", "chunks of one byte"):
        assert outcome.hang_ups > 0


# TLS.

def certificate(folder):
    config = folder / "ssl.config"
    key, made = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", made], check=True, capture_output=True)
    quoted = [path.read_text().replace("\n", "\\n") for path in (key, made)]
    config.write_text(f'server_key: "{quoted[0]}"\nserver_cert: "{quoted[1]}"\nclient_verify: false\n')
    return config, made


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secured")
    config, made = certificate(folder)
    server = start(folder, certificate=made, ssl_config_file=config, handshake_milliseconds=1000)
    server.certificate = made
    yield server
    finish(server)


def hello():
    """A real client's first flight."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = hello()
GARBAGE_IN_TLS = {
    "random bytes": repeated(os.urandom(1 << 16)),
    "random records": repeated(*(b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body for body in [os.urandom(n) for n in (1, 100, 16000)])),
    "hello after hello": repeated(HELLO),
    "a hello and random bytes": repeated(os.urandom(1 << 16), first=HELLO),
    "alerts": repeated(b"\x15\x03\x03\x00\x02\x01\x5a"),
    "empty records": repeated(b"\x16\x03\x01\x00\x00"),
    "HTTP/2 in the clear": repeated(PREFACE + settings()),
    "HTTP/1.1 in the clear": repeated(GET),
}


@pytest.mark.parametrize("name", GARBAGE_IN_TLS)
def test_tls_garbage(secured, name):
    with neighbourly(secured):
        outcome = flood(secured.port, GARBAGE_IN_TLS[name], greeting=b"")
    print(f"{outcome.connections} connections, {outcome.hang_ups} hang-ups, {outcome.bytes / MB:.1f} MB")
    assert outcome.hang_ups > 0


@pytest.mark.parametrize("greeting, pieces", [
    (b"", iter([b""] * 1000)), (HELLO[:40], iter([HELLO[i:i + 1] for i in range(40, 140)] + [b""] * 1000)), (HELLO, iter([b""] * 1000)),
], ids=["nothing", "a hello in drops", "a hello and nothing"])
def test_slow_loris_in_tls(secured, greeting, pieces):
    with neighbourly(secured):
        assert slowly(secured, pieces, greeting) == 100


def test_a_flood_of_handshakes(secured):
    """Each client says hello and leaves when it has been answered: half a millisecond of the server's, and a thing of a moment for
    the client, which may send the same bytes again and again."""
    def honest():
        # Whoever comes with a handshake of its own meanwhile is served as well.
        with grpc.secure_channel(secured.address, grpc.ssl_channel_credentials(secured.certificate.read_bytes()), OPTIONS) as channel:
            assert channel.unary_unary(PREDICT)(REQUEST, timeout=20)

    outcomes = []
    with neighbourly(secured):
        flooding = [threading.Thread(target=lambda: outcomes.append(flood(secured.port, lambda: iter([HELLO]), greeting=b"", seconds=1, connections=16)))]
        for thread in flooding:
            thread.start()
        for _ in range(3):
            honest()
        for thread in flooding:
            thread.join()
    print(f"{outcomes[0].connections} handshakes")
    assert outcomes[0].connections > 100


# Half a connection, no connection, too many connections.

def test_half_closed_sockets(attacked):
    with neighbourly(attacked), contextlib.ExitStack() as open_peers:
        for say in [b"", PREFACE[:5], PREFACE, PREFACE + settings(), PREFACE + settings() + headers(1), PREFACE + settings() + headers(1) + data(1, message(REQUEST)[:9])] * 20:
            peer = open_peers.enter_context(Peer(attacked.port, greeting=say))
            peer.socket.shutdown(socket.SHUT_WR)
            # The server lets go although we keep our half.
            peer.until_closed()


def test_churn(attacked):
    def once(greeting):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", attacked.port), timeout=5) as s:
            s.sendall(greeting)

    with neighbourly(attacked):
        deadline = time.monotonic() + 2
        count = 0
        while time.monotonic() < deadline:
            for greeting in (b"", PREFACE, PREFACE + settings() + OPEN):
                once(greeting)
                count += 1
    assert count > 300


def test_garbage(attacked):
    garbage = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500), b"GET / HTTP/0.9\r\n\r\n", b"\0" * 4096, os.urandom(4096), b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"\xff" * 70000]
    with neighbourly(attacked), contextlib.ExitStack() as open_peers:
        for greeting in garbage * 20:
            peer = open_peers.enter_context(Peer(attacked.port, greeting=greeting))
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_WR)
            peer.until_closed()


def test_ten_thousand_idle_connections(attacked):
    """At most 8 KB each; they answer when asked, and cost no processor time while they do not ask."""
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    pid = attacked.process.pid
    _, server_hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    if min(hard, server_hard) < count + 200:
        pytest.skip(f"{hard} descriptors are not enough")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    peers = []
    try:
        with neighbourly(attacked, grows_by=count * 8192 + 8 * MB):
            before = status_bytes(attacked, "VmRSS")
            peers = [Peer(attacked.port) for _ in range(count)]
            for peer in peers:
                heard = peer.frame()
                assert heard and heard[0] == SETTINGS
                peer.say(frame(SETTINGS, ACK))
            each = (status_bytes(attacked, "VmRSS") - before) / count
            print(f"{each:.0f} bytes per idle connection")
            assert each <= 8192
            attacked.neighbour.end()
            until(lambda: is_at_rest(attacked, 1), what="rest with every connection open")
            attacked.neighbour.begin()
            peers[count // 2].say(headers(1), data(1, message(REQUEST), END_STREAM))
            assert peers[count // 2].answer(1)[0]["grpc-status"] == "0"
            for peer in peers:
                peer.close()
            peers = []
    finally:
        for peer in peers:
            peer.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_descriptors_left(guarded):
    server = guarded()
    pid = server.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(server) + 10, hard))
    with neighbourly(server):
        peers = [Peer(server.port) for _ in range(100)]
        # Ten are served, the others wait in the kernel's queue; the server looks away instead of spinning.
        until(lambda: "accept pauses" in server.log(), what="a line in the log")
        server.neighbour.end()
        assert is_at_rest(server, 1)
        server.neighbour.begin()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        for peer in peers:
            peer.say(headers(1), data(1, message(REQUEST), END_STREAM))
            assert peer.answer(1)[0]["grpc-status"] == "0"
            peer.close()


def test_one_address_takes_no_more_than_its_share(guarded):
    server = guarded(connections_per_peer_max=20)
    with neighbourly(server), contextlib.ExitStack() as open_peers:
        # The neighbour and the test's own channel are of the same address.
        peers = [open_peers.enter_context(Peer(server.port)) for _ in range(40)]
        kept = 0
        for peer in peers:
            peer.say(headers(1), data(1, message(REQUEST), END_STREAM))
            kept += peer.answer(1) is not None
        assert 15 <= kept <= 20


# Long lives, and pings.

def test_too_many_pings(guarded):
    server = guarded(ping_milliseconds_min=60000, idle_ping_milliseconds_min=60000, ping_strikes_max=2)
    with neighbourly(server), Peer(server.port) as peer:
        for _ in range(4):
            peer.say(frame(PING, payload=b"12345678"))
        said = [payload for kind, _, _, payload in peer.until_closed() if kind == GOAWAY]
        assert said and said[-1][4:] == word(ENHANCE_YOUR_CALM) + b"too_many_pings"


def test_an_old_connection_is_told_to_go_and_its_calls_finish(guarded):
    server = guarded(connection_age_milliseconds=500, connection_age_grace_milliseconds=1500)
    with Peer(server.port) as peer:
        peer.say(headers(1))
        frames = peer.until_closed()
        goaways = [payload for kind, _, _, payload in frames if kind == GOAWAY]
        assert len(goaways) >= 2 and goaways[0][:4] == word(WINDOW_MAX) and goaways[1][:4] == word(1)
    # gRPC's client does not notice.
    several_ages = time.monotonic() + 2
    while time.monotonic() < several_ages:
        assert server.predict(MODEL, {"x": floats(2)}).outputs["y"].float_val[0] == 3


def test_a_dead_peer_is_found_out(guarded):
    server = guarded(keepalive_milliseconds=500, keepalive_timeout_milliseconds=500)
    with Peer(server.port) as peer:
        # It reads, and answers no ping.
        kinds = [kind for kind, _, _, _ in peer.until_closed()]
        assert PING in kinds
