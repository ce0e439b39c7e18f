"""Configurations: at the start, by reload, and what a bad one does, which is nothing."""
import shutil
import subprocess
import threading
import time

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from harness import BINARY, Code, config_text, copy_version, floats, free_port, refused, until
from test_versions import Traffic


def config(models):
    return text_format.Parse(config_text(models), model_server_config_pb2.ModelServerConfig())


def reload(server, models, timeout=20):
    request = model_management_pb2.ReloadConfigRequest(config=models if isinstance(models, model_server_config_pb2.ModelServerConfig) else config(models))
    return model_service_pb2_grpc.ModelServiceStub(server.channel).HandleReloadConfigRequest(request, timeout=timeout)


def labels(**versions):
    return " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in versions.items())


def run(*arguments, **kwargs):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20, **kwargs)


def answer(server, model, **spec):
    response = server.predict(model, {"x": floats(1)}, **spec)
    return response.model_spec.version.value, response.outputs["y"].float_val[0]


ALL = "model_version_policy { all {} }"


# At the start.

@pytest.mark.parametrize("text, words", [
    ("model_config_list {\n  config { name: 'm' bas_path: '/a' } }", ["2:22:", 'no field named "bas_path"']),
    ("model_config_list { config { name: 'm' base_path: 'a' model_platform: 'tensorflow' } }", ["Expected model m to have an absolute path or URI; got base_path()=a"]),
    ("model_config_list { config { name: 'm' base_path: '/a' } }", ["Illegal setting neither ModelServerConfig::model_type"]),
])
def test_a_bad_config_file_does_not_start(tmp_path, text, words):
    file = tmp_path / "models.config"
    file.write_text(text)
    result = run(f"--port={free_port()}", f"--model_config_file={file}")
    assert result.returncode == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: " in result.stdout
    for word in words:
        assert word in result.stdout
        assert word in result.stderr
    if "bas_path" in text:
        assert f"Invalid protobuf file: '{file}'" in result.stdout
        assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 2:22: " in result.stderr


def test_what_contradicts_itself_does_not_start(tmp_path):
    result = run("--model_base_path=/m", "--batching_parameters_file=/x")
    assert result.returncode == 255
    assert "server_options.batching_parameters_file is set without setting server_options.enable_batching to true." in result.stdout
    result = run("--model_base_path=/m", "--port=0")
    assert result.returncode == 255 and "grpc_socket_path" in result.stdout


def test_help_and_version():
    result = run("--help")
    assert result.returncode == 255 and "--model_config_file_poll_wait_seconds" in result.stdout
    result = run("--version")
    assert result.returncode == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["TensorFlow ModelServer", "TensorFlow Library"]
    result = run("--port=many", "--model_base_path=/m")
    assert result.returncode == 255 and "usage:" in result.stdout


# Labels.

def test_labels_of_the_first_config_lead_where_they_say_as_soon_as_that_serves(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    server = serve({"m": (base, ALL + labels(stable=1, canary=2))})
    assert answer(server, "m", label="stable") == (1, 2.5)
    with refused(Code.NOT_FOUND, "Servable not found for request: Specific(m, 2)"):
        answer(server, "m", label="canary")
    with refused(Code.INVALID_ARGUMENT, "Unrecognized servable version label: beta"):
        answer(server, "m", label="beta")
    with Traffic(server, "m") as traffic:
        copy_version("half_plus_three", base / "2")
        server.wait("m", 2)
        assert answer(server, "m", label="canary") == (2, 3.5)
        assert answer(server, "m", label="stable") == (1, 2.5)
        # The canary is good: stable moves there, and the canary waits for the next.
        assert reload(server, {"m": (base, ALL + labels(stable=2))}).status.error_code == 0
        assert answer(server, "m", label="stable") == (2, 3.5)
        with refused(Code.INVALID_ARGUMENT, "Unrecognized servable version label: canary"):
            answer(server, "m", label="canary")
    assert not traffic.failures


def test_labels_may_only_lead_to_what_is_available(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    server = serve({"m": (base, labels(stable=1))})
    server.wait("m")
    text = "Request to assign label to version 9 of model m, which is not currently available for inference"
    with refused(Code.FAILED_PRECONDITION, text):
        reload(server, {"m": (base, labels(stable=9))})
    with refused(Code.FAILED_PRECONDITION, text):
        reload(server, {"m": (base, labels(stable=1, canary=9)), "n": base})
    # All of it or nothing.
    with refused(Code.NOT_FOUND, "Could not find any versions of model n"):
        server.status("n")
    assert answer(server, "m", label="stable") == (1, 2.5)


def test_labels_may_be_given_in_advance_where_that_is_allowed(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    server = serve({"m": (base, ALL + labels(stable=1))}, allow_version_labels_for_unavailable_models="true")
    server.wait("m")
    reload(server, {"m": (base, ALL + labels(stable=1, canary=2))})
    with refused(Code.NOT_FOUND, "Specific(m, 2)"):
        answer(server, "m", label="canary")
    with refused(Code.FAILED_PRECONDITION, "version 3 of model m"):
        reload(server, {"m": (base, ALL + labels(stable=3, canary=2))})
    copy_version("half_plus_three", base / "2")
    server.wait("m", 2)
    assert answer(server, "m", label="canary") == (2, 3.5)


# Reload by a call.

def test_models_come_and_go_by_a_call_and_no_request_fails(serve, tmp_path):
    for name, fixture in (("a", "half_plus_two"), ("b", "half_plus_three")):
        copy_version(fixture, tmp_path / name / "1")
    server = serve({"a": tmp_path / "a"})
    server.wait("a")
    with Traffic(server, "a") as traffic:
        traffic.reached(1)
        for _ in range(5):
            reload(server, {"a": tmp_path / "a", "b": tmp_path / "b"})
            # The call returned: b is there.
            assert answer(server, "b") == (1, 3.5)
            reload(server, {"a": tmp_path / "a"})
            with refused(Code.NOT_FOUND, "Servable not found for request: Latest(b)"):
                answer(server, "b")
    assert not traffic.failures, traffic.failures[0]
    assert len(traffic.seen) > 50


def test_a_call_tells_what_it_added_to_metrics(serve, tmp_path):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    server = serve({})
    names = ["/tensorflow/cc/saved_model/load_attempt_count", "/no/such/metric", "/tensorflow/cc/saved_model/load_latency_by_stage"]
    request = model_management_pb2.ReloadConfigRequest(config=config({"m": tmp_path / "m"}), metric_names=names)
    response = model_service_pb2_grpc.ModelServiceStub(server.channel).HandleReloadConfigRequest(request, timeout=20)
    assert response.status.error_code == 0
    assert [(metric.name, metric.int64_value_increase) for metric in response.metric] == [(names[0], 1)]


def test_a_policy_changes_by_a_call(serve, tmp_path):
    base = tmp_path / "m"
    for version in (1, 2, 3):
        copy_version("half_plus_two", base / str(version))
    server = serve({"m": base})
    server.wait("m", 3)
    reload(server, {"m": (base, "model_version_policy { specific { versions: 1 versions: 2 } }")})
    server.wait("m", 1)
    server.wait("m", 2)
    server.wait("m", 3, "END")
    assert answer(server, "m")[0] == 2


@pytest.mark.parametrize("message, code, words", [
    ("", Code.INVALID_ARGUMENT, "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"),
    ("custom_model_config {}", Code.INVALID_ARGUMENT, "Only ModelConfigList is currently supported"),
    ("model_config_list { config { name: 'm' base_path: '/a' model_platform: 'tensorflow' } config { name: 'm' base_path: '/a' model_platform: 'tensorflow' } }",
     Code.INVALID_ARGUMENT, "Illegal to list model m multiple times in config list"),
    ("model_config_list { config { name: 'm' base_path: 'a' model_platform: 'tensorflow' } }", Code.INVALID_ARGUMENT, "got base_path()=a"),
    ("model_config_list { config { name: 'm' base_path: '/a' model_platform: 'caffe' } }", Code.INVALID_ARGUMENT,
     "Illegal to change a model's platform. For model m platform was tensorflow and new platform requested is caffe"),
    ("model_config_list { config { name: 'n' base_path: '/a' model_platform: 'caffe' } }", Code.INVALID_ARGUMENT, "Model n requests unsupported platform caffe"),
])
def test_a_bad_config_by_a_call_changes_nothing_and_says_why(serve, tmp_path, message, code, words):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    server = serve({"m": tmp_path / "m"})
    server.wait("m")
    with refused(code, words):
        reload(server, text_format.Parse(message, model_server_config_pb2.ModelServerConfig()))
    assert answer(server, "m") == (1, 2.5)


def test_a_new_model_that_fails_is_told_and_hurts_nobody(serve, tmp_path):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    copy_version("custom_op", tmp_path / "bad" / "1")
    server = serve({"m": tmp_path / "m"}, max_num_load_retries=0)
    server.wait("m")
    with refused(Code.UNKNOWN, "1 model(s) did not become available: {{{name: bad version: 1} due to error: UNIMPLEMENTED: "):
        reload(server, {"m": tmp_path / "m", "bad": tmp_path / "bad"})
    # It is taken up all the same, as TensorFlow Serving has it.
    assert server.states("bad") == {1: "END"}
    assert answer(server, "m") == (1, 2.5)


def test_a_model_whose_path_is_missing_is_waited_for_within_the_deadline_and_holds_up_nobody(serve, tmp_path):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    server = serve({"m": tmp_path / "m"})
    server.wait("m")
    outcome = []

    def wait_for_late():
        try:
            outcome.append(reload(server, {"m": tmp_path / "m", "late": tmp_path / "late"}, timeout=30))
        except grpc.RpcError as error:
            outcome.append(error)
    waiting = threading.Thread(target=wait_for_late)
    waiting.start()
    until(lambda: "added: late" in server.log(), what="the first reload")
    # A second one does not queue behind the first.
    began = time.monotonic()
    reload(server, {"m": tmp_path / "m", "late": tmp_path / "late", "other": tmp_path / "m"})
    assert time.monotonic() - began < 10
    assert answer(server, "other") == (1, 2.5)
    began = time.monotonic()
    with refused(Code.DEADLINE_EXCEEDED):
        reload(server, {"m": tmp_path / "m", "later": tmp_path / "later"}, timeout=1)
    assert time.monotonic() - began < 10
    copy_version("half_plus_three", tmp_path / "later" / "1")
    server.wait("later")
    waiting.join()
    assert outcome[0].code() == Code.UNKNOWN and "a later configuration does without it" in outcome[0].details()


def test_who_does_not_say_how_long_is_told_of_a_missing_path_after_a_while(serve, tmp_path):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    server = serve({"m": tmp_path / "m"}, load_wait_seconds=1)
    server.wait("m")
    with refused(Code.DEADLINE_EXCEEDED, "1 model(s) did not become available: {{{name: late} due to error: ", "The configuration is taken up"):
        reload(server, {"m": tmp_path / "m", "late": tmp_path / "late"}, timeout=None)


# Reload by the file.

def test_the_file_is_taken_up_when_it_changes_and_only_as_a_whole(serve, tmp_path):
    for name, fixture in (("a", "half_plus_two"), ("b", "half_plus_three")):
        copy_version(fixture, tmp_path / name / "1")
    server = serve({"a": tmp_path / "a"}, model_config_file_poll_wait_seconds=1)
    server.wait("a")
    file = server.log_path.parent / "models.config"
    with Traffic(server, "a") as traffic:
        file.write_text(config_text({"a": tmp_path / "a", "b": tmp_path / "b"}) + "nonsense")
        until(lambda: "the configuration stays as it was" in server.log(), what="a complaint")
        assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 5:9: " in server.log()
        with refused(Code.NOT_FOUND):
            answer(server, "b")
        file.write_text(config_text({"a": tmp_path / "a", "b": (tmp_path / "b", labels(good=1))}))
        server.wait("b")
        assert answer(server, "b", label="good") == (1, 3.5)
        file.write_text("")
        until(lambda: "Cannot transition to requested config" in server.log(), what="a complaint")
        assert answer(server, "b") == (1, 3.5)
        # What a call brings stays, as long as the file does.
        reload(server, {"a": tmp_path / "a"})
        file.unlink()
        until(lambda: "Can't read" in server.log(), what="a complaint")
        with refused(Code.NOT_FOUND):
            answer(server, "b")
    assert not traffic.failures, traffic.failures[0]
    assert server.log().count("the configuration stays as it was") == 3


def test_a_file_that_was_only_too_early_is_tried_again(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    server = serve({"m": (base, ALL + labels(stable=1))}, model_config_file_poll_wait_seconds=1)
    server.wait("m")
    (server.log_path.parent / "models.config").write_text(config_text({"m": (base, ALL + labels(stable=2))}))
    until(lambda: "which is not currently available" in server.log(), what="a complaint")
    assert answer(server, "m", label="stable") == (1, 2.5)
    copy_version("half_plus_three", base / "2")
    until(lambda: answer(server, "m", label="stable") == (2, 3.5), what="the label on version 2")
    assert server.log().count("which is not currently available") == 1


def test_an_empty_file_at_the_start_is_filled_later(serve, tmp_path):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    file = tmp_path / "models.config"
    file.write_text("# nothing yet\n")
    server = serve(model_config_file=file, model_config_file_poll_wait_seconds=1)
    file.write_text(config_text({"m": tmp_path / "m"}))
    until(lambda: server.states("m") == {1: "AVAILABLE"}, what="the model")


# Directories.

def test_a_base_path_that_is_briefly_empty_unloads_nothing(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    server = serve({"m": base}, empty_base_path_wait_seconds=60)
    server.wait("m")
    with Traffic(server, "m") as traffic:
        (base / "1").rename(tmp_path / "aside")
        until(lambda: "has no version any more" in server.log(), what="a warning")
        (tmp_path / "aside").rename(base / "1")
        copy_version("half_plus_three", base / "2")
        server.wait("m", 2)
        traffic.reached(2)
    assert not traffic.failures


def test_who_empties_a_base_path_and_fills_it_again_gets_the_new_contents(serve, tmp_path):
    base = tmp_path / "m"
    copy_version("half_plus_two", base / "1")
    copy_version("half_plus_three", tmp_path / "new" / "1")
    server = serve({"m": base}, empty_base_path_wait_seconds=60)
    server.wait("m")
    with Traffic(server, "m", threads=1) as traffic:
        shutil.rmtree(base / "1")
        until(lambda: "has no version any more" in server.log(), what="a warning")
        (tmp_path / "new" / "1").rename(base / "1")
        until(lambda: answer(server, "m") == (1, 3.5), what="the new contents")
    assert not traffic.failures


def test_names_of_versions(serve, tmp_path):
    base = tmp_path / "m"
    for name in ("0007", "+8", " 9 ", "-3", "x", "1.5", "99999999999999999999"):
        copy_version("half_plus_two", base / name)
    server = serve({"m": (base, ALL)})
    for version in (7, 8, 9, -3):
        server.wait("m", version)
    assert [status.version for status in server.status("m")] == [9, 8, 7, -3]


# Models that do not load.

def test_open_ports_after_models_ends_with_the_first_that_fails(tmp_path):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    copy_version("custom_op", tmp_path / "bad" / "1")
    file = tmp_path / "models.config"
    file.write_text(config_text({"m": tmp_path / "m", "bad": tmp_path / "bad"}))
    result = run(f"--port={free_port()}", f"--model_config_file={file}", "--open_ports_after_models", "--max_num_load_retries=0")
    assert result.returncode == 255
    assert "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: {{{name: bad version: 1} due to error: UNIMPLEMENTED: " in result.stdout
