"""The server as a process: its command line, its sockets, its end."""
import signal
import socket
import subprocess
import time

import numpy as np
import pytest
import tensorflow as tf

from harness import BINARY, FIXTURES, ROOT, Code, copy_version, floats, free_port, refused, request, until
from rest import asked

v1 = tf.compat.v1
HALF_PLUS_TWO = {"model_name": "half_plus_two", "model_base_path": FIXTURES / "half_plus_two"}


def run(*arguments, cwd=None):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20, cwd=cwd)


# The command line.

def test_version():
    result = run("--version")
    lines = result.stdout.splitlines()
    assert result.returncode == 0 and len(lines) == 2 and lines[0].startswith("TensorFlow ModelServer: ") and lines[1].startswith("TensorFlow Library: "), result


def test_help_exits_as_tensorflow_serving_does():
    result = run("--help")
    assert result.returncode == 255
    for flag in ("--port", "--model_config_file", "--model_base_path", "--file_system_poll_wait_seconds"):
        assert flag in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [
    ["--port=eighty", "--model_base_path=/models/m"], ["--file_system_poll_wait_seconds=", "--model_base_path=/models/m"], ["--enable_batching=perhaps", "--model_base_path=/models/m"]])
def test_a_malformed_value_prints_the_usage(arguments):
    result = run(*arguments)
    assert result.returncode == 255
    assert "--model_base_path" in result.stdout + result.stderr


def test_nothing_to_serve():
    assert run("--port=8500").returncode == 255


def test_port_zero_needs_a_socket():
    assert run("--port=0", f"--model_base_path={FIXTURES / 'half_plus_two'}").returncode == 255


def test_a_config_that_does_not_parse(tmp_path):
    (tmp_path / "models.config").write_text("model_config_list { config { name: ")
    result = run("--port=1", f"--model_config_file={tmp_path / 'models.config'}")
    assert result.returncode == 255
    assert "models.config" in result.stdout + result.stderr


def test_two_ports_and_both_families(serve):
    second = free_port()
    server = serve(**HALF_PLUS_TWO, host="::", rest_api_port=second)
    for address in (server.address, f"[::1]:{server.port}", f"127.0.0.1:{second}", f"[::1]:{second}"):
        answer = server.predict("half_plus_two", {"x": floats(1)}, channel=server.new_channel(address))
        assert answer.outputs["y"].float_val[:] == [2.5], address


def test_unknown_and_foreign_flags_are_tolerated(serve):
    server = serve(**HALF_PLUS_TWO, no_such_flag="7", tensorflow_session_parallelism=2, enable_model_warmup="false", rest_api_num_threads=4, flush_filesystem_caches="true")
    server.wait("half_plus_two")
    assert "unknown argument: --no_such_flag=7" in server.log()


def test_a_model_called_default(serve):
    server = serve(model_base_path=FIXTURES / "half_plus_two")
    server.wait("default")


def test_a_port_that_is_taken(serve, tmp_path):
    server = serve(**HALF_PLUS_TWO)
    server.wait("half_plus_two")
    result = run(f"--port={server.port}", "--model_name=m", f"--model_base_path={FIXTURES / 'half_plus_two'}")
    assert result.returncode == 255
    assert str(server.port) in result.stdout + result.stderr


def test_a_rest_port_that_is_taken_leaves_the_first(serve, tmp_path):
    """As in TensorFlow Serving; but REST is on the first port, too."""
    with socket.socket() as somebody:
        somebody.bind(("0.0.0.0", 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        server = serve(**HALF_PLUS_TWO, rest_api_port=taken)
        server.wait("half_plus_two")
        assert asked(server, "POST", "/v1/models/half_plus_two:predict", {"instances": [1.0]}) == (200, {"predictions": [2.5]})
        assert f"bind 0.0.0.0:{taken}: Address already in use" in server.log() and "serving without it" in server.log()
        assert f"at 0.0.0.0:{server.port}" in server.log() and f"at 0.0.0.0:{taken}" not in server.log()
        # Something has to be there.
        file = tmp_path / "grpc.sock"
        file.write_text("somebody's")
        result = run("--port=0", f"--grpc_socket_path={file}", f"--rest_api_port={taken}", f"--model_base_path={FIXTURES / 'half_plus_two'}")
        assert result.returncode == 255 and "Failed to start server" in result.stdout + result.stderr


def test_a_rest_port_that_is_the_first(serve):
    port = free_port()
    server = serve(**HALF_PLUS_TWO, port=port, rest_api_port=port)
    server.wait("half_plus_two")
    assert asked(server, "GET", "/v1/models/half_plus_two")[0] == 200
    assert "--rest_api_port is --port" in server.log()


def test_the_unix_socket(serve, tmp_path):
    path = tmp_path / "grpc.sock"
    with socket.socket(socket.AF_UNIX) as earlier:
        earlier.bind(str(path))
    server = serve(**HALF_PLUS_TWO, grpc_socket_path=path)
    server.wait("half_plus_two")
    channel = server.new_channel(f"unix:{path}")
    assert list(server.predict("half_plus_two", {"x": floats(2)}, channel=channel).outputs["y"].float_val) == [3]
    assert list(server.predict("half_plus_two", {"x": floats(2)}).outputs["y"].float_val) == [3]


def test_a_file_where_the_unix_socket_should_be_stays_and_tcp_serves(serve, tmp_path):
    path = tmp_path / "grpc.sock"
    path.write_text("somebody's")
    server = serve(**HALF_PLUS_TWO, grpc_socket_path=path)
    server.wait("half_plus_two")
    assert list(server.predict("half_plus_two", {"x": floats(2)}).outputs["y"].float_val) == [3]
    assert path.read_text() == "somebody's"


def test_the_unix_socket_alone(serve, tmp_path):
    path = tmp_path / "grpc.sock"
    server = serve(**HALF_PLUS_TWO, port=0, grpc_socket_path=path)
    server.channel = server.new_channel(f"unix:{path}")
    server.wait("half_plus_two")
    server.predict("half_plus_two", {"x": floats(2)})


# Load.

def test_many_connections_at_once(fleet):
    fleet.wait("half_plus_two")
    channels = [fleet.new_channel() for _ in range(100)]
    stubs = [fleet.stub(channel) for channel in channels]
    calls = [(i, stub.Predict.future(request("half_plus_two", {"x": floats(i)}), timeout=20)) for i in range(8) for stub in stubs]
    for i, call in calls:
        assert list(call.result().outputs["y"].float_val) == [i / 2 + 2]
    for channel in channels:
        channel.close()


def test_big_messages_both_ways(fleet):
    fleet.wait("dtypes")
    sent = np.arange(12_000_000, dtype=np.float32)
    response = fleet.predict("dtypes", {"value": sent}, signature="only_float32", timeout=60)
    assert np.array_equal(tf.make_ndarray(response.outputs["value"]), sent)


# Time.

@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A model that takes a second or so, however clever the server: a chain of matrix products that its input decides."""
    path = tmp_path_factory.mktemp("slow")
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        matrix = tf.fill([900, 900], x[0] / 900)
        y = matrix
        for _ in range(40):
            y = tf.matmul(y, matrix) + x[0]
        v1.saved_model.simple_save(session, str(path / "1"), {"x": x}, {"y": tf.reduce_sum(y)})
    return path


def in_flight(server, call):
    """Waits until the server has begun to compute."""
    begun = server.cpu_seconds()
    until(lambda: server.cpu_seconds() > begun + 0.1 or call.done(), what="a request in flight")
    return not call.done()


def test_sigterm_lets_the_request_in_flight_finish(serve, slow):
    server = serve(model_name="slow", model_base_path=slow)
    server.wait("slow")
    call = server.stub().Predict.future(request("slow", {"x": floats(1)}), timeout=60)
    assert in_flight(server, call), "the model is too fast for this test"
    server.process.send_signal(signal.SIGTERM)
    assert np.isfinite(call.result().outputs["y"].float_val[0])
    assert server.process.wait(20) == 0


def test_sigterm_while_idle_is_quick(serve):
    server = serve(**HALF_PLUS_TWO)
    server.wait("half_plus_two")
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert time.monotonic() - began < 5


def test_a_deadline_is_kept_and_the_work_given_up(serve, slow):
    server = serve(model_name="slow", model_base_path=slow)
    server.wait("slow")
    with refused(Code.DEADLINE_EXCEEDED):
        server.predict("slow", {"x": floats(1)}, timeout=0.2)
    # Whatever was left of that run, the next one is answered.
    server.predict("slow", {"x": floats(1)}, timeout=60)


def test_a_cancelled_call_harms_nobody(serve, slow):
    server = serve({"slow": slow, "half_plus_two": FIXTURES / "half_plus_two"})
    server.wait("slow")
    server.wait("half_plus_two")
    for _ in range(3):
        call = server.stub().Predict.future(request("slow", {"x": floats(1)}), timeout=60)
        in_flight(server, call)
        call.cancel()
    assert list(server.predict("half_plus_two", {"x": floats(2)}).outputs["y"].float_val) == [3]


# The client in C.

CLIENT = ROOT / ".build/c-client/predict"


@pytest.fixture
def digits(serve):
    if not CLIENT.exists():
        pytest.skip(f"no {CLIENT}: make -C Deploy/Examples/c-client OUT={CLIENT.parent}")
    server = serve(model_name="digits", model_base_path=ROOT / "Deploy/Demo/digits")
    server.wait("digits")
    return server


def ask_in_c(server, model, image):
    with open(ROOT / f"Deploy/Demo/images/{image}.txt") as file:
        return subprocess.run([CLIENT, server.address, model], stdin=file, capture_output=True, text=True, timeout=20)


def test_the_c_client_reads_every_demo_digit(digits):
    for digit in range(10):
        result = ask_in_c(digits, "digits", digit)
        assert result.returncode == 0, result.stderr
        (best,) = [line for line in result.stdout.splitlines() if line.endswith("<-")]
        assert best.split()[0] == str(digit), result.stdout


def test_the_c_client_tells_an_error(digits):
    result = ask_in_c(digits, "nobody", 3)
    assert (result.returncode, result.stderr) == (1, "NOT_FOUND: Servable not found for request: Latest(nobody)\n")


# The client in Swift.

def ask_in_swift(server, *arguments):
    return subprocess.run([BINARY.parent / "martlet-predict", server.address, *arguments], capture_output=True, text=True, timeout=20)


def test_the_swift_client_asks_and_tells(fleet):
    fleet.wait("half_plus_two")
    result = ask_in_swift(fleet, "half_plus_two", "x=1,2,5")
    assert (result.returncode, result.stdout) == (0, "half_plus_two version 1, serving_default\n  y: float[3] = [2.5, 3.0, 4.5]\n"), result.stderr
    result = ask_in_swift(fleet, "nobody", "x=1")
    assert result.returncode == 1 and "NOT_FOUND: Servable not found for request: Latest(nobody)" in result.stderr


# Our own flags.

def test_the_ports_open_after_the_models_when_asked(tmp_path):
    base_path, port = tmp_path / "m", free_port()
    process = subprocess.Popen([BINARY, f"--port={port}", "--model_name=m", f"--model_base_path={base_path}", "--open_ports_after_models"])
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        copy_version("half_plus_two", base_path / "1")

        def opened():
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=1).close() is None
            except ConnectionRefusedError:
                return False
        until(opened, what="an open port once the model serves")
    finally:
        process.terminate()
        assert process.wait(20) == 0
