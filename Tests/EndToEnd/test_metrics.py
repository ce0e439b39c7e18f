"""What Prometheus sees: read by its own client's parser, and by a real one."""
import gzip
import json
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import FIXTURES, ROOT, Code, Server, copy_version, free_port, grpc, until
from rest import ask

PATH = "/monitoring/prometheus/metrics"


def page(server, path=PATH, **headers):
    return urllib.request.urlopen(urllib.request.Request(f"http://{server.address}{path}", headers=headers), timeout=20)


def scrape(server):
    """Every sample: (name, frozen labels) -> value."""
    samples = {}
    for family in text_string_to_metric_families(page(server).read().decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, key
            samples[key] = sample.value
    return samples


def sample(samples, name, **labels):
    """The parser calls a counter `name_total` whatever the page says."""
    return next((samples[key] for key in [(name, frozenset(labels.items())), (name + "_total", frozenset(labels.items()))] if key in samples), None)


@pytest.fixture
def server(tmp_path):
    copy_version("half_plus_two", tmp_path / "models" / "1")
    server = Server(tmp_path, {"half": tmp_path / "models"})
    server.wait("half")
    yield server
    server.kill()


def test_tensorflow_servings_names_labels_and_buckets(server, tmp_path):
    for _ in range(7):
        server.predict("half", {"x": [1.0]})
    for _ in range(3):
        with pytest.raises(grpc.RpcError):
            server.predict("half", {"z": [1.0]})
    for i in range(5):
        with pytest.raises(grpc.RpcError):
            server.predict(f"made up {i}", {"x": [1.0]})

    def counted():
        samples = scrape(server)
        assert sample(samples, ":tensorflow:serving:request_count", model_name="half", status="OK") == 7
        return samples
    samples = until(counted, what="the count")
    assert sample(samples, ":tensorflow:serving:request_count", model_name="half", status="INVALID_ARGUMENT") == 3
    assert sample(samples, ":tensorflow:serving:request_count", model_name="", status="NOT_FOUND") == 5
    assert not any("made up" in value for _, labels in samples for _, value in labels)
    labels = dict(model_name="half", API="Predict", entrypoint="GRPC")
    assert sample(samples, ":tensorflow:serving:request_latency_count", **labels) == 7
    bounds = [dict(labels)["le"] for name, labels in samples if name == ":tensorflow:serving:request_latency_bucket"]
    assert len(bounds) == 34 and {"10", "18", "32.4", "58.32", "1102", "1.47476e+09", "+Inf"} <= set(bounds)
    assert sample(samples, ":tensorflow:serving:runtime_latency_count", model_name="half", API="Predict", runtime="TF1") == 7
    # Warm-up runs are no requests.
    assert sample(samples, ":tensorflow:core:graph_runs") == 7
    assert sample(samples, ":tensorflow:core:graph_run_time_usecs_histogram_count") == 7
    version = str(tmp_path / "models" / "1")
    assert sample(samples, ":tensorflow:cc:saved_model:load_attempt_count", model_path=version, status="success") == 1
    assert sample(samples, ":tensorflow:cc:saved_model:load_latency_by_stage_count", model_path=version, stage="restore_graph") == 1


def test_ours_beside_them(server):
    server.predict("half", {"x": [1.0]})
    samples = until(lambda: (seen := scrape(server)) and sample(seen, "martlet_requests_total", model_name="half", version="1", signature_name="serving_default", api="Predict", entrypoint="GRPC", status="OK") == 1 and seen, what="the count")
    assert sample(samples, "martlet_model_version_state", model_name="half", version="1", state="AVAILABLE") == 1
    assert sample(samples, "martlet_grpc_handled_total", grpc_service="tensorflow.serving.PredictionService", grpc_method="Predict", grpc_code="OK") == 1
    assert sample(samples, "martlet_connections_open") >= 1
    assert abs(sample(samples, "process_resident_memory_bytes") - server.resident_bytes()) < 64 << 20
    assert sample(samples, "process_cpu_seconds_total") > 0
    assert sample(samples, "process_open_fds") > 3


def test_rest_is_counted_by_its_verbs(tmp_path):
    copy_version("inference", tmp_path / "models" / "1")
    server = Server(tmp_path, {"m": tmp_path / "models", "late": tmp_path / "late"}, rest_api_timeout_in_ms=2000)
    try:
        server.wait("m")
        classify, regress = {"examples": [{"x": 1.0}]}, {"signature_name": "regression", "examples": [{"x": 1.0}]}
        asked = [
            (2, "POST", "/v1/models/m:classify", classify, 200), (3, "POST", "/v1/models/m/versions/1:regress", regress, 200),
            (1, "POST", "/v1/models/m:predict", {"inputs": 1}, 400), (1, "POST", "/v1/models/m:classify", b"", 400),
            (2, "POST", "/v1/models/nobody:predict", {"inputs": []}, 404), (1, "POST", "/v1/models/late:regress", regress, 504),
            (2, "GET", "/v1/models/m", None, 200), (1, "GET", "/v1/models/nobody", None, 404), (2, "GET", "/v1/models/m/metadata", None, 200),
            (1, "GET", "/v1/models", None, 200), (2, "GET", "/v1/models/m:predict", None, 400), (1, "OPTIONS", "/v1/models/m", None, 400),
            # Nobody counts probes, nor what is asked for elsewhere.
            (3, "GET", "/readyz", None, 503), (3, "GET", "/livez", None, 200), (3, "GET", "/v1/models/m/ready", None, 200), (3, "GET", "/elsewhere", None, 404),
        ]
        for times, method, target, body, status in asked:
            for _ in range(times):
                assert ask(server, method, target, body)[0] == status, target

        def counted(samples):
            return {(labels["model_name"], labels["status"]): value for name, labels in ((name, dict(labels)) for name, labels in samples)
                    if name.startswith(":tensorflow:serving:request_count") for value in [samples[name, frozenset(labels.items())]]}
        wanted = {("m", "OK"): 9, ("m", "INVALID_ARGUMENT"): 2, ("late", "DEADLINE_EXCEEDED"): 1, ("", "NOT_FOUND"): 3, ("", "OK"): 1, ("", "INVALID_ARGUMENT"): 3}
        samples = until(lambda: (seen := scrape(server)) and counted(seen) == wanted and seen, what="the counts")

        def latency(model, api):
            return sample(samples, ":tensorflow:serving:request_latency_count", model_name=model, API=api, entrypoint="REST")
        assert (latency("m", "classify"), latency("m", "regress"), latency("m", "predict"), latency("m", ""), latency("", "")) == (2, 3, None, 4, 1)
        assert sample(samples, ":tensorflow:serving:runtime_latency_count", model_name="m", API="Regress", runtime="TF1") == 3

        def ours(signature, api, status="OK", version="1", model="m"):
            return sample(samples, "martlet_requests_total", model_name=model, version=version, signature_name=signature, api=api, entrypoint="REST", status=status)
        assert (ours("serving_default", "classify"), ours("regression", "regress")) == (2, 3)
        assert (ours("", "classify", "INVALID_ARGUMENT"), ours("", "predict", "INVALID_ARGUMENT")) == (1, 1)
        assert (ours("", "status", version=""), ours("", "metadata"), ours("", "status", version="", model="")) == (2, 2, 1)
        assert ours("", "predict", "NOT_FOUND", version="", model="") == 2
        assert sample(samples, "martlet_request_stage_seconds_count", model_name="m", version="1", signature_name="regression", stage="compute") == 3
    finally:
        server.kill()


def test_the_page_in_gzip_and_over_http2(server):
    answer = page(server, **{"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip" and answer.headers["content-type"] == "text/plain"
    assert b"# TYPE process_cpu_seconds_total counter" in gzip.decompress(answer.read())
    if shutil.which("curl"):
        text = subprocess.run(["curl", "-sf", "--http2-prior-knowledge", f"http://{server.address}{PATH}"], capture_output=True, check=True, timeout=20).stdout
        assert b"martlet_streams_total{protocol=\"http2\"}" in text
    with pytest.raises(urllib.error.HTTPError) as wrong:
        page(server, "/monitoring")
    assert wrong.value.code == 404


def test_a_monitoring_config_moves_the_page_and_turns_it_off(tmp_path):
    copy_version("half_plus_two", tmp_path / "models" / "1")
    for text, path, code in [('prometheus_config { enable: true path: "/m" }', "/m", 200), ("prometheus_config { enable: false }", PATH, 404)]:
        config = tmp_path / "monitoring.config"
        config.write_text(text)
        server = Server(tmp_path, {"half": tmp_path / "models"}, monitoring_config_file=config)
        try:
            try:
                seen = page(server, path).status
            except urllib.error.HTTPError as error:
                seen = error.code
            assert seen == code
        finally:
            server.kill()


@pytest.fixture(scope="session")
def prometheus():
    """Debian's Prometheus, unpacked without being installed."""
    folder = ROOT / ".build" / "prometheus"
    binary = folder / "usr" / "bin" / "prometheus"
    if binary.exists():
        return binary
    if installed := shutil.which("prometheus"):
        return installed
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=folder, check=True, timeout=120, capture_output=True)
        subprocess.run(["dpkg", "-x", next(folder.glob("prometheus_*.deb")), folder], check=True, timeout=120)
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        pytest.skip(f"Debian's prometheus cannot be had here: {error}")
    return binary


def test_a_real_prometheus_scrapes_the_server(server, prometheus, tmp_path):
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: martlet
    metrics_path: {PATH}
    static_configs: [{{targets: ["{server.address}"]}}]
""")
    process = subprocess.Popen([prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def ask(query):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            try:
                return json.load(urllib.request.urlopen(url, timeout=5))["data"]["result"]
            except OSError:
                return []
        for _ in range(4):
            server.predict("half", {"x": [1.0]})
        result = until(lambda: [r for r in ask(':tensorflow:serving:request_count{status="OK"}') if r["value"][1] == "4"], 60, "the series")
        assert result[0]["metric"]["model_name"] == "half" and result[0]["metric"]["job"] == "martlet"
        assert until(lambda: ask("histogram_quantile(0.9, :tensorflow:serving:request_latency_bucket)"), 60, "a quantile")
        assert ask("up")[0]["value"][1] == "1"
    finally:
        process.kill()
        process.wait()
