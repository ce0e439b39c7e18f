#!/usr/bin/env python3
"""Writes the SavedModels under Tests/Fixtures and, from TensorFlow itself, what each must answer.

    python3 -m venv /tmp/fixtures && /tmp/fixtures/bin/pip install -r requirements.txt
    /tmp/fixtures/bin/python make_fixtures.py [NAME ...]

A recipe (recipes/*.py) builds one model into `<name>/1/` and returns the requests worth asking it. This file loads what was
written, as TensorFlow Serving would (a Session, the signature's tensors by name), and records for each request

    <name>/golden/<signature>.<case>.request.pb      a PredictRequest
    <name>/golden/<signature>.<case>.response.pb     the PredictResponse, every tensor in typed fields; or, where it failed,
    <name>/golden/<signature>.<case>.error.json      {"code": "INVALID_ARGUMENT", "message": TensorFlow's words}

A MetaGraph with tags other than "serve" has its goldens in `golden/<tags joined by +>/`. A model whose requests change its state has them
in `golden/fresh/`: each is asked of a model just loaded. Requests alternate between tensor_content
and typed fields, so that both encodings meet every kernel. Seeds are fixed: a second run changes no golden.
"""
import json
import os
import re
import shutil
import sys
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # plain Eigen kernels: one set of numbers on every CPU

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

import recipes
from recipes.tensors import array_of, encode

HERE = Path(__file__).parent


def main(names):
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    for fixture in recipes.all_fixtures():
        if names and fixture.name not in names:
            continue
        folder = HERE / fixture.name
        shutil.rmtree(folder, ignore_errors=True)
        version = folder / "1"
        seed = zlib.crc32(fixture.name.encode())
        tf.random.set_seed(seed)
        # Keras numbers its layers for the life of the process: start each model from one.
        tf.keras.backend.clear_session()
        cases = fixture.build(version, np.random.default_rng(seed))
        answers = record(folder, cases, fixture.stateful)
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        print(f"{fixture.name:32} {answers:28} {size / 1024:7.1f} KiB")


def record(folder, cases, stateful):
    """Asks the model on disk each case and writes down what it said."""
    if not cases:
        return "not loadable by TensorFlow"
    by_tags = {}
    for index, (key, inputs) in enumerate(cases.items()):
        tags, _, case = key.rpartition("/")
        by_tags.setdefault(tags or "serve", []).append((index, case, inputs))

    answered = failed = 0
    for tags, group in by_tags.items():
        golden = folder / "golden" / ("fresh" if stateful else "" if tags == "serve" else tags)
        golden.mkdir(parents=True)
        for part in [[case] for case in group] if stateful else [group]:
            with tf.Graph().as_default(), tf.compat.v1.Session() as session:
                meta = tf.compat.v1.saved_model.load(session, tags.split("+"), str(folder / "1"))
                outcomes = [(case, *ask(session, meta, folder.name, case, inputs, typed=index % 2 == 1)) for index, case, inputs in part]
            for case, request, outcome in outcomes:
                (golden / f"{case}.request.pb").write_bytes(request.SerializeToString(deterministic=True))
                if isinstance(outcome, predict_pb2.PredictResponse):
                    (golden / f"{case}.response.pb").write_bytes(outcome.SerializeToString(deterministic=True))
                    answered += 1
                else:
                    (golden / f"{case}.error.json").write_text(json.dumps(outcome, indent=2) + "\n")
                    failed += 1
    return f"{answered} answers, {failed} errors"


def ask(session, meta, model, case, inputs, typed):
    signature_name = case.rpartition(".")[0]
    signature = meta.signature_def[signature_name]

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature_name
    for alias, value in inputs.items():
        dtype = tf.as_dtype(signature.inputs[alias].dtype)
        request.inputs[alias].CopyFrom(encode(value, dtype, typed))

    feeds = {signature.inputs[alias].name: array_of(proto) for alias, proto in request.inputs.items()}
    for alias, default in signature.defaults.items():
        feeds.setdefault(signature.inputs[alias].name, array_of(default))
    fetches = {alias: info.name for alias, info in signature.outputs.items()}
    try:
        values = session.run(fetches, feeds)
    except tf.errors.OpError as error:
        return request, {"code": error_name(error.error_code), "message": kernels_words(error.message)}

    response = predict_pb2.PredictResponse()
    response.model_spec.CopyFrom(request.model_spec)
    response.model_spec.version.value = 1
    for alias, value in values.items():
        dtype = tf.as_dtype(signature.outputs[alias].dtype)
        response.outputs[alias].CopyFrom(encode(value, dtype, typed=True))
    return request, response


def error_name(code):
    return next(name for name, value in vars(tf.errors).items() if name.isupper() and value == code)


def kernels_words(message):
    """What the kernel said, without the headline before it and the nodes and stack traces after."""
    words = re.sub(r"(?s)^Graph execution error:\s*|Detected at node.*?\nNode: [^\n]*\n", "", message)
    return words.split("\n\t [[")[0]


if __name__ == "__main__":
    main(sys.argv[1:])
