"""Makes Sources/Formats/SavedModel/OpTable.swift: what the ops a graph may hold take and give, one to a line.

    python Protos/op_table.py NAME...      (with TensorFlow installed: Tests/Fixtures/requirements.txt)

keeps the ops the table has and adds those named. Every op the engine has a kernel for must be in it; a test says which is not.
"""
import pathlib
import re
import sys

from tensorflow.core.framework import op_def_pb2, types_pb2
from tensorflow.python.client import pywrap_tf_session

FILE = pathlib.Path(__file__).parent.parent / "Sources/Formats/SavedModel/OpTable.swift"
MARK = '"""\n'


def registered():
    ops = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return {op.name: op for op in ops.op}


def type_name(number):
    return types_pb2.DataType.Name(number % 100)[3:].lower()


def argument(arg):
    if arg.type_list_attr:
        return f"{arg.name}:${arg.type_list_attr}[]"
    element = f"${arg.type_attr}" if arg.type_attr else type_name(arg.type)
    return f"{arg.name}:{arg.number_attr}*{element}" if arg.number_attr else f"{arg.name}:{element}"


def line(op):
    words = [op.name, *map(argument, op.input_arg), "->", *map(argument, op.output_arg)]
    used = {name for arg in [*op.input_arg, *op.output_arg] for name in (arg.type_attr, arg.number_attr)}
    for attr in op.attr:
        if attr.name in used and attr.HasField("default_value"):
            value = attr.default_value
            words.append(f"{attr.name}={type_name(value.type) if value.WhichOneof('value') == 'type' else value.i}")
    return " ".join(words)


def main():
    head, table, tail = FILE.read_text().split(MARK)
    ops = registered()
    names = set(re.findall(r"^\s*(\S+)", table, re.M)) | set(sys.argv[1:])
    for unknown in sorted(names - ops.keys()):
        print(f"TensorFlow has no op {unknown}", file=sys.stderr)
    lines = [f"    {line(ops[name])}\n" for name in sorted(names & ops.keys())]
    FILE.write_text(MARK.join([head, "".join(lines), "    " + tail.lstrip()]))


main()
