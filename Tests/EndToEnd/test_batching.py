"""Batching as TensorFlow Serving's users configure it, through their own client: sizes, timeouts, padding, splitting, full queues,
and one bad request among good ones. A long timeout and a batch that is exactly full make what runs together certain."""
import gzip
import json
import random
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2, session_service_pb2

from harness import FIXTURES, Code, copy_version, floats, grpc, refused, request, until
from test_metrics import sample, scrape

NAME = ":tensorflow:serving:batching_session:"
# Longer than any test: whoever is answered was not waited out.
FOREVER = 10_000_000


@pytest.fixture
def batched(serve, tmp_path):
    """`batched("max_batch_size { value: 4 } ...", model=fixture)`: a server with these parameters for all models."""
    def start(parameters, models=("batching",), **flags):
        path = tmp_path / "batching.txt"
        path.write_text(parameters)
        server = serve({name: FIXTURES / name for name in models}, enable_batching="true", batching_parameters_file=path, **flags)
        for name in models:
            server.wait(name)
        return server
    return start


def parameters(size=1000, timeout=0, threads=2, more=""):
    return (f"max_batch_size {{ value: {size} }} batch_timeout_micros {{ value: {timeout} }} num_batch_threads {{ value: {threads} }} "
            f"max_enqueued_batches {{ value: 1000 }} {more}")


def at_once(calls):
    """The outcomes of calls that are made at the same time: answers, or errors."""
    def outcome(call):
        try:
            return call()
        except grpc.RpcError as error:
            return error
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def numbers(response, name):
    return tf.make_ndarray(response.outputs[name])


def lookup(server, *index, **more):
    return server.predict("batching", {"index": np.array(index, np.int32)}, signature="lookup", **more)


def runs(server):
    return sample(scrape(server), NAME + "wrapped_run_count") or 0


def rest(server, model, body, verb="predict", **fields):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = urllib.request.Request(f"http://{server.address}/v1/models/{model}:{verb}", data, fields)
    try:
        return json.loads(urllib.request.urlopen(call, timeout=20).read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]


def test_requests_that_come_together_are_one_run_and_each_gets_its_rows(batched):
    server = batched(parameters(12, FOREVER))
    calls = [lambda i=i: lookup(server, i % 4, (i + 1) % 4) for i in range(6)]
    for i, answer in enumerate(at_once(calls)):
        assert list(numbers(answer, "value")) == [10 * (i % 4), 10 * ((i + 1) % 4)]
    assert runs(server) == 1


def test_a_bad_request_fails_alone(batched):
    server = batched(parameters(8, FOREVER))
    answers = at_once([lambda i=i: lookup(server, 7 if i == 5 else i % 4) for i in range(8)])
    for i, answer in enumerate(answers):
        if i == 5:
            assert answer.code() == Code.INVALID_ARGUMENT
            # Counted in its own rows, as if nobody else had been there.
            assert answer.details().startswith("indices[0] = 7 is not in [0, 4)")
        else:
            assert list(numbers(answer, "value")) == [10 * (i % 4)]
    # Who fails its checks is in no batch at all.
    with refused(Code.INVALID_ARGUMENT, "input size does not match signature"):
        server.predict("batching", {}, signature="lookup")
    with refused(Code.INVALID_ARGUMENT, "Expects arg[0] to be int32 but float is provided"):
        server.predict("batching", {"index": floats(1)}, signature="lookup")


def test_what_cannot_be_batched_is_told_in_tensorflow_servings_words(batched):
    server = batched(parameters(4))
    with refused(Code.INVALID_ARGUMENT, "Batching Run() input tensors must have at least one dimension"):
        server.predict("batching", {"index": np.int32(1)}, signature="lookup")
    with refused(Code.INVALID_ARGUMENT, "Batching Run() input tensors must have equal 0th-dimension size"):
        server.predict("batching", {"text": [b"a"], "more": [b"a", b"b"]}, signature="strings")
    with refused(Code.INVALID_ARGUMENT, "Task size 5 is larger than maximum input batch size 4"):
        lookup(server, 0, 0, 0, 0, 0)
    with refused(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions"):
        server.predict("batching", {"x": floats(1, 2)}, signature="total")
    with refused(Code.FAILED_PRECONDITION, "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"):
        server.predict("batching", {"x": floats(1, 2)}, signature="halves")
    assert list(numbers(lookup(server), "value")) == []


def test_a_signature_without_inputs_has_no_rows(batched):
    server = batched(parameters(4), models=("counter",))
    with refused(Code.INVALID_ARGUMENT, "Batching Run() must have at least one input tensor"):
        server.predict("counter", {}, signature="get_counter")


def test_batches_are_padded_to_an_allowed_size(batched):
    server = batched(parameters(8, FOREVER // 1000, more="allowed_batch_sizes: 4 allowed_batch_sizes: 8"))
    assert list(numbers(lookup(server, 1, 2, 3), "value")) == [10, 20, 30]
    samples = scrape(server)
    assert sample(samples, NAME + "padding_size_sum", execution_batch_size="4") == 1
    assert sample(samples, NAME + "padding_size_count", execution_batch_size="4") == 1
    assert sample(samples, NAME + "processed_batch_size_sum") == 4
    assert sample(samples, NAME + "input_batch_size_sum") == 3


@pytest.mark.parametrize("pads", [False, True])
def test_rows_of_different_lengths(batched, pads):
    server = batched(parameters(3, FOREVER, more=f"pad_variable_length_inputs: {str(pads).lower()}"))
    rows = [[[1.0]], [[2.0, 3.0, 4.0]], [[5.0, 6.0]]]
    calls = [lambda x=x: server.predict("batching", {"x": np.array(x, np.float32)}, signature="lengths") for x in rows]
    answers = at_once(calls)
    if pads:
        # Filled with the row's own first number, and not cut off again: TensorFlow Serving's way.
        assert [numbers(answer, "double").tolist() for answer in answers] == [[[2, 2, 2]], [[4, 6, 8]], [[10, 12, 10]]]
        assert [numbers(answer, "sum").tolist() for answer in answers] == [[3], [9], [16]]
        assert runs(server) == 1
    else:
        assert [numbers(answer, "double").tolist() for answer in answers] == [[[2]], [[4, 6, 8]], [[10, 12]]]
        assert [numbers(answer, "sum").tolist() for answer in answers] == [[1], [9], [11]]
        assert runs(server) == 3


def test_large_requests_are_split(batched):
    server = batched(parameters(100, 1000, more="enable_large_batch_splitting { value: true } max_execution_batch_size { value: 8 }"))
    index = [i % 4 for i in range(50)]
    assert list(numbers(lookup(server, *index), "value")) == [10 * i for i in index]
    assert runs(server) == 7
    with refused(Code.INVALID_ARGUMENT, "indices[1] = 9 is not in [0, 4)"):
        lookup(server, *([0] * 17 + [9] + [0] * 20))
    with refused(Code.INVALID_ARGUMENT, "Task size 101 is larger than maximum input batch size 100"):
        lookup(server, *[0] * 101)


def test_strings_find_their_way_back(batched):
    server = batched(parameters(6, FOREVER, more="allowed_batch_sizes: 6"))
    calls = [lambda i=i: server.predict("batching", {"text": [b"t%d" % i * i, b""], "more": [b"m" * (50 * i), b"%d" % i]}, signature="strings") for i in range(3)]
    for i, answer in enumerate(at_once(calls)):
        assert list(numbers(answer, "joined")) == [b"t%d" % i * i + b"-" + b"m" * (50 * i), b"-%d" % i]
        assert list(numbers(answer, "text")) == [b"t%d" % i * i, b""]
    assert runs(server) == 1


def test_a_full_queue_refuses(serve, tmp_path):
    # Two batches may wait, the open one among them; nothing runs before a batch is full or 300 ms old.
    path = tmp_path / "batching.txt"
    path.write_text("max_batch_size { value: 4 } batch_timeout_micros { value: 300000 } num_batch_threads { value: 1 } max_enqueued_batches { value: 1 }")
    server = serve({"batching": FIXTURES / "batching"}, enable_batching="true", batching_parameters_file=path)
    server.wait("batching")
    first = server.stub().Predict.future(request("batching", {"index": np.array([1, 2, 3], np.int32)}, signature="lookup"), timeout=20)
    until(lambda: sample(scrape(server), "martlet_batch_queue_rows") == 3, what="the first in its batch")
    with refused(Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued and max_enqueued_batches is 1"):
        lookup(server, 1, 2)
    assert list(numbers(first.result(), "value")) == [10, 20, 30]
    samples = scrape(server)
    assert sample(samples, "martlet_batch_refused_total", model_name="batching") == 1
    assert sample(samples, ":tensorflow:serving:request_count", model_name="batching", status="UNAVAILABLE") == 1


def test_deadlines_are_kept_and_their_rows_not_computed(batched):
    server = batched(parameters(4, FOREVER))
    with refused(Code.DEADLINE_EXCEEDED):
        lookup(server, 1, timeout=0.5)
    assert sample(scrape(server), "martlet_batch_queue_rows") == 1
    cancelled = server.stub().Predict.future(request("batching", {"index": np.array([2], np.int32)}, signature="lookup"), timeout=20)
    until(lambda: sample(scrape(server), "martlet_batch_queue_rows") == 2, what="the second in the batch")
    cancelled.cancel()
    until(lambda: sample(scrape(server), "martlet_requests_in_flight", model_name="batching", version="1") == 2, what="both in flight")
    assert list(numbers(lookup(server, 2, 3), "value")) == [20, 30]
    samples = until(lambda: (seen := scrape(server)) and sample(seen, "martlet_batch_dropped_total") == 2 and seen, what="both left out")
    assert sample(samples, NAME + "processed_batch_size_sum") == 2
    until(lambda: sample(scrape(server), "martlet_requests_in_flight", model_name="batching", version="1") == 0, what="nobody in flight")


def test_each_version_brings_its_own_parameters_or_is_not_batched(serve, tmp_path):
    for name in ["alone", "together", "wrong"]:
        copy_version("batching", tmp_path / name / "1")
    (tmp_path / "together" / "1" / "batching_params.pbtxt").write_text("max_batch_size { value: 2 } batch_timeout_micros { value: 10000000 }")
    (tmp_path / "wrong" / "1" / "batching_params.pbtxt").write_text("max_batch_size { value: 2 } allowed_batch_sizes: 1")
    server = serve({name: tmp_path / name for name in ["alone", "together", "wrong"]}, enable_batching="true", enable_per_model_batching_parameters="true",
                   max_num_load_retries=0)
    for name in ["alone", "together"]:
        server.wait(name)
    # Scalars are for who is not batched.
    assert numbers(server.predict("alone", {"index": np.int32(1)}, signature="lookup"), "value") == 10
    with refused(Code.INVALID_ARGUMENT, "Batching Run()"):
        server.predict("together", {"index": np.int32(1)}, signature="lookup")
    answers = at_once([lambda i=i: server.predict("together", {"index": np.array([i], np.int32)}, signature="lookup") for i in range(2)])
    assert [numbers(answer, "value").tolist() for answer in answers] == [[0], [10]]
    assert runs(server) == 1
    status = server.wait("wrong", state="END")
    assert "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 1; expected 2" in status.status.error_message


def test_a_version_that_goes_answers_those_who_wait(batched, serve, tmp_path):
    copy_version("batching", tmp_path / "m" / "1")
    path = tmp_path / "patient.txt"
    path.write_text(parameters(4, FOREVER))
    server = serve({"batching": tmp_path / "m"}, enable_batching="true", batching_parameters_file=path)
    server.wait("batching")
    first = server.stub().Predict.future(request("batching", {"index": np.array([1], np.int32)}, signature="lookup"), timeout=20)
    until(lambda: sample(scrape(server), "martlet_batch_queue_rows") == 1, what="the first in its batch")
    copy_version("batching", tmp_path / "m" / "2")
    assert list(numbers(first.result(), "value")) == [10]
    assert first.result().model_spec.version.value == 1
    server.wait("batching", 1, "END")
    # And so does a server that is told to stop.
    second = server.stub().Predict.future(request("batching", {"index": np.array([2], np.int32)}, signature="lookup"), timeout=20)
    until(lambda: sample(scrape(server), "martlet_batch_queue_rows") == 1, what="the second in its batch")
    server.process.terminate()
    assert list(numbers(second.result(), "value")) == [20]
    assert server.process.wait(20) == 0


def test_every_kind_of_inference_over_both_protocols(batched):
    server = batched(parameters(4, FOREVER), models=("half_plus_two", "half_plus_two_tf1"))

    # gRPC and REST in one batch.
    answers = at_once([lambda: rest(server, "half_plus_two", {"instances": [1.0, 2.0]}), lambda: server.predict("half_plus_two", {"x": floats(3, 4)})])
    assert answers[0] == {"predictions": [2.5, 3.0]}
    assert list(numbers(answers[1], "y")) == [3.5, 4.0]
    assert runs(server) == 1

    def examples(message, *values):
        for value in values:
            message.input.example_list.examples.add().features.feature["x"].float_list.value.append(value)
        return message

    def regress(*values):
        message = examples(regression_pb2.RegressionRequest(), *values)
        message.model_spec.name, message.model_spec.signature_name = "half_plus_two_tf1", "regress_x_to_y"
        return [regression.value for regression in server.stub().Regress(message, timeout=20).result.regressions]

    def classify(*values):
        message = examples(classification_pb2.ClassificationRequest(), *values)
        message.model_spec.name, message.model_spec.signature_name = "half_plus_two_tf1", "classify_x_to_y"
        return [result.classes[0].score for result in server.stub().Classify(message, timeout=20).result.classifications]

    def multi(*values):
        message = examples(inference_pb2.MultiInferenceRequest(), *values)
        for signature, method in [("regress_x_to_y", "regress"), ("classify_x_to_y", "classify")]:
            task = message.tasks.add(method_name=f"tensorflow/serving/{method}")
            task.model_spec.name, task.model_spec.signature_name = "half_plus_two_tf1", signature
        results = server.stub().MultiInference(message, timeout=20).results
        return [regression.value for regression in results[0].regression_result.regressions]

    for ask in [regress, classify, multi]:
        assert at_once([lambda: ask(1, 2), lambda: ask(3), lambda: ask(4)]) == [[2.5, 3.0], [3.5], [4.0]]
    assert runs(server) in [3, 4]


def test_a_context_before_each_example_survives_the_wait(batched):
    """The examples are put together in memory that the next request needs."""
    server = batched(parameters(3, FOREVER), models=("half_plus_two_tf1",))

    def regress(value):
        message = regression_pb2.RegressionRequest()
        message.model_spec.name, message.model_spec.signature_name = "half_plus_two_tf1", "regress_x_to_y"
        message.input.example_list_with_context.context.features.feature["x"].float_list.value.append(value)
        message.input.example_list_with_context.examples.add()
        return [regression.value for regression in server.stub().Regress(message, timeout=20).result.regressions]

    assert at_once([lambda i=i: regress(i) for i in (2, 4, 6)]) == [[3.0], [4.0], [5.0]]
    assert runs(server) == 1


def test_many_clients_and_shapes_lose_nothing(batched):
    server = batched(parameters(16, 500, more="allowed_batch_sizes: 5 allowed_batch_sizes: 16"), event_loops=2)
    mistakes = []

    def client(seed):
        choice = random.Random(seed)
        channel = server.new_channel()
        for _ in range(60):
            index = [choice.randrange(4) for _ in range(choice.randrange(1, 6))]
            bad = choice.random() < 0.1
            if bad:
                index[-1] = 9
            try:
                got = list(numbers(lookup(server, *index, channel=channel), "value"))
                if bad or got != [10 * i for i in index]:
                    mistakes.append((index, got))
            except grpc.RpcError as error:
                if not bad or error.code() != Code.INVALID_ARGUMENT or f"indices[{len(index) - 1}] = 9" not in error.details():
                    mistakes.append((index, error))

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mistakes, mistakes[:3]
    samples = scrape(server)
    # Graph runs are counted once for all who shared them, and the wait has a stage of its own.
    assert sample(samples, ":tensorflow:core:graph_runs") < 480
    assert sample(samples, "martlet_request_stage_seconds_count", model_name="batching", version="1", signature_name="lookup", stage="batch") >= 430
    assert sample(samples, NAME + "queuing_latency_count", thread_pool_name="batch_threads") == 480


def test_an_idle_server_sleeps(batched):
    server = batched(parameters(8, FOREVER, threads=8))
    waiting = server.stub().Predict.future(request("batching", {"index": np.array([1], np.int32)}, signature="lookup"), timeout=20)
    until(lambda: sample(scrape(server), "martlet_batch_queue_rows") == 1, what="one that waits")

    def switches():
        total = 0
        for task in Path(f"/proc/{server.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("batch_thre"):
                total += int((task / "status").read_text().split("voluntary_ctxt_switches:")[1].split()[0])
        return total
    before = switches()
    time.sleep(0.5)
    # TensorFlow Serving's threads would have looked for work 4,000 times.
    assert switches() - before <= 2
    waiting.cancel()


def test_rest_is_batched_as_grpc_is(batched):
    server = batched(parameters(4, FOREVER), models=("batching", "half_plus_two_tf1"))
    # A compressed body is read by a worker; its strings stay as long as they wait.
    bodies = [gzip.compress(json.dumps({"signature_name": "strings", "inputs": {"text": [f"t{i}" * 20, "é"], "more": ["", f"{i}"]}}).encode()) for i in range(2)]
    answers = at_once([lambda body=body: rest(server, "batching", body, **{"Content-Encoding": "gzip"}) for body in bodies])
    assert answers == [{"outputs": {"joined": [f"t{i}" * 20 + "-", f"é-{i}"], "text": [f"t{i}" * 20, "é"]}} for i in range(2)]
    assert runs(server) == 1
    answers = at_once([lambda i=i: rest(server, "half_plus_two_tf1", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0 * i}, {"x": 2.0}]}, "regress") for i in range(2)])
    assert answers == [{"results": [2.0, 3.0]}, {"results": [3.0, 3.0]}]
    assert runs(server) == 2
    assert rest(server, "batching", {"signature_name": "lookup", "inputs": 1}) == (400, "Batching Run() input tensors must have at least one dimension")


def session_run(server, x, targets=(), timeout_milliseconds=0):
    message = session_service_pb2.SessionRunRequest(fetch=["y:0"], target=targets)
    message.model_spec.name = "half_plus_two_tf1"
    message.feed.add(name="x:0").tensor.CopyFrom(tf.make_tensor_proto(np.array(x, np.float32)))
    message.options.timeout_in_ms = timeout_milliseconds
    answer = server.raw(message.SerializeToString(), "/tensorflow.serving.SessionService/SessionRun")
    return tf.make_ndarray(session_service_pb2.SessionRunResponse.FromString(answer).tensor[0].tensor).tolist()


def test_session_runs_are_batched_too(batched):
    server = batched(parameters(4, FOREVER), models=("half_plus_two_tf1",))
    # The first with these names has its plan made by a worker.
    assert at_once([lambda i=i: session_run(server, [i, 2 * i]) for i in range(2)]) == [[2, 2], [2.5, 3]]
    assert at_once([lambda i=i: session_run(server, [i, 2 * i]) for i in range(2)]) == [[2, 2], [2.5, 3]]
    assert runs(server) == 2
    with refused(Code.PERMISSION_DENIED, "BatchingSession does not support target nodes"):
        session_run(server, [1], targets=["y"])
    # One whose own time is up while it waits hears of it when its batch runs.
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(session_run, server, [1, 2], timeout_milliseconds=1)
        until(lambda: sample(scrape(server), "martlet_batch_queue_rows") == 2, what="one in the batch")
        assert session_run(server, [4, 6]) == [4, 5]
        with refused(Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue"):
            late.result()
