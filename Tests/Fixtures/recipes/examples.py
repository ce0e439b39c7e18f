"""Models fed with serialized tf.Examples, parsed in the graph: ParseExample, ParseExampleV2, ParseSingleExample."""
import numpy as np
import tensorflow as tf

from . import fixture
from .saving import edit, save_tf1, save_tf2, tf1_graph, v1


def example(**features):
    """A serialized tf.Example; a feature's kind follows its first value. None: the feature is there, with no kind."""
    def feature(values):
        if isinstance(values, tf.train.Feature):
            return values
        if values is None:
            return tf.train.Feature()
        first = values[0]
        if isinstance(first, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(first, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    message = tf.train.Example(features=tf.train.Features(feature={name: feature(v) for name, v in features.items()}))
    return message.SerializeToString(deterministic=True)


def unpacked(name, values):
    """An Example by hand whose floats are not packed and whose feature comes twice: legal on the wire, the last map entry wins."""
    import struct
    def field(number, body):
        assert len(body) < 128
        return bytes([number << 3 | 2, len(body)]) + body
    floats = lambda vs: field(2, b"".join(bytes([1 << 3 | 5]) + struct.pack("<f", v) for v in vs))
    entry = lambda vs: field(1, field(1, name.encode()) + field(2, floats(vs)))
    return field(1, entry([99.0]) + entry(values))


NO_INTS = tf.train.Feature(int64_list=tf.train.Int64List())
RICH = dict(age=[31.5], pair=[1.0, -2.0], id=[1 << 40], city=[b"Sofia"], tags=[b"a", b"bb"], history=[3, 1, 4], scores=[0.5, 0.25], words=[b"x", b"", b"z"], groups=[1, 2, 3], sizes=[2, 1])
POOR = dict(age=[40.0], pair=[0.0, 0.5], groups=NO_INTS, sizes=NO_INTS)


def batches(rng):
    filler = example(nobody_asked=[b"x" * 50], **RICH)
    return {
        "rich": [example(**RICH)],
        "mixed": [example(**RICH), example(**POOR), filler],
        "poor": [example(**POOR)],
        "none": [],
        "unpacked": [unpacked("age", [7.0]) + example(pair=[1.0, 2.0], groups=NO_INTS, sizes=NO_INTS)],
        "many": [example(age=[float(rng.integers(1, 99))], pair=[1.0, float(i)], city=[b"c%d" % (i % 3)], tags=[b"t%d" % j for j in range(i % 4)] or None,
                         history=list(range(i % 5)) or [0], groups=list(range(i)) or NO_INTS, sizes=[i]) for i in range(12)],
        "no_required": [example(**RICH), example(age=[1.0])],
        "wrong_type": [example(age=[1], pair=[1.0, 2.0])],
        "wrong_count": [example(age=[1.0], pair=[1.0])],
        "kindless": [example(age=[1.0], pair=None)],
        "garbage": [b"not an Example"],
        "cut_short": [example(age=[1.0])[:-3]],
    }


DENSE = {
    "age": tf.io.FixedLenFeature([], tf.float32, -1.0),
    "pair": tf.io.FixedLenFeature([2], tf.float32),
    "id": tf.io.FixedLenFeature([1], tf.int64, [7]),
    "city": tf.io.FixedLenFeature([], tf.string, b"nowhere"),
}
SPARSE = {"tags": tf.io.VarLenFeature(tf.string), "history": tf.io.VarLenFeature(tf.int64)}
VARIABLE = {"scores": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True, default_value=-9.0)}
RAGGED = {
    "words": tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64),
    "grouped": tf.io.RaggedFeature(tf.int64, "groups", [tf.io.RaggedFeature.RowLengths("sizes")], row_splits_dtype=tf.int32),
}


@fixture("examples_v1")
def parse_example_v1(path, rng):
    """The op of TF 1.x, with one tensor per key and default; then something computed, so that a prediction comes out."""
    with tf1_graph():
        serialized = v1.placeholder(tf.string, [None], name="serialized")
        tags_i, history_i, tags_v, history_v, tags_s, history_s, age, pair, city, scores = _flat(tf.raw_ops.ParseExample(
            serialized=serialized, names=tf.constant([], tf.string),
            sparse_keys=["tags", "history"], dense_keys=["age", "pair", "city", "scores"],
            dense_defaults=[tf.constant(-1.0), tf.constant([], tf.float32), tf.constant(b"nowhere"), tf.constant(-9.0)],
            sparse_types=[tf.string, tf.int64], dense_shapes=[[], [2], [], [None]]))
        weights = v1.Variable([[0.25], [-0.5], [1.0]], name="weights")
        logit = tf.matmul(tf.concat([age[:, None], pair], axis=1), weights)
        outputs = dict(age=age, pair=pair, city=city, scores=scores, probability=tf.sigmoid(logit),
                       tags_indices=tags_i, tags_values=tags_v, tags_shape=tags_s,
                       history_indices=history_i, history_values=history_v, history_shape=history_s)
        save_tf1(path, {"serving_default": ({"examples": serialized}, outputs), "dense": ({"examples": serialized}, {"age": age, "pair": pair})})
    cases = batches(rng)
    return {f"serving_default.{name}": {"examples": batch} for name, batch in cases.items()}


def _flat(parsed):
    return [tensor for field in parsed for tensor in field]


@fixture("examples_v2")
def parse_example_v2(path, rng):
    """Everything tf.io.parse_example can say: fixed, variable, sparse and ragged features, the last with partitions."""
    class Model(tf.Module):
        def __init__(self):
            self.embedding = tf.Variable(np.arange(15, dtype=np.float32).reshape(5, 3) / 8)

        def outputs(self, parsed):
            out = {name: parsed[name] for name in [*DENSE, *VARIABLE] if name in parsed}
            for name in SPARSE:
                out |= {f"{name}_indices": parsed[name].indices, f"{name}_values": parsed[name].values, f"{name}_shape": parsed[name].dense_shape}
            history = tf.sparse.to_dense(parsed["history"]) % 5
            return out | {"history_embedding": tf.reduce_sum(tf.gather(self.embedding, history), axis=-2)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def batch(self, examples):
            parsed = tf.io.parse_example(examples, DENSE | SPARSE | VARIABLE | RAGGED)
            grouped = parsed["grouped"]
            return self.outputs(parsed) | {
                "words_values": parsed["words"].values, "words_splits": parsed["words"].row_splits,
                "grouped_values": grouped.flat_values, "grouped_outer_splits": grouped.row_splits, "grouped_inner_splits": grouped.values.row_splits,
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def dense(self, examples):
            return tf.io.parse_example(examples, DENSE)

        @tf.function(input_signature=[tf.TensorSpec([], tf.string, "example")])
        def single(self, example):
            return self.outputs(tf.io.parse_single_example(example, DENSE | SPARSE | VARIABLE))

    module = Model()
    save_tf2(path, module, {"serving_default": module.batch, "dense": module.dense, "single": module.single})
    cases = batches(rng)
    return ({f"serving_default.{name}": {"examples": batch} for name, batch in cases.items()}
            | {f"dense.{name}": {"examples": cases[name]} for name in ("rich", "many", "wrong_type")}
            | {f"single.{name}": {"example": cases[name][0]} for name in ("rich", "poor", "wrong_type", "garbage")})


# For Classify, Regress and MultiInference: what TF1's estimators export, what TF2 does, and every way to get one wrong.

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
INFERENCE = {
    "x": tf.io.FixedLenFeature([1], tf.float32),
    "bias": tf.io.FixedLenFeature([1], tf.float32, [2.0]),
    "name": tf.io.FixedLenFeature([], tf.string, b"anon"),
}
INFERENCE_CASES = {
    "two": [example(x=[1.0]), example(x=[4.0], bias=[-1.0], name=[b"zoe"])],
    "missing": [example(x=[1.0]), example(bias=[1.0])],
}


@fixture("inference")
def estimators(path, rng):
    """TF1: scores [x, 2x, 3x], classes (name, "b", "c"), regression x / 2 + bias, from examples and, elsewhere, wrongly."""
    with tf1_graph():
        serialized = v1.placeholder(tf.string, [None], name="input_example_tensor")
        another = v1.placeholder(tf.string, [None], name="another")
        number = v1.placeholder(tf.float32, [None], name="number")
        parsed = v1.io.parse_example(serialized, INFERENCE)
        x = parsed["x"]
        weights = v1.Variable([[1.0, 2.0, 3.0]], name="weights")
        scores = tf.matmul(x, weights, name="scores")
        rows = tf.shape(x)[0]
        classes = tf.stack([parsed["name"], tf.fill([rows], "b"), tf.fill([rows], "c")], axis=1, name="classes")
        column = tf.add(x * 0.5, parsed["bias"], name="column")
        values = tf.squeeze(column, [1], name="values")
        lengths = tf.cast(tf.strings.length(another), tf.float32)
        takes = {"inputs": serialized}
        both = {"classes": classes, "scores": scores}
        save_tf1(path, {
            "serving_default": (takes, both, CLASSIFY),
            "classification": (takes, both, CLASSIFY),
            "only_scores": (takes, {"scores": scores}, CLASSIFY),
            "only_classes": (takes, {"classes": classes}, CLASSIFY),
            "scores_and_more": (takes, {"scores": scores, "logits": scores}, CLASSIFY),
            "regression": (takes, {"outputs": column}, REGRESS),
            "regression_flat": (takes, {"outputs": values}, REGRESS),
            "predict": ({"examples": serialized}, both | {"values": values}),
            # Wrong before the run.
            "two_inputs": (takes | {"more": number}, both, CLASSIFY),
            "three_outputs": (takes, both | {"values": values}, CLASSIFY),
            "two_values": (takes, {"outputs": values, "more": values}, REGRESS),
            "input_alias": ({"examples": serialized}, {"scores": scores}, CLASSIFY),
            "output_alias": (takes, {"probabilities": scores}, CLASSIFY),
            "regression_input_alias": ({"examples": serialized}, {"outputs": values}, REGRESS),
            "regression_output_alias": (takes, {"values": values}, REGRESS),
            "numbers": ({"inputs": number}, {"outputs": number * 2}, REGRESS),
            "other_examples": ({"inputs": another}, {"outputs": lengths}, REGRESS),
            # Wrong after it.
            "scores_vector": (takes, {"scores": values}, CLASSIFY),
            "classes_vector": (takes, {"classes": parsed["name"]}, CLASSIFY),
            "scores_ints": (takes, {"scores": tf.cast(scores, tf.int64)}, CLASSIFY),
            "classes_ints": (takes, {"classes": tf.cast(scores, tf.int32)}, CLASSIFY),
            "scores_one_row": (takes, {"scores": scores[:1]}, CLASSIFY),
            "classes_one_row": (takes, {"classes": classes[:1]}, CLASSIFY),
            "widths": (takes, {"classes": classes[:, :2], "scores": scores}, CLASSIFY),
            "values_matrix": (takes, {"outputs": scores}, REGRESS),
            "values_one_row": (takes, {"outputs": values[:1]}, REGRESS),
            "values_doubles": (takes, {"outputs": tf.cast(values, tf.float64)}, REGRESS),
        })
    return {f"predict.{name}": {"examples": batch} for name, batch in INFERENCE_CASES.items()}


@fixture("inference_v2")
def keras_style(path, rng):
    """TF2: sparse and ragged features beside dense ones with defaults; TensorFlow writes method_name=predict for all of them."""
    class Model(tf.Module):
        def __init__(self):
            self.scale = tf.Variable(0.5)

        def parse(self, examples):
            return tf.io.parse_example(examples, INFERENCE | {
                "tags": tf.io.VarLenFeature(tf.int64),
                "words": tf.io.RaggedFeature(tf.string),
            })

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def classify(self, inputs):
            parsed = self.parse(inputs)
            tags = tf.cast(tf.reduce_sum(tf.sparse.to_dense(parsed["tags"]), axis=1, keepdims=True), tf.float32)
            words = tf.cast(parsed["words"].row_lengths(), tf.float32)[:, None]
            return {"scores": tf.concat([parsed["x"] * self.scale, tags, words], axis=1)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def regress(self, inputs):
            parsed = self.parse(inputs)
            return {"outputs": parsed["x"] * self.scale + parsed["bias"]}

    model = Model()
    save_tf2(path, model, {"serving_default": model.classify, "classify": model.classify, "regress": model.regress})
    with edit(path) as saved:
        saved.meta_graphs[0].signature_def["classify"].method_name = CLASSIFY
    batch = [example(x=[1.0], tags=[1, 2], words=[b"a", b"b", b"c"]), example(x=[2.0])]
    return {"classify.two": {"inputs": batch}, "regress.two": {"inputs": batch}}
