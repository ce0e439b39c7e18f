"""What batching can meet: rows that fail, that differ in length, that are strings, and outputs that cannot be cut into rows."""
import tensorflow as tf

from . import fixture
from .saving import save_tf2


@fixture("batching")
def rows_of_all_kinds(path, rng):
    class Model(tf.Module):
        def __init__(self):
            self.table = tf.Variable([0.0, 10.0, 20.0, 30.0], name="table")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "index")])
        def lookup(self, index):
            """Fails where an index is not in the table."""
            return {"value": tf.gather(self.table, index)}

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
        def lengths(self, x):
            return {"double": x + x, "sum": tf.reduce_sum(x, axis=1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None], tf.string, "more")])
        def strings(self, text, more):
            return {"joined": tf.strings.join([text, more], "-"), "text": text}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def total(self, x):
            return {"total": tf.reduce_sum(x)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def halves(self, x):
            return {"half": x[: tf.shape(x)[0] // 2]}

    model = Model()
    save_tf2(path, model, {name: getattr(model, name) for name in ["lookup", "lengths", "strings", "total", "halves"]})
    return {
        "lookup.two": {"index": [1, 3]},
        "lookup.outside": {"index": [1, 4]},
        "lengths.two": {"x": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]},
        "strings.two": {"text": ["a", ""], "more": ["b", "c"]},
        "total.two": {"x": [1.0, 2.0]},
        "halves.four": {"x": [1.0, 2.0, 3.0, 4.0]},
    }
