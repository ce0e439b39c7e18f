"""The two ways TensorFlow writes a SavedModel: a flat TF1 graph by the builder, a tf.Module by tf.saved_model.save."""
from contextlib import contextmanager

import tensorflow as tf

v1 = tf.compat.v1
PREDICT = "tensorflow/serving/predict"


@contextmanager
def tf1_graph():
    """A TF1 graph whose variables are VariableV2: reference variables, as models of before 2019 have them."""
    with v1.Graph().as_default() as graph:
        v1.disable_resource_variables()
        try:
            yield graph
        finally:
            v1.enable_resource_variables()


def save_tf1(path, signatures, *, tags=("serve",), **extras):
    """Saves the current graph, its variables initialised. `signatures`: name -> (inputs, outputs[, method])."""
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, list(tags), signature_map(signatures), **extras)
        builder.save()


def signature_map(signatures):
    return {name: signature_def(*parts) for name, parts in signatures.items()}


def signature_def(inputs, outputs, method=PREDICT):
    infos = lambda tensors: {alias: v1.saved_model.build_tensor_info(tensor) for alias, tensor in tensors.items()}
    return v1.saved_model.build_signature_def(infos(inputs), infos(outputs), method)


def save_tf2(path, module, signatures):
    tf.saved_model.save(module, str(path), signatures=signatures)


def edit(path):
    """The saved_model.pb at `path`, to be changed in a `with` and written back: for what no API of today writes any more."""
    return _Edit(path / "saved_model.pb")


class _Edit:
    def __init__(self, file):
        self.file = file

    def __enter__(self):
        from tensorflow.core.protobuf import saved_model_pb2
        self.model = saved_model_pb2.SavedModel.FromString(self.file.read_bytes())
        return self.model

    def __exit__(self, kind, *_):
        if kind is None:
            self.file.write_bytes(self.model.SerializeToString(deterministic=True))
