"""Models that requests change: the counter of TensorFlow Serving, through the server, with many clients at once."""
import threading

import numpy as np
import pytest

from harness import FIXTURES, copy_version, until


def value(server, signature, model="counter", channel=None, version=None, **inputs):
    response = server.predict(model, inputs, signature=signature, channel=channel, version=version)
    return response.outputs["output"].float_val[0]


def increments(server, model, clients, times):
    """What each call of `clients` clients got, `times` each."""
    seen, failures = [], []

    def run(channel):
        try:
            for _ in range(times):
                seen.append(value(server, "incr_counter", model, channel))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(server.new_channel(),)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    return seen


def test_the_counter_counts(serve, tmp_path):
    copy_version("counter", tmp_path / "counter" / "1")
    server = serve({"counter": tmp_path / "counter"})
    server.wait("counter")
    # Nothing that ran before the first request has counted.
    assert value(server, "get_counter") == 0
    assert value(server, "incr_counter") == 1
    assert value(server, "incr_counter_by", delta=np.float32(3)) == 4
    assert value(server, "get_counter") == 4
    assert value(server, "reset_counter") == 0
    assert value(server, "get_counter") == 0


@pytest.mark.parametrize("event_loops", [1, 4])
def test_no_increment_of_many_clients_is_lost(serve, tmp_path, event_loops):
    copy_version("counter", tmp_path / "counter" / "1")
    server = serve({"counter": tmp_path / "counter"}, event_loops=event_loops)
    server.wait("counter")
    seen = increments(server, "counter", clients=8, times=125)
    assert sorted(seen) == list(range(1, 1001))
    assert value(server, "get_counter") == 1000


def test_a_version_begins_with_its_checkpoint_and_others_keep_theirs(serve, tmp_path):
    copy_version("counter", tmp_path / "counter" / "1")
    copy_version("half_plus_two", tmp_path / "half" / "1")
    server = serve({"counter": (tmp_path / "counter", "model_version_policy { all {} }"), "half": tmp_path / "half"})
    server.wait("counter")
    server.wait("half")
    increments(server, "counter", clients=2, times=5)
    # Another model's new version is no event for this one.
    copy_version("half_plus_three", tmp_path / "half" / "2")
    server.wait("half", 2)
    until(lambda: server.predict("half", {"x": np.float32([1])}).outputs["y"].float_val[0] == 3.5, what="the new version")
    assert value(server, "get_counter") == 10
    # Its own next version begins with its own checkpoint, and the old one stays where it was.
    copy_version("counter_from_hundred", tmp_path / "counter" / "2")
    server.wait("counter", 2)
    until(lambda: value(server, "get_counter") == 100, what="the new version")
    assert value(server, "incr_counter") == 101
    assert value(server, "incr_counter", version=1) == 11
    assert (value(server, "get_counter", version=1), value(server, "get_counter", version=2)) == (11, 101)
