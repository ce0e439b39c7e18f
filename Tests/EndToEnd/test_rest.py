"""TensorFlow Serving's REST interface, asked as its users ask: Python's own client, requests by hand, curl on both HTTPs."""
import gzip
import json
import math
import random
import socket
import struct
import subprocess

import pytest
import requests

from certificates import channel, write_config
from harness import FIXTURES, copy_version, free_port, until
from rest import Clients, ask, ask_port, asked


@pytest.fixture
def half(serve):
    server = serve({"half_plus_two": FIXTURES / "half_plus_two"})
    until(lambda: ask(server, "GET", "/readyz")[0] == 200, what="readiness")
    return server


@pytest.mark.parametrize("body, answer", [
    ({"instances": [1.0, 2.0, 5.0]}, {"predictions": [2.5, 3.0, 4.5]}),
    ({"inputs": [1.0, 2.0, 5.0]}, {"outputs": [2.5, 3.0, 4.5]}),
    ({"inputs": {"x": [1, 2, 5]}}, {"outputs": [2.5, 3.0, 4.5]}),
    ({"instances": [{"x": 1.0}, {"x": 2.0}, {"x": 5.0}]}, {"predictions": [2.5, 3.0, 4.5]}),
    ({"signature_name": "serving_default", "instances": [[1.0], [2.0]]}, {"predictions": [[2.5], [3.0]]}),
    ({"instances": [[1.0], [2.0]], "signature_name": "serving_default"}, {"predictions": [[2.5], [3.0]]}),
])
def test_predict_in_rows_and_columns(half, body, answer):
    assert asked(half, "POST", "/v1/models/half_plus_two:predict", body) == (200, answer)
    assert asked(half, "POST", "/v1/models/half_plus_two/versions/1:predict?query=tolerated", body) == (200, answer)


def test_what_is_no_number_comes_and_goes_as_a_token(half):
    status, answer = asked(half, "POST", "/v1/models/half_plus_two:predict", b'{"instances": [NaN, Infinity, -Infinity, Inf]}')
    assert status == 200 and math.isnan(answer["predictions"][0])
    assert answer["predictions"][1:] == [math.inf, -math.inf, math.inf]


def test_strict_json_has_strings_instead(serve):
    server = serve({"half_plus_two": FIXTURES / "half_plus_two"}, rest_strict_json="true")
    until(lambda: ask(server, "GET", "/readyz")[0] == 200, what="readiness")
    answer = asked(server, "POST", "/v1/models/half_plus_two:predict", b'{"instances": [NaN, Infinity, -Infinity]}')
    assert answer == (200, {"predictions": ["NaN", "Infinity", "-Infinity"]})


@pytest.mark.parametrize("method, target, body, status, text", [
    ("POST", "/v1/models/half_plus_two:predict", b"", 400, "JSON Parse error: The document is empty"),
    ("POST", "/v1/models/half_plus_two:predict", b'{"instances": [1.0, x]}', 400, "JSON Parse error: Invalid value. at offset: 20"),
    ("POST", "/v1/models/nope:predict", b'{"instances": [1.0', 400,
     "JSON Parse error: Missing a comma or ']' after an array element. at offset: 18"),
    ("POST", "/v1/models/nope:predict", b'{"instances": [1.0]}', 404, "Servable not found for request: Latest(nope)"),
    ("POST", "/v1/models/half_plus_two/versions/9:predict", b'{"instances": [1.0]}', 404,
     "Servable not found for request: Specific(half_plus_two, 9)"),
    ("POST", "/v1/models/half_plus_two/labels/nope:predict", b'{"instances": [1.0]}', 400, "Unrecognized servable version label: nope"),
    ("POST", "/v1/models/half_plus_two:predict", b'{"signature_name": "nope", "instances": [1.0]}', 400,
     'Serving signature name: "nope" not found in signature def'),
    ("POST", "/v1/models/half_plus_two:predict", b'{"instances": ["x"]}', 400,
     "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\" Type: String is not of expected type: float"),
    ("POST", "/v1/models/half_plus_two:predict", b"{}", 400, "Missing 'inputs' or 'instances' key"),
    ("POST", "/v1/models/half_plus_two:PREDICT", b"{}", 400, "Malformed request: POST /v1/models/half_plus_two:PREDICT"),
    ("PUT", "/v1/models/half_plus_two", b"", 400, "Malformed request: PUT /v1/models/half_plus_two"),
    ("DELETE", "/v1/models/half_plus_two", None, 400, "Malformed request: DELETE /v1/models/half_plus_two"),
    ("GET", "/v1/models/half_plus_two/", None, 400, "Malformed request: GET /v1/models/half_plus_two/"),
    ("GET", "/v1/models/half_plus_two/versions/99999999999999999999", None, 400,
     "Failed to convert version: 99999999999999999999 to numeric."),
    ("GET", "/v1/models/nope", None, 404, "Could not find any versions of model nope"),
    ("GET", "/v1/models/half_plus_two/versions/9", None, 404, "Could not find version 9 of model half_plus_two"),
    ("GET", "/v1/models/nope/metadata", None, 404, "Servable not found for request: Latest(nope)"),
    ("GET", "/elsewhere", None, 404, "Not found: GET /elsewhere"),
])
def test_mistakes_have_their_code_and_their_words(half, method, target, body, status, text):
    assert asked(half, method, target, body) == (status, {"error": text})


def test_status_metadata_and_the_list(half):
    version = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for target in ["", "/versions/1"]:
        assert asked(half, "GET", f"/v1/models/half_plus_two{target}") == (200, {"model_version_status": [version]})
    status, listed = asked(half, "GET", "/v1/models")
    assert status == 200
    assert listed == {"models": [{"name": "half_plus_two", "model_version_status": [version], "version_labels": {}}]}
    status, metadata = asked(half, "GET", "/v1/models/half_plus_two/metadata")
    assert status == 200 and metadata["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT" and signature["inputs"]["x"]["tensor_shape"]["unknown_rank"] in (True, False)
    assert signature["method_name"] == "tensorflow/serving/predict" and signature["defaults"] == {}
    # HEAD says the same without the text.
    status, fields, body = ask(half, "HEAD", "/v1/models/half_plus_two")
    assert status == 200 and body == b"" and int(fields["content-length"]) > 0


def test_readiness_is_told_by_the_code(serve, tmp_path):
    base = tmp_path / "late"
    server = serve({"late": base, "half_plus_two": FIXTURES / "half_plus_two"})
    until(lambda: ask(server, "GET", "/v1/models/half_plus_two/ready")[0] == 200, what="one model's readiness")
    assert ask(server, "GET", "/livez")[0] == 200
    assert ask(server, "GET", "/readyz")[0] == 503 and ask(server, "GET", "/v1/models/late/ready")[0] == 503
    assert ask(server, "GET", "/v1/models/nope/ready")[0] == 404
    copy_version("half_plus_two", base / "3")
    until(lambda: ask(server, "GET", "/readyz")[0] == 200, what="the server's readiness")
    assert ask(server, "GET", "/v1/models/late/versions/3/ready")[0] == 200
    assert ask(server, "GET", "/v1/models/late/versions/4/ready")[0] == 404


def test_a_request_waits_for_its_model(serve, tmp_path):
    base = tmp_path / "late"
    server = serve({"late": base})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        body = b'{"instances": [1.0]}'
        connection.sendall(b"POST /v1/models/late:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        until(lambda: ask(server, "GET", "/livez")[0] == 200, what="life")
        copy_version("half_plus_two", base / "1")
        connection.settimeout(20)
        answer = b""
        while b"]" not in answer:
            answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200") and b"2.5" in answer


def test_the_deadline_is_rest_api_timeout_in_ms(serve, tmp_path):
    server = serve({"late": tmp_path / "late"}, rest_api_timeout_in_ms=300)
    assert asked(server, "POST", "/v1/models/late:predict", {"instances": [1.0]}) == (504, {"error": "Deadline Exceeded"})


def test_gzip_both_ways_and_large_bodies(half):
    values = [random.random() for _ in range(60_000)]
    body = gzip.compress(json.dumps({"instances": values}).encode())
    status, fields, answer = ask(half, "POST", "/v1/models/half_plus_two:predict", body,
                                 {"content-encoding": "gzip", "accept-encoding": "gzip"})
    assert status == 200 and fields["content-encoding"] == "gzip"
    predictions = json.loads(gzip.decompress(answer))["predictions"]
    assert len(predictions) == len(values) and max(abs(x / 2 + 2 - y) for x, y in zip(values, predictions)) < 1e-6
    status, fields, answer = ask(half, "POST", "/v1/models/half_plus_two:predict", {"instances": values})
    assert status == 200 and "content-encoding" not in fields and json.loads(answer)["predictions"] == predictions
    assert ask(half, "POST", "/v1/models/half_plus_two:predict", b"no gzip", {"content-encoding": "gzip"})[0] == 400


def test_cors_when_it_is_asked_for(serve, half):
    server = serve({"half_plus_two": FIXTURES / "half_plus_two"}, rest_api_enable_cors_support="true")
    _, fields, _ = ask(server, "GET", "/livez")
    assert fields["access-control-allow-origin"] == "*" and fields["access-control-allow-methods"] == "POST, GET"
    assert fields["access-control-allow-headers"] == "Content-Type"
    assert ask(server, "OPTIONS", "/v1/models/m:predict", headers={"origin": "https://example.com"})[0] == 200
    assert ask(server, "OPTIONS", "/v1/models/m:predict", headers={"origin": "example.com"})[0] == 400
    assert "access-control-allow-origin" not in ask(half, "GET", "/livez")[1]


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_on_both_protocols(half, version):
    answer = subprocess.run(["curl", "-sS", "--max-time", "20", version, "-d", '{"instances": [1.0, 2.0]}',
                             f"http://127.0.0.1:{half.port}/v1/models/half_plus_two:predict"], capture_output=True, check=True)
    assert json.loads(answer.stdout) == {"predictions": [2.5, 3.0]}


def test_tensors_of_every_type_go_through_unchanged(serve):
    server = serve({"dtypes": FIXTURES / "dtypes"})
    until(lambda: ask(server, "GET", "/readyz")[0] == 200, what="readiness")
    _, metadata = asked(server, "GET", "/v1/models/dtypes/metadata")
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures
    for name, signature in signatures.items():
        for tensor in list(signature["inputs"].values()) + list(signature["outputs"].values()):
            assert tensor["dtype"].startswith("DT_"), name


def test_labels_in_the_target(serve, tmp_path):
    copy_version("inference", tmp_path / "m" / "1")
    copy_version("inference", tmp_path / "m" / "2")
    more = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    server = serve({"m": (tmp_path / "m", more)})
    server.wait("m", 2)
    until(lambda: ask(server, "GET", "/v1/models/m/labels/canary")[0] == 200, what="the labels")
    body = {"signature_name": "regression", "examples": [{"x": 1.0}]}
    for target in ["labels/stable", "labels/canary", "versions/1", "versions/2", "LABELS/stable"]:
        assert asked(server, "POST", f"/v1/models/m/{target}:regress", body) == (200, {"results": [2.5]})
    for label, version in [("stable", "1"), ("canary", "2")]:
        assert asked(server, "GET", f"/v1/models/m/labels/{label}/metadata")[1]["model_spec"]["version"] == version
        assert [one["version"] for one in asked(server, "GET", f"/v1/models/m/labels/{label}")[1]["model_version_status"]] == [version]
    for verb, body in [("predict", {"inputs": 1}), ("classify", body), ("regress", body)]:
        assert asked(server, "POST", f"/v1/models/m/labels/none:{verb}", body) == (400, {"error": "Unrecognized servable version label: none"})
    assert asked(server, "GET", "/v1/models/m/labels/none") == (400, {"error": "Unrecognized servable version label: none"})


def test_requests_as_client_with_gzip_both_ways(inference):
    """`requests` inflates what it gets; what it sends is compressed by hand, as its users do."""
    session = requests.Session()
    session.trust_env = False
    url = f"http://127.0.0.1:{inference.port}/v1/models/inference:regress"
    values = [float(i) for i in range(5000)]
    body = {"signature_name": "regression", "examples": [{"x": value, "unread": "é" * 20} for value in values]}
    plain = session.post(url, json=body, timeout=20)
    assert plain.status_code == 200 and plain.headers["content-encoding"] == "gzip" and plain.headers["content-type"] == "application/json"
    packed = session.post(url, data=gzip.compress(json.dumps(body).encode()), headers={"content-encoding": "gzip"}, timeout=20)
    assert packed.json() == plain.json() == {"results": [value / 2 + 2 for value in values]}
    refused = session.post(url, data=b"no gzip", headers={"content-encoding": "gzip"}, timeout=20)
    assert refused.status_code == 400 and refused.json()["error"].startswith("The request is no gzip")
    # A megabyte of spaces in a kilobyte.
    assert session.post(url, data=gzip.compress(b" " * 1_000_000), headers={"content-encoding": "gzip"}, timeout=20).json() == {
        "error": "JSON Parse error: The document is empty. at offset: 1000000"}


@pytest.fixture
def inference(serve):
    server = serve({"inference": FIXTURES / "inference"})
    server.wait("inference")
    return server


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_gzip_over_both_protocols(inference, version):
    body = json.dumps({"examples": [{"x": 1.0}] * 1000}).encode()
    answer = subprocess.run(["curl", "-sS", "--max-time", "20", version, "--compressed", "-H", "content-encoding: gzip", "--data-binary", "@-",
                             f"http://127.0.0.1:{inference.port}/v1/models/inference:classify"], input=gzip.compress(body), capture_output=True, check=True)
    assert json.loads(answer.stdout) == {"results": [[["anon", 1.0], ["b", 2.0], ["c", 3.0]]] * 1000}


def test_nghttp_sends_many_on_one_connection(inference, tmp_path):
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"signature_name": "regression", "examples": [{"x": 1.0}]}))
    done = subprocess.run(["nghttp", "-m", "50", "-d", body, f"http://127.0.0.1:{inference.port}/v1/models/inference:regress"], capture_output=True, check=True, timeout=20)
    decoder, texts = json.JSONDecoder(), done.stdout.decode().strip()
    answers = []
    while texts:
        answer, end = decoder.raw_decode(texts)
        answers.append(answer)
        texts = texts[end:].strip()
    assert answers == [{"results": [2.5]}] * 50


def metric(server, name):
    page = ask(server, "GET", "/monitoring/prometheus/metrics")[2].decode()
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name + "{") or line.startswith(name + " "))


def test_who_leaves_in_mid_request_leaves_nothing(serve, tmp_path):
    """In the head, in the body, and while the model is awaited; by HTTP/1.1 and by HTTP/2, politely and not."""
    server = serve({"late": tmp_path / "late", "half_plus_two": FIXTURES / "half_plus_two"})
    server.wait("half_plus_two")
    connections = metric(server, "martlet_connections_open")
    head = b"POST /v1/models/%s:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n"
    body = b'{"instances": [1.0]}'
    for text in [head[:30], head % b"half_plus_two", head % b"half_plus_two" + body[:10], head % b"late" + body] * 5:
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(text)
        if text.endswith(body):
            until(lambda: metric(server, "martlet_requests_waiting_for_model") > 0, what="who waits")
        # Not a word of farewell.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        until(lambda: metric(server, "martlet_requests_waiting_for_model") == 0, what="nobody who waits")
    url = f"http://127.0.0.1:{server.port}/v1/models/late:predict"
    processes = [subprocess.Popen(["curl", "-sS", "--http2-prior-knowledge", "-d", body, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(4)]
    until(lambda: metric(server, "martlet_requests_waiting_for_model") == 4, what="who waits")
    for process in processes:
        process.kill()
        process.wait()
    until(lambda: metric(server, "martlet_requests_waiting_for_model") == 0, what="nobody who waits")
    page = ask(server, "GET", "/monitoring/prometheus/metrics")[2].decode()
    assert ':tensorflow:serving:request_count{model_name="late",status="CANCELLED"} 9' in page
    until(lambda: metric(server, "martlet_connections_open") == connections, what="those that stay")
    assert asked(server, "POST", "/v1/models/half_plus_two:predict", {"instances": [1.0]}) == (200, {"predictions": [2.5]})


def test_rest_api_tls_covers_the_second_port(serve, tmp_path, authority):
    config = write_config(tmp_path / "ssl.config", *authority.issue("server"))
    port = free_port()
    server = serve({"half_plus_two": FIXTURES / "half_plus_two"}, ssl_config_file=config, rest_api_port=port, rest_api_tls="true")
    server.channel = channel(server, authority)
    server.wait("half_plus_two")
    for tls in [port, server.port]:
        clients = Clients(port, tls, authority)
        for ask_over in [clients.http1_tls, clients.http2_tls]:
            status, answer = ask_over("POST", "/v1/models/half_plus_two:predict", {"instances": [1.0]}, {})
            assert (status, json.loads(answer)) == (200, {"predictions": [2.5]})
    assert ask_port(port, "GET", "/livez")[::2] == (400, b"This port speaks TLS: use https.")
