"""Warm-up requests that come with a version, written by TensorFlow and Serving's own messages."""
import shutil

import pytest
import tensorflow as tf
from tensorflow_serving.apis import (classification_pb2, inference_pb2, prediction_log_pb2, predict_pb2, regression_pb2,
                                     session_service_pb2)

from harness import FIXTURES, Code, floats, request, until


def predict(**inputs):
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request("somebody_else", inputs, version=77)))


def put(fixture, base, version, records):
    """A version with these records (or these bytes) beside it, in one step."""
    aside = base.parent / f".{base.name}-{version}"
    shutil.copytree(FIXTURES / fixture / "1", aside)
    (aside / "assets.extra").mkdir(exist_ok=True)
    path = aside / "assets.extra" / "tf_serving_warmup_requests"
    if isinstance(records, bytes):
        path.write_bytes(records)
    else:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record.SerializeToString())
    base.mkdir(exist_ok=True)
    aside.rename(base / str(version))


def ended(server, model, version=1):
    """The error a version ended with."""
    return until(lambda: next((status.status for status in server.status(model) if status.version == version and status.state == 50), None), what="the end")


def test_records_are_asked_before_the_version_is_available(serve, tmp_path):
    put("half_plus_two", tmp_path / "m", 1, [predict(x=floats(1, 2)), predict(x=floats(*range(64)))])
    server = serve({"m": tmp_path / "m"}, num_request_iterations_for_warmup=3)
    server.wait("m")
    assert "warmed up by 2 records, 3 times" in server.log()
    assert list(server.predict("m", {"x": floats(1)}).outputs["y"].float_val) == [2.5]


@pytest.mark.parametrize("records, code, words", [
    ([predict(y=floats(1))], Code.INVALID_ARGUMENT, "warm-up record 1 of "),
    (b"this is no file of records, and longer than a head", Code.DATA_LOSS,
     "corrupted record at 0 (Is this even a TFRecord file?). Please verify your warmup data is in TFRecord format."),
    ([prediction_log_pb2.PredictionLog(predict_streamed_log=prediction_log_pb2.PredictStreamedLog(request=[predict_pb2.PredictRequest()]))],
     Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 7"),
    ([prediction_log_pb2.PredictionLog()] * 1001, Code.INVALID_ARGUMENT, "Number of warmup records exceeds the maximum (1000) at "),
])
def test_what_cannot_be_asked_fails_the_load_and_the_version_before_goes_on(serve, tmp_path, records, code, words):
    put("half_plus_two", tmp_path / "m", 1, [predict(x=floats(1))])
    server = serve({"m": tmp_path / "m"}, max_num_load_retries=0)
    server.wait("m")
    put("half_plus_three", tmp_path / "m", 2, records)
    error = ended(server, "m", 2)
    assert error.error_code == code.value[0]
    assert words in error.error_message
    assert server.predict("m", {"x": floats(1)}).model_spec.version.value == 1


def test_who_does_not_want_a_warm_up_gets_none(serve, tmp_path):
    put("half_plus_two", tmp_path / "m", 1, b"nonsense")
    server = serve({"m": tmp_path / "m"}, enable_model_warmup="false")
    server.wait("m")


def test_records_of_every_kind(serve, tmp_path):
    example = tf.train.Example(features=tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[2]))}))
    log = prediction_log_pb2

    def with_input(message):
        message.input.example_list.examples.add().CopyFrom(example)
        return message

    classify = with_input(classification_pb2.ClassificationRequest())
    classify.model_spec.signature_name = "classification"
    regress = with_input(regression_pb2.RegressionRequest())
    regress.model_spec.signature_name = "regression"
    multi = with_input(inference_pb2.MultiInferenceRequest())
    for method, signature in (("tensorflow/serving/regress", "regression"), ("tensorflow/serving/classify", "classification")):
        task = multi.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = "any", signature
    session = session_service_pb2.SessionRunRequest(fetch=["scores:0"])
    examples = [example.SerializeToString()]
    session.feed.add(name="input_example_tensor:0").tensor.CopyFrom(tf.make_tensor_proto(examples))
    records = [
        log.PredictionLog(classify_log=log.ClassifyLog(request=classify)), log.PredictionLog(regress_log=log.RegressLog(request=regress)),
        log.PredictionLog(multi_inference_log=log.MultiInferenceLog(request=multi)), log.PredictionLog(session_run_log=log.SessionRunLog(request=session)),
        log.PredictionLog(predict_log=log.PredictLog(request=request("m", {"examples": examples}, signature="predict"))),
    ]
    put("inference", tmp_path / "m", 1, records)
    server = serve({"m": tmp_path / "m"}, max_num_load_retries=0)
    server.wait("m")
    assert "warmed up by 5 records" in server.log()
