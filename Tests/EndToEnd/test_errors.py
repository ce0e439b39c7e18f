"""Each mistake a client can make, with TensorFlow Serving's code and words."""
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc, predict_pb2

from conftest import fixture_names
from harness import FIXTURES, Code, State, floats, refused, request

MODEL = "half_plus_two"
X = {"x": floats(1, 2)}


@pytest.fixture(scope="module")
def server(fleet):
    for name in (MODEL, "half_plus_two_tf1", "signature_defaults", "functions"):
        fleet.wait(name)
    return fleet


# Which model.

def test_no_model_spec(server):
    with refused(Code.INVALID_ARGUMENT, "Missing ModelSpec"):
        server.stub().Predict(predict_pb2.PredictRequest(), timeout=20)


def test_empty_model_name(server):
    message = request("", X, signature="serving_default")
    with refused(Code.INVALID_ARGUMENT, "ModelSpec has no name specified."):
        server.stub().Predict(message, timeout=20)


def test_unknown_model(server):
    with refused(Code.NOT_FOUND, "Servable not found for request: Latest(nobody)"):
        server.predict("nobody", X)


def test_unknown_version(server):
    with refused(Code.NOT_FOUND, "Servable not found for request: Specific(half_plus_two, 7)"):
        server.predict(MODEL, X, version=7)


def test_unknown_label(server):
    with refused(Code.INVALID_ARGUMENT, "Unrecognized servable version label: stable"):
        server.predict(MODEL, X, label="stable")


def test_version_asked_for_by_number(server):
    assert server.predict(MODEL, X, version=1).model_spec.version.value == 1


# Which signature, which inputs, which outputs: in this order of checks.

def test_unknown_signature(server):
    with refused(Code.FAILED_PRECONDITION, 'Serving signature key "nothing" not found.'):
        server.predict(MODEL, X, signature="nothing")


def test_the_default_signature_is_named_in_the_answer(server):
    response = server.predict(MODEL, X)
    assert (response.model_spec.name, response.model_spec.signature_name, response.model_spec.version.value) == (MODEL, "serving_default", 1)


def test_missing_input(server):
    with refused(Code.INVALID_ARGUMENT, "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."):
        server.predict(MODEL, {})


def test_extra_input(server):
    with refused(Code.INVALID_ARGUMENT, "input size does not match signature: 2!=1", "Sent extra: {z}. Missing but required: {}."):
        server.predict(MODEL, X | {"z": floats(1)})


def test_wrong_input_name(server):
    with refused(Code.INVALID_ARGUMENT, "Signature input alias: x(feed name: ", ") not found in request and no default value provided. Inputs expected to be in the request {k}, or default input alias set: "):
        server.predict(MODEL, {"k": floats(1)})


def test_unknown_name_while_the_signature_has_defaults(server):
    with refused(Code.INVALID_ARGUMENT, "Inputs contains invalid name."):
        server.predict("signature_defaults", X | {"nonsense": floats(1)})


def test_wrong_dtype(server):
    with refused(Code.INVALID_ARGUMENT, "to be float but int32 is provided"):
        server.predict(MODEL, {"x": np.array([1], np.int32)})


def test_wrong_shape_is_the_kernels_to_refuse(server):
    with refused(Code.INVALID_ARGUMENT):
        server.predict("functions", {"x": np.zeros([2, 3], np.float32), "y": np.float32(1)})


def test_a_failure_names_its_node(server):
    with refused(Code.INVALID_ARGUMENT, "{{node "):
        server.predict("ops/binary", {"x": floats(1, 2, 3), "y": floats(1, 2, 3, 4)})


def test_unknown_output(server):
    with refused(Code.INVALID_ARGUMENT, "output tensor alias not found in signature: z Outputs expected to be in the set {y}."):
        server.predict(MODEL, X, outputs=["z"])


def test_repeated_output(server):
    with refused(Code.INVALID_ARGUMENT, "duplicate output tensor alias: y"):
        server.predict(MODEL, X, outputs=["y", "y"])


def test_filtered_outputs(server):
    response = server.predict("functions", {"x": np.ones([1, 2], np.float32), "y": np.float32(2)}, outputs=["left", "shape"])
    assert set(response.outputs) == {"left", "shape"}


def test_an_unknown_signature_is_told_before_a_bad_tensor(server):
    message = request(MODEL, {"x": tensor_pb2.TensorProto(dtype=99)}, signature="nothing")
    with refused(Code.FAILED_PRECONDITION):
        server.stub().Predict(message, timeout=20)


def test_a_bad_tensor_is_told_before_an_unknown_output(server):
    message = request(MODEL, {"x": tensor_pb2.TensorProto(dtype=99)}, outputs=["z"])
    with refused(Code.INVALID_ARGUMENT, "tensor parsing error: x"):
        server.stub().Predict(message, timeout=20)


# Tensors that are none.

def shaped(*sizes, **fields):
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, **fields)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


UNDECODABLE = {
    "unknown dtype": tensor_pb2.TensorProto(dtype=99, float_val=[1]),
    "no dtype": tensor_pb2.TensorProto(float_val=[1]),
    "resource": tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE),
    "negative size": shaped(-3, float_val=[1]),
    "2^40 elements, one value": shaped(2**40, float_val=[1]),
    "2^40 elements of content": shaped(2**40, tensor_content=b"1234"),
    "product overflows": shaped(2**32, 2**32, 2**32, float_val=[1]),
    "product overflows to zero": shaped(2**62, 4, 2**62, tensor_content=b""),
    "content too short": shaped(2, tensor_content=b"1234"),
    "content too long": shaped(1, tensor_content=b"12345678"),
    "content not whole": shaped(1, tensor_content=b"123"),
    "255 dimensions": shaped(*[1] * 255, float_val=[1]),
    "unknown rank": tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_shape={"unknown_rank": True}, float_val=[1]),
}


@pytest.mark.parametrize("name", UNDECODABLE)
def test_undecodable_tensor(server, name):
    with refused(Code.INVALID_ARGUMENT, "tensor parsing error: x"):
        server.predict(MODEL, {"x": UNDECODABLE[name]})


def test_a_tensor_without_values_is_zeros(server):
    assert list(tf.make_ndarray(server.predict(MODEL, {"x": shaped(2)}).outputs["y"])) == [2, 2]


def test_surplus_values_are_cut_and_missing_ones_filled(server):
    assert list(tf.make_ndarray(server.predict(MODEL, {"x": shaped(2, float_val=[2, 4, 6, 8])}).outputs["y"])) == [3, 4]
    assert list(tf.make_ndarray(server.predict(MODEL, {"x": shaped(3, float_val=[2, 4])}).outputs["y"])) == [3, 4, 4]


# Metadata and status.

@pytest.mark.parametrize("name", [name for name in fixture_names() if name != "custom_op" and not name.startswith("ops/") and not name.endswith("pbtxt")])
def test_metadata_is_the_models_own_signatures(server, name):
    server.wait(name)
    response = server.metadata(name)
    assert (response.model_spec.name, response.model_spec.version.value, response.model_spec.signature_name) == (name, 1, "")
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert list(response.metadata) == ["signature_def"]
    assert response.metadata["signature_def"].type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert response.metadata["signature_def"].Unpack(signatures)
    saved = saved_model_pb2.SavedModel.FromString((FIXTURES / name / "1/saved_model.pb").read_bytes())
    graph = next(graph for graph in saved.meta_graphs if list(graph.meta_info_def.tags) == ["serve"])
    assert dict(signatures.signature_def) == dict(graph.signature_def)


def test_metadata_without_a_field(server):
    with refused(Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field"):
        server.metadata(MODEL, [])


def test_metadata_with_an_unknown_field(server):
    with refused(Code.INVALID_ARGUMENT, "Metadata field weights is not supported"):
        server.metadata(MODEL, ["weights"])


def test_metadata_of_nobody(server):
    with refused(Code.INVALID_ARGUMENT, "Missing ModelSpec"):
        server.stub().GetModelMetadata(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]), timeout=20)
    with refused(Code.NOT_FOUND, "Servable not found for request: Latest(nobody)"):
        server.metadata("nobody")


def test_status_of_a_served_version(server):
    (status,) = server.status(MODEL)
    assert (status.version, status.state, status.status.error_code, status.status.error_message) == (1, State.Value("AVAILABLE"), 0, "")


def test_status_of_nobody(server):
    with refused(Code.INVALID_ARGUMENT, "Missing ModelSpec"):
        model_service_pb2_grpc.ModelServiceStub(server.channel).GetModelStatus(get_model_status_pb2.GetModelStatusRequest(), timeout=20)
    with refused(Code.NOT_FOUND, "Could not find any versions of model nobody"):
        server.status("nobody")
    with refused(Code.NOT_FOUND, "Could not find version 7 of model half_plus_two"):
        server.status(MODEL, version=7)


def test_a_model_with_an_unknown_op_says_which(server):
    status = server.wait("custom_op", state="END")
    assert status.status.error_code != 0
    for word in ("SentencepieceTokenizeOp", "tokens", "custom_op"):
        assert word in status.status.error_message


# Methods.

def test_unknown_methods(server):
    for method in ("/tensorflow.serving.PredictionService/Guess", "/nobody.Home/Knock", "/"):
        with refused(Code.UNIMPLEMENTED):
            server.raw(b"", method)
