"""TensorFlow's own profiler client against the server, and what it wrote read back."""
import threading
import time

import pytest
from tensorflow.python.profiler import profiler_client
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from harness import Server, copy_version


@pytest.fixture
def server(tmp_path):
    copy_version("half_plus_two", tmp_path / "models" / "1")
    server = Server(tmp_path, {"half": tmp_path / "models"})
    server.wait("half")
    yield server
    server.kill()


def test_the_client_writes_a_trace_of_requests_and_ops(server, tmp_path):
    done = threading.Event()

    def load():
        while not done.is_set():
            server.predict("half", {"x": [1.0, 2.0]})
    thread = threading.Thread(target=load)
    thread.start()
    try:
        profiler_client.trace(f"grpc://{server.address}", str(tmp_path / "logs"), 500)
    finally:
        done.set()
        thread.join()
    files = list((tmp_path / "logs" / "plugins" / "profile").glob("*/*.xplane.pb"))
    assert len(files) == 1
    space = xplane_pb2.XSpace.FromString(files[0].read_bytes())
    plane = next(plane for plane in space.planes if plane.name == "/host:CPU")
    names = {key: metadata.name for key, metadata in plane.event_metadata.items()}
    events = [(names[event.metadata_id], event) for line in plane.lines for event in line.events]
    requests = [event for name, event in events if name == "Predict half"]
    ops = [event for name, event in events if ":" in name]
    assert len(requests) > 10 and len(ops) >= len(requests)
    assert all(0 <= event.offset_ps < 60 * 10**12 and event.duration_ps < 10**12 for _, event in events)
    # Since the beginning of the trace, as TensorFlow's own; readers take larger numbers for picoseconds and overflow.
    assert all(line.timestamp_ns == 0 for line in plane.lines)
    environment = next(plane for plane in space.planes if plane.name == "Task Environment")
    times = {environment.stat_metadata[stat.metadata_id].name: stat.uint64_value for stat in environment.stats}
    assert 0 <= time.time_ns() - times["profile_stop_time"] < 60 * 10**9
    assert times["profile_start_time"] < times["profile_stop_time"]
    stats = {plane.stat_metadata[stat.metadata_id].name: stat for stat in requests[0].stats}
    assert stats["model"].str_value == "half" and stats["version"].int64_value == 1 and stats["rows"].int64_value == 2
    # Off again, nothing is left on.
    assert server.predict("half", {"x": [1.0]})


def test_monitor_says_what_the_load_is(server):
    server.predict("half", {"x": [1.0]})
    text = profiler_client.monitor(f"grpc://{server.address}", 200, 2)
    assert "Requests: " in text and "CPU: " in text and "Model half: " in text
