"""Shapes a signature can take."""
import tensorflow as tf

from . import fixture
from .saving import edit, save_tf1, save_tf2, tf1_graph, v1
from .tensors import encode


@fixture("signatures")
def odd_but_legal(path, rng):
    """No inputs, scalar outputs, an input nobody reads, an output that is an input, the same tensor under two names."""
    class Model(tf.Module):
        def __init__(self):
            self.count = tf.Variable(3, name="count")

        @tf.function(input_signature=[])
        def constant(self):
            return {"answer": tf.constant(42), "count": self.count.read_value()}

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x"), tf.TensorSpec([None], tf.string, "ignored")])
        def scalars(self, x, ignored):
            return {"sum": tf.reduce_sum(x), "rows": tf.shape(x)[0], "finite": tf.reduce_all(tf.math.is_finite(x))}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def echo(self, x):
            double = x + x
            return {"x": x, "one": double, "other": double}

    model = Model()
    save_tf2(path, model, {"constant": model.constant, "scalars": model.scalars, "echo": model.echo})
    return {
        "constant.asked": {},
        "scalars.two": {"x": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "ignored": ["a", "b"]},
        "echo.two": {"x": [1.0, 2.0]},
    }


@fixture("signature_defaults")
def inputs_with_defaults(path, rng):
    """SignatureDef.defaults: `y` and `label` may be left out."""
    with tf1_graph():
        x = v1.placeholder(tf.float32, [None], name="x")
        y = v1.placeholder(tf.float32, [], name="y")
        label = v1.placeholder(tf.string, [], name="label")
        outputs = {"sum": x + y, "label": tf.identity(label)}
        save_tf1(path, {"serving_default": ({"x": x, "y": y, "label": label}, outputs)})
    with edit(path) as model:
        defaults = model.meta_graphs[0].signature_def["serving_default"].defaults
        defaults["y"].CopyFrom(encode(10.0, tf.float32, typed=True))
        defaults["label"].CopyFrom(encode(b"unnamed", tf.string, typed=True))
    return {
        "serving_default.all_given": {"x": [1.0], "y": 2.0, "label": "mine"},
        "serving_default.none_given": {"x": [1.0, 2.0]},
        "serving_default.one_given": {"x": [1.0], "label": "mine"},
    }


@fixture("interior")
def interior_tensors(path, rng):
    """Signatures that feed and fetch in the middle of the graph, where the placeholder upstream is then not needed."""
    with tf1_graph():
        raw = v1.placeholder(tf.string, [None], name="raw")
        number = v1.strings.to_number(raw, tf.float32)
        doubled = number * 2
        shifted = doubled + 1
        parts = tf.split(tf.stack([doubled, shifted], axis=1), 2, axis=1)
        save_tf1(path, {
            "serving_default": ({"number": number}, {"shifted": shifted, "second": parts[1]}),
            "middle": ({"doubled": doubled}, {"shifted": shifted}),
            "both": ({"number": number, "doubled": doubled}, {"number": number, "shifted": shifted}),
            "second_output": ({"second": parts[1]}, {"second": parts[1]}),
        })
    return {
        "serving_default.two": {"number": [1.0, 2.0]},
        "middle.two": {"doubled": [1.0, 2.0]},
        "both.two": {"number": [1.0, 2.0], "doubled": [7.0, 8.0]},
        "second_output.one": {"second": [[5.0]]},
    }
