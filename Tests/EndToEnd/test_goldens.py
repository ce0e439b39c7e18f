"""Every request of Tests/Fixtures gets the answer TensorFlow gave, in typed fields, or the error with TensorFlow's code."""
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from harness import FIXTURES, Code, Server, refused

GOLDENS = sorted(FIXTURES.glob("**/golden/*.request.pb"))
# relative, absolute: kernels sum in different orders.
TOLERANCES = {tf.float32: (1e-4, 1e-5), tf.float64: (1e-9, 1e-12), tf.half: (4e-3, 1e-3), tf.bfloat16: (2e-2, 1e-2), tf.complex64: (1e-4, 1e-5), tf.complex128: (1e-9, 1e-12)}


def identify(path):
    return f"{path.parents[1].relative_to(FIXTURES)}:{path.name.removesuffix('.request.pb')}"


def load(path, model):
    request = predict_pb2.PredictRequest.FromString(path.read_bytes())
    request.model_spec.name = model
    return request


@pytest.mark.parametrize("path", GOLDENS, ids=identify)
def test_golden(fleet, path):
    model = str(path.parents[1].relative_to(FIXTURES))
    fleet.wait(model)
    check(fleet, model, path)


def test_the_tag_set_chooses_the_meta_graph(tmp_path):
    server = Server(tmp_path, model_name="tags", model_base_path=FIXTURES / "tags", saved_model_tags="serve,gpu")
    try:
        server.wait("tags")
        for path in (FIXTURES / "tags/golden/serve+gpu").glob("*.request.pb"):
            check(server, "tags", path)
    finally:
        server.kill()


def check(server, model, path):
    request = load(path, model)
    stem = path.name.removesuffix(".request.pb")
    failure = path.parent / f"{stem}.error.json"
    if failure.exists():
        expected = json.loads(failure.read_text())
        # A parser's complaints about an Example are what clients read; other kernels need only agree on whose fault it is.
        words = [expected["message"].split("'")[0]] if "xample" in stem + model else []
        with refused(Code[expected["code"]], *words):
            server.stub().Predict(request, timeout=20)
        return
    expected = predict_pb2.PredictResponse.FromString((path.parent / f"{stem}.response.pb").read_bytes())
    actual = server.stub().Predict(request, timeout=20)
    assert (actual.model_spec.name, actual.model_spec.signature_name, actual.model_spec.version.value) == (model, request.model_spec.signature_name, 1)
    assert set(actual.outputs) == set(expected.outputs)
    wrong = {name: difference for name in expected.outputs if (difference := differ(expected.outputs[name], actual.outputs[name]))}
    assert not wrong, "\n".join(f"{name}: {difference}" for name, difference in wrong.items())


def differ(expected, actual):
    """What is wrong with `actual`, or None."""
    if actual.tensor_content:
        return "in tensor_content, not in typed fields"
    if actual.dtype != expected.dtype:
        return f"is {tf.as_dtype(actual.dtype).name}, not {tf.as_dtype(expected.dtype).name}"
    wanted, got = tf.make_ndarray(expected), tf.make_ndarray(actual)
    if wanted.shape != got.shape:
        return f"has shape {got.shape}, not {wanted.shape}"
    tolerance = TOLERANCES.get(tf.as_dtype(expected.dtype))
    if tolerance is None:
        same = np.array_equal(wanted, got)
    else:
        wide = np.complex128 if np.iscomplexobj(wanted) else np.float64
        same = np.allclose(got.astype(wide), wanted.astype(wide), *tolerance, equal_nan=True)
    return None if same else f"\n  expected {wanted.reshape(-1)[:20]}\n  got      {got.reshape(-1)[:20]}"
