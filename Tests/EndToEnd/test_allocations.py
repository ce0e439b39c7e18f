"""A small unary call allocates nothing, from the socket to the model and back: counted, not believed.

`malloc_count.c`, loaded into a real server, counts every allocation by who asked. Two runs that differ in nothing but the number of
calls tell what a call costs: start, models and connections cancel out. Sessions of nghttp2 have memory of their own (SessionMemory), so
that its allocations count as well.
"""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import FIXTURES, PREDICT, Server, floats, request

CALLS = 3000
IN_FLIGHT = 32
# A call that allocates costs at least 1. How far pools grow depends on how many calls happen to meet: some 100 allocations
# more or less in the life of a server.
PER_CALL_MAX = 0.05


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "a C compiler builds what counts: apt-get install gcc"
    library = tmp_path_factory.mktemp("counter") / "malloc_count.so"
    source = Path(__file__).with_name("malloc_count.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def allocations(folder, counter, calls, body, **flags):
    """Who allocated how often in the life of a server that answered `calls` calls."""
    folder.mkdir()
    os.environ["LD_PRELOAD"] = str(counter)
    try:
        server = Server(folder, {"half_plus_two": FIXTURES / "half_plus_two"}, **flags)
    finally:
        del os.environ["LD_PRELOAD"]
    try:
        server.wait("half_plus_two")
        call = server.channel.unary_unary(PREDICT)
        expected = call(body, timeout=20)
        for _ in range(0, calls, IN_FLIGHT):
            pending = [call.future(body, timeout=20) for _ in range(IN_FLIGHT)]
            assert all(future.result() == expected for future in pending)
        assert server.stop() == 0, server.log()[-4000:]
    finally:
        server.kill()
    counts = re.search(r"allocations ours=(\d+) nghttp2=(\d+) others=(\d+)", server.log())
    assert counts, f"the counter did not speak: {server.log()[-1000:]}"
    return dict(zip(("ours", "nghttp2", "others"), map(int, counts.groups())))


def test_a_small_predict_allocates_nothing(tmp_path, counter):
    body = request("half_plus_two", {"x": floats(1, 2, 5)}).SerializeToString()
    few = allocations(tmp_path / "few", counter, CALLS, body, event_loops=1)
    many = allocations(tmp_path / "many", counter, 3 * CALLS, body, event_loops=1)
    assert few["ours"] > 1000 and few["nghttp2"] > 0, f"the counter overlooks what a start allocates: {few}"
    per_call = {who: (many[who] - few[who]) / (2 * CALLS) for who in few}
    assert all(count < PER_CALL_MAX for count in per_call.values()), f"allocations per call: {per_call}, of {few} and {many} in all"
