"""What surrounds the graph: tag sets, init ops in their three places, assets in their two, ops nobody has."""
import tempfile
from pathlib import Path

import tensorflow as tf

from . import fixture
from .saving import edit, save_tf1, save_tf2, signature_map, tf1_graph, v1

VOCABULARY = ["red", "green", "blue"]


@fixture("tags")
def several_meta_graphs(path, rng):
    """serve: y = 2x. serve+gpu: y = 3x. train: y = betainc(x), an op that no CPU server need have and that nobody asked to load."""
    builder = v1.saved_model.Builder(str(path))
    for position, tags in enumerate((["serve"], ["serve", "gpu"], ["train"])):
        with tf1_graph(), v1.Session() as session:
            # One checkpoint serves all MetaGraphs: what differs between them is in the graph.
            weight = v1.Variable(2.0, name="weight")
            x = v1.placeholder(tf.float32, [None], name="x")
            y = tf.math.betainc(x, x, x) if tags == ["train"] else weight * x + float(position) * x
            signatures = signature_map({"serving_default": ({"x": x}, {"y": y})})
            if position == 0:
                session.run(v1.global_variables_initializer())
                builder.add_meta_graph_and_variables(session, tags, signatures)
            else:
                builder.add_meta_graph(tags, signatures)
    builder.save()
    return {"serving_default.one": {"x": [1.0]}, "serve+gpu/serving_default.one": {"x": [1.0]}}


def _colours(path):
    """A TF1 graph whose answers need both the vocabulary file and an init op that was told where it lies."""
    with tempfile.TemporaryDirectory() as scratch, tf1_graph():
        file = Path(scratch) / "vocabulary.txt"
        file.write_text("\n".join(VOCABULARY) + "\n")
        note = Path(scratch) / "note.txt"
        note.write_text("a note beside the vocabulary")
        asset, note_path = tf.constant(str(file), name="vocabulary_path"), tf.constant(str(note), name="note_path")
        for tensor in (asset, note_path):
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, tensor)
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="colours")
        fill = tf.raw_ops.InitializeTableFromTextFileV2(table_handle=table, filename=asset, key_index=-2, value_index=-1)
        initialized, note_text = v1.Variable(False, name="initialized"), v1.Variable("unread", name="note_text")
        init = tf.group(fill, v1.assign(initialized, True), v1.assign(note_text, tf.io.read_file(note_path)), name="init_all")
        colour = v1.placeholder(tf.string, [None], name="colour")
        index = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=colour, default_value=tf.constant(-1, tf.int64))
        outputs = {"index": index, "initialized": initialized, "note": note_text}
        save_tf1(path, {"serving_default": ({"colour": colour}, outputs)}, main_op=init, assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))
    return {"serving_default.three": {"colour": ["blue", "mauve", "red"]}}


def _move_init_op(model, collection):
    """Leaves the init op in `collection` only, as the writers of its time did."""
    graph = model.meta_graphs[0]
    for place in ("saved_model_main_op", "legacy_init_op"):
        if place in graph.collection_def:
            del graph.collection_def[place]
    graph.signature_def.pop("__saved_model_init_op", None)
    if collection:
        graph.collection_def[collection].node_list.value.append("init_all")


def _move_assets_to_field(model):
    """From the collection, where the TF1 builder puts them, to MetaGraphDef.asset_file_def, where TF2 does."""
    graph = model.meta_graphs[0]
    for asset in graph.collection_def["saved_model_assets"].any_list.value:
        asset.Unpack(graph.asset_file_def.add())
    del graph.collection_def["saved_model_assets"]


@fixture("init_main_op")
def init_by_main_op_collection(path, rng):
    cases = _colours(path)
    with edit(path) as model:
        _move_init_op(model, "saved_model_main_op")
        _move_assets_to_field(model)
    return cases


@fixture("init_legacy_op")
def init_by_legacy_collection(path, rng):
    cases = _colours(path)
    with edit(path) as model:
        _move_init_op(model, "legacy_init_op")
    return cases


@fixture("init_signature")
def init_by_signature(path, rng):
    """The TF2 form: __saved_model_init_op calls the initializers of tables that hold an Asset."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "vocabulary.txt"
        file.write_text("\n".join(VOCABULARY) + "\n")

        class Model(tf.Module):
            def __init__(self):
                initializer = tf.lookup.TextFileInitializer(str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
                self.file = tf.lookup.StaticHashTable(initializer, -1)
                self.inline = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["red", "blue"], [255.0, 1.0]), 0.0)
                self.names = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.range(3, dtype=tf.int64), VOCABULARY), "?")

            @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "colour")])
            def predict(self, colour):
                index = self.file.lookup(colour)
                return {"index": index, "weight": self.inline.lookup(colour), "name": self.names.lookup(index), "size": self.file.size()}

        model = Model()
        save_tf2(path, model, {"serving_default": model.predict})
    return {"serving_default.three": {"colour": ["blue", "mauve", "red"]}, "serving_default.none": {"colour": []}}


@fixture("custom_op")
def an_op_nobody_has(path, rng):
    """What a model with a custom kernel looks like to a server without it: the load must fail, naming op and node."""
    with tf1_graph():
        x = v1.placeholder(tf.float32, [None], name="x")
        y = tf.tan(x, name="tokens")
        save_tf1(path, {"serving_default": ({"x": x}, {"y": y})})
    with edit(path) as model:
        next(node for node in model.meta_graphs[0].graph_def.node if node.name == "tokens").op = "SentencepieceTokenizeOp"
    return {}


@fixture("unused_op")
def an_op_nobody_needs(path, rng):
    """An op few servers have, which no signature reaches: prune, then serve."""
    with tf1_graph():
        x = v1.placeholder(tf.float32, [None], name="x")
        tf.math.betainc(x, x, x, name="leftover")
        save_tf1(path, {"serving_default": ({"x": x}, {"y": x + 1})})
    return {"serving_default.one": {"x": [1.0]}}
