"""TensorFlow Serving's "hello world", y = x / 2 + 2, in the forms a decade of exporters gave it."""
import tempfile
from pathlib import Path

import tensorflow as tf
from google.protobuf import text_format

from . import fixture
from .examples import example
from .saving import edit, save_tf1, save_tf2, tf1_graph, v1

CASES = {
    "serving_default.three": {"x": [1.0, 2.0, 5.0]},
    "serving_default.one": {"x": [-7.5]},
    "serving_default.none": {"x": []},
}


class HalfPlus(tf.Module):
    def __init__(self, b):
        self.a = tf.Variable(0.5, name="a")
        self.b = tf.Variable(b, name="b")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def predict(self, x):
        return {"y": self.a * x + self.b}


def save_half_plus(path, b):
    module = HalfPlus(b)
    save_tf2(path, module, {"serving_default": module.predict})


@fixture("half_plus_two")
def resource_variables(path, rng):
    save_half_plus(path, 2.0)
    return CASES


@fixture("half_plus_three")
def the_next_version(path, rng):
    """The same model with b = 3: what the tests copy beside half_plus_two to be version 2."""
    save_half_plus(path, 3.0)
    return CASES


@fixture("half_plus_two_pbtxt")
def text_format_saved_model(path, rng):
    save_half_plus(path, 2.0)
    with edit(path) as model:
        (path / "saved_model.pbtxt").write_text(text_format.MessageToString(model))
    (path / "saved_model.pb").unlink()
    return CASES


@fixture("half_plus_two_tf1")
def reference_variables(path, rng):
    """VariableV2, an Example parser in the graph, an interior tensor as signature input (x is ParseExample's output), an asset, a main op."""
    with tempfile.TemporaryDirectory() as scratch, tf1_graph():
        asset = Path(scratch) / "foo.txt"
        asset.write_text("asset-file-contents")
        a, b, c = (v1.Variable(value, name=name) for name, value in (("a", 0.5), ("b", 2.0), ("c", 3.0)))
        serialized = v1.placeholder(tf.string, name="tf_example")
        parsed = tf.io.parse_example(serialized, {
            "x": tf.io.FixedLenFeature([1], tf.float32),
            "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
        })
        x = tf.identity(parsed["x"], name="x")
        x2 = tf.identity(parsed["x2"], name="x2")
        y = tf.add(tf.multiply(a, x), b, name="y")
        y2 = tf.add(tf.multiply(a, x), c, name="y2")
        y3 = tf.add(tf.multiply(a, x2), c, name="y3")

        filename = v1.Variable("the path as it was at export", name="filename_tensor", collections=[])
        asset_path = tf.constant(str(asset), name="asset_path_initializer")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset_path)
        main_op = tf.group(v1.assign(filename, asset_path), name="main_op")
        content = tf.io.read_file(filename, name="asset_content")
        v1.add_to_collection(v1.GraphKeys.GLOBAL_VARIABLES, filename)

        save_tf1(path, {
            "serving_default": ({"x": x}, {"y": y}),
            "classify_x_to_y": ({"inputs": serialized}, {"scores": y}, "tensorflow/serving/classify"),
            "regress_x_to_y": ({"inputs": serialized}, {"outputs": y}, "tensorflow/serving/regress"),
            "regress_x_to_y2": ({"inputs": serialized}, {"outputs": y2}, "tensorflow/serving/regress"),
            "regress_x2_to_y3": ({"inputs": x2}, {"outputs": y3}, "tensorflow/serving/regress"),
            "predict_examples": ({"examples": serialized}, {"y": y, "y2": y2, "y3": y3}),
            "asset": ({}, {"content": content}),
        }, main_op=main_op, assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))
    return {
        "serving_default.column": {"x": [[1.0], [2.0], [5.0]]},
        "serving_default.vector": {"x": [1.0, 2.0]},
        "serving_default.scalar": {"x": 3.0},
        "regress_x_to_y.two": {"inputs": [example(x=[1.0]), example(x=[4.0], x2=[9.0])]},
        "regress_x2_to_y3.one": {"inputs": [[4.0]]},
        "predict_examples.two": {"examples": [example(x=[1.0]), example(x=[4.0], x2=[9.0])]},
        "predict_examples.missing": {"examples": [example(x2=[1.0])]},
        "asset.content": {},
    }
