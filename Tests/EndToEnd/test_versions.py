"""Versions come and go under traffic, and no request fails."""
import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf

from harness import FIXTURES, Code, copy_version, floats, refused, until

ANSWER = {"half_plus_two": 2.5, "half_plus_three": 3.5}  # for x = 1


class Traffic:
    """Threads that ask without pause; what they saw, and every failure."""

    def __init__(self, server, model, threads=4):
        self.stopping, self.failures, self.seen = threading.Event(), [], []
        self.threads = [threading.Thread(target=self.run, args=(server, model, server.new_channel())) for _ in range(threads)]

    def run(self, server, model, channel):
        while not self.stopping.is_set():
            try:
                response = server.predict(model, {"x": floats(1)}, channel=channel)
                self.seen.append((response.model_spec.version.value, response.outputs["y"].float_val[0]))
            except Exception as error:
                self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def reached(self, version):
        until(lambda: self.seen and self.seen[-1][0] == version, what=f"version {version} in traffic")


def check_traffic(traffic, answers):
    assert not traffic.failures, f"{len(traffic.failures)} failures, first: {traffic.failures[0]}"
    wrong = {(version, y) for version, y in traffic.seen if answers[version] != y}
    assert not wrong, f"answers of the wrong version: {wrong}"


def test_a_new_version_goes_live_and_its_removal_brings_back_the_old(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    server = serve({"m": base})
    server.wait("m")
    with Traffic(server, "m") as traffic:
        traffic.reached(1)
        copy_version("half_plus_three", base / "2")
        server.wait("m", 2)
        server.wait("m", 1, "END")
        traffic.reached(2)
        shutil.rmtree(base / "2")
        server.wait("m", 1)
        server.wait("m", 2, "END")
        traffic.reached(1)
    check_traffic(traffic, {1: ANSWER["half_plus_two"], 2: ANSWER["half_plus_three"]})
    assert len(traffic.seen) > 50
    with refused(Code.NOT_FOUND, "Servable not found for request: Specific(m, 2)"):
        server.predict("m", {"x": floats(1)}, version=2)


def test_many_versions_in_a_row_under_traffic(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    server = serve({"m": base})
    server.wait("m")
    with Traffic(server, "m") as traffic:
        for version in range(2, 6):
            copy_version(("half_plus_two", "half_plus_three")[version % 2], base / str(version))
            server.wait("m", version)
            traffic.reached(version)
    check_traffic(traffic, {version: ANSWER[("half_plus_two", "half_plus_three")[version % 2]] for version in range(2, 6)} | {1: 2.5})


def test_a_directory_copied_slowly_is_waited_for(serve, tmp_path):
    """saved_model.pb first, then the index, then half of the data: each step seen by the watcher before the next."""
    base, clock = tmp_path / "m", tmp_path / "clock"
    copy_version("half_plus_two", base / "1")
    copy_version("half_plus_two", clock / "1")
    server = serve({"m": base, "clock": clock})
    server.wait("m")
    server.wait("clock")

    def a_look_of_the_watcher(tick):
        # Another model's new version, dropped after the last change here, has gone live: the disk has been looked at since.
        copy_version("half_plus_two", clock / str(tick))
        server.wait("clock", tick)
        assert server.states("m").get(2) not in ("AVAILABLE", "END")
        assert server.predict("m", {"x": floats(1)}).model_spec.version.value == 1

    source, version = FIXTURES / "half_plus_three/1", base / "2"
    data = (source / "variables/variables.data-00000-of-00001").read_bytes()
    (version / "variables").mkdir(parents=True)
    shutil.copy(source / "saved_model.pb", version)
    a_look_of_the_watcher(2)
    shutil.copy(source / "variables/variables.index", version / "variables")
    a_look_of_the_watcher(3)
    with open(version / "variables/variables.data-00000-of-00001", "wb", buffering=0) as file:
        file.write(data[:len(data) // 2])
        a_look_of_the_watcher(4)
        file.write(data[len(data) // 2:])
    server.wait("m", 2)
    assert list(server.predict("m", {"x": floats(1)}).outputs["y"].float_val) == [3.5]


def test_a_file_with_a_number_for_a_name_is_no_version(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    (base / "7").write_text("not a directory")
    (base / "notes").mkdir()
    server = serve({"m": base})
    server.wait("m")
    (base / "8").write_text("")
    copy_version("half_plus_three", base / "2")
    server.wait("m", 2)
    assert server.predict("m", {"x": floats(1)}).model_spec.version.value == 2


def test_leading_zeros_do_not_matter(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "00000123")
    server = serve({"m": base})
    server.wait("m", 123)
    assert server.predict("m", {"x": floats(1)}, version=123).model_spec.version.value == 123


def test_a_base_path_may_appear_later(serve, tmp_path):
    """Meanwhile the other models serve, and a request for the missing one waits or is told to come back: it is configured, so never NOT_FOUND."""
    copy_version("half_plus_two", tmp_path / "here" / "1")
    server = serve({"here": tmp_path / "here", "later": tmp_path / "later"})
    server.wait("here")
    server.predict("here", {"x": floats(1)})
    with pytest.raises(Exception) as raised:
        server.predict("later", {"x": floats(1)}, timeout=0.5)
    assert raised.value.code() in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
    copy_version("half_plus_three", tmp_path / "later" / "1")
    server.wait("later")
    assert list(server.predict("later", {"x": floats(1)}).outputs["y"].float_val) == [3.5]
    copy_version("half_plus_three", tmp_path / "here" / "2")
    server.wait("here", 2)


def test_an_empty_base_path_is_waited_for(serve, tmp_path):
    (tmp_path / "m").mkdir()
    server = serve(model_name="m", model_base_path=tmp_path / "m")
    until(lambda: refused_while_empty(server), what="an open port")
    copy_version("half_plus_two", tmp_path / "m" / "1")
    server.wait("m")
    server.predict("m", {"x": floats(1)})


def refused_while_empty(server):
    try:
        server.predict("m", {"x": floats(1)}, timeout=0.5)
    except Exception as error:
        # UNAVAILABLE could also be the client's word for a port that is not open yet.
        return error.code() == Code.DEADLINE_EXCEEDED or error.code() == Code.UNAVAILABLE and "connect" not in error.details()


def test_a_request_that_comes_before_its_model_is_never_not_found(serve, tmp_path):
    """From the first moment the port answers, a configured model's requests succeed, or say UNAVAILABLE."""
    copy_version("keras_cnn", tmp_path / "cnn" / "1")
    image = np.zeros([1, 12, 10, 3], np.float32)
    for _ in range(3):
        server = serve({"cnn": tmp_path / "cnn"})

        def first_answer():
            try:
                return server.predict("cnn", {"image": image})
            except Exception as error:
                assert error.code() == Code.UNAVAILABLE, f"{error.code()}: {error.details()}"
        until(first_answer, what="a first answer")
        server.stop()


def test_policies_choose_the_versions(serve, tmp_path):
    for version in (1, 2, 3):
        copy_version("half_plus_two", tmp_path / "m" / str(version))
    base = tmp_path / "m"
    server = serve({
        "latest": base, "latest_two": (base, "model_version_policy { latest { num_versions: 2 } }"), "all": (base, "model_version_policy { all {} }"),
        "specific": (base, "model_version_policy { specific { versions: 1 versions: 2 } }"),
    })
    expected = {"latest": [3], "latest_two": [3, 2], "all": [3, 2, 1], "specific": [2, 1]}
    for model, versions in expected.items():
        for version in versions:
            server.wait(model, version)
        assert [status.version for status in server.status(model)] == versions
        assert server.predict(model, {"x": floats(1)}).model_spec.version.value == versions[0]


def save_heavy(path, megabytes):
    """A model that holds this much, none of it compressible away."""
    class Heavy(tf.Module):
        def __init__(self):
            self.table = tf.Variable(np.random.default_rng(0).normal(size=(megabytes << 18) // 256 * 256).astype(np.float32).reshape(-1, 256))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "row")])
        def look_up(self, row):
            return {"values": tf.gather(self.table, row)}

    module = Heavy()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.look_up})


def test_memory_comes_back_after_an_unload(serve, tmp_path):
    base, megabytes = tmp_path / "m", 96
    copy_version("half_plus_two", tmp_path / "small" / "1")
    base.mkdir()
    server = serve({"m": base, "small": tmp_path / "small"})
    server.wait("small")
    before = server.resident_bytes()
    save_heavy(tmp_path / "heavy", megabytes)
    (tmp_path / "heavy").rename(base / "1")
    server.wait("m")
    server.predict("m", {"row": np.array([0, 5], np.int32)})
    assert server.resident_bytes() - before > megabytes * 0.8e6
    shutil.rmtree(base / "1")
    server.wait("m", 1, "END")
    until(lambda: server.resident_bytes() - before < 20e6, what="the memory")
    server.predict("small", {"x": floats(1)})
