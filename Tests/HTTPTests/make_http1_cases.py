"""Writes http1_cases.jsonl: requests, and what h11 (an independent parser) makes of each. RequestCasesTests compares.

    python3 -m venv /tmp/h11 && /tmp/h11/bin/pip install h11==0.16.0 && /tmp/h11/bin/python Tests/HTTPTests/make_http1_cases.py

A case is named for what it shows. `differs` says where we judge otherwise than h11, and why: nearly always we are stricter.
Mutants of good requests, from a fixed seed, follow the table; there the test itself lists what may differ.
"""
import json
import random
from pathlib import Path

import h11

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

ALLOWED_BEYOND_H11 = "one empty line before a request is skipped (RFC 9112 §2.2), old clients send it"

# name, bytes, fault we report (None: we accept), why we differ from h11 (None: we do not)
TABLE = [
    # Good requests.
    ("a GET", GET + b"\r\n", None, None),
    ("names in any case", b"GET / HTTP/1.1\r\nhOST: a\r\nX-Tag: B\r\n\r\n", None, None),
    ("no space after the colon", b"GET / HTTP/1.1\r\nHost:a\r\nb:c\r\n\r\n", None, None),
    ("white space around a value", b"GET / HTTP/1.1\r\nHost: \t a \t \r\nb:  c d\t\r\n\r\n", None, None),
    ("an empty value", GET + b"b:\r\nc: \r\n\r\n", None, None),
    ("the same field twice", GET + b"b: 1\r\nb: 2\r\n\r\n", None, None),
    ("every token character in a name", GET + b"!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", None, None),
    ("a method of our own", b"PURGE-1 / HTTP/1.1\r\nHost: a\r\n\r\n", None, None),
    ("bytes beyond ASCII in a value", GET + b"b: \xc3\xa4\xff\r\n\r\n", None, None),
    ("a query and escapes", b"GET /v1/models/m:predict?a=%20&b=[1] HTTP/1.1\r\nHost: a\r\n\r\n", None, None),
    ("a host with a port", b"GET / HTTP/1.1\r\nHost: example.com:8501\r\n\r\n", None, None),
    ("an IPv6 host", b"GET / HTTP/1.1\r\nHost: [::1]:8501\r\n\r\n", None, None),
    ("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", None, None),
    ("the asterisk form", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", None, None),
    ("the absolute form", b"GET http://b.example:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n", None, None),
    ("the authority form", b"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n", None, None),
    ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", None, None),
    ("HTTP/1.0 that stays", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", None,
     "h11 does not keep HTTP/1.0 connections alive; the widespread extension is harmless (RFC 9112 §9.3)"),
    ("HTTP/1.1 that goes", GET + b"Connection: foo, Close\r\n\r\n", None, None),
    ("two requests in one breath", GET + b"\r\n" + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", None, None),
    ("a body and a request behind it", POST + b"Content-Length: 3\r\n\r\nabc" + GET + b"\r\n", None, None),
    ("a length of zero", POST + b"Content-Length: 0\r\n\r\n" + GET + b"\r\n", None, None),
    ("a length with zeros before it", POST + b"Content-Length: 003\r\n\r\nabc", None, None),
    ("a GET with a body", GET + b"Content-Length: 3\r\n\r\nabc", None, None),
    ("chunks", CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n" + GET + b"\r\n", None, None),
    ("chunked in capitals", POST + b"TRANSFER-ENCODING: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", None, None),
    ("sizes with zeros and both cases", CHUNKED + b"000a\r\n0123456789\r\n0B\r\n0123456789a\r\n00\r\n\r\n", None, None),
    ("chunk extensions", CHUNKED + b'3;a=b;c="d e"\r\nabc\r\n0;x\r\n\r\n', None, None),
    ("trailers", CHUNKED + b"1\r\na\r\n0\r\nGrpc-Status: 0\r\nx: y\r\n\r\n" + GET + b"\r\n", None, None),
    ("Expect", POST + b"Expect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc", None, None),
    ("half a request line", b"GET / HT", None, None),
    ("half a head", GET + b"b: c\r\n", None, None),
    ("half a body", POST + b"Content-Length: 10\r\n\r\nabc", None, None),
    ("half a chunk", CHUNKED + b"5\r\nab", None, None),
    ("nothing", b"", None, None),

    # Request lines.
    ("one empty line first", b"\r\n" + GET + b"\r\n", None, ALLOWED_BEYOND_H11),
    ("two empty lines first", b"\r\n\r\n" + GET + b"\r\n", "emptyLine", None),
    ("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n", "badMethod", None),
    ("a method with a colon", b"GE:T / HTTP/1.1\r\nHost: a\r\n\r\n", "badMethod", None),
    ("a method alone", b"GET\r\n\r\n", "badTarget", None),
    ("HTTP/0.9", b"GET /\r\n\r\n", "badVersion", None),
    ("two spaces before the target", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "badVersion", None),
    ("a tab before the target", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "badMethod", None),
    ("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "badVersion", None),
    ("a space behind the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "badVersion", None),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "badVersion", None),
    ("a version in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", "badVersion", None),
    ("a version with two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", "badVersion", None),
    ("a version without a dot", b"GET / HTTP/11\r\nHost: a\r\n\r\n", "badVersion", None),
    ("another protocol", b"GET / RTSP/1.1\r\nHost: a\r\n\r\n", "badVersion", None),
    ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "unsupportedVersion",
     "h11 takes any version to be one; 505 is what RFC 9110 §15.6.6 has for it"),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "unsupportedVersion", "as before: there is no such version"),
    ("HTTP/0.9 in words", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", "unsupportedVersion", "as before"),
    ("a control byte in the target", b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", None),
    ("NUL in the target", b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", None),
    ("bytes beyond ASCII in the target", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", None),
    ("a fragment", b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "no form of a target has one (RFC 9112 §3.2)"),
    ("a backslash", b"GET /..\\a HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "a separator to some, and no URI character"),
    ("a path without a slash", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "h11 does not look into targets"),
    ("an asterisk to GET", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "h11 does not look into targets"),
    ("CONNECT to a path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "h11 does not look into targets"),
    ("CONNECT without a port", b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "h11 does not look into targets"),
    ("an absolute form without a host", b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "RFC 9110 §4.2.1"),
    ("user information", b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "RFC 9110 §4.2.4"),
    ("another scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", "we are no proxy"),
    ("https without TLS", b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "wrongScheme", "RFC 9110 §7.4"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00", "badMethod", None),

    # Line ends.
    ("a bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", "bareLineFeed",
     "RFC 9112 §2.2 lets a recipient take it; a proxy in front may not, and then the two disagree"),
    ("a bare LF behind a field", b"GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n", "bareLineFeed", "as before"),
    ("a bare LF as the empty line", GET + b"\n", "bareLineFeed", "as before"),
    ("a bare LF before the request", b"\n" + GET + b"\r\n", "bareLineFeed", None),
    ("a bare CR in the request line", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "badTarget", None),
    ("a bare CR in a value", GET + b"b: c\rd: e\r\n\r\n", "badValue", None),
    ("a bare CR in a name", GET + b"b\rc: e\r\n\r\n", "badName", None),
    ("CR CR LF", GET + b"b: c\r\r\n\r\n", "badValue", None),

    # Fields.
    ("a folded value", GET + b"b: c\r\n d\r\n\r\n", "folded", "RFC 9112 §5.2: a server may refuse it"),
    ("a folded value with a tab", GET + b"b: c\r\n\td\r\n\r\n", "folded", "as before"),
    ("white space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "folded", None),
    ("white space before the colon", GET + b"b : c\r\n\r\n", "spaceBeforeColon", None),
    ("a tab before the colon", GET + b"b\t: c\r\n\r\n", "spaceBeforeColon", None),
    ("a space in a name", GET + b"b c: d\r\n\r\n", "spaceBeforeColon", None),
    ("an empty name", GET + b": c\r\n\r\n", "badName", None),
    ("no colon", GET + b"b\r\n\r\n", "noColon", None),
    ("a bracket in a name", GET + b"b[]: c\r\n\r\n", "badName", None),
    ("a byte beyond ASCII in a name", GET + b"\xc3\xa4: c\r\n\r\n", "badName", None),
    ("NUL in a name", GET + b"b\x00: c\r\n\r\n", "badName", None),
    ("NUL in a value", GET + b"b: c\x00d\r\n\r\n", "badValue", None),
    ("a control byte in a value", GET + b"b: c\x01d\r\n\r\n", "badValue",
     "RFC 9110 §5.5 allows only visible characters, spaces and tabs; h11 lets others pass"),
    ("DEL in a value", GET + b"b: c\x7fd\r\n\r\n", "badValue", "as before"),
    ("an escape in a value", GET + b"b: \x1b[0m\r\n\r\n", "badValue", "as before"),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", "missingHost", None),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "severalHosts", None),
    ("two different Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "severalHosts", None),
    ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "severalHosts", None),
    ("a space in Host", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "badHost", "RFC 9112 §3.2: an invalid Host is 400; h11 does not look"),
    ("a slash in Host", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "badHost", "as before"),
    ("an at in Host", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "badHost", "as before"),
    ("letters for a port", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "badHost", "as before"),
    ("a port without end", b"GET / HTTP/1.1\r\nHost: a:800000\r\n\r\n", "badHost", "as before"),
    ("an open bracket in Host", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "badHost", "as before"),
    ("an escape cut short in Host", b"GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", "badHost", "as before"),
    ("an unknown expectation", POST + b"Expect: 200-ok\r\n\r\n", "unknownExpectation", "RFC 9110 §10.1.1: 417; h11 ignores it"),

    # Where the body ends.
    ("both length and coding", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "lengthAndCoding",
     "RFC 9112 §6.1 lets the coding win; it is how requests are smuggled"),
    ("both coding and length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "lengthAndCoding", "as before"),
    ("two different lengths", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", "severalLengths", None),
    ("two equal lengths", POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", "severalLengths",
     "RFC 9110 §8.6 lets them be one; who sends them has two minds"),
    ("a list of lengths", POST + b"Content-Length: 5, 5\r\n\r\nabcde", "severalLengths", "as before"),
    ("a list of different lengths", POST + b"Content-Length: 5, 6\r\n\r\nabcde", "severalLengths", None),
    ("a length with a sign", POST + b"Content-Length: +5\r\n\r\nabcde", "badLength", None),
    ("a negative length", POST + b"Content-Length: -5\r\n\r\nabcde", "badLength", None),
    ("a hexadecimal length", POST + b"Content-Length: 0x5\r\n\r\nabcde", "badLength", None),
    ("an empty length", POST + b"Content-Length:\r\n\r\n", "badLength", None),
    ("a length with a space inside", POST + b"Content-Length: 1 2\r\n\r\n", "badLength", None),
    ("a length with a fraction", POST + b"Content-Length: 5.0\r\n\r\nabcde", "badLength", None),
    ("a length beyond 64 bits", POST + b"Content-Length: 99999999999999999999999\r\n\r\n", "bodyTooLarge", None),
    ("an unknown coding", POST + b"Transfer-Encoding: foo\r\n\r\n", "badCoding", None),
    ("identity", POST + b"Transfer-Encoding: identity\r\n\r\n", "badCoding", None),
    ("an empty coding", POST + b"Transfer-Encoding:\r\n\r\n", "badCoding", None),
    ("a coding before chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "unknownCoding", None),
    ("a coding before chunked, on two lines", POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "unknownCoding", None),
    ("a coding behind chunked", POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "badCoding", None),
    ("chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "badCoding", None),
    ("chunked on two lines", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "badCoding", None),
    ("chunked and a comma", POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", "badCoding", None),
    ("chunked with a parameter", POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "badCoding", None),
    ("chunked in quotes", POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', "badCoding", None),
    ("xchunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "badCoding", None),
    ("chunked behind a vertical tab", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "badValue", None),
    ("a coding whose name has a space", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "spaceBeforeColon", None),
    ("a coding on a folded line", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "folded", "as before: a folded line"),
    ("a coding in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "codingInOldVersion",
     "RFC 9112 §6.1: faulty framing"),

    # Chunks.
    ("no chunk size", CHUNKED + b"\r\nabc\r\n", "badChunkSize", None),
    ("a chunk size with a sign", CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", "badChunkSize", None),
    ("a negative chunk size", CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n", "badChunkSize", None),
    ("a chunk size with 0x", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", "badChunkSize", None),
    ("a chunk size with an underscore", CHUNKED + b"0_3\r\nabc\r\n0\r\n\r\n", "badChunkSize", None),
    ("a space before the chunk size", CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", "badChunkSize", None),
    ("a space behind the chunk size", CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", "badChunkSize", "h11 is lenient here by its own account"),
    ("a space before the extension", CHUNKED + b"3 ;a\r\nabc\r\n0\r\n\r\n", "badChunkSize", None),
    ("a chunk size beyond 64 bits", CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n", "badChunkSize",
     "h11 counts without end and waits for the rest"),
    ("a chunk size of 64 bits", CHUNKED + b"ffffffffffffffff\r\nabc\r\n", "bodyTooLarge", "h11 leaves limits to others"),
    ("letters for a chunk size", CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n", "badChunkSize", None),
    ("a bare LF behind the chunk size", CHUNKED + b"3\nabc\r\n0\r\n\r\n", "bareLineFeed", None),
    ("a bare LF in an extension", CHUNKED + b"3;a\nabc\r\n0\r\n\r\n", "bareLineFeed", None),
    ("a bare CR in an extension", CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n", "badChunkExtension",
     "RFC 9112 §7.1.1: extensions are tokens and quoted strings; h11 skips what it does not read"),
    ("NUL in an extension", CHUNKED + b"3;a\x00\r\nabc\r\n0\r\n\r\n", "badChunkExtension", "as before"),
    ("a chunk shorter than its size", CHUNKED + b"5\r\nabc\r\n0\r\n\r\n", "badChunkEnd", None),
    ("a chunk longer than its size", CHUNKED + b"2\r\nabc\r\n0\r\n\r\n", "badChunkEnd", None),
    ("a bare LF behind a chunk", CHUNKED + b"3\r\nabc\n0\r\n\r\n", "bareLineFeed", None),
    ("two bytes instead of CRLF", CHUNKED + b"3\r\nabcXX0\r\n\r\n", "badChunkEnd", None),
    ("a bare LF behind the last chunk", CHUNKED + b"0\n\r\n", "bareLineFeed", None),
    ("a length in the trailers", CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n", "forbiddenTrailer", "RFC 9110 §6.5.1: it frames nothing there"),
    ("a coding in the trailers", CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n", "forbiddenTrailer", "as before"),
    ("Host in the trailers", CHUNKED + b"0\r\nHost: b\r\n\r\n", "forbiddenTrailer", "as before"),
    ("a folded trailer", CHUNKED + b"0\r\nb: c\r\n d\r\n\r\n", "folded", "as before: a folded line"),
    ("a trailer without a colon", CHUNKED + b"0\r\nb\r\n\r\n", "noColon", None),
]

# What the mutants are made of, and the bytes they are made with.
SEEDS = [data for _, data, fault, _ in TABLE if fault is None and len(data) > 30]
PIECES = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"0", b"5", b"a", b"\x00", b"\x7f", b"\xff", b"chunked",
          b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n", b"Content-Length: 4\r\n", b"Host: a\r\n", b"GET / HTTP/1.1\r\n",
          b"0\r\n\r\n", b"Connection: close\r\n", b"HTTP/1.1", b"+", b"0x", b"/"]
MUTANTS = 1000


def mutant(rng):
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.choice([1, 1, 1, 2])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.choice(PIECES)
        elif kind == 1:
            data[at:at + rng.choice([1, 1, 2, 5])] = b""
        elif kind == 2:
            data[at:at + 1] = rng.choice(PIECES)
        else:
            end = min(len(data), at + rng.randrange(1, 12))
            data[end:end] = data[at:end]
    return bytes(data)


def text(data):
    return data.decode("latin-1")


def judge(data):
    """Every request that h11 reads from `data`, and how it ended: waiting, refused, or closed behind the last request."""
    connection = h11.Connection(h11.SERVER)
    requests = []
    try:
        connection.receive_data(data) if data else None
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return requests, "waits"
            if event is h11.PAUSED:
                return requests, "closes"
            if isinstance(event, h11.Request):
                requests.append({"method": text(event.method), "target": text(event.target), "version": text(event.http_version),
                                 "fields": [[text(n), text(v)] for n, v in event.headers], "body": "", "whole": False})
            elif isinstance(event, h11.Data):
                requests[-1]["body"] += text(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                requests[-1]["whole"] = True
                requests[-1]["trailers"] = [[text(n), text(v)] for n, v in event.headers]
                method = requests[-1]["method"]
                if method == "CONNECT":
                    return requests, "closes"
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return requests, "closes"
                connection.start_next_cycle()
    except h11.RemoteProtocolError as error:
        return requests, f"refuses {error.error_status_hint}"


def main():
    lines = []
    for name, data, fault, differs in TABLE:
        requests, end = judge(data)
        refused = end.startswith("refuses")
        if differs is None:
            assert (fault is not None) == refused, f"{name}: {fault} here, {end} there"
        elif fault:
            assert not refused, f"{name}: h11 refuses it too ({end})"
        case = {"name": name, "bytes": text(data), "requests": requests, "end": end}
        if fault:
            case["fault"] = fault
        if differs:
            case["differs"] = differs
        lines.append(case)
    rng = random.Random(9112)
    for number in range(MUTANTS):
        data = mutant(rng)
        requests, end = judge(data)
        lines.append({"mutant": number, "bytes": text(data), "requests": requests, "end": end})
    path = Path(__file__).with_name("http1_cases.jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(f"{path}: {len(TABLE)} cases, {MUTANTS} mutants")


main()
