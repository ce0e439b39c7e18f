"""A real martlet-server under test, and TensorFlow Serving's own stubs to talk to it.

No test sleeps for a time it guessed: `until` polls for what is waited for and says what it last saw when the time is up.
"""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc, predict_pb2,
                                     prediction_service_pb2_grpc)

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests" / "Fixtures"
BINARY = Path(os.environ.get("MARTLET_SERVER", ROOT / ".build" / "release" / "martlet-server"))
PREDICT = "/tensorflow.serving.PredictionService/Predict"

State = get_model_status_pb2.ModelVersionStatus.State
Code = grpc.StatusCode
# Own connections for each channel, and no limit of the client's on the size of an answer.
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
           ("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50)]


def until(condition, seconds=20, what="the condition"):
    """The first truthy value of `condition()`; an exception counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            seen = condition()
            if seen:
                return seen
        except (grpc.RpcError, AssertionError) as error:
            seen = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s; last seen: {seen!r}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def copy_version(fixture, destination):
    """Puts a fixture's version 1 at `destination` in one step: aside first, then renamed, as operators should."""
    destination = Path(destination)
    aside = destination.parent.parent / f".aside-{destination.parent.name}-{destination.name}"
    shutil.copytree(FIXTURES / fixture / "1", aside)
    destination.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(destination)


def config_text(models):
    """A ModelServerConfig for `models`: name -> base path, or (base path, more fields as text)."""
    entries = []
    for name, value in models.items():
        base_path, more = value if isinstance(value, tuple) else (value, "")
        entries.append(f'  config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more} }}\n')
    return "model_config_list {\n" + "".join(entries) + "}\n"


class Server:
    """A running server. `models`: name -> base path; flags in TensorFlow Serving's spelling, without the dashes."""

    def __init__(self, folder, models=None, port=None, **flags):
        self.port = free_port() if port is None else port
        flags = {"port": self.port, "file_system_poll_wait_seconds": 1} | flags
        if models is not None:
            config = folder / "models.config"
            config.write_text(config_text(models))
            flags["model_config_file"] = config
        self.log_path = folder / "server.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BINARY, *(f"--{name}={value}" for name, value in flags.items())], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)
        self.channels = []
        self.address = f"127.0.0.1:{self.port}"
        if self.port:
            self.channel = self.new_channel()
            until(self.accepts, what="an open port")

    # Talking to it.

    def new_channel(self, address=None):
        channel = grpc.insecure_channel(address or self.address, OPTIONS)
        self.channels.append(channel)
        return channel

    def stub(self, channel=None):
        return prediction_service_pb2_grpc.PredictionServiceStub(channel or self.channel)

    def predict(self, model, inputs, timeout=20, channel=None, **spec):
        return self.stub(channel).Predict(request(model, inputs, **spec), timeout=timeout)

    def raw(self, body, method=PREDICT, timeout=20):
        return self.channel.unary_unary(method)(body, timeout=timeout)

    def metadata(self, model, fields=("signature_def",), **spec):
        message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        fill(message.model_spec, model, **spec)
        return self.stub().GetModelMetadata(message, timeout=20)

    def status(self, model, **spec):
        message = get_model_status_pb2.GetModelStatusRequest()
        fill(message.model_spec, model, **spec)
        return model_service_pb2_grpc.ModelServiceStub(self.channel).GetModelStatus(message, timeout=20).model_version_status

    # Waiting for it.

    def accepts(self):
        self.must_be_alive()
        try:
            return socket.create_connection(("127.0.0.1", self.port), timeout=1).close() is None
        except ConnectionRefusedError:
            return False

    def must_be_alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the server exited with {self.process.returncode}\n{self.log()[-4000:]}")

    def states(self, model):
        return {status.version: State.Name(status.state) for status in self.status(model)}

    def wait(self, model, version=1, state="AVAILABLE", seconds=20):
        """The status of `version` once it is in `state`. A load that failed meanwhile will not come back: that ends the wait."""
        def reached():
            self.must_be_alive()
            for status in self.status(model):
                if status.version == version and State.Name(status.state) == state:
                    return status
                if status.version == version and status.status.error_code and state == "AVAILABLE":
                    raise RuntimeError(f"{model} version {version} did not load: {status.status.error_message}")
        return until(reached, seconds, f"{model} version {version} {state}")

    def log(self):
        return self.log_path.read_text(errors="replace")

    # What the system knows of it.

    def resident_bytes(self):
        fields = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(fields.split("VmRSS:")[1].split()[0]) * 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Ending it.

    def close_channels(self):
        for channel in self.channels:
            channel.close()
        self.channels = []

    def stop(self, seconds=20):
        """SIGTERM, and the exit code; a server that was already gone has crashed."""
        self.must_be_alive()
        self.close_channels()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()

    def kill(self):
        self.close_channels()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def fill(spec, model, signature=None, version=None, label=None):
    spec.name = model
    if signature is not None:
        spec.signature_name = signature
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label


def request(model, inputs, outputs=(), **spec):
    message = predict_pb2.PredictRequest(output_filter=outputs)
    fill(message.model_spec, model, **spec)
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value))
    return message


def floats(*values):
    return np.array(values, np.float32)


@contextlib.contextmanager
def refused(code, *words):
    """The call in the block must fail with `code`, saying each of `words`."""
    try:
        yield
    except grpc.RpcError as error:
        assert error.code() == code, f"expected {code.name}, got {error.code().name}: {error.details()}"
        for word in words:
            assert word in error.details(), f"expected {word!r} in {error.details()!r}"
    else:
        raise AssertionError(f"expected {code.name}, got an answer")
