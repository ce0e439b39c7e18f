"""Directories that are no model, each beside a version that serves. The bad one ends with a reason; the good one never notices."""
import random
import shutil

import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from harness import FIXTURES, Code, Server, copy_version, floats, until

PB, INDEX, DATA = "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"


def edited(change):
    """A corruption that parses saved_model.pb, changes its graph and writes it back."""
    def corrupt(version):
        model = saved_model_pb2.SavedModel.FromString((version / PB).read_bytes())
        change(model.meta_graphs[0])
        (version / PB).write_bytes(model.SerializeToString())
    return corrupt


def rewritten(file, change):
    def corrupt(version):
        path = version / file
        path.write_bytes(change(path.read_bytes()))
    return corrupt


def removed(file):
    return lambda version: (version / file).unlink()


def flipped(seed, flips):
    def change(data):
        chance, data = random.Random(seed), bytearray(data)
        for _ in range(flips):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(data)
    return change


def a_node(graph, op):
    return next(node for function in graph.graph_def.library.function for node in function.node_def if node.op == op)


def huge_constant(graph):
    node = graph.graph_def.node.add(name="huge", op="Const")
    node.attr["dtype"].type = types_pb2.DT_FLOAT
    node.attr["value"].tensor.dtype = types_pb2.DT_FLOAT
    node.attr["value"].tensor.tensor_shape.dim.add(size=2**40)
    node.attr["value"].tensor.float_val.append(1)
    graph.signature_def["serving_default"].outputs["y"].name = "huge:0"


def cycle(graph):
    for name, other in (("a", "b"), ("b", "a")):
        node = graph.graph_def.node.add(name=name, op="Identity", input=[other])
        node.attr["T"].type = types_pb2.DT_FLOAT
    graph.signature_def["serving_default"].outputs["y"].name = "a:0"


def function_that_calls_itself(graph):
    function = graph.graph_def.library.function[0]
    for candidate in graph.graph_def.library.function:
        for node in candidate.node_def:
            if node.op in ("StatefulPartitionedCall", "PartitionedCall"):
                node.attr["f"].func.name = candidate.signature.name
                function = candidate
    for node in graph.graph_def.node:
        if "PartitionedCall" in node.op:
            node.attr["f"].func.name = function.signature.name


def nested_attributes(version):
    """saved_model.pb whose attribute value nests in itself 10,000 times: AttrValue.func.attr.value.func..."""
    value = b"\x18\x01"
    def delimited(field, body):
        size, length = b"", len(body)
        while True:
            size += bytes([length & 127 | (128 if length > 127 else 0)])
            length >>= 7
            if not length:
                return bytes([field << 3 | 2]) + size + body
    for _ in range(10_000):
        value = delimited(10, delimited(2, delimited(1, b"k") + delimited(2, value)))
    node = delimited(1, delimited(1, b"deep") + delimited(2, b"NoOp") + delimited(5, delimited(1, b"k") + delimited(2, value)))
    (version / PB).write_bytes((version / PB).read_bytes() + delimited(2, delimited(2, node)))


FAILS = {
    "empty saved_model.pb": rewritten(PB, lambda data: b""),
    "saved_model.pb cut in half": rewritten(PB, lambda data: data[:len(data) // 2]),
    "saved_model.pb of random bytes": rewritten(PB, lambda data: random.Random(1).randbytes(5000)),
    "variables with a flipped bit": rewritten(DATA, lambda data: bytes([data[0] ^ 1]) + data[1:]),
    "index of random bytes": rewritten(INDEX, lambda data: random.Random(2).randbytes(500)),
    "index with a flipped bit": rewritten(INDEX, lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:]),
    "no such tags": edited(lambda graph: graph.meta_info_def.tags.append("gpu")),
    "input of a node that is not there": edited(lambda graph: graph.signature_def["serving_default"].outputs["y"].__setattr__("name", "nobody:0")),
    "output that the node does not have": edited(lambda graph: graph.signature_def["serving_default"].outputs["y"].__setattr__("name", "StatefulPartitionedCall:99")),
    "op nobody has": edited(lambda graph: a_node(graph, "AddV2").__setattr__("op", "AddV99")),
    "function that is not there": edited(lambda graph: graph.graph_def.library.function.__delitem__(slice(None))),
    "function that calls itself": edited(function_that_calls_itself),
    "nodes in a circle": edited(cycle),
    "constant of 2^40 elements": edited(huge_constant),
    "no graph": edited(lambda graph: graph.ClearField("graph_def")),
}
# What a copy in progress looks like: to be waited for, not to be given up on.
INCOMPLETE = {
    "no saved_model.pb": removed(PB),
    "no index": removed(INDEX),
    "no data file": removed(DATA),
    "data file cut in half": rewritten(DATA, lambda data: data[:len(data) // 2]),
    "index cut in half": rewritten(INDEX, lambda data: data[:len(data) // 2]),
    "an empty directory": lambda version: [shutil.rmtree(version), version.mkdir()],
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """One server; every model has a good version 1 and a bad version 2."""
    folder = tmp_path_factory.mktemp("bad")
    names = {}
    for index, (name, corrupt) in enumerate((FAILS | INCOMPLETE).items()):
        model = names[name] = f"m{index}"
        copy_version("half_plus_two", folder / model / "1")
    server = Server(folder, {model: folder / model for model in names.values()}, max_num_load_retries=0)
    for model in names.values():
        server.wait(model)
    for name, corrupt in (FAILS | INCOMPLETE).items():
        aside = folder / "aside"
        shutil.copytree(FIXTURES / "half_plus_three/1", aside)
        corrupt(aside)
        aside.rename(folder / names[name] / "2")
    yield server, names
    assert server.stop() == 0


def serves_version_1(server, model):
    response = server.predict(model, {"x": floats(2)})
    assert (response.model_spec.version.value, list(response.outputs["y"].float_val)) == (1, [3])


@pytest.mark.parametrize("name", FAILS)
def test_a_bad_version_ends_with_a_reason(zoo, name):
    server, names = zoo
    status = server.wait(names[name], version=2, state="END")
    assert status.status.error_code != 0 and len(status.status.error_message) > 10, status
    serves_version_1(server, names[name])


@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_version_never_goes_live(zoo, name):
    server, names = zoo
    for bad in FAILS:  # by then the watcher has seen them all
        server.wait(names[bad], version=2, state="END")
    assert server.states(names[name]).get(2) != "AVAILABLE"
    serves_version_1(server, names[name])


def test_attributes_nested_ten_thousand_deep_do_not_crash_the_loader(serve, tmp_path):
    copy_version("half_plus_two", tmp_path / "m" / "1")
    server = serve({"m": tmp_path / "m"}, max_num_load_retries=0)
    server.wait("m")
    aside = tmp_path / "aside"
    shutil.copytree(FIXTURES / "half_plus_three/1", aside)
    nested_attributes(aside)
    aside.rename(tmp_path / "m" / "2")
    until(lambda: server.states("m").get(2) in ("END", "AVAILABLE"), what="an end of version 2")
    server.predict("m", {"x": floats(2)})


def test_bits_flipped_anywhere_never_crash_the_loader(serve, tmp_path):
    models, count = {}, 24
    for seed in range(count):
        version = tmp_path / f"m{seed}" / "1"
        copy_version("keras_mlp" if seed % 2 else "init_signature", version)
        file = (PB, PB, INDEX)[seed % 3]
        rewritten(file, flipped(seed, 8))(version)
        models[f"m{seed}"] = tmp_path / f"m{seed}"
    copy_version("half_plus_two", tmp_path / "good" / "1")
    server = serve(models | {"good": tmp_path / "good"}, max_num_load_retries=0)
    for name in models:
        until(lambda: server.states(name).get(1) in ("END", "AVAILABLE"), what=f"an end of {name}")
    server.wait("good")
    assert list(server.predict("good", {"x": floats(2)}).outputs["y"].float_val) == [3]


def test_a_server_whose_only_model_is_bad_stays_up_and_says_so(serve):
    server = serve(model_name="m", model_base_path=FIXTURES / "custom_op", max_num_load_retries=0)
    status = server.wait("m", state="END")
    assert "SentencepieceTokenizeOp" in status.status.error_message
    with pytest.raises(Exception) as raised:
        server.predict("m", {"x": floats(1)}, timeout=5)
    assert raised.value.code() in (Code.NOT_FOUND, Code.UNAVAILABLE, Code.FAILED_PRECONDITION)
