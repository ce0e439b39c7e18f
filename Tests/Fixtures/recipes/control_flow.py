"""Functions that call functions, branches and loops."""
import tensorflow as tf

from . import fixture
from .saving import save_tf2


@fixture("functions")
def nested_functions(path, rng):
    """Four levels of calls, one callee shared by two callers, state read inside and outside; nothing but calls."""
    class Model(tf.Module):
        def __init__(self):
            self.scale = tf.Variable([2.0, 3.0], name="scale")

        @tf.function
        def scaled(self, x):
            return x * self.scale

        @tf.function
        def twice(self, x):
            return self.scaled(self.scaled(x))

        @tf.function
        def divided(self, x, y):
            quotient = tf.math.floordiv(x, y)
            return quotient, x - quotient * y, tf.shape(x)

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x"), tf.TensorSpec([], tf.float32, "y")])
        def outer(self, x, y):
            quotient, remainder, shape = self.divided(self.twice(x), y)
            split = tf.function(lambda t: tf.split(t, 2, axis=1))(remainder)
            return {"quotient": quotient, "left": split[0], "right": split[1], "shape": shape, "scaled": self.scaled(x), "y": y}

    model = Model()
    save_tf2(path, model, {"serving_default": model.outer})
    return {
        "serving_default.two": {"x": [[1.0, 2.0], [-3.0, 0.5]], "y": 1.5},
        "serving_default.none": {"x": tf.zeros([0, 2]).numpy(), "y": 2.0},
    }


@fixture("control_flow")
def branches_and_loops(path, rng):
    """StatelessIf/While, If/While (they read a variable), and a Case."""
    class Model(tf.Module):
        def __init__(self):
            self.step = tf.Variable(0.75, name="step")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([], tf.bool, "up")])
        def choose(self, x, up):
            stateless = tf.cond(up, lambda: x + 1, lambda: x - 1)
            stateful = tf.cond(up, lambda: x + self.step, lambda: -x)
            return {"stateless": stateless, "stateful": stateful}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([], tf.int32, "times")])
        def repeat(self, x, times):
            squares = tf.while_loop(lambda i, t: i < times, lambda i, t: (i + 1, t * 0.5 + 1), (0, x))[1]
            steps = tf.while_loop(lambda i, t: i < times, lambda i, t: (i + 1, t + self.step), (0, x))[1]
            return {"stateless": squares, "stateful": steps}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, "which")])
        def switch(self, which):
            return {"y": tf.switch_case(which, [lambda: tf.constant(10), lambda: tf.constant(20)], default=lambda: tf.constant(-1))}

    model = Model()
    save_tf2(path, model, {"choose": model.choose, "repeat": model.repeat, "switch": model.switch})
    x = [1.0, -2.0]
    return {
        "choose.up": {"x": x, "up": True}, "choose.down": {"x": x, "up": False},
        "repeat.three": {"x": x, "times": 3}, "repeat.never": {"x": x, "times": 0},
        "switch.second": {"which": 1}, "switch.default": {"which": 7},
    }
