"""Models that requests change: variables of both kinds."""
import numpy as np
import tensorflow as tf

from . import fixture
from .saving import save_tf1, save_tf2, tf1_graph, v1


@fixture("counter", stateful=True)
def counter(path, rng):
    """TensorFlow Serving's saved_model_counter: incr_counter, incr_counter_by, reset_counter and get_counter on one reference variable."""
    with tf1_graph():
        save_counter(path, 0.0)
    return {"get_counter.fresh": {}, "incr_counter.once": {}, "incr_counter_by.three": {"delta": 3.0}, "reset_counter.once": {}}


@fixture("counter_from_hundred", stateful=True)
def the_next_version(path, rng):
    """The same model, its checkpoint at 100: what tests copy beside `counter` to be version 2."""
    with tf1_graph():
        save_counter(path, 100.0)
    return {"get_counter.fresh": {}, "incr_counter.once": {}}


def save_counter(path, start):
    counter = v1.Variable(start, name="counter")
    delta = v1.placeholder(tf.float32, [], name="delta")
    increment, increment_by, reset = counter.assign_add(1.0), counter.assign_add(delta), counter.assign(0.0)
    info = v1.saved_model.build_tensor_info
    outputs = {name: info(tensor) for name, tensor in {"get_counter": counter, "incr_counter": increment, "incr_counter_by": increment_by, "reset_counter": reset}.items()}
    inputs = {name: {"delta": info(delta)} if name == "incr_counter_by" else {} for name in outputs}
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {
            name: v1.saved_model.build_signature_def(inputs[name], {"output": outputs[name]}, "tensorflow/serving/predict") for name in outputs})
        builder.save()


@fixture("reference_state", stateful=True)
def reference_state(path, rng):
    """Every assignment to a reference variable, scatters included, chained by control edges and by the references themselves."""
    with tf1_graph():
        table, scalar, steps = v1.Variable(np.arange(12, dtype=np.float32).reshape(4, 3), name="table"), v1.Variable(5, name="scalar"), v1.Variable(7, dtype=tf.int64, name="steps")
        names = v1.Variable(["a", "b", "c"], name="names")
        rows, indices = v1.placeholder(tf.float32, [None, 3], name="rows"), v1.placeholder(tf.int32, [None], name="indices")
        amount = v1.placeholder(tf.int32, [], name="amount")
        feeds = {"rows": rows, "indices": indices}
        signatures = {"read": ({}, {"table": tf.identity(table), "scalar": tf.identity(scalar), "names": tf.identity(names)})}
        for name in ("update", "add", "sub", "mul", "div", "min", "max"):
            signatures[f"scatter_{name}"] = (feeds, {"table": getattr(v1, f"scatter_{name}")(table, indices, rows)})
        signatures["scatter_nd_add"] = (feeds, {"table": v1.scatter_nd_add(table, indices[:, None], rows)})
        signatures["scatter_nd_update"] = (feeds, {"table": v1.scatter_nd_update(table, indices[:, None], rows)})
        signatures["scatter_nd_sub"] = (feeds, {"table": v1.scatter_nd_sub(table, indices[:, None], rows)})
        signatures["assign"] = ({"amount": amount}, {"scalar": v1.assign(scalar, amount)})
        signatures["sub"] = ({"amount": amount}, {"scalar": v1.assign_sub(scalar, amount)})
        with tf.control_dependencies([v1.assign_add(scalar, amount)]):
            first = tf.identity(scalar)
            with tf.control_dependencies([first]), tf.control_dependencies([v1.assign_add(scalar, 10)]):
                second = scalar + 0
        signatures["twice"] = ({"amount": amount}, {"first": first, "second": second})
        signatures["through"] = ({"amount": amount}, {"scalar": v1.assign_add(v1.assign(scalar, amount), 1)})
        signatures["count_up"] = ({}, {"step": tf.raw_ops.CountUpTo(ref=steps.op.outputs[0], limit=8)})
        signatures["assign_names"] = ({}, {"names": v1.assign(names, ["x", "longer than it was before", ""])})
        signatures["initialized"] = ({}, {"is": v1.is_variable_initialized(scalar)})
        signatures["reshape"] = ({"rows": rows}, {"table": v1.assign(table, rows, validate_shape=False)})
        signatures["strict"] = ({"rows": rows}, {"table": v1.assign(table, rows)})
        save_tf1(path, signatures)
    feeds = {"rows": [[1.0, 2.0, 4.0], [0.5, -1.0, 8.0]], "indices": [2, 0]}
    scatters = {name: feeds for name in ("update", "add", "sub", "mul", "div", "min", "max", "nd_add", "nd_update", "nd_sub")}
    return {f"scatter_{name}.two": feeds for name, feeds in scatters.items()} | {
        "read.fresh": {}, "scatter_add.same_row": {"rows": [[1.0] * 3] * 2, "indices": [1, 1]}, "scatter_update.none": {"rows": np.zeros([0, 3]), "indices": []},
        "scatter_update.out_of_range": {"rows": [[1.0] * 3], "indices": [4]}, "scatter_update.mismatch": {"rows": [[1.0] * 3], "indices": [1, 2]}, "scatter_nd_update.out_of_range": {"rows": [[1.0] * 3], "indices": [-1]},
        "assign.nine": {"amount": 9}, "sub.nine": {"amount": 9}, "twice.three": {"amount": 3}, "through.three": {"amount": 3}, "count_up.last": {}, "assign_names.all": {}, "initialized.yes": {},
        "reshape.one": {"rows": [[1.0, 2.0, 3.0]]}, "strict.one": {"rows": [[1.0, 2.0, 3.0]]}, "strict.four": {"rows": np.ones([4, 3])},
    }


@fixture("resource_state", stateful=True)
def resource_state(path, rng):
    """TF2 variables that functions assign: whole, in part, in branches and loops, and read between."""
    class Model(tf.Module):
        def __init__(self):
            self.total = tf.Variable(1.0, name="total")
            self.table = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3), name="table")
            self.names = tf.Variable(["a", "b"], shape=[None], name="names")
            self.constant = tf.Variable([10.0, 20.0], name="constant")

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
        def add(self, x):
            before = self.total.read_value()
            self.total.assign_add(x)
            return {"before": before, "after": self.total.read_value(), "constant": self.constant * x}

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
        def loop(self, x):
            for _ in tf.range(3):
                self.total.assign_sub(x)
                if self.total < 0:
                    self.total.assign(100.0)
            return {"total": self.total.read_value()}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "indices"), tf.TensorSpec([None, 3], tf.float32, "rows")])
        def scatter(self, indices, rows):
            first = tf.gather(self.table, indices)
            results = {"first": first}
            for name in ("update", "add", "sub", "mul", "div", "max", "min"):
                getattr(self.table, f"scatter_{name}")(tf.IndexedSlices(rows, indices))
                results[name] = self.table.read_value()
            self.table.scatter_nd_add(indices[:, None], rows)
            results["nd_add"] = self.table.read_value()
            self.table.scatter_nd_update(indices[:, None], rows)
            results["nd_update"] = self.table.sparse_read(indices)
            self.table[1:3, 0].assign(tf.constant([-1.0, -2.0]))
            results["slice"] = self.table.read_value()
            results["nd"] = self.table.gather_nd([[0, 1], [3, 2]])
            return results

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "names")])
        def rename(self, names):
            before = tf.size(self.names)
            self.names.assign(names)
            return {"before": before, "names": self.names.read_value(), "shape": tf.shape(self.names)}

        @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
        def wrong_shape(self, x):
            tf.raw_ops.AssignAddVariableOp(resource=self.total.handle, value=x)
            return {"total": self.total.read_value()}

    model = Model()
    save_tf2(path, model, {name: getattr(model, name) for name in ("add", "loop", "scatter", "rename", "wrong_shape")})
    return {
        "add.two": {"x": 2.0}, "loop.half": {"x": 0.5}, "loop.one": {"x": 1.0}, "scatter.two": {"indices": [3, 1], "rows": [[1.0, 2.0, 4.0], [0.5, -1.0, 8.0]]}, "scatter.none": {"indices": [], "rows": np.zeros([0, 3])},
        "scatter.out_of_range": {"indices": [4], "rows": [[1.0] * 3]}, "rename.three": {"names": ["x", "yy", "zzz"]}, "rename.none": {"names": []}, "wrong_shape.two": {"x": [1.0, 2.0]},
    }
