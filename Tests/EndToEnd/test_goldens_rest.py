"""Every request of Tests/Fixtures over REST, in columns and, where it has rows, in rows: the answer TensorFlow gave, compared as parsed
JSON. What JSON cannot say is refused, and in TensorFlow Serving's words."""
import base64
import functools
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from harness import FIXTURES
from rest import ask
from test_goldens import GOLDENS, TOLERANCES, identify, load

#: TensorFlow Serving's map from codes to HTTP.
STATUSES = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "NOT_FOUND": 404, "UNIMPLEMENTED": 501, "INTERNAL": 500}


def told(value):
    """A tensor's elements as JSON says them."""
    if isinstance(value, list):
        return [told(element) for element in value]
    if isinstance(value, complex):
        return value.real  # There is no way to say it.
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def shown(text, name):
    """A string as an answer shows it: bytes that are no text come as base64, whatever the output is called."""
    try:
        return {"b64": base64.b64encode(text).decode()} if name.endswith("_bytes") else text.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(text).decode()}


def arrays(tensors):
    return {name: tf.make_ndarray(tensor) for name, tensor in tensors.items()}


@functools.cache
def signatures(fleet, model):
    status, _, body = ask(fleet, "GET", f"/v1/models/{model.replace('/', '%2F')}/metadata")
    assert status == 200, body
    return json.loads(body)["metadata"]["signature_def"]["signature_def"]


@pytest.mark.parametrize("path", GOLDENS, ids=identify)
def test_golden(fleet, path):
    model = str(path.parents[1].relative_to(FIXTURES))
    fleet.wait(model)
    request = load(path, model)
    inputs = arrays(request.inputs)
    stem = path.name.removesuffix(".request.pb")
    failure, golden = path.parent / f"{stem}.error.json", path.parent / f"{stem}.response.pb"
    expected = arrays(predict_pb2.PredictResponse.FromString(golden.read_bytes()).outputs) if golden.exists() else None
    name = request.model_spec.signature_name
    signature = signatures(fleet, model).get(name or "serving_default")

    def predict(body):
        status, _, answer = ask(fleet, "POST", f"/v1/models/{model.replace('/', '%2F')}:predict", {"signature_name": name} | body)
        return status, json.loads(answer)

    status, answer = predict({"inputs": {key: told(value.tolist()) for key, value in inputs.items()}})
    if signature is None:
        assert (status, answer) == (400, {"error": f'Serving signature name: "{name}" not found in signature def'})
        return
    if not signature["inputs"]:
        assert (status, answer) == (400, {"error": f"Failed to get input map for signature: {name or 'DEFAULT'}"})
        return
    if missing := sorted(set(signature["inputs"]) - set(inputs)):
        assert status == 400 and answer["error"].startswith("Missing named input: "), answer
        return
    if any(value.dtype.kind == "c" and value.size for value in inputs.values()):
        assert status == 501 and "to type: complex" in answer["error"], answer
        return
    if any(value.size == 0 and 0 in value.shape[:-1] for value in inputs.values()):
        return  # No list says how wide it would be if it had rows.
    if failure.exists():
        assert status in (400, STATUSES[json.loads(failure.read_text())["code"]]), answer
        return
    if any(value.dtype.kind == "c" for value in expected.values()):
        assert status == 400 and answer["error"].startswith("Failed to write JSON value for tensor type: complex"), answer
        return
    assert status == 200, answer
    outputs = answer["outputs"] if len(signature["outputs"]) > 1 else {next(iter(signature["outputs"])): answer["outputs"]}
    # An output filter has no form in REST.
    assert set(outputs) == set(signature["outputs"]) and set(expected) <= set(outputs)
    for key, value in expected.items():
        compare(value, outputs[key], signature["outputs"][key]["dtype"], key)

    rows = {value.shape[0] if value.ndim else 0 for value in inputs.values()}
    if len(rows) == 1 and 0 not in rows:
        count = rows.pop()
        body = [{key: told(value[i].tolist() if value.ndim > 1 else value[i:i + 1].tolist()[0]) for key, value in inputs.items()} for i in range(count)]
        status, answer = predict({"instances": body})
        batch = {value.shape[0] if value.ndim else 0 for value in [np.asarray(outputs[key], object) for key in outputs]}
        if len(batch) != 1 or 0 in batch:
            assert status == 400 and answer["error"].startswith("Tensor name: "), answer
            return
        assert status == 200, answer
        predictions = answer["predictions"]
        for key, value in expected.items():
            compare(value, [row[key] if len(signature["outputs"]) > 1 else row for row in predictions], signature["outputs"][key]["dtype"], key)


def compare(expected, got, dtype, key):
    type = tf.as_dtype(dtype[3:].lower()).base_dtype
    if type == tf.string:
        assert np.asarray(got, object).reshape(-1).tolist() == [shown(one, key) for one in expected.reshape(-1)]
        return
    got = np.asarray(got, bool if type == tf.bool else np.float64 if type.is_floating else object)
    if expected.size:
        assert got.shape == expected.shape, key
    if type.is_floating:
        assert np.allclose(got.reshape(-1), expected.astype(np.float64).reshape(-1), *TOLERANCES[type], equal_nan=True), key
    else:
        assert got.reshape(-1).tolist() == expected.reshape(-1).tolist(), key
