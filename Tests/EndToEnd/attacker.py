"""The other end of an attack: HTTP/2 said frame by frame over a raw socket, legal or not, and as fast as the kernel takes it.

`Peer` is one connection. `flood` keeps several of them saying something for a while, reconnecting when the server hangs up.
Nothing here knows what the server ought to do: the tests say that.
"""
import contextlib
import select
import socket
import struct
import threading
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = range(10)
ENHANCE_YOUR_CALM = 11
WINDOW_MAX = 2**31 - 1


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def word(value):
    return struct.pack(">I", value)


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, word(increment))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, word(code))


def integer(value, bits, first=0):
    """RFC 7541 §5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((first | value,))
    out, value = bytearray((first | limit,)), value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes((value,))


def literal(name, value, indexed=False):
    """A field as a literal, with or without an entry in the dynamic table (RFC 7541 §6.2)."""
    name, value = name.encode(), value.encode()
    return (b"\x40" if indexed else b"\x00") + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(*fields):
    return b"".join(literal(*field) for field in fields)


PSEUDO = ((":method", "POST"), (":scheme", "http"), (":path", "/tensorflow.serving.PredictionService/Predict"), (":authority", "attacked"))
GRPC = PSEUDO + (("content-type", "application/grpc"), ("te", "trailers"))
CALL = block(*GRPC)


def headers(stream, fields=CALL, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, fields)


def data(stream, payload=b"", flags=0):
    return frame(DATA, flags, stream, payload)


def message(body, announced=None):
    """gRPC's length-prefixed message."""
    return b"\0" + word(len(body) if announced is None else announced) + body


class Peer:
    """A connection. `say` is False once the server takes no more: it hung up, or does not read."""

    def __init__(self, port, greeting=PREFACE + settings(), receive_buffer=None, patience=10):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = bytearray()
        self.decoder = hpack.Decoder()
        if greeting:
            self.say(greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def say(self, *pieces):
        try:
            self.socket.sendall(b"".join(pieces))
            return True
        except OSError:
            return False

    def agree(self):
        """Acknowledges the server's SETTINGS: from then on its windows and frame sizes count."""
        while (heard := self.frame()) is not None and heard[0] != SETTINGS:
            pass
        self.say(frame(SETTINGS, ACK))
        return self

    def frame(self):
        """The next frame as (type, flags, stream, payload); None when the connection is closed. A silent server raises TimeoutError."""
        while len(self.heard) < 9 or len(self.heard) < 9 + int.from_bytes(self.heard[:3], "big"):
            try:
                chunk = self.socket.recv(1 << 18)
            except TimeoutError:
                raise
            except OSError:
                return None
            if not chunk:
                return None
            self.heard += chunk
        length = int.from_bytes(self.heard[:3], "big")
        kind, flags, stream = self.heard[3], self.heard[4], int.from_bytes(self.heard[5:9], "big")
        payload = bytes(self.heard[9:9 + length])
        del self.heard[:9 + length]
        return kind, flags, stream, payload

    def until_closed(self):
        """Every frame up to the end of the connection."""
        frames = []
        while (heard := self.frame()) is not None:
            frames.append(heard)
        return frames

    def goodbye(self):
        """The error code of the last GOAWAY before the connection ends; None when there was none (a reset may overtake it)."""
        codes = [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in self.until_closed() if kind == GOAWAY]
        return codes[-1] if codes else None

    def answer(self, stream):
        """(fields, body, reset code) of `stream`; None when the connection is closed before its end."""
        fields, body = {}, b""
        while (heard := self.frame()) is not None:
            kind, flags, where, payload = heard
            if kind == HEADERS:
                decoded = self.decoder.decode(payload)
                if where == stream:
                    fields |= dict(decoded)
            if where == stream and kind == DATA:
                body += payload
            if where == stream and kind == RST_STREAM:
                return fields, body, int.from_bytes(payload, "big")
            if where == stream and kind in (DATA, HEADERS) and flags & END_STREAM:
                return fields, body, None
        return None

    def hung_up(self):
        """Whether the server has closed, without waiting; what it said is kept."""
        while select.select([self.socket], [], [], 0)[0]:
            try:
                chunk = self.socket.recv(1 << 18)
            except OSError:
                return True
            if not chunk:
                return True
            self.heard += chunk
        return False


class Outcome:
    """What several connections saw."""

    def __init__(self):
        self.connections = 0
        self.hang_ups = 0
        self.codes = set()
        self.bytes = 0


def flood(port, say, seconds=0.5, connections=4, greeting=PREFACE + settings(), listens=True, agrees=False):
    """Each of `connections` sends the pieces of `say()` until the server hangs up, then begins again with a new connection,
    for `seconds`. `say` makes a fresh iterator of byte strings per connection; when it ends, so does that connection."""
    outcome, deadline, lock = Outcome(), time.monotonic() + seconds, threading.Lock()

    def one():
        while time.monotonic() < deadline:
            try:
                peer = Peer(port, greeting, receive_buffer=None if listens else 4096, patience=2)
            except OSError:
                continue
            sent, hung_up = 0, False
            with peer:
                if agrees:
                    peer.agree()
                for piece in say():
                    if time.monotonic() > deadline:
                        break
                    if not peer.say(piece) or (listens and peer.hung_up()):
                        hung_up = True
                        break
                    sent += len(piece)
                    # Answers are of no interest; what is kept is enough to find a GOAWAY at the end.
                    del peer.heard[:-4096]
                code = last_goaway(peer) if hung_up else None
            with lock:
                outcome.connections += 1
                outcome.bytes += sent
                outcome.hang_ups += hung_up
                if code is not None:
                    outcome.codes.add(code)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome


def last_goaway(peer):
    """The code of a GOAWAY at the end of what was heard."""
    with contextlib.suppress(OSError):
        while chunk := peer.socket.recv(1 << 18):
            peer.heard += chunk
    tail = bytes(peer.heard[-4096:])
    # A frame of 8 bytes or more (debug data), type 7, flags 0, stream 0.
    at = tail.rfind(bytes((GOAWAY, 0, 0, 0, 0, 0)))
    return int.from_bytes(tail[at + 10:at + 14], "big") if at >= 3 and len(tail) >= at + 14 else None
