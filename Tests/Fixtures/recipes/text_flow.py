"""Branches and loops around strings, tables and ragged rows, as preprocessing written by hand has them."""
import tensorflow as tf

from . import fixture
from .saving import save_tf2


@fixture("text_flow")
def text_flow(path, rng):
    """If, Case and While over string tensors and tables; map_fn over words, with rows of any length in and out."""
    class Model(tf.Module):
        def __init__(self):
            self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "bb", "ccc"], tf.constant([1, 2, 3], tf.int64)), -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words"), tf.TensorSpec([], tf.int32, "which")])
        def branches(self, words, which):
            known = tf.cond(tf.size(words) > 2, lambda: self.table.lookup(words), lambda: tf.cast(tf.strings.length(words), tf.int64))
            text = tf.switch_case(which, [lambda: tf.strings.upper(words), lambda: tf.strings.join([words, words], "-")], default=lambda: words)
            with tf.control_dependencies([tf.debugging.assert_less(tf.size(words), 5, message="too many words")]):
                return {"known": known, "text": text, "count": tf.size(words)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words"), tf.TensorSpec([], tf.int32, "times")])
        def loops(self, words, times):
            grown = tf.while_loop(lambda i, text: i < times, lambda i, text: (i + 1, tf.strings.join([text, words])), (0, words))[1]
            lengths = tf.map_fn(tf.strings.length, words, fn_output_signature=tf.int32)
            upper = tf.map_fn(tf.strings.upper, words)
            return {"grown": grown, "lengths": lengths, "upper": upper}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
        def rows(self, words):
            letters = tf.map_fn(tf.strings.bytes_split, words, fn_output_signature=tf.RaggedTensorSpec([None], tf.string))
            sizes = tf.map_fn(tf.size, letters, fn_output_signature=tf.int32)
            doubled = tf.map_fn(lambda row: tf.concat([row, row[:1]], 0), letters, fn_output_signature=tf.RaggedTensorSpec([None], tf.string))
            return {"letters": letters.to_tensor("."), "sizes": sizes, "doubled": doubled.to_tensor("."), "splits": doubled.row_splits}

    model = Model()
    save_tf2(path, model, {name: getattr(model, name) for name in ("branches", "loops", "rows")})
    words = ["a", "ccc", "zz"]
    return {
        "branches.three": {"words": words, "which": 0}, "branches.two": {"words": words[1:], "which": 1}, "branches.none": {"words": [], "which": 9}, "branches.too_many": {"words": words * 2, "which": 0},
        "loops.three": {"words": words, "times": 3}, "loops.never": {"words": words, "times": 0}, "rows.three": {"words": words}, "rows.gap": {"words": ["", "ab"]},
    }
