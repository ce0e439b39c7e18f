"""Keras networks, untrained but with every weight and statistic set to something that matters to the answer."""
import keras
import numpy as np
import tensorflow as tf

from . import fixture

L = keras.layers


@fixture("keras_mlp")
def mlp(path, rng):
    inputs = keras.Input((8,), name="x")
    x = L.Normalization(mean=0.1, variance=1.5)(inputs)
    x = L.Dense(16, activation="relu")(x)
    x = L.BatchNormalization()(x)
    x = L.Dropout(0.5)(x)
    branches = [L.Dense(6, activation=name)(x) for name in ("tanh", "sigmoid", "elu", "selu", "gelu", "softplus", "softsign", "silu", "hard_sigmoid", "exponential", "linear")]
    branches.append(L.LeakyReLU(negative_slope=0.2)(L.Dense(6)(x)))
    branches.append(L.PReLU()(L.Dense(6)(x)))
    x = L.LayerNormalization()(L.Concatenate()(branches))
    x = L.Add()([L.Dense(12)(x), L.Dense(12, use_bias=False)(x)])
    model = keras.Model(inputs, {"probabilities": L.Dense(4, activation="softmax")(x), "hidden": x})
    return _export(path, model, rng, {"x": lambda n: rng.normal(size=(n, 8))}, batches=(1, 5, 0))


@fixture("keras_cnn")
def cnn(path, rng):
    inputs = keras.Input((12, 10, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = L.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = L.BatchNormalization()(x)
    x = L.ReLU(max_value=6)(x)
    x = L.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = L.BatchNormalization(scale=False)(x)
    x = L.SeparableConv2D(12, 3, padding="same", activation="relu")(x)
    a = L.Conv2D(6, (3, 2), strides=2, padding="same", activation="relu")(x)
    b = L.Conv2D(6, (1, 2), strides=2, padding="valid")(x)
    a, b = L.MaxPooling2D(2, padding="same")(a), L.AveragePooling2D(3, strides=2, padding="same")(b)
    x = L.Concatenate()([a, b])
    x = L.Conv2D(8, 2, dilation_rate=2, padding="same", activation="swish")(x)
    pooled = L.Concatenate()([L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(x), L.Flatten()(L.MaxPooling2D((2, 1))(x))])
    model = keras.Model(inputs, {"probabilities": L.Dense(5, activation="softmax")(pooled), "features": pooled})
    return _export(path, model, rng, {"image": lambda n: rng.integers(0, 256, (n, 12, 10, 3))}, batches=(1, 3))


@fixture("keras_text")
def bag_of_words(path, rng):
    """Token ids through an embedding, masked and pooled: gathers, comparisons, broadcasts."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = L.Embedding(20, 6, mask_zero=True)(tokens)
    x = L.Conv1D(8, 3, padding="same", activation="relu")(x)
    x = L.GlobalAveragePooling1D()(x)
    model = keras.Model(tokens, {"score": L.Dense(1, activation="sigmoid")(x)})
    cases = _export(path, model, rng, {"tokens": lambda n: rng.integers(0, 20, (n, 7))}, batches=(1, 4))
    return cases | {"serving_default.unknown_token": {"tokens": [[1, 2, 99]]}}


def _export(path, model, rng, inputs, batches):
    for weight in model.weights:
        name, shape = weight.path, weight.shape
        if name.endswith(("variance", "gamma")):
            weight.assign(rng.uniform(0.6, 1.6, shape))
        elif len(shape) < 2:
            weight.assign(rng.normal(0, 0.2, shape))
        else:
            weight.assign(rng.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape))
    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, tensor.name) for tensor in model.inputs]
    model.export(str(path), input_signature=specs, verbose=False)
    return {f"serving_default.batch{n}": {name: make(n) for name, make in inputs.items()} for n in batches}
