"""tf.feature_column as TF1 estimators exported it: tf.Examples parsed in the graph, columns, a linear, a deep and a wide & deep model."""
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from . import fixture
from .examples import example
from .saving import save_tf1, signature_map, tf1_graph, v1

fc = tf.feature_column
COLOURS = ["red", "green", "blue"]
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def vocabulary_file(folder):
    file = Path(folder) / "cities.txt"
    file.write_text("Sofia\nParis\nOslo\nLima\n")
    return str(file)


def columns(file):
    """Every family, by name."""
    age, size = fc.numeric_column("age", default_value=30.0), fc.numeric_column("size", shape=[2], default_value=0.5)
    age_bucket = fc.bucketized_column(age, [18.0, 30.0, 45.0, 65.0])
    categorical = {
        "hash": fc.categorical_column_with_hash_bucket("user", 50), "hash_int": fc.categorical_column_with_hash_bucket("device", 20, dtype=tf.int64), "list": fc.categorical_column_with_vocabulary_list("colour", COLOURS, num_oov_buckets=2),
        "list_default": fc.categorical_column_with_vocabulary_list("shade", COLOURS, default_value=1), "list_int": fc.categorical_column_with_vocabulary_list("grade", [1, 3, 5], dtype=tf.int64, default_value=0),
        "file": fc.categorical_column_with_vocabulary_file("city", file, vocabulary_size=4, num_oov_buckets=1), "file_default": fc.categorical_column_with_vocabulary_file("town", file, vocabulary_size=3, default_value=0),
        "identity": fc.categorical_column_with_identity("slot", 6, default_value=0),
    }
    categorical["crossed"] = fc.crossed_column(["user", age_bucket], 40)
    categorical["crossed_columns"] = fc.crossed_column([categorical["list"], categorical["identity"], "city"], 30, hash_key=7)
    categorical["weighted"] = fc.weighted_categorical_column(fc.categorical_column_with_hash_bucket("query", 25), "query_weight")
    return age, size, age_bucket, categorical


def requests():
    rich = dict(age=[33.0], size=[1.5, -2.0], user=[b"ada"], device=[7], colour=[b"red", b"mauve"], shade=[b"blue"], grade=[3], city=[b"Paris", b"Atlantis"], town=[b"Lima"], slot=[2, 5], query=[b"x", b"y"], query_weight=[0.5, 2.0])
    poor = dict(age=[80.0], user=[b"bob", b"eve"], grade=[4, 5], slot=[0])
    many = [example(age=[float(8 * i)], size=[float(i), 1.0], user=[b"u%d" % j for j in range(1 + i % 3)], colour=[COLOURS[i % 3].encode()], city=[b"Oslo", b"Sofia"][: 1 + i % 2], query=[b"q%d" % i], query_weight=[float(i)],
                    device=[i, i + 1], slot=[i % 6]) for i in range(7)]
    return {"rich": [example(**rich)], "mixed": [example(**rich), example(**poor), example()], "empty": [example()], "many": many, "none": [],
            "out_of_range": [example(**rich | dict(slot=[6]))], "garbage": [b"no Example"]}


def cases(*signatures):
    return {f"{signature}.{case}": {"inputs": rows} for signature in signatures for case, rows in requests().items()}


@fixture("feature_columns/deep")
def deep(path, rng):
    """input_layer: numeric, bucketized, indicators, embeddings with each combiner, shared embeddings."""
    with tempfile.TemporaryDirectory() as folder, tf1_graph():
        v1.set_random_seed(5)
        age, size, age_bucket, categorical = columns(vocabulary_file(folder))
        embeddings = [fc.embedding_column(categorical[name], 3, combiner=combiner) for name, combiner in
                      (("hash", "mean"), ("hash_int", "sum"), ("file", "sqrtn"), ("crossed", "mean"), ("weighted", "sum"), ("list", "mean"))]
        embeddings.append(fc.embedding_column(fc.categorical_column_with_hash_bucket("query", 25), 2, max_norm=0.5))
        indicators = [fc.indicator_column(categorical[name]) for name in ("list", "list_default", "list_int", "file_default", "identity", "weighted", "crossed_columns")]
        shared = v1.feature_column.shared_embedding_columns([categorical["list_default"], fc.categorical_column_with_vocabulary_list("colour", COLOURS, default_value=1)], 2)
        dense = [age, size, age_bucket] + indicators + embeddings
        serialized = v1.placeholder(tf.string, [None], name="input_example_tensor")
        features = tf.io.parse_example(serialized, fc.make_parse_example_spec(dense))
        layer = v1.feature_column.input_layer(features, dense)
        together = v1.feature_column.input_layer(dict(features), shared)
        hidden = tf.nn.relu(tf.matmul(layer, tf.constant(rng.normal(size=(int(layer.shape[1]), 5)).astype(np.float32))))
        logits = tf.matmul(hidden, v1.Variable(rng.normal(size=(5, 3)).astype(np.float32)))
        probabilities = tf.nn.softmax(logits)
        classes = tf.tile(tf.constant([["a", "b", "c"]]), [tf.shape(logits)[0], 1])
        inputs = {"inputs": serialized}
        save_tf1(path, {"serving_default": (inputs, {"classes": classes, "scores": probabilities}, CLASSIFY), "layer": (inputs, {"layer": layer, "shared": together}), "regression": (inputs, {"outputs": logits[:, 0]}, REGRESS)},
                 main_op=v1.tables_initializer(), assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))
    return cases("serving_default", "layer")


@fixture("feature_columns/wide_and_deep")
def wide_and_deep(path, rng):
    """linear_model beside input_layer, sparse_combiner mean, and the logistic head of DNNLinearCombinedClassifier."""
    with tempfile.TemporaryDirectory() as folder, tf1_graph():
        v1.set_random_seed(6)
        age, size, age_bucket, categorical = columns(vocabulary_file(folder))
        wide = [age_bucket, size] + [categorical[name] for name in ("hash", "list", "file", "identity", "crossed", "weighted", "crossed_columns")]
        narrow = [age, fc.embedding_column(categorical["hash"], 4)]
        serialized = v1.placeholder(tf.string, name="input_example_tensor")
        features = tf.io.parse_example(serialized, fc.make_parse_example_spec(wide + narrow))
        linear = v1.feature_column.linear_model(features, wide, units=1, sparse_combiner="sum")
        mean = v1.feature_column.linear_model(dict(features), [categorical["hash"], categorical["weighted"]], units=2, sparse_combiner="mean")
        for variable in v1.global_variables():
            shape = variable.shape.as_list()
            v1.add_to_collection("init", v1.assign(variable, rng.normal(size=shape).astype(np.float32)))
        deep = v1.feature_column.input_layer(features, narrow)
        hidden = tf.nn.relu(tf.matmul(deep, v1.Variable(rng.normal(size=(5, 4)).astype(np.float32))))
        logits = linear + tf.matmul(hidden, v1.Variable(rng.normal(size=(4, 1)).astype(np.float32)))
        logistic = tf.sigmoid(logits)
        probabilities = tf.nn.softmax(tf.concat([tf.zeros_like(logits), logits], -1))
        class_ids = tf.expand_dims(tf.argmax(probabilities, -1), -1)
        inputs = {"inputs": serialized}
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            session.run(v1.get_collection("init"))
            v1.get_default_graph().clear_collection("init")
            builder = v1.saved_model.Builder(str(path))
            builder.add_meta_graph_and_variables(session, ["serve"], signature_map({
                "serving_default": (inputs, {"logistic": logistic, "probabilities": probabilities, "class_ids": class_ids, "classes": tf.as_string(class_ids), "mean": mean}),
                "regress": (inputs, {"outputs": logistic}, REGRESS)}),
                main_op=v1.tables_initializer(), assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))
            builder.save()
    return cases("serving_default")
