"""gRPC by hand over the `h2` package: a client that sees and sets what grpcio hides, flags of messages and order of frames."""
import gzip
import socket
import struct
import zlib

import h2.config
import h2.connection
import h2.events
import h2.settings

CODERS = {"identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress}
DECODERS = {"identity": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}


def frame(message, compressed=False):
    return struct.pack(">BI", compressed, len(message)) + message


class RawCall:
    """One call on a connection of its own. Closed by the `with` it is used in."""

    def __init__(self, port, path, encoding=None, accept="gzip, deflate", timeout=None, metadata=(), window=1 << 24):
        self.encoding = encoding
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.increment_flow_control_window(window)
        self.head, self.trailers, self.reset, self.ended = {}, {}, None, False
        self.body = bytearray()
        headers = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", path), ("te", "trailers"),
                   ("content-type", "application/grpc")]
        if encoding:
            headers.append(("grpc-encoding", encoding))
        if accept:
            headers.append(("grpc-accept-encoding", accept))
        if timeout:
            headers.append(("grpc-timeout", timeout))
        self.h2.send_headers(1, headers + list(metadata))
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def send(self, message, compressed=False, end=False):
        """Sends one message, whole; waits for the server's window where it must."""
        body = message.SerializeToString()
        self.send_bytes(frame(CODERS[self.encoding](body), True) if compressed else frame(body), end)

    def send_bytes(self, bytes, end=False):
        while bytes and not self.ended:
            room = min(self.h2.local_flow_control_window(1), self.h2.max_outbound_frame_size, len(bytes))
            if room:
                self.h2.send_data(1, bytes[:room])
                bytes = bytes[room:]
                self.flush()
            else:
                self.receive()
        if end and not self.ended:
            self.close()

    def close(self):
        self.h2.end_stream(1)
        self.flush()

    def receive(self):
        """Takes what the server sends next."""
        chunk = self.socket.recv(1 << 16)
        assert chunk, "the server closed the connection"
        for event in self.h2.receive_data(chunk):
            if isinstance(event, h2.events.ResponseReceived):
                self.head = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended = True
            elif isinstance(event, h2.events.StreamReset):
                self.reset, self.ended = event.error_code, True
        self.flush()

    def finish(self):
        """Waits for the end; returns the status's number."""
        while not self.ended:
            self.receive()
        return int((self.trailers or self.head)["grpc-status"])

    def messages(self, type):
        """What has come so far: (was compressed, message) each."""
        messages, at = [], 0
        while at + 5 <= len(self.body):
            flag, count = struct.unpack_from(">BI", self.body, at)
            assert flag in (0, 1)
            if at + 5 + count > len(self.body):
                break
            body = bytes(self.body[at + 5:at + 5 + count])
            if flag:
                body = DECODERS[self.head["grpc-encoding"]](body)
            messages.append((bool(flag), type.FromString(body)))
            at += 5 + count
        return messages

    def next(self, type):
        """Waits for one message more than have been seen."""
        self.seen = getattr(self, "seen", 0)
        while len(self.messages(type)) <= self.seen:
            assert not self.ended, f"ended with {self.trailers or self.head}"
            self.receive()
        self.seen += 1
        return self.messages(type)[self.seen - 1]
