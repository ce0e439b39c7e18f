"""Logged requests: TensorFlow reads the files, and the server warms up from them."""
import base64
import shutil
import subprocess
import urllib.request

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from conformance_grpc import example
from harness import Server, copy_version, until
from rest import ask

LOGGING = 'logging_config {{ sampling_config {{ sampling_rate: {rate} }} log_collector_config {{ type: "tfrecord" filename_prefix: "{prefix}" }} }}'


def start(tmp_path, rate=1.0, prefix=None, **flags):
    prefix = prefix or tmp_path / "half"
    return Server(tmp_path, {"half": (tmp_path / "models", LOGGING.format(rate=rate, prefix=prefix))}, **flags)


def records(folder):
    files = sorted(str(path) for path in folder.glob("half-*.tfrecord"))
    return [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(files)]


def log_counts(server):
    text = urllib.request.urlopen(f"http://{server.address}/monitoring/prometheus/metrics", timeout=20).read().decode()
    return {line.split('status_code="')[1].split('"')[0]: int(line.split()[-1]) for line in text.splitlines() if line.startswith(":tensorflow:serving:request_log_count{")}


def test_tensorflow_reads_what_was_logged_and_the_server_warms_up_from_it(tmp_path):
    copy_version("half_plus_two", tmp_path / "models" / "1")
    server = start(tmp_path)
    try:
        server.wait("half")
        answers = [server.predict("half", {"x": [float(i)]}) for i in range(20)]
        until(lambda: log_counts(server).get("OK") == 20, what="all of them in the log")
        logs = records(tmp_path)
        assert len(logs) == 20
        by_input = {tf.make_ndarray(log.predict_log.request.inputs["x"])[0]: log for log in logs}
        for i, answer in enumerate(answers):
            log = by_input[float(i)]
            assert log.predict_log.response == answer
            assert log.predict_log.request.model_spec.name == "half"
            metadata = log.log_metadata
            assert (metadata.model_spec.name, metadata.model_spec.version.value, metadata.model_spec.signature_name) == ("half", 1, "serving_default")
            assert metadata.sampling_config.sampling_rate == 1.0 and list(metadata.saved_model_tags) == ["serve"] and metadata.timestamp_secs > 1_600_000_000
        # Failures have no answer to log.
        with pytest.raises(Exception):
            server.predict("half", {"z": [1.0]})
        # The file is a warm-up file.
        aside = tmp_path / "aside"
        copy_version("half_plus_two", aside / "2")
        (aside / "2" / "assets.extra").mkdir()
        shutil.copy(next(tmp_path.glob("half-*.tfrecord")), aside / "2" / "assets.extra" / "tf_serving_warmup_requests")
        (aside / "2").rename(tmp_path / "models" / "2")
        server.wait("half", 2)
        assert log_counts(server) == {"OK": 20}
    finally:
        server.kill()


def test_what_came_by_rest_is_logged_as_the_messages_it_stands_for(tmp_path):
    copy_version("inference", tmp_path / "models" / "1")
    server = start(tmp_path)
    try:
        server.wait("half")
        body = {"signature_name": "predict", "instances": [{"b64": base64.b64encode(example(x=[1.0]).SerializeToString()).decode()}]}
        assert ask(server, "POST", "/v1/models/half/versions/1:predict", body)[0] == 200
        assert ask(server, "POST", "/v1/models/half:classify", {"examples": [{"x": 4.0, "bias": -1.0, "name": "zoe"}], "context": {"x": 9.0}})[0] == 200
        assert ask(server, "POST", "/v1/models/half:regress", {"signature_name": "regression", "examples": [{"x": 1.0}, {"x": 3.0}]})[0] == 200
        # What fails has no answer to log.
        assert ask(server, "POST", "/v1/models/half:regress", {"examples": [{"x": 1.0}]})[0] == 400
        until(lambda: log_counts(server).get("OK") == 3, what="all of them in the log")
        predict, classify, regress = records(tmp_path)

        request, response = predict.predict_log.request, predict.predict_log.response
        assert (request.model_spec.name, request.model_spec.version.value, request.model_spec.signature_name) == ("half", 1, "predict")
        assert tf.make_ndarray(request.inputs["examples"]).tolist() == [example(x=[1.0]).SerializeToString()]
        assert response == server.stub().Predict(request, timeout=20)

        request = classify.classify_log.request
        listed = request.input.example_list_with_context
        assert (listed.examples[0], listed.context) == (example(x=[4.0], bias=[-1.0], name=[b"zoe"]), example(x=[9.0]))
        assert classify.classify_log.response == server.stub().Classify(request, timeout=20)
        assert classify.log_metadata.model_spec.signature_name == "serving_default"

        request = regress.regress_log.request
        assert list(request.input.example_list.examples) == [example(x=[1.0]), example(x=[3.0])]
        assert regress.regress_log.response == server.stub().Regress(request, timeout=20)

        # The same by gRPC is logged the same.
        until(lambda: log_counts(server).get("OK") == 6, what="those in the log, too")
        logs = records(tmp_path)
        for log in logs:
            log.log_metadata.timestamp_secs = 0
        assert logs[3:] == logs[:3]

        aside = tmp_path / "aside"
        copy_version("inference", aside / "2")
        (aside / "2" / "assets.extra").mkdir()
        shutil.copy(next(tmp_path.glob("half-*.tfrecord")), aside / "2" / "assets.extra" / "tf_serving_warmup_requests")
        (aside / "2").rename(tmp_path / "models" / "2")
        server.wait("half", 2)
        assert "warmed up by 6 records" in server.log()
    finally:
        server.kill()


def test_files_are_rotated_and_bounded(tmp_path):
    copy_version("half_plus_two", tmp_path / "models" / "1")
    server = start(tmp_path, request_log_file_bytes=2000, request_log_total_bytes=6000)
    try:
        server.wait("half")
        for i in range(100):
            server.predict("half", {"x": [float(i)]})
        until(lambda: log_counts(server).get("OK") == 100, what="all of them in the log")
        sizes = [path.stat().st_size for path in tmp_path.glob("half-*.tfrecord")]
        assert 3 <= len(sizes) and max(sizes) <= 2000 and sum(sizes) <= 6000
        inputs = [tf.make_ndarray(log.predict_log.request.inputs["x"])[0] for log in records(tmp_path)]
        assert inputs == sorted(inputs) and inputs[-1] == 99
    finally:
        server.kill()


def test_a_disk_that_refuses_hurts_nobody(tmp_path):
    copy_version("half_plus_two", tmp_path / "models" / "1")
    server = start(tmp_path, prefix=tmp_path / "missing" / "half")
    try:
        server.wait("half")
        for i in range(20):
            server.predict("half", {"x": [float(i)]})
        until(lambda: log_counts(server).get("UNAVAILABLE") == 20, what="all of them counted")
        assert server.log().count("requests are not logged") == 1
    finally:
        server.kill()


def test_a_full_disk_keeps_whole_records(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small disk can be mounted here")
    copy_version("half_plus_two", tmp_path / "models" / "1")
    server = start(tmp_path, prefix=disk / "half")
    try:
        server.wait("half")
        for i in range(200):
            server.predict("half", {"x": [float(i)]})
        counts = until(lambda: (seen := log_counts(server)) and sum(seen.values()) == 200 and seen, what="all of them counted")
        assert counts["UNAVAILABLE"] > 0
        assert len(records(disk)) == counts["OK"]
        server.predict("half", {"x": [1.0]})
    finally:
        server.kill()
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("rate, prefix, words", [(2, "/x/y", "sampling_rate"), (0.5, "relative", "filename_prefix")])
def test_a_config_that_means_nothing_is_refused(tmp_path, rate, prefix, words):
    with pytest.raises(RuntimeError) as refused:
        start(tmp_path, rate=rate, prefix=prefix)
    assert words in str(refused.value)
