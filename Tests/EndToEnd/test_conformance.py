"""The table of conformance.py over gRPC, with the stubs of tensorflow-serving-api and without them."""
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2, predict_pb2,
                                     prediction_service_pb2_grpc, regression_pb2, session_service_pb2)

from conformance import says
from conformance_grpc import BOTH, CASES, ONE, TWO, classify, examples, regress
from harness import FIXTURES, Code, Server, copy_version, refused

ANSWERS = {
    "Predict": predict_pb2.PredictResponse, "Classify": classification_pb2.ClassificationResponse,
    "Regress": regression_pb2.RegressionResponse, "MultiInference": inference_pb2.MultiInferenceResponse,
    "SessionRun": session_service_pb2.SessionRunResponse, "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataResponse,
    "GetModelStatus": get_model_status_pb2.GetModelStatusResponse,
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """A server for each set of flags that rows ask for."""
    started = {}

    def server(flags):
        if flags not in started:
            models = {name: FIXTURES / name for name in ("inference", "inference_v2", "half_plus_two")}
            started[flags] = Server(tmp_path_factory.mktemp("conformance"), models, **dict(flags))
            for name in models:
                started[flags].wait(name)
        return started[flags]

    yield server
    for one in started.values():
        assert one.stop() == 0, one.log()[-4000:]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_row(servers, case):
    body = case.request if isinstance(case.request, bytes) else case.request.SerializeToString()
    answer = ANSWERS[case.method.rpartition("/")[2]]
    call = servers(case.flags).channel.unary_unary(f"/tensorflow.serving.{case.method}", response_deserializer=answer.FromString)
    # Twice: the second may run where the first did not.
    for _ in range(2):
        try:
            response = call(body, timeout=20)
        except grpc.RpcError as error:
            assert error.code().name == case.code, f"{error.code().name}: {error.details()}"
            assert says(case.text, error.details()), error.details()
        else:
            assert case.code == "OK", f"expected {case.code}, got {response}"
            if case.answer:
                case.answer(response)


def test_the_stubs_of_tensorflow_serving_api(servers):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(servers(()).channel)
    classification = classification_pb2.ClassificationRequest()
    classification.model_spec.name = "inference"
    classification.input.example_list.examples.extend([ONE, TWO])
    assert [c.label for c in stub.Classify(classification, timeout=20).result.classifications[1].classes] == ["zoe", "b", "c"]
    regression = regression_pb2.RegressionRequest.FromString(regress(BOTH))
    assert [r.value for r in stub.Regress(regression, timeout=20).result.regressions] == [2.5, 1.0]


def test_a_thousand_examples_and_a_large_context(servers):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(servers(()).channel)
    message = regression_pb2.RegressionRequest()
    message.model_spec.name, message.model_spec.signature_name = "inference", "regression"
    context = message.input.example_list_with_context.context
    context.features.feature["bias"].float_list.value.append(1.0)
    context.features.feature["unread"].bytes_list.value.append(b"x" * 10_000)
    for i in range(1000):
        message.input.example_list_with_context.examples.add().features.feature["x"].float_list.value.append(2.0 * i)
    assert [r.value for r in stub.Regress(message, timeout=60).result.regressions] == [i + 1.0 for i in range(1000)]


def test_whoever_asks_for_a_model_that_loads_waits_for_it(serve, tmp_path):
    """Inference and metadata alike: the model's directory appears after they have asked."""
    server = serve({"late": tmp_path / "late"})
    body = {
        "PredictionService/Regress": regress(BOTH, model="late"),
        "PredictionService/Classify": classify(examples(ONE), model="late"),
        "PredictionService/GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec={"name": "late"}, metadata_field=["signature_def"]).SerializeToString(),
        "SessionService/SessionRun": session_service_pb2.SessionRunRequest(model_spec={"name": "late"}, fetch=["weights"]).SerializeToString(),
    }
    calls = [server.channel.unary_unary(f"/tensorflow.serving.{method}").future(request, timeout=30) for method, request in body.items()]
    # Whatever is asked after them is answered after the server has seen them.
    with refused(Code.NOT_FOUND):
        server.predict("nobody", {})
    assert not any(call.done() for call in calls)
    copy_version("inference", tmp_path / "late" / "1")
    for call in calls:
        assert call.result()


def test_a_client_without_tensorflow(servers, tmp_path):
    """grpcio and stubs generated from this repository's protos, in a process that never imports TensorFlow."""
    root = Path(__file__).resolve().parents[2]
    protos = root / "Protos"
    wanted = [str(path.relative_to(protos)) for folder in ("tensorflow_serving", "tensorflow") for path in (protos / folder).rglob("*.proto")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}", *wanted],
                   check=True, timeout=120)
    for folder in ("tensorflow", "tensorflow_serving"):
        for path in [tmp_path / folder, *(tmp_path / folder).rglob("*")]:
            if path.is_dir():
                (path / "__init__.py").touch()
    program = tmp_path / "client.py"
    program.write_text(CLIENT)
    done = subprocess.run([sys.executable, program, servers(()).address], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2.5", "zoe", "12.0", "1.0"]


CLIENT = '''
import sys
import grpc
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, prediction_service_pb2_grpc, regression_pb2
import tensorflow
assert tensorflow.__file__.startswith(sys.path[0]), "this is the real TensorFlow"

def example(**features):
    message = example_pb2.Example()
    for name, value in features.items():
        kind = message.features.feature[name]
        (kind.bytes_list if isinstance(value, bytes) else kind.float_list).value.append(value)
    return message

stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(sys.argv[1]))
regression = regression_pb2.RegressionRequest()
regression.model_spec.name, regression.model_spec.signature_name = "inference", "regression"
regression.input.example_list.examples.append(example(x=1.0))
print(stub.Regress(regression, timeout=20).result.regressions[0].value)
multi = inference_pb2.MultiInferenceRequest()
for signature, method in (("serving_default", "classify"), ("regression", "regress")):
    task = multi.tasks.add(method_name="tensorflow/serving/" + method)
    task.model_spec.name, task.model_spec.signature_name = "inference", signature
multi.input.example_list.examples.append(example(x=4.0, bias=-1.0, name=b"zoe"))
classified, regressed = stub.MultiInference(multi, timeout=20).results
classes = classified.classification_result.classifications[0].classes
print(classes[0].label, classes[2].score, regressed.regression_result.regressions[0].value)
'''
