"""TensorFlow Serving's REST interface, asked as its users ask: Python's own client, requests by hand, curl on both HTTPs."""
import gzip
import json
import math
import random
import socket
import subprocess

import pytest

from harness import FIXTURES, copy_version, until
from rest import ask, asked


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
