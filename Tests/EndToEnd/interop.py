"""gRPC's interoperability cases: the messages, a TestService by grpcio, and each case as a function of a stub.

The procedures and sizes are those of grpc/grpc, doc/interop-test-descriptions.md. The messages come from the definitions in
Tests/Interop/Protos through a descriptor pool of their own; code generated from them would be called `grpc.testing` and hide
in grpcio's own package.

A case that grpcio cannot see through (whether one message of a stream was compressed) has its twin over raw HTTP/2 in
test_interop.py.
"""
import queue
import subprocess
import sys
import tempfile
import threading
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Code = grpc.StatusCode
PROTOS = Path(__file__).resolve().parents[1] / "Interop" / "Protos"
ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"
SECONDS = 30


def _load():
    with tempfile.NamedTemporaryFile() as file:
        # In a process of its own: this protoc and TensorFlow do not live in one.
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", "--include_imports",
                        f"--descriptor_set_out={file.name}", "grpc/testing/test.proto"], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(Path(file.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


_pool = _load()
TEST = _pool.FindServiceByName("grpc.testing.TestService")
UNIMPLEMENTED = _pool.FindServiceByName("grpc.testing.UnimplementedService")


def _class(name):
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"grpc.testing.{name}"))


Empty = _class("Empty")
Payload = _class("Payload")
BoolValue = _class("BoolValue")
EchoStatus = _class("EchoStatus")
SimpleRequest = _class("SimpleRequest")
SimpleResponse = _class("SimpleResponse")
StreamingInputCallRequest = _class("StreamingInputCallRequest")
StreamingInputCallResponse = _class("StreamingInputCallResponse")
StreamingOutputCallRequest = _class("StreamingOutputCallRequest")
StreamingOutputCallResponse = _class("StreamingOutputCallResponse")
ResponseParameters = _class("ResponseParameters")


def _kind(method):
    return ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")


def path(method):
    return f"/{method.containing_service.full_name}/{method.name}"


class Stub:
    """A callable for every method of a service, as generated code would have."""

    def __init__(self, channel, service=TEST):
        for method in service.methods:
            setattr(self, method.name, getattr(channel, _kind(method))(
                path(method), request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=message_factory.GetMessageClass(method.output_type).FromString))


def handler(service, implementation):
    """What a grpcio server needs to answer a service with the methods that `implementation` has."""
    methods = {}
    for method in service.methods:
        function = getattr(implementation, method.name, None)
        if function:
            methods[method.name] = getattr(grpc, _kind(method) + "_rpc_method_handler")(
                function, request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
                response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString)
    return grpc.method_handlers_generic_handler(service.full_name, methods)


def zeros(count):
    return Payload(body=bytes(count))


def sizes(*sizes):
    return [ResponseParameters(size=size) for size in sizes]


class TestService:
    """By grpcio. It cannot see whether a request was compressed: `expect_compressed` is not held against the wire."""
    __test__ = False

    def EmptyCall(self, request, context):
        echo_metadata(context)
        return Empty()

    def UnaryCall(self, request, context):
        echo_metadata(context)
        echo_status(request, context)
        compress(context, request, "response_compressed")
        return SimpleResponse(payload=zeros(request.response_size))

    CacheableUnaryCall = UnaryCall

    def StreamingInputCall(self, requests, context):
        echo_metadata(context)
        return StreamingInputCallResponse(aggregated_payload_size=sum(len(request.payload.body) for request in requests))

    def StreamingOutputCall(self, request, context):
        yield from self.FullDuplexCall([request], context)

    def FullDuplexCall(self, requests, context):
        echo_metadata(context)
        # Compression is chosen for a call, and left out for a message.
        context.set_compression(grpc.Compression.Gzip)
        for request in requests:
            echo_status(request, context)
            for parameters in request.response_parameters:
                if parameters.interval_us:
                    threading.Event().wait(parameters.interval_us / 1e6)
                if not (parameters.HasField("compressed") and parameters.compressed.value):
                    context.disable_next_message_compression()
                yield StreamingOutputCallResponse(payload=zeros(parameters.size))

    def HalfDuplexCall(self, requests, context):
        yield from self.FullDuplexCall(list(requests), context)


def echo_metadata(context):
    for key, value in context.invocation_metadata():
        if key == ECHO_INITIAL:
            context.send_initial_metadata([(key, value)])
        elif key == ECHO_TRAILING:
            context.set_trailing_metadata([(key, value)])


def echo_status(request, context):
    if request.HasField("response_status"):
        code = next(code for code in Code if code.value[0] == request.response_status.code)
        context.abort(code, request.response_status.message)


def compress(context, message, field):
    if message.HasField(field) and getattr(message, field).value:
        context.set_compression(grpc.Compression.Gzip)


def start_server(credentials=None):
    """A grpcio server with the TestService on a port of its own."""
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([handler(TEST, TestService())])
    port = server.add_secure_port("127.0.0.1:0", credentials) if credentials else server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


# The cases.

class Pipe:
    """Requests that are sent when the case says so."""
    _end = object()

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def send(self, request):
        self._queue.put(request)

    def close(self):
        self._queue.put(self._end)

    def __iter__(self):
        return iter(self._queue.get, self._end)


def fails(code, call, message=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"expected {code.name}, got {error.code().name}: {error.details()}"
        if message is not None:
            assert error.details() == message
        return error
    raise AssertionError(f"expected {code.name}, got an answer")


LARGE = dict(response_size=314159, payload=zeros(271828))


def large(stub, expect=None, **call):
    """The unary call that most cases are made of."""
    request = SimpleRequest(**LARGE)
    if expect is not None:
        request.expect_compressed.value = expect
    response = stub.UnaryCall(request, timeout=SECONDS, **call)
    assert response.payload.body == bytes(314159)


def empty_unary(stub, channel):
    assert stub.EmptyCall(Empty(), timeout=SECONDS) == Empty()


def large_unary(stub, channel):
    large(stub)


def client_streaming(stub, channel):
    requests = (StreamingInputCallRequest(payload=zeros(size)) for size in (27182, 8, 1828, 45904))
    assert stub.StreamingInputCall(requests, timeout=SECONDS).aggregated_payload_size == 74922


def server_streaming(stub, channel):
    request = StreamingOutputCallRequest(response_parameters=sizes(31415, 9, 2653, 58979))
    bodies = [response.payload.body for response in stub.StreamingOutputCall(request, timeout=SECONDS)]
    assert bodies == [bytes(31415), bytes(9), bytes(2653), bytes(58979)]


def ping_pong(stub, channel):
    pipe = Pipe()
    responses = stub.FullDuplexCall(iter(pipe), timeout=SECONDS)
    for asked, sent in zip((31415, 9, 2653, 58979), (27182, 8, 1828, 45904)):
        pipe.send(StreamingOutputCallRequest(response_parameters=sizes(asked), payload=zeros(sent)))
        assert next(responses).payload.body == bytes(asked)
    pipe.close()
    assert list(responses) == []
    assert responses.code() == Code.OK


def half_duplex(stub, channel):
    pipe = Pipe()
    responses = stub.HalfDuplexCall(iter(pipe), timeout=SECONDS)
    for size in (9, 31415, 2653):
        pipe.send(StreamingOutputCallRequest(response_parameters=sizes(size)))
    pipe.close()
    assert [len(response.payload.body) for response in responses] == [9, 31415, 2653]


def empty_stream(stub, channel):
    assert list(stub.FullDuplexCall(iter(()), timeout=SECONDS)) == []


def cancel_after_begin(stub, channel):
    pipe = Pipe()
    call = stub.StreamingInputCall.future(iter(pipe), timeout=SECONDS)
    call.cancel()
    assert call.cancelled() and call.code() == Code.CANCELLED
    pipe.close()
    large(stub)


def cancel_after_first_response(stub, channel):
    pipe = Pipe()
    responses = stub.FullDuplexCall(iter(pipe), timeout=SECONDS)
    pipe.send(StreamingOutputCallRequest(response_parameters=sizes(31415), payload=zeros(27182)))
    assert next(responses).payload.body == bytes(31415)
    responses.cancel()
    fails(Code.CANCELLED, lambda: next(responses))
    pipe.close()
    large(stub)


def timeout_on_sleeping_server(stub, channel):
    pipe = Pipe()
    pipe.send(StreamingOutputCallRequest(payload=zeros(27182)))
    responses = stub.FullDuplexCall(iter(pipe), timeout=0.001)
    fails(Code.DEADLINE_EXCEEDED, lambda: next(responses))
    pipe.close()
    large(stub)


def custom_metadata(stub, channel):
    metadata = [(ECHO_INITIAL, "test_initial_metadata_value"), (ECHO_TRAILING, b"\xab\xab\xab")]

    def check(call):
        assert dict(call.initial_metadata())[ECHO_INITIAL] == "test_initial_metadata_value"
        assert dict(call.trailing_metadata())[ECHO_TRAILING] == b"\xab\xab\xab"

    response, call = stub.UnaryCall.with_call(SimpleRequest(**LARGE), metadata=metadata, timeout=SECONDS)
    assert len(response.payload.body) == 314159
    check(call)
    request = StreamingOutputCallRequest(response_parameters=sizes(314159), payload=zeros(271828))
    call = stub.FullDuplexCall(iter([request]), metadata=metadata, timeout=SECONDS)
    assert [len(response.payload.body) for response in call] == [314159]
    check(call)


def _status(stub, message):
    status = EchoStatus(code=Code.UNKNOWN.value[0], message=message)
    fails(Code.UNKNOWN, lambda: stub.UnaryCall(SimpleRequest(response_status=status), timeout=SECONDS), message)
    requests = [StreamingOutputCallRequest(response_status=status)]
    fails(Code.UNKNOWN, lambda: list(stub.FullDuplexCall(iter(requests), timeout=SECONDS)), message)


def status_code_and_message(stub, channel):
    _status(stub, "test status message")


def special_status_message(stub, channel):
    _status(stub, "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n")


def unimplemented_method(stub, channel):
    fails(Code.UNIMPLEMENTED, lambda: stub.UnimplementedCall(Empty(), timeout=SECONDS))


def unimplemented_service(stub, channel):
    fails(Code.UNIMPLEMENTED, lambda: Stub(channel, UNIMPLEMENTED).UnimplementedCall(Empty(), timeout=SECONDS))


def client_compressed_unary(stub, channel):
    for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        large(stub, compression=algorithm, expect=True)
    large(stub, compression=grpc.Compression.NoCompression, expect=False)


def server_compressed_unary(stub, channel):
    for compressed in (True, False):
        request = SimpleRequest(response_compressed=BoolValue(value=compressed), **LARGE)
        assert stub.UnaryCall(request, timeout=SECONDS).payload.body == bytes(314159)


def client_compressed_streaming(stub, channel):
    def sum_of(expect, size, compression):
        request = StreamingInputCallRequest(expect_compressed=BoolValue(value=expect), payload=zeros(size))
        return stub.StreamingInputCall(iter([request, request]), timeout=SECONDS, compression=compression).aggregated_payload_size

    assert sum_of(True, 27182, grpc.Compression.Gzip) == 2 * 27182
    assert sum_of(True, 27182, grpc.Compression.Deflate) == 2 * 27182
    assert sum_of(False, 45904, grpc.Compression.NoCompression) == 2 * 45904


def server_compressed_streaming(stub, channel):
    parameters = [ResponseParameters(size=31415, compressed=BoolValue(value=True)), ResponseParameters(size=92653, compressed=BoolValue(value=False))]
    responses = stub.StreamingOutputCall(StreamingOutputCallRequest(response_parameters=parameters), timeout=SECONDS)
    assert [response.payload.body for response in responses] == [bytes(31415), bytes(92653)]


CASES = [empty_unary, large_unary, client_streaming, server_streaming, ping_pong, half_duplex, empty_stream, cancel_after_begin,
         cancel_after_first_response, timeout_on_sleeping_server, custom_metadata, status_code_and_message, special_status_message,
         unimplemented_method, unimplemented_service, client_compressed_unary, server_compressed_unary, client_compressed_streaming,
         server_compressed_streaming]
