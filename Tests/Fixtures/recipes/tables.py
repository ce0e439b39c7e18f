"""Lookup tables, filled from files, constants and checkpoints, read and written by signatures."""
import tempfile
from pathlib import Path

import tensorflow as tf
from tensorflow.python.ops import lookup_ops

from . import fixture
from .saving import save_tf2, signature_map, tf1_graph, v1

TSV = "red\t3\t0.5\nblue\t-7\t1e3\ngreen\t12\tinf\n"


def write(folder, name, text):
    file = Path(folder) / name
    file.write_text(text)
    return str(file)


@fixture("tables/static")
def static_tables(path, rng):
    """StaticHashTable and StaticVocabularyTable of many key and value types."""
    with tempfile.TemporaryDirectory() as folder:
        tsv, words, comma = write(folder, "colours.tsv", TSV), write(folder, "words.txt", "zero\none\ntwo words\n"), write(folder, "pairs.csv", "1,10\n2,20\n")
        lookup = tf.lookup
        text, index = lookup.TextFileInitializer, lookup.TextFileIndex

        class Model(tf.Module):
            def __init__(self):
                table = lambda initializer, default: lookup.StaticHashTable(initializer, default)
                pairs = lookup.KeyValueTensorInitializer
                self.strings = {
                    "column_int": table(text(tsv, tf.string, 0, tf.int64, 1), -1), "column_float": table(text(tsv, tf.string, 0, tf.float32, 2), -1.0), "line_number": table(text(tsv, tf.string, 0, tf.int64, index.LINE_NUMBER), -1),
                    "whole": table(text(words, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER), 99), "limited": table(text(words, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER, vocab_size=2), 99),
                    "inline": table(pairs(["red", "blue", ""], [1.5, -2.5, 0.25]), 7.0), "to_string": table(pairs(["red", "blue"], ["rouge", "bleu"]), "?"), "to_bool": table(pairs(["red", "blue"], [True, False]), True),
                    "to_double": table(pairs(["red"], tf.constant([2.0], tf.float64)), 0.5), "to_int32": table(pairs(["red"], tf.constant([2], tf.int32)), -2),
                }
                self.integers = {
                    "from_line": table(text(words, tf.int64, index.LINE_NUMBER, tf.string, index.WHOLE_LINE), "?"), "from_column": table(text(comma, tf.int64, 0, tf.int64, 1, delimiter=","), 0),
                    "inline_int": table(pairs(tf.constant([1, 2], tf.int64), [0.5, 0.75]), 0.0), "int_to_int": table(pairs(tf.constant([1, 2], tf.int64), tf.constant([5, 6], tf.int64)), 0),
                }
                self.int32 = table(pairs(tf.constant([1, 2], tf.int32), tf.constant([5, 6], tf.int32)), -1)
                self.oov = lookup.StaticVocabularyTable(text(words, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER), 3)
                self.ints_oov = lookup.StaticVocabularyTable(pairs(tf.constant([11, 12, 13], tf.int64), tf.constant([0, 1, 2], tf.int64)), 5)

            @tf.function(input_signature=[tf.TensorSpec(None, tf.string, "word"), tf.TensorSpec(None, tf.int64, "number")])
            def predict(self, word, number):
                result = {name: table.lookup(word) for name, table in self.strings.items()} | {name: table.lookup(number) for name, table in self.integers.items()}
                return result | {"int32": self.int32.lookup(tf.cast(number, tf.int32)), "oov": self.oov.lookup(word), "ints_oov": self.ints_oov.lookup(number), "size": self.oov.size(), "size_inline": self.strings["inline"].size()}

        model = Model()
        save_tf2(path, model, {"serving_default": model.predict})
    return {
        "serving_default.some": {"word": ["red", "blue", "green", "zero", "two words", "nothing", ""], "number": [0, 1, 2, 3, 11, -1, 2**40]},
        "serving_default.matrix": {"word": [["red"], ["one"]], "number": [[1, 13]]},
        "serving_default.scalar": {"word": "blue", "number": 2},
        "serving_default.none": {"word": [], "number": []},
    }


@fixture("tables/reference", stateful=True)
def reference_tables(path, rng):
    """TF1: HashTable initialised by tables_initializer, index_table_from_file and _from_tensor, index_to_string; a MutableHashTable of the checkpoint."""
    with tempfile.TemporaryDirectory() as folder, tf1_graph():
        words = write(folder, "words.txt", "zero\none\ntwo words\n")
        tables = {
            "file": lookup_ops.index_table_from_file(words, num_oov_buckets=2), "strong": lookup_ops.index_table_from_file(words, num_oov_buckets=2, hasher_spec=lookup_ops.StrongHashSpec((5, 6))),
            "tensor": lookup_ops.index_table_from_tensor(["red", "blue"], default_value=5), "plain": v1.lookup.StaticHashTable(lookup_ops.KeyValueTensorInitializer(["red", "blue"], [1.5, 2.5]), -1.0),
        }
        names = lookup_ops.index_to_string_table_from_file(words, default_value="none")
        counts = lookup_ops.MutableHashTable(tf.string, tf.int64, -1, name="counts", checkpoint=True)
        vectors = lookup_ops.MutableHashTable(tf.int64, tf.float32, tf.constant([-1.0, -2.0]), name="vectors", checkpoint=True)
        dense = lookup_ops.DenseHashTable(tf.int64, tf.float32, default_value=-1.0, empty_key=-1, deleted_key=-2, name="dense", checkpoint=True, initial_num_buckets=8)
        word, number = v1.placeholder(tf.string, [None], name="word"), v1.placeholder(tf.int64, [None], name="number")
        value = v1.placeholder(tf.int64, [None], name="value")
        outputs = {name: table.lookup(word) for name, table in tables.items()}
        outputs |= {"name": names.lookup(number), "count": counts.lookup(word), "vector": vectors.lookup(number), "dense": dense.lookup(number), "counts_size": counts.size(), "file_size": tables["file"].size()}
        with tf.control_dependencies([counts.insert(word, value)]):
            inserted = {"size": counts.size(), "again": counts.lookup(word)}
        with tf.control_dependencies([counts.remove(word)]):
            removed = {"size": counts.size(), "again": counts.lookup(word)}
        keys, values = counts.export()
        order = tf.argsort(values)
        with v1.Session() as session:
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            session.run([counts.insert(["red", "green"], tf.constant([4, 9], tf.int64)), vectors.insert(tf.constant([1, 3], tf.int64), tf.constant([[1.0, 2.0], [3.0, 4.0]])), dense.insert(tf.constant([5, 6], tf.int64), tf.constant([0.5, 0.25]))])
            builder = v1.saved_model.Builder(str(path))
            builder.add_meta_graph_and_variables(session, ["serve"], signature_map({
                "serving_default": ({"word": word, "number": number}, outputs), "insert": ({"word": word, "value": value}, inserted), "remove": ({"word": word}, removed),
                "export": ({}, {"keys": tf.gather(keys, order), "values": tf.gather(values, order)})}), main_op=v1.tables_initializer(), assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))
            builder.save()
    return {
        "serving_default.some": {"word": ["red", "green", "zero", "mauve", "two words"], "number": [0, 1, 2, 3, 5]},
        "serving_default.none": {"word": [], "number": []},
        "insert.two": {"word": ["mauve", "red"], "value": [7, 8]},
        "insert.twice": {"word": ["mauve", "mauve"], "value": [5, 6]},
        "insert.mismatch": {"word": ["mauve"], "value": [5, 6]},
        "remove.one": {"word": ["green", "nobody"]},
        "export.all": {},
    }


@fixture("tables/mutable", stateful=True)
def mutable_tables(path, rng):
    """TF2: MutableHashTable and DenseHashTable, filled at export, written by requests."""
    class Model(tf.Module):
        def __init__(self):
            self.counts = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
            self.counts.insert(["red", "blue"], tf.constant([3, 4], tf.int64))
            self.dense = tf.lookup.experimental.DenseHashTable(tf.string, tf.float32, default_value=-1.0, empty_key="", deleted_key="$", initial_num_buckets=4)
            self.dense.insert(["red", "blue"], tf.constant([0.5, 1.5]))
            self.pairs = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, default_value=[0, 0], empty_key=-1, deleted_key=-2, initial_num_buckets=4)
            self.pairs.insert(tf.constant([10], tf.int64), tf.constant([[1, 2]], tf.int64))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word"), tf.TensorSpec([None], tf.int64, "number")])
        def lookup(self, word, number):
            return {"count": self.counts.lookup(word), "dense": self.dense.lookup(word), "pair": self.pairs.lookup(number), "size": self.counts.size(), "dense_size": self.dense.size()}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
        def count(self, word):
            self.counts.insert(word, self.counts.lookup(word) + 1)
            self.dense.insert(word, tf.cast(self.counts.lookup(word), tf.float32))
            return {"count": self.counts.lookup(word), "dense": self.dense.lookup(word), "size": self.counts.size(), "dense_size": self.dense.size()}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "word")])
        def forget(self, word):
            self.counts.remove(word)
            self.dense.erase(word)
            return {"count": self.counts.lookup(word), "dense": self.dense.lookup(word), "size": self.counts.size(), "dense_size": self.dense.size()}

    model = Model()
    save_tf2(path, model, {"serving_default": model.lookup, "count": model.count, "forget": model.forget})
    return {
        "serving_default.some": {"word": ["red", "mauve"], "number": [10, 11]},
        "count.three": {"word": ["red", "mauve", "blue"]},
        "forget.one": {"word": ["red", "nobody"]},
    }
