#!/usr/bin/env python3
"""Trains the demo model: handwritten digits, 8x8 pixels, a small convolutional network.

    python3 -m venv /tmp/digits && /tmp/digits/bin/pip install tensorflow-cpu==2.21.0 scikit-learn==1.9.0
    /tmp/digits/bin/python train_digits.py

Writes digits/1 (the SavedModel), images/*.txt (held-out images to send) and prints the accuracy that README.md states.
"""
import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
HELD_OUT = 360  # The file is ordered by writer: holding out its end means judging the network by hands it has hardly seen.

keras.utils.set_random_seed(8)
data = load_digits()
images, labels = data.images.astype(np.float32), data.target.astype(np.int64)
train, held_out = (images[:-HELD_OUT], labels[:-HELD_OUT]), (images[-HELD_OUT:], labels[-HELD_OUT:])

L = keras.layers
network = keras.Sequential([
    keras.Input((8, 8), name="image"),
    L.Rescaling(1 / 16),
    L.Reshape((8, 8, 1)),
    L.Conv2D(16, 3, padding="same", activation="relu"),
    L.Conv2D(32, 3, padding="same", use_bias=False),
    L.BatchNormalization(),
    L.ReLU(),
    L.MaxPooling2D(2),
    L.Flatten(),
    L.Dropout(0.4),
    L.Dense(64, activation="relu"),
    L.Dropout(0.4),
    L.Dense(10, activation="softmax"),
])
network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])


def shifted(image, label):
    """The same digit a pixel off: hands do not centre what they write."""
    padded = tf.pad(image, [[1, 1], [1, 1]])
    return tf.image.random_crop(padded, [8, 8]), label


batches = tf.data.Dataset.from_tensor_slices(train).cache().shuffle(len(train[0]), seed=8).map(shifted, deterministic=True).batch(32)
network.fit(batches, epochs=60, shuffle=False, verbose=0)


inference = keras.Model(network.inputs, network.outputs)  # the same layers, without the optimizer's memory


@tf.function(input_signature=[tf.TensorSpec([None, 8, 8], tf.float32, "image")])
def classify(image):
    probabilities = inference(image, training=False)
    return {"probabilities": probabilities, "digit": tf.argmax(probabilities, axis=1)}


shutil.rmtree(HERE / "digits", ignore_errors=True)
archive = keras.export.ExportArchive()
archive.track(inference)
archive.add_endpoint("serving_default", classify)
archive.write_out(str(HERE / "digits" / "1"), verbose=False)


def served(images):
    """What the SavedModel on disk answers, loaded as a server loads it: a session, its signature's tensors by name."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(HERE / "digits" / "1")).signature_def["serving_default"]
        return session.run(signature.outputs["digit"].name, {signature.inputs["image"].name: images})


digits = served(held_out[0])
right = int((digits == held_out[1]).sum())
train_right = (served(train[0]) == train[1]).mean()
print(f"held out: {right} of {HELD_OUT} right, {right / HELD_OUT:.1%} (training images: {train_right:.1%}); {network.count_params()} parameters")

shutil.rmtree(HERE / "images", ignore_errors=True)
(HERE / "images").mkdir()
for digit in range(10):
    index = int(np.flatnonzero(held_out[1] == digit)[0])
    rows = "\n".join(" ".join(f"{int(pixel):2d}" for pixel in row) for row in held_out[0][index])
    (HERE / "images" / f"{digit}.txt").write_text(rows + "\n")
