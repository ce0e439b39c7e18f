"""Bytes that are no request. Whatever comes, the caller gets an answer and everybody else keeps being served."""
import random
import socket

import grpc
import pytest

from harness import Code, floats, request

MODEL = "half_plus_two"
GOOD = request(MODEL, {"x": floats(1, 2, 5)}).SerializeToString()
# No UNAVAILABLE, UNKNOWN or CANCELLED: those would mean that the connection, or the server, went down.
ANSWERS = {Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.INTERNAL, Code.RESOURCE_EXHAUSTED}


@pytest.fixture(autouse=True)
def still_serving(fleet):
    fleet.wait(MODEL)
    yield
    assert list(fleet.predict(MODEL, {"x": floats(2)}).outputs["y"].float_val) == [3]


def ask(server, body):
    """OK or the code."""
    try:
        server.raw(body)
        return Code.OK
    except grpc.RpcError as error:
        return error.code()


def test_cut_short_at_every_byte(fleet):
    for length in range(len(GOOD)):
        assert ask(fleet, GOOD[:length]) in ANSWERS, f"cut at {length}"


def test_random_bytes(fleet):
    seed = 20
    chance = random.Random(seed)
    for round in range(300):
        body = chance.randbytes(chance.choice((1, 3, 10, 100, 5000)))
        assert ask(fleet, body) in ANSWERS, f"seed {seed}, round {round}: {body[:40].hex()}"


def test_flipped_bytes(fleet):
    seed = 21
    chance = random.Random(seed)
    for round in range(300):
        body = bytearray(GOOD)
        for _ in range(chance.randrange(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        assert ask(fleet, bytes(body)) in ANSWERS | {Code.OK}, f"seed {seed}, round {round}: {body.hex()}"


def delimited(field, body):
    size, length = b"", len(body)
    while True:
        size += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
        if not length:
            return bytes([field << 3 | 2]) + size + body


def nested(depth):
    body = b""
    for _ in range(depth):
        body = delimited(15, body)
    return body


HOSTILE = {
    "empty": b"",
    "groups opened 10,000 deep": GOOD + b"\x7b" * 10_000,
    "groups 10,000 deep": GOOD + b"\x7b" * 10_000 + b"\x7c" * 10_000,
    "a group closed that was not opened": GOOD + b"\x7c",
    "field number zero": GOOD + b"\x00\x00",
    "wire type seven": GOOD + b"\x0f",
    "a varint of eleven bytes": GOOD + b"\x78" + b"\xff" * 11,
    "a length past the end": GOOD + b"\x7a\xff\xff\xff\xff\x07",
    "a length of 2^63": GOOD + b"\x7a" + b"\xff" * 9 + b"\x01",
    "a name that is no text": delimited(1, delimited(1, b"\xff\xfe")),
    "an input without key and value": GOOD + delimited(2, b""),
    "strings whose lengths lie": delimited(1, delimited(1, MODEL.encode())) + delimited(2, delimited(1, b"x") + delimited(2, b"\x08\x07" + b"\x42\xff\xff\xff\x7f")),
    "packed floats that are not whole": delimited(1, delimited(1, MODEL.encode())) + delimited(2, delimited(1, b"x") + delimited(2, b"\x08\x01" + delimited(5, b"123"))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_request(fleet, name):
    assert ask(fleet, HOSTILE[name]) in ANSWERS | {Code.OK}


def test_unknown_fields_nested_deep_are_skipped_or_refused(fleet):
    assert ask(fleet, GOOD + nested(2_000)) in ANSWERS | {Code.OK}


def test_a_hundred_thousand_inputs(fleet):
    body = delimited(1, delimited(1, MODEL.encode())) + b"".join(delimited(2, delimited(1, b"k%d" % i)) for i in range(100_000))
    assert ask(fleet, body) in ANSWERS


def test_bytes_that_are_not_http2(fleet):
    chance = random.Random(22)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for body in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", chance.randbytes(4096), preface[:10], preface + chance.randbytes(4096), preface + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\xff" * 64,
                 preface + b"\xff\xff\xff\x00\x01\x00\x00\x00\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        with socket.create_connection(("127.0.0.1", fleet.port), timeout=5) as connection:
            connection.sendall(body)
            connection.shutdown(socket.SHUT_WR)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass
