"""Branches and loops as TF1 writes them: Switch and Merge, Enter, NextIteration and Exit, TensorArrays."""
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from . import fixture
from .saving import save_tf1, signature_map, tf1_graph, v1


@contextmanager
def old_control_flow():
    v1.disable_control_flow_v2()
    try:
        with tf1_graph() as graph:
            yield graph
    finally:
        v1.enable_control_flow_v2()


def frozen(path, signatures, *initial):
    """Saves the graph with its variables made constants, as frozen graphs are served."""
    names = sorted({tensor.op.name for _, outputs in signatures.values() for tensor in outputs.values()})
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), *initial])
        definition = v1.graph_util.convert_variables_to_constants(session, session.graph_def, names)
    with v1.Graph().as_default() as graph, v1.Session() as session:
        tf.import_graph_def(definition, name="")
        moved = {name: tuple({alias: graph.get_tensor_by_name(t.name) for alias, t in part.items()} for part in parts) for name, parts in signatures.items()}
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_map(moved))
        builder.save()


@fixture("tf1_control_flow/branches")
def branches(path, rng):
    """tf.cond: constants alone in a branch, branches in branches, one branch in a predicate of another, a branch whose predicate is a constant, weights read in a branch, an assertion in one."""
    with old_control_flow():
        x, p, q = v1.placeholder(tf.float32, [None, 3], name="x"), v1.placeholder(tf.bool, [], name="p"), v1.placeholder(tf.bool, [], name="q")
        feeds = {"x": x, "p": p, "q": q}
        w = v1.Variable(rng.standard_normal((3, 2)).astype(np.float32), name="w")
        handle = v1.Variable([1.0, 2.0, 3.0], name="handle", use_resource=True)
        constants = tf.cond(p, lambda: tf.constant(1.0), lambda: tf.constant(-1.0))
        nested = tf.cond(p, lambda: tf.cond(q, lambda: x + 1, lambda: tf.zeros_like(x)), lambda: tf.cond(q, lambda: tf.fill([2, 3], 7.0), lambda: x * constants))
        chained = tf.cond(tf.reduce_sum(nested) > 0, lambda: nested * 2, lambda: -nested)
        training = v1.placeholder_with_default(False, [], name="training")
        static = tf.cond(tf.constant(True), lambda: x + 3, lambda: tf.random.normal([2, 3]))
        defaulted = tf.cond(training, lambda: x * 100, lambda: x / 2)
        weights = tf.cond(p, lambda: tf.matmul(x, w) + 1.0, lambda: tf.tile(tf.reduce_sum(x * handle, axis=1, keepdims=True), [1, 2]))
        both = tf.cond(p, lambda: (x, tf.shape(x)[0], tf.constant("yes")), lambda: (x[:1], tf.constant(9), tf.constant("no")))
        def checked():
            with tf.control_dependencies([v1.assert_greater(tf.reduce_sum(x), 0.0, message="the sum is not positive")]):
                return tf.identity(x)
        guarded = tf.cond(p, checked, lambda: x - 1)
        def announced():
            with tf.control_dependencies([tf.no_op()]):
                return tf.constant([5, 6])
        plain = tf.cond(q, announced, lambda: tf.range(2))
        case = v1.case([(p, lambda: tf.constant(1)), (q, lambda: tf.constant(2))], default=lambda: tf.shape(x)[0] + 10)
        save_tf1(path, {
            "serving_default": (feeds, {"constants": constants, "nested": nested, "chained": chained, "static": static, "defaulted": defaulted, "weights": weights, "first": both[0], "second": both[1], "third": both[2], "plain": plain, "case": case}),
            "guarded": (feeds, {"y": guarded}), "one_side": (feeds, {"y": tf.raw_ops.Switch(data=x, pred=p)[1]})})
    rows = [[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]]
    negative = [[-1.0, -2.0, -0.5], [-3.0, 0.25, -1.0]]
    cases = {}
    for p in (True, False):
        for q in (True, False):
            cases[f"serving_default.{'p' if p else 'not_p'}_{'q' if q else 'not_q'}"] = {"x": rows, "p": p, "q": q}
    return cases | {
        "serving_default.negative": {"x": negative, "p": True, "q": True}, "guarded.passes": {"x": rows, "p": True, "q": True},
        "guarded.refuses": {"x": negative, "p": True, "q": True}, "guarded.not_asked": {"x": negative, "p": False, "q": True},
        "one_side.taken": {"x": rows, "p": True, "q": False}, "one_side.not_taken": {"x": rows, "p": False, "q": False}}


@fixture("tf1_control_flow/state", stateful=True)
def state(path, rng):
    """Branches and loops that assign: only what is taken changes, and as often as the loop turns."""
    with old_control_flow():
        p, times = v1.placeholder(tf.bool, [], name="p"), v1.placeholder(tf.int32, [], name="times")
        counter = v1.Variable(10.0, name="counter", use_resource=True)
        old = v1.Variable(1.0, name="old")
        def add():
            with tf.control_dependencies([counter.assign_add(1.0)]):
                return counter.read_value()
        branch = tf.cond(p, add, lambda: tf.constant(-1.0))
        reference = tf.cond(p, lambda: v1.assign_add(old, 2.0) + 0.0, lambda: tf.constant(-2.0))
        with tf.control_dependencies([branch, reference]):
            after, old_after = counter.read_value(), tf.identity(old.read_value())
        def turn(i, sum):
            with tf.control_dependencies([counter.assign_add(tf.cast(i, tf.float32))]):
                return i + 1, sum + counter.read_value()
        loop = tf.while_loop(lambda i, sum: i < times, turn, (0, 0.0), parallel_iterations=1)
        save_tf1(path, {"branch": ({"p": p}, {"value": branch, "reference": reference, "after": after, "old": old_after}), "loop": ({"times": times}, {"turns": loop[0], "sum": loop[1]}), "read": ({}, {"value": counter.read_value()})})
    return {"branch.taken": {"p": True}, "branch.not_taken": {"p": False}, "loop.four": {"times": 4}, "loop.none": {"times": 0}, "read.fresh": {}}


@fixture("tf1_control_flow/loops")
def loops(path, rng):
    """tf.while_loop: invariants, shapes that grow, a branch in a loop, a loop in a loop and in a branch, loops that never turn, TensorArrays."""
    with old_control_flow():
        x, n, p = v1.placeholder(tf.float32, [None, 2], name="x"), v1.placeholder(tf.int32, [], name="n"), v1.placeholder(tf.bool, [], name="p")
        w = v1.Variable(rng.standard_normal((2, 2)).astype(np.float32) / 2, name="w")
        bias = tf.reduce_mean(x, axis=0)
        power = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.tanh(tf.matmul(y, w) + bias)), (0, x))[1]
        grown = tf.while_loop(lambda i, y: tf.shape(y)[0] < n, lambda i, y: (i + 1, tf.concat([y, y[-1:] * 2], 0)), (0, x), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 2])))[1]
        collatz = tf.while_loop(lambda v, k: v > 1, lambda v, k: (tf.cond(tf.equal(v % 2, 0), lambda: v // 2, lambda: 3 * v + 1), k + 1), (n, 0))[1]
        def outer(i, total):
            inner = tf.while_loop(lambda j, t: j < i, lambda j, t: (j + 1, t + tf.cast(j * i, tf.float32) * bias), (0, tf.zeros([2])))
            return i + 1, total + inner[1]
        nested = tf.while_loop(lambda i, t: i < n, outer, (0, bias))[1]
        in_branch = tf.cond(p, lambda: tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y + tf.cond(i > 1, lambda: bias, lambda: tf.ones([2]))), (0, bias))[1], lambda: bias - 1)
        swapped = tf.while_loop(lambda i, a, b: i < n, lambda i, a, b: (i + 1, b, a + b), (0, tf.constant(1, tf.int64), tf.constant(1, tf.int64)))
        constant = tf.while_loop(lambda i: i < 5, lambda i: i + 2, [tf.constant(0)])
        rows = v1.TensorArray(tf.float32, size=tf.shape(x)[0], clear_after_read=False).unstack(x)
        written = v1.TensorArray(tf.float32, size=n, element_shape=[2], clear_after_read=False)
        running = v1.TensorArray(tf.float32, size=0, dynamic_size=True, clear_after_read=False)
        def step(i, y, written, running):
            y = y + rows.read(i % tf.shape(x)[0])
            return i + 1, y, written.write(i, y), running.write(i, tf.reduce_sum(y)[None])
        _, last, written, running = tf.while_loop(lambda i, *_: i < n, step, (0, tf.zeros([2]), written, running))
        save_tf1(path, {"serving_default": ({"x": x, "n": n, "p": p}, {
            "power": power, "grown": grown, "collatz": collatz, "nested": nested, "in_branch": in_branch, "a": swapped[1], "b": swapped[2], "constant": constant[0], "last": last, "written": written.stack(), "size": running.size()}),
            "arrays": ({"x": x, "n": n}, {"concat": running.concat(), "gathered": written.gather([1, 0, 1]), "stack": running.stack(), "split": v1.TensorArray(tf.float32, size=2).split(x, [2, 2]).read(1)})})
    x = [[0.5, -1.0], [0.25, 2.0], [1.5, 0.75], [-0.5, 1.25]]
    return {
        "serving_default.six": {"x": x, "n": 6, "p": True}, "serving_default.seven": {"x": x[:1], "n": 7, "p": False}, "serving_default.one": {"x": x[:2], "n": 1, "p": True},
        "arrays.three": {"x": x, "n": 3}, "arrays.two": {"x": x, "n": 2}, "arrays.one": {"x": x, "n": 1}}


class Cell:
    """An LSTM cell, as rnn_cell.BasicLSTMCell computes."""
    def __init__(self, name, inputs, units):
        self.state_size, self.output_size = (units, units), units
        with v1.variable_scope(name):
            self.kernel = v1.get_variable("kernel", [inputs + units, 4 * units], initializer=v1.glorot_uniform_initializer(seed=3))
            self.bias = v1.get_variable("bias", [4 * units], initializer=v1.random_normal_initializer(seed=4))

    def zero_state(self, batch_size, dtype):
        return tuple(tf.zeros([batch_size, size], dtype) for size in self.state_size)

    def __call__(self, inputs, state, scope=None):
        c, h = state
        i, j, f, o = tf.split(tf.nn.bias_add(tf.matmul(tf.concat([inputs, h], 1), self.kernel), self.bias), 4, axis=1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        h = tf.tanh(c) * tf.sigmoid(o)
        return h, (c, h)


@fixture("tf1_control_flow/rnn")
def rnn(path, rng):
    """dynamic_rnn and bidirectional_dynamic_rnn over sequences of unlike lengths, frozen by convert_variables_to_constants."""
    with old_control_flow():
        tokens, lengths = v1.placeholder(tf.int32, [None, None], name="tokens"), v1.placeholder(tf.int32, [None], name="lengths")
        table = v1.get_variable("table", [20, 4], initializer=v1.random_normal_initializer(seed=2))
        embedded = tf.nn.embedding_lookup(table, tokens)
        outputs, (c, h) = v1.nn.dynamic_rnn(Cell("lstm", 4, 5), embedded, sequence_length=lengths, dtype=tf.float32)
        plain, _ = v1.nn.dynamic_rnn(Cell("plain", 4, 3), embedded, dtype=tf.float32, scope="plain_rnn")
        both, _ = v1.nn.bidirectional_dynamic_rnn(Cell("forward", 5, 3), Cell("backward", 5, 3), outputs, sequence_length=lengths, dtype=tf.float32)
        scores = v1.layers.dense(h, 2, kernel_initializer=v1.glorot_uniform_initializer(seed=5)) if hasattr(v1, "layers") and hasattr(v1.layers, "dense") else tf.matmul(h, v1.get_variable("scores", [5, 2], initializer=v1.glorot_uniform_initializer(seed=5)))
        frozen(path, {"serving_default": ({"tokens": tokens, "lengths": lengths}, {"outputs": tf.identity(outputs, "outputs"), "c": tf.identity(c, "c"), "h": tf.identity(h, "h"), "plain": tf.identity(plain, "plain"), "both": tf.concat(both, 2, name="both"), "scores": tf.nn.softmax(scores, name="probabilities")})})
    return {
        "serving_default.three": {"tokens": rng.integers(0, 20, (3, 6)).astype(np.int32), "lengths": [6, 2, 4]},
        "serving_default.one": {"tokens": [[3, 1, 4]], "lengths": [3]}, "serving_default.empty_sequence": {"tokens": [[3, 1, 4], [1, 5, 9]], "lengths": [0, 2]}}
