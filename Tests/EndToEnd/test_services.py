"""The services every gRPC server has, asked by gRPC's own clients of them: health and reflection."""
import signal
import threading
from pathlib import Path

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from harness import FIXTURES, Code, copy_version, floats, refused, until
from rawgrpc import RawCall

MODEL = "half_plus_two"
PREDICTION, MODELS, HEALTH = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "grpc.health.v1.Health"
REFLECTION = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
SERVICES = {PREDICTION, MODELS, HEALTH, *REFLECTION, "tensorflow.serving.SessionService", "tensorflow.ProfilerService"}
Status = health_pb2.HealthCheckResponse.ServingStatus


# Health.

def stub(server):
    return health_pb2_grpc.HealthStub(server.channel)


def check(server, name=""):
    return Status.Name(stub(server).Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status)


def watch(server, name):
    return stub(server).Watch(health_pb2.HealthCheckRequest(service=name), timeout=60)


def heard(stream):
    return Status.Name(next(stream).status)


def statuses(server):
    return {name: Status.Name(response.status) for name, response in stub(server).List(health_pb2.HealthListRequest(), timeout=20).statuses.items()}


def test_a_server_that_is_ready(serve):
    server = serve({MODEL: FIXTURES / MODEL})
    until(lambda: check(server) == "SERVING", what="readiness")
    assert statuses(server) == dict.fromkeys({"", MODEL, f"{MODEL}/1", *SERVICES}, "SERVING")
    for name in ("nobody", f"{MODEL}/2", f"{MODEL}/", "tensorflow.serving"):
        with refused(Code.NOT_FOUND, "service name unknown"):
            check(server, name)


def test_a_server_waits_for_its_models_and_tells_each_watcher(serve, tmp_path):
    folder = tmp_path / "coming"
    folder.mkdir()
    server = serve({MODEL: FIXTURES / MODEL, "coming": folder})
    streams = {name: watch(server, name) for name in ("", "coming", "coming/1", PREDICTION, MODELS)}
    server.wait(MODEL)
    assert check(server, MODEL) == "SERVING"
    expected = {"": "NOT_SERVING", "coming": "NOT_SERVING", "coming/1": "SERVICE_UNKNOWN", PREDICTION: "NOT_SERVING", MODELS: "SERVING"}
    assert {name: heard(stream) for name, stream in streams.items()} == expected
    copy_version(MODEL, folder / "1")
    for name in ("", "coming", PREDICTION):
        assert heard(streams[name]) == "SERVING"
    # The version was seen before it was loaded, or both at once.
    seen = heard(streams["coming/1"])
    assert seen == "SERVING" or seen == "NOT_SERVING" and heard(streams["coming/1"]) == "SERVING"
    assert server.predict("coming", {"x": floats(2)}).outputs["y"].float_val == [3]


def test_a_model_that_failed_is_not_serving_and_the_server_is(fleet):
    fleet.wait(MODEL)
    until(lambda: check(fleet) == "SERVING", what="readiness")
    states = statuses(fleet)
    failed = {name for name, status in states.items() if status != "SERVING"}
    assert failed == {name for model in failed for name in (model, f"{model}/1") if "/" not in model} != set()


def test_the_drain_is_told_before_the_connection_ends(serve):
    server = serve({MODEL: FIXTURES / MODEL})
    until(lambda: check(server) == "SERVING", what="readiness")
    streams = [watch(server, name) for name in ("", MODEL, HEALTH, "nobody")]
    assert [heard(stream) for stream in streams] == ["SERVING", "SERVING", "SERVING", "SERVICE_UNKNOWN"]
    server.process.send_signal(signal.SIGTERM)
    for stream in streams[:3]:
        assert heard(stream) == "NOT_SERVING"
    for stream in streams:
        with refused(Code.UNAVAILABLE, "shutting down"):
            next(stream)
    # Watchers do not hold up the end.
    assert server.process.wait(10) == 0


def test_a_watcher_that_leaves_is_forgotten(serve):
    server = serve({MODEL: FIXTURES / MODEL})
    for _ in range(50):
        stream = watch(server, "")
        heard(stream)
        stream.cancel()
    until(lambda: check(server) == "SERVING", what="readiness")


def test_a_watch_without_a_request_and_one_that_is_none(fleet):
    path = f"/{HEALTH}/Watch"
    with RawCall(fleet.port, path) as call:
        call.close()
        assert call.finish() == Code.INTERNAL.value[0]
    call = fleet.channel.unary_stream(path)(b"\x0a\xff", timeout=20)
    with refused(Code.INVALID_ARGUMENT, "grpc.health.v1.HealthCheckRequest"):
        next(call)


def test_a_client_of_grpc_that_asks_for_health_by_service_config(fleet):
    """grpcio's own health checking: a channel whose service is not serving is not ready."""
    fleet.wait(MODEL)
    until(lambda: check(fleet) == "SERVING", what="readiness")

    def ready(name, seconds):
        config = '{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "%s"}}' % name
        options = [("grpc.service_config", config), ("grpc.enable_health_checking", 1), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(fleet.address, options) as channel:
            state = threading.Event()
            channel.subscribe(lambda now: now == grpc.ChannelConnectivity.READY and state.set(), try_to_connect=True)
            return state.wait(seconds)

    assert ready(MODEL, 20)
    assert not ready("nobody", 0.5)


# Reflection.

@pytest.fixture(scope="module")
def pool(fleet):
    return DescriptorPool(ProtoReflectionDescriptorDatabase(fleet.channel))


def message_class(pool, name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def test_the_services_that_are_registered_are_listed(fleet):
    assert set(ProtoReflectionDescriptorDatabase(fleet.channel).get_services()) == SERVICES


def test_a_client_that_knows_nothing_asks_for_a_prediction(fleet, pool):
    """The service, its method and its messages, all from the server."""
    fleet.wait(MODEL)
    method = pool.FindServiceByName(PREDICTION).FindMethodByName("Predict")
    request = message_factory.GetMessageClass(method.input_type)()
    request.model_spec.name = MODEL
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add(size=2)
    request.inputs["x"].float_val.extend([1, 5])
    call = fleet.channel.unary_unary(f"/{PREDICTION}/Predict", request_serializer=lambda message: message.SerializeToString(),
                                     response_deserializer=message_factory.GetMessageClass(method.output_type).FromString)
    response = call(request, timeout=20)
    assert response.model_spec.version.value == 1
    outputs = response.outputs["y"]
    assert list(outputs.float_val) == [2.5, 4.5] or outputs.tensor_content == floats(2.5, 4.5).tobytes()


def test_every_listed_service_and_all_it_uses_can_be_built(fleet, pool):
    for name in ProtoReflectionDescriptorDatabase(fleet.channel).get_services():
        for method in pool.FindServiceByName(name).methods:
            assert message_factory.GetMessageClass(method.input_type)() is not None
            assert message_factory.GetMessageClass(method.output_type)() is not None


def test_what_is_described_is_what_the_clients_know(pool):
    """Field by field, against the definitions that gRPC and TensorFlow Serving ship."""
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2
    theirs = [predict_pb2.PredictRequest, predict_pb2.PredictResponse, get_model_metadata_pb2.GetModelMetadataResponse,
              get_model_status_pb2.GetModelStatusResponse, health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse,
              health_pb2.HealthListResponse, reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse]
    seen = set()

    def compare(theirs, ours):
        if theirs.full_name in seen:
            return
        seen.add(theirs.full_name)

        def shape(field):
            return (field.number, field.type, field.is_repeated, field.containing_oneof and field.containing_oneof.name,
                    (field.message_type or field.enum_type) and (field.message_type or field.enum_type).full_name)
        known = {field.name: field for field in ours.fields}
        for field in theirs.fields:
            # Newer TensorFlow has fields that no request of ours carries; what we have, we have as they do.
            if field.name in known:
                assert shape(known[field.name]) == shape(field), field.full_name
                if field.message_type:
                    compare(field.message_type, known[field.name].message_type)
                if field.enum_type:
                    for value in known[field.name].enum_type.values:
                        assert field.enum_type.values_by_name[value.name].number == value.number, value.name
        assert set(known) <= {field.name for field in theirs.fields}, theirs.full_name

    for message in theirs:
        compare(message.DESCRIPTOR, pool.FindMessageTypeByName(message.DESCRIPTOR.full_name))
    assert {"tensorflow.TensorProto", "tensorflow.serving.ModelSpec"} <= seen


def converse(fleet, service, *questions):
    call = fleet.channel.stream_stream(
        f"/{service}/ServerReflectionInfo", request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    return list(call(iter(questions), timeout=20))


@pytest.mark.parametrize("service", REFLECTION)
def test_both_versions_answer_each_question_in_turn(fleet, service):
    Request = reflection_pb2.ServerReflectionRequest
    questions = [Request(host="h", list_services=""), Request(file_by_filename="nothing.proto"), Request(file_containing_symbol="no.Symbol"),
                 Request(file_containing_extension=reflection_pb2.ExtensionRequest(containing_type="no.Type", extension_number=1)),
                 Request(file_containing_extension=reflection_pb2.ExtensionRequest(containing_type="tensorflow.TensorProto", extension_number=1)),
                 Request(all_extension_numbers_of_type="no.Type"), Request(all_extension_numbers_of_type="tensorflow.TensorProto"), Request(),
                 Request(file_containing_symbol=f"{PREDICTION}.Predict")]
    responses = converse(fleet, service, *questions)
    assert [response.original_request for response in responses] == questions
    assert responses[0].valid_host == "h"
    assert {each.name for each in responses[0].list_services_response.service} == SERVICES
    errors = [(response.error_response.error_code, response.error_response.error_message) for response in responses]
    assert errors[1:6] == [(5, "File not found."), (5, "Symbol not found."), (5, "Type not found."), (5, "Extension not found."), (5, "Type not found.")]
    assert responses[6].all_extension_numbers_response == reflection_pb2.ExtensionNumberResponse(base_type_name="tensorflow.TensorProto")
    assert errors[7] == (12, "")
    assert len(responses[8].file_descriptor_response.file_descriptor_proto) > 5


def test_a_question_that_is_none(fleet):
    call = fleet.channel.stream_stream(f"/{REFLECTION[0]}/ServerReflectionInfo")
    with refused(Code.INVALID_ARGUMENT, "ServerReflectionRequest"):
        list(call(iter([b"\x0a\xff"]), timeout=20))


def test_answers_to_someone_who_reads_later(fleet):
    """Questions are short and answers long: the server stops taking questions before it holds more than it should."""
    process = Path(f"/proc/{fleet.process.pid}")
    questions = 1000
    with RawCall(fleet.port, f"/{REFLECTION[0]}/ServerReflectionInfo", window=65535) as call:
        (process / "clear_refs").write_text("5")  # The peak is counted from here.
        before = fleet.resident_bytes()
        for _ in range(questions):
            call.send(reflection_pb2.ServerReflectionRequest(file_containing_symbol=PREDICTION))
        call.close()
        assert call.finish() == 0
        peak = int((process / "status").read_text().split("VmHWM:")[1].split()[0]) * 1024
        assert len(call.messages(reflection_pb2.ServerReflectionResponse)) == questions
        assert len(call.body) > 15 << 20
        assert peak - before < 8 << 20
