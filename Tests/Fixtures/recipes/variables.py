"""What a TensorBundle can hold: every dtype, several shards, partitioned variables, none at all."""
import numpy as np
import tensorflow as tf

from . import fixture
from .saving import save_tf1, save_tf2, tf1_graph, v1
from .tensors import splat

VALUES = {
    tf.float32: [1.5, -0.0, np.inf, np.nan], tf.float64: [1e300, -2.5, -np.inf, 0.1], tf.half: [0.5, -65504.0, np.inf, 1e-3],
    tf.bfloat16: [1.0, -3.140625, 1e38, 0.0], tf.int8: [-128, 127, 0, 5], tf.int16: [-32768, 32767, 0, 5], tf.int32: [-2**31, 2**31 - 1, 0, 5],
    tf.int64: [-2**63, 2**63 - 1, 0, 5], tf.uint8: [0, 255, 128, 5], tf.uint16: [0, 65535, 32768, 5], tf.uint32: [0, 2**32 - 1, 2**31, 5],
    tf.uint64: [0, 2**64 - 1, 2**63, 5], tf.bool: [True, False, False, True], tf.complex64: [1 + 2j, -1j, 0, 5], tf.complex128: [1e200 - 2j, 1j, 0, 5],
    tf.string: [b"", b"plain", b"\x00\xff", "Здравей".encode()],
}


@fixture("dtypes")
def every_dtype(path, rng):
    """`identity` gives back what it is given; `variables` what the checkpoint holds."""
    class Model(tf.Module):
        def __init__(self):
            self.variables_by_name = {dtype.name: tf.Variable(np.array(VALUES[dtype], object if dtype == tf.string else dtype.as_numpy_dtype), dtype=dtype, name=dtype.name) for dtype in VALUES}
            self.empty = tf.Variable(tf.zeros([0, 3]), name="empty")
            self.scalar = tf.Variable(42, dtype=tf.int64, name="scalar")
            self.long = tf.Variable([b"s" * n for n in (0, 1, 127, 128, 300)], name="long")

        @tf.function(input_signature=[{dtype.name: tf.TensorSpec(None, dtype, dtype.name) for dtype in VALUES}])
        def identity(self, inputs):
            return {name: tf.identity(value) for name, value in inputs.items()}

        @tf.function(input_signature=[])
        def stored(self):
            return {name: variable.read_value() for name, variable in self.variables_by_name.items()} | {
                "empty": self.empty.read_value(), "scalar": self.scalar.read_value(), "long": self.long.read_value()}

    model = Model()
    one_by_one = {name: tf.function(lambda value: {"value": tf.identity(value)}, input_signature=[tf.TensorSpec(None, dtype, "value")])
                  for name, dtype in {dtype.name: dtype for dtype in VALUES}.items()}
    save_tf2(path, model, {"identity": model.identity, "variables": model.stored} | {f"only_{name}": f for name, f in one_by_one.items()})
    cases = {
        "identity.typed_or_content": {dtype.name: np.reshape(np.array(values, object if dtype == tf.string else dtype.as_numpy_dtype), [2, 2]) for dtype, values in VALUES.items()},
        "identity.the_other_encoding": {dtype.name: values for dtype, values in VALUES.items()},
        "identity.scalars": {dtype.name: values[0] for dtype, values in VALUES.items()},
        "identity.empty": {dtype.name: np.zeros([2, 0]) for dtype in VALUES},
        "identity.filled": {dtype.name: splat(dtype, [2, 3], VALUES[dtype][:2]) for dtype in VALUES},
        "variables.all": {},
    }
    return cases | {f"only_{dtype.name}.four": {"value": values} for dtype, values in VALUES.items()}


@fixture("sharded")
def several_shards_and_slices(path, rng):
    """Two devices make the saver write two data files; a partitioner cuts one variable in three slices along axis 0, another along axis 1."""
    with tf1_graph():
        with v1.device("/device:CPU:0"):
            left = v1.get_variable("left", initializer=tf.constant(rng.normal(size=[4, 3]), tf.float32))
        with v1.device("/device:CPU:1"):
            right = v1.get_variable("right", initializer=tf.constant(rng.normal(size=[3]), tf.float32))
            names = v1.get_variable("names", initializer=tf.constant([b"north", b"south"]))
        rows = v1.get_variable("rows", [7, 3], initializer=v1.random_normal_initializer(seed=1), partitioner=v1.fixed_size_partitioner(3))
        columns = v1.get_variable("columns", [3, 5], initializer=v1.random_normal_initializer(seed=2), partitioner=v1.fixed_size_partitioner(2, axis=1))
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        hidden = tf.matmul(x, left) + right
        outputs = {"y": tf.matmul(tf.matmul(hidden, tf.convert_to_tensor(rows), transpose_b=True), tf.zeros([7, 1]) + 0.5),
                   "z": tf.matmul(hidden, tf.convert_to_tensor(columns)), "rows": tf.convert_to_tensor(rows), "names": names}
        save_tf1(path, {"serving_default": ({"x": x}, outputs)})
    return {"serving_default.two": {"x": rng.normal(size=(2, 4))}}


@fixture("no_variables")
def nothing_to_restore(path, rng):
    with tf1_graph():
        x = v1.placeholder(tf.float32, [None], name="x")
        save_tf1(path, {"serving_default": ({"x": x}, {"y": x * 3})})
    return {"serving_default.two": {"x": [1.0, 2.0]}}
