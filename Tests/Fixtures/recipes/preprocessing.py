"""Keras preprocessing layers, every mode that exports: what models carry in front of their networks."""
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from . import fixture
from .saving import save_tf2

L = keras.layers
WORDS = ["red", "green", "blue", "here"]


def export(path, inputs, outputs):
    """Saves a functional model that maps named inputs to named outputs."""
    model = keras.Model(inputs, outputs)
    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name) for name, tensor in inputs.items()]
    module = tf.Module()
    module.layers, module.weights = model.layers, [variable.value for variable in model.variables]
    module.predict = tf.function(lambda *tensors: model(dict(zip(inputs, tensors)), training=False), input_signature=specs)
    save_tf2(path, module, {"serving_default": module.predict})


@fixture("preprocessing/numbers")
def numbers(path, rng):
    """Normalization, Discretization, CategoryEncoding, Rescaling."""
    inputs = {"x": keras.Input([3], name="x"), "ids": keras.Input([4], dtype="int64", name="ids"), "weights": keras.Input([4], name="weights")}
    x, ids, weights = inputs.values()
    adapted = L.Normalization()
    adapted.adapt(rng.normal(2, 3, (50, 3)).astype(np.float32))
    edges = [-1.0, 0.0, 0.5, 3.0]
    outputs = {
        "normalized": adapted(x), "scalar": L.Normalization(axis=None, mean=1.5, variance=4.0)(x), "inverse": L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 9.0, 16.0], invert=True)(x),
        "bins": L.Discretization(edges)(x), "rescaled": L.Rescaling(0.25, offset=-1.0)(x),
        **{f"bins_{mode}": L.Discretization(edges, output_mode=mode)(x) for mode in ("one_hot", "multi_hot", "count")},
        **{f"category_{mode}": L.CategoryEncoding(6, output_mode=mode)(ids) for mode in ("one_hot", "multi_hot", "count")},
        "category_weighted": L.CategoryEncoding(6, output_mode="count")(ids, count_weights=weights),
    }
    export(path, inputs, outputs)
    return {
        "serving_default.two": {"x": [[-1.0, 0.0, 0.25], [0.5, 99.0, -99.0]], "ids": [[0, 1, 1, 5], [2, 2, 2, 2]], "weights": rng.uniform(size=(2, 4))},
        "serving_default.none": {"x": np.zeros([0, 3]), "ids": np.zeros([0, 4]), "weights": np.zeros([0, 4])},
        "serving_default.out_of_range": {"x": [[0.0] * 3], "ids": [[0, 1, 1, 6]], "weights": [[1.0] * 4]},
        "serving_default.negative": {"x": [[0.0] * 3], "ids": [[0, -1, 1, 2]], "weights": [[1.0] * 4]},
    }


@fixture("preprocessing/hashing")
def hashing(path, rng):
    """Hashing with each kind of salt and mask, HashedCrossing."""
    inputs = {"s": keras.Input([2], dtype="string", name="s"), "i": keras.Input([2], dtype="int64", name="i"), "one": keras.Input([1], dtype="string", name="one"), "number": keras.Input([1], dtype="int64", name="number")}
    s, i, one, number = inputs.values()
    outputs = {}
    for name, x, mask in (("string", s, ""), ("integer", i, 0)):
        outputs |= {
            f"{name}_plain": L.Hashing(7)(x), f"{name}_masked": L.Hashing(7, mask_value=mask)(x), f"{name}_salt": L.Hashing(1000, salt=133)(x),
            f"{name}_salts": L.Hashing(1000, salt=[133, 137])(x), f"{name}_multi_hot": L.Hashing(5, output_mode="multi_hot")(x), f"{name}_count": L.Hashing(5, output_mode="count")(x),
        }
    outputs["one_hot"] = L.Hashing(5, output_mode="one_hot")(one)
    outputs["crossed"] = L.HashedCrossing(11)((one, number))
    outputs["crossed_one_hot"] = L.HashedCrossing(11, output_mode="one_hot")((one, number))
    export(path, inputs, outputs)
    return {
        "serving_default.three": {"s": [["a", "b"], ["", "long enough to need another path"], ["a", "a"]], "i": [[1, 2], [0, -5], [2**40, 1]], "one": [["x"], ["y"], [""]], "number": [[3], [0], [-1]]},
        "serving_default.none": {"s": np.zeros([0, 2], object), "i": np.zeros([0, 2]), "one": np.zeros([0, 1], object), "number": np.zeros([0, 1])},
    }


def _text_file(words):
    folder = tempfile.TemporaryDirectory()
    file = Path(folder.name) / "vocabulary.txt"
    file.write_text("".join(f"{word}\n" for word in words))
    return folder, str(file)


@fixture("preprocessing/lookup")
def lookup(path, rng):
    """StringLookup and IntegerLookup: vocabularies from a list and a file, inverse, masks, unknown words, every output mode."""
    folder, file = _text_file(WORDS)
    inputs = {"s": keras.Input([3], dtype="string", name="s"), "i": keras.Input([3], dtype="int64", name="i"), "one": keras.Input([1], dtype="string", name="one"), "weights": keras.Input([3], name="weights")}
    s, i, one, weights = inputs.values()
    numbers = [12, 36, 1138, 42]
    idf = [0.25, 0.75, 0.6, 0.4]
    with folder:
        outputs = {
            "plain": L.StringLookup(vocabulary=WORDS)(s), "file": L.StringLookup(vocabulary=file)(s), "masked": L.StringLookup(vocabulary=WORDS, mask_token="")(s), "no_unknown": L.StringLookup(vocabulary=WORDS, num_oov_indices=0)(s),
            "three_unknown": L.StringLookup(vocabulary=WORDS, num_oov_indices=3, mask_token="")(s), "int32": L.StringLookup(vocabulary=file, num_oov_indices=2)(s),
            **{mode: L.StringLookup(vocabulary=WORDS, output_mode=mode)(s) for mode in ("multi_hot", "count")}, "one_hot": L.StringLookup(vocabulary=WORDS, output_mode="one_hot")(one),
            "padded": L.StringLookup(vocabulary=WORDS, output_mode="multi_hot", max_tokens=9, pad_to_max_tokens=True)(s),
            "tf_idf": L.StringLookup(vocabulary=WORDS, idf_weights=idf, output_mode="tf_idf")(s),
            "inverse": L.StringLookup(vocabulary=WORDS, invert=True)(i), "inverse_file": L.StringLookup(vocabulary=file, invert=True, mask_token="")(i),
            "integers": L.IntegerLookup(vocabulary=numbers)(i), "integers_masked": L.IntegerLookup(vocabulary=numbers, mask_token=0, num_oov_indices=2)(i), "integers_inverse": L.IntegerLookup(vocabulary=numbers, invert=True)(i),
            "integers_multi_hot": L.IntegerLookup(vocabulary=numbers, output_mode="multi_hot", num_oov_indices=2)(i), "integers_count": L.IntegerLookup(vocabulary=numbers, output_mode="count")(i),
        }
        export(path, inputs, outputs)
    return {
        "serving_default.known": {"s": [["red", "green", "red"], ["blue", "here", "blue"]], "i": [[12, 36, 12], [1138, 42, 42]], "one": [["red"], ["here"]], "weights": rng.uniform(size=(2, 3))},
        "serving_default.unknown": {"s": [["red", "mauve", ""]], "i": [[12, 7, 0]], "one": [["mauve"]], "weights": rng.uniform(size=(1, 3))},
        "serving_default.none": {"s": np.zeros([0, 3], object), "i": np.zeros([0, 3]), "one": np.zeros([0, 1], object), "weights": np.zeros([0, 3])},
        "serving_default.small": {"s": [["red", "blue", "here"]], "i": [[0, 1, 4]], "one": [["blue"]], "weights": rng.uniform(size=(1, 3))},
    }


@fixture("preprocessing/vectorization")
def vectorization(path, rng):
    """TextVectorization: standardizers, splitters, ngrams, every output mode, a model behind it."""
    text = ["the quick brown fox", "Jumped over the lazy dog!", "", "quick, quick — fox's end"]
    layers = {
        "int": {}, "padded": dict(output_sequence_length=6), "raw": dict(standardize=None), "punctuation": dict(standardize="strip_punctuation"),
        "characters": dict(split="character"), "whole": dict(split=None), "bigrams": dict(ngrams=2), "some_ngrams": dict(ngrams=(1, 3)), "multi_hot": dict(output_mode="multi_hot"), "count": dict(output_mode="count", ngrams=2),
        "tf_idf": dict(output_mode="tf_idf"), "limited": dict(max_tokens=5, output_mode="multi_hot", pad_to_max_tokens=True),
    }
    inputs = {"text": keras.Input([1], dtype="string", name="text")}
    outputs = {}
    for name, arguments in layers.items():
        layer = L.TextVectorization(**arguments)
        layer.adapt(text)
        outputs[name] = layer(inputs["text"])
    embedded = L.Embedding(30, 4, mask_zero=True, embeddings_initializer=keras.initializers.RandomNormal(seed=3))(outputs["int"])
    outputs["pooled"] = L.GlobalAveragePooling1D()(embedded)
    export(path, inputs, outputs)
    return {
        "serving_default.known": {"text": [["The quick dog"], ["lazy, lazy FOX!"]]},
        "serving_default.others": {"text": [[""], ["zebra über quick's \t end"], ["   "], ["the the brown"]]},
        "serving_default.one": {"text": [["fox"]]},
        "serving_default.empty": {"text": [[""]]},
        "serving_default.none": {"text": np.zeros([0, 1], object)},
    }


@fixture("preprocessing/images")
def images(path, rng):
    """Resizing, CenterCrop, Rescaling on a batch of uneven images."""
    inputs = {"image": keras.Input([7, 9, 2], name="image")}
    image = inputs["image"]
    outputs = {
        **{f"resized_{method}": L.Resizing(5, 4, interpolation=method)(image) for method in ("bilinear", "nearest")}, "larger": L.Resizing(11, 13)(image), "aspect": L.Resizing(6, 6, crop_to_aspect_ratio=True)(image),
        "padded": L.Resizing(6, 6, pad_to_aspect_ratio=True)(image), "cropped": L.CenterCrop(5, 4)(image), "cropped_larger": L.CenterCrop(9, 9)(image), "rescaled": L.Rescaling([1.0, 2.0], [0.5, -0.5])(image),
    }
    export(path, inputs, outputs)
    return {f"serving_default.batch{n}": {"image": rng.uniform(0, 255, (n, 7, 9, 2))} for n in (1, 2)}


@fixture("preprocessing/bags")
def bags(path, rng):
    """Words in bags of any size, ragged and sparse, through a table and an embedding, as hand-written serving functions have them."""
    class Model(tf.Module):
        def __init__(self):
            self.lookup = L.StringLookup(vocabulary=WORDS)
            self.table = tf.Variable(rng.normal(size=(5, 3)).astype(np.float32), name="table")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def words(self, text):
            words = tf.strings.split(text)
            ids = words.with_values(self.lookup(words.values))
            vectors = ids.with_values(tf.nn.embedding_lookup(self.table, ids.values))
            sparse = ids.to_sparse()
            weights = sparse.with_values(tf.cast(sparse.values, tf.float32) + 0.5)
            result = {"ids": ids.to_tensor(-1), "lengths": ids.row_lengths(), "sum": tf.reduce_sum(vectors, axis=1), "mean": tf.reduce_mean(vectors, axis=1), "max": tf.reduce_max(ids, axis=1),
                      "first": vectors[:, :2].to_tensor(), "words": tf.strings.reduce_join(words, axis=1, separator="+"), "lower": tf.strings.upper(words.values), "total": ids.nrows()}
            for combiner in ("sum", "mean", "sqrtn"):
                result[combiner + "_safe"] = tf.nn.safe_embedding_lookup_sparse(self.table, sparse, combiner=combiner)
                result[combiner + "_weighted"] = tf.nn.safe_embedding_lookup_sparse(self.table, sparse, weights, combiner=combiner, default_id=1)
                result[combiner + "_ragged"] = tf.nn.embedding_lookup_sparse(self.table, ids, None, combiner=combiner)
            return result

    model = Model()
    save_tf2(path, model, {"serving_default": model.words})
    return {
        "serving_default.three": {"text": ["red red mauve", "here", "green blue red red"]},
        "serving_default.gaps": {"text": ["red", "", "blue green"]},
        "serving_default.empty": {"text": [""]},
        "serving_default.none": {"text": []},
    }
