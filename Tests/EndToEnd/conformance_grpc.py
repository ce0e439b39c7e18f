"""The rows over gRPC for what runs models: Classify, Regress, MultiInference, SessionRun, Predict, and what tells about models."""
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2, input_pb2,
                                     predict_pb2, regression_pb2, session_service_pb2)

from conformance import Case
from harness import fill, floats, request

SERVING = "tensorflow/serving/"
CHECKED = (("enable_signature_method_name_check", "true"),)


def example(**features):
    """A tf.Example; a feature's kind follows its first value."""
    message = tf.train.Example()
    for name, values in features.items():
        feature = message.features.feature[name]
        kind = {bytes: feature.bytes_list, int: feature.int64_list, float: feature.float_list}[type(values[0])]
        kind.value.extend(values)
    return message


def examples(*messages, context=None):
    """An Input; messages that are bytes stand in it as they are."""
    serialized = [m if isinstance(m, bytes) else m.SerializeToString() for m in messages]
    field = lambda number, body: bytes([number << 3 | 2]) + varint(len(body)) + body
    body = b"".join(field(1, m) for m in serialized)
    if context is None:
        return field(1, body)
    return field(2, body + field(2, context.SerializeToString()))


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def asked(message, encoded, model="inference", **spec):
    """A Classify or Regress request whose Input is `encoded` already: tf.Examples that are none are not refused on this side."""
    fill(message.model_spec, model, **spec)
    return message.SerializeToString() + bytes([2 << 3 | 2]) + varint(len(encoded)) + encoded


def classify(encoded, signature=None, **spec):
    return asked(classification_pb2.ClassificationRequest(), encoded, signature=signature, **spec)


def regress(encoded, signature="regression", **spec):
    return asked(regression_pb2.RegressionRequest(), encoded, signature=signature, **spec)


def multi(encoded, *tasks):
    message = inference_pb2.MultiInferenceRequest()
    for model, signature, method in tasks:
        task = message.tasks.add(method_name=SERVING + method)
        fill(task.model_spec, model, signature)
    return message.SerializeToString() + bytes([2 << 3 | 2]) + varint(len(encoded)) + encoded


def session_run(feeds, fetches, targets=(), model="inference", aliases=False, timeout=0, **spec):
    message = session_service_pb2.SessionRunRequest(fetch=fetches, target=targets, tensor_name_is_alias=aliases)
    fill(message.model_spec, model, **spec)
    if timeout:
        message.options.timeout_in_ms = timeout
    for name, value in feeds:
        feed = message.feed.add(name=name)
        feed.tensor.CopyFrom(tf.make_tensor_proto(value))
    return message


ONE, TWO = example(x=[1.0]), example(x=[4.0], bias=[-1.0], name=[b"zoe"])
BOTH = examples(ONE, TWO)


# What an answer must be.

def classes(*rows):
    """The classes of each example: pairs of label and score."""
    expected = [list(row) for row in rows]

    def check(response):
        got = [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]
        assert got == expected
    return check


def values(*expected):
    def check(response):
        assert [r.value for r in response.result.regressions] == list(expected)
    return check


def spec(name, signature, version):
    def check(response):
        got = response.model_spec
        assert (got.name, got.signature_name, got.version.value) == (name, signature, version)
    return check


def every(*checks):
    def check(response):
        for one in checks:
            one(response)
    return check


def tasks(response):
    classified, regressed = response.results
    assert [[c.score for c in row.classes] for row in classified.classification_result.classifications] == [[1, 2, 3], [4, 8, 12]]
    assert [r.value for r in regressed.regression_result.regressions] == [2.5, 1.0]
    assert [(r.model_spec.name, r.model_spec.signature_name, r.model_spec.version.value) for r in response.results] == [
        ("inference", "serving_default", 1), ("inference", "regression", 1)]


def tensors(**expected):
    def check(response):
        assert {t.name: tf.make_ndarray(t.tensor).tolist() for t in response.tensor} == {
            name.replace("__y", "/y").replace("__", ":"): value for name, value in expected.items()}
        assert response.model_spec.version.value == 1
    return check


SCORES = classes([("", 1.0), ("", 2.0), ("", 3.0)], [("", 4.0), ("", 8.0), ("", 12.0)])
LABELS = classes([("anon", 0.0), ("b", 0.0), ("c", 0.0)], [("zoe", 0.0), ("b", 0.0), ("c", 0.0)])
LABELLED = classes([("anon", 1.0), ("b", 2.0), ("c", 3.0)], [("zoe", 4.0), ("b", 8.0), ("c", 12.0)])
INVALID, MISSING, PRECONDITION = "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"
CLASSIFY, REGRESS = "PredictionService/Classify", "PredictionService/Regress"


def selection(method, make):
    """The rules of model selection, the same for whatever runs a model."""
    return [
        Case(f"{method} without a model spec", method, make(None), INVALID, "Missing ModelSpec"),
        Case(f"{method} of no name", method, make(dict(model="", signature="s")), INVALID, "ModelSpec has no name specified."),
        Case(f"{method} of an unknown model", method, make(dict(model="nobody")), MISSING, "Servable not found for request: Latest(nobody)"),
        Case(f"{method} of an unknown version", method, make(dict(model="inference", version=7)), MISSING,
             "Servable not found for request: Specific(inference, 7)"),
        Case(f"{method} of an unknown label", method, make(dict(model="inference", label="L")), INVALID,
             "Unrecognized servable version label: L"),
    ]


def with_spec(message):
    def make(spec):
        made = type(message)()
        made.CopyFrom(message)
        if spec is not None:
            fill(made.model_spec, **spec)
        return made
    return make


SELECTION = [
    case
    for method, message in [
        ("PredictionService/Predict", predict_pb2.PredictRequest()), (CLASSIFY, classification_pb2.ClassificationRequest()),
        (REGRESS, regression_pb2.RegressionRequest()), ("SessionService/SessionRun", session_service_pb2.SessionRunRequest()),
        ("PredictionService/GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])),
    ]
    for case in selection(method, with_spec(message))
]

CLASSIFYING = [
    Case("classes and scores", CLASSIFY, classify(BOTH), answer=every(LABELLED, spec("inference", "serving_default", 1))),
    Case("a signature by name, a version by number", CLASSIFY, classify(BOTH, "classification", version=1),
         answer=every(LABELLED, spec("inference", "classification", 1))),
    Case("scores only", CLASSIFY, classify(BOTH, "only_scores"), answer=SCORES),
    Case("classes only", CLASSIFY, classify(BOTH, "only_classes"), answer=LABELS),
    Case("scores, and an output nobody asks for", CLASSIFY, classify(BOTH, "scores_and_more"), answer=SCORES),
    Case("a context's features are every example's", CLASSIFY, classify(examples(example(bias=[1.0]), TWO, context=ONE)), answer=LABELLED),
    Case("a context for complete examples", CLASSIFY, classify(examples(ONE, TWO, context=example(x=[9.0], z=[1]))), answer=LABELLED),
    Case("TF2, sparse and ragged features", CLASSIFY,
         classify(examples(example(x=[1.0], tags=[1, 2], words=[b"a", b"b", b"c"]), example(x=[2.0])), model="inference_v2"),
         answer=classes([("", 0.5), ("", 3.0), ("", 3.0)], [("", 1.0), ("", 0.0), ("", 0.0)])),
    Case("Classify with an unknown signature", CLASSIFY, classify(BOTH, "s"), INVALID, "No signature was found with the name: s"),
    Case("Classify on two inputs", CLASSIFY, classify(BOTH, "two_inputs"), INVALID, "Expected one input Tensor."),
    Case("Classify on three outputs", CLASSIFY, classify(BOTH, "three_outputs"), INVALID, "Expected one or two output Tensors, found 3"),
    Case("Classify on another input alias", CLASSIFY, classify(BOTH, "input_alias"), PRECONDITION,
         "No classification inputs found in SignatureDef: ..."),
    Case("Classify on another output alias", CLASSIFY, classify(BOTH, "output_alias"), PRECONDITION,
         'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ...'),
    Case("Classify with no examples", CLASSIFY, classify(examples()), INVALID, "Input is empty."),
    Case("Classify with a context and no examples", CLASSIFY, classify(examples(context=ONE)), INVALID, "Input is empty."),
    Case("Classify without an input", CLASSIFY, classify(b""), INVALID, "Input is empty."),
    Case("the signature is looked at before the input", CLASSIFY, classify(b"", "two_inputs"), INVALID, "Expected one input Tensor."),
    Case("scores that are no matrix", CLASSIFY, classify(BOTH, "scores_vector"), INVALID,
         "Expected Tensor shape: [batch_size num_classes] but got [2]"),
    Case("classes that are no matrix", CLASSIFY, classify(BOTH, "classes_vector"), INVALID,
         "Expected Tensor shape: [batch_size num_classes] but got [2]"),
    Case("scores that are no floats", CLASSIFY, classify(BOTH, "scores_ints"), INVALID, "Expected scores Tensor of DT_FLOAT. Got: DT_INT64"),
    Case("classes that are no strings", CLASSIFY, classify(BOTH, "classes_ints"), INVALID, "Expected classes Tensor of DT_STRING. Got: DT_INT32"),
    Case("scores for fewer examples", CLASSIFY, classify(BOTH, "scores_one_row"), INVALID, "Expected scores output batch size of 2. Got: 1"),
    Case("classes for fewer examples", CLASSIFY, classify(BOTH, "classes_one_row"), INVALID, "Expected classes output batch size of 2. Got: 1"),
    Case("classes and scores of different width", CLASSIFY, classify(BOTH, "widths"), INVALID,
         "Tensors class and score should match in dim_size(1). Got 2 vs. 3"),
    Case("Classify on a signature that predicts, unchecked", CLASSIFY, classify(examples(ONE), model="inference_v2"),
         answer=classes([("", 0.5), ("", 0.0), ("", 0.0)])),
    Case("Classify on a signature that predicts, checked", CLASSIFY, classify(examples(ONE), model="inference_v2"), INVALID,
         f"Expected classification signature method_name to be {SERVING}classify. Was: {SERVING}predict", flags=CHECKED),
    Case("Classify on a signature that classifies, checked", CLASSIFY, classify(examples(ONE), "classify", model="inference_v2"),
         answer=classes([("", 0.5), ("", 0.0), ("", 0.0)]), flags=CHECKED),
    Case("Classify sent something else", CLASSIFY, b"\xff\xff", INVALID, "the request is no ClassificationRequest: ..."),
]

EXAMPLES = [
    Case("an example that is none", CLASSIFY, classify(examples(ONE, b"\xff nothing")), INVALID, "...Could not parse example input, value: '..."),
    Case("a feature that must be there", CLASSIFY, classify(examples(example(bias=[1.0]))), INVALID,
         "Name: <unknown>, Feature: x (data type: float) is required but could not be found...."),
    Case("a feature of another type", CLASSIFY, classify(examples(example(x=[1]))), INVALID,
         "Name: <unknown>, Key: x, Index: 0.  Data types don't match. Expected type: float, Actual type: int64..."),
    Case("more values than a feature has", CLASSIFY, classify(examples(ONE, example(x=[1.0, 2.0]))), INVALID,
         "Name: <unknown>, Key: x, Index: 1.  Number of float values != expected.  Values size: 2 but output shape: [1]..."),
]

REGRESSING = [
    Case("a value for each example", REGRESS, regress(BOTH), answer=every(values(2.5, 1.0), spec("inference", "regression", 1))),
    Case("values that are a vector", REGRESS, regress(BOTH, "regression_flat"), answer=values(2.5, 1.0)),
    Case("Regress with a context", REGRESS, regress(examples(example(bias=[0.0]), TWO, context=ONE)), answer=values(0.5, 1.0)),
    Case("Regress, TF2", REGRESS, regress(examples(ONE), "regress", model="inference_v2"), answer=values(2.5)),
    Case("Regress with an unknown signature", REGRESS, regress(BOTH, "s"), INVALID, "No signature was found with the name: s"),
    Case("Regress on the default signature, which classifies", REGRESS, regress(BOTH, None), INVALID, "Expected one output Tensor."),
    Case("Regress on two outputs", REGRESS, regress(BOTH, "two_values"), INVALID, "Expected one output Tensor."),
    Case("Regress on another input alias", REGRESS, regress(BOTH, "regression_input_alias"), PRECONDITION,
         "No regression inputs found in SignatureDef: ..."),
    Case("Regress on another output alias", REGRESS, regress(BOTH, "regression_output_alias"), PRECONDITION,
         "No regression outputs found in SignatureDef: ..."),
    Case("Regress with no examples", REGRESS, regress(examples()), INVALID, "Input is empty."),
    Case("Regress on numbers", REGRESS, regress(BOTH, "numbers"), INVALID, "Expects arg[0] to be float but string is provided"),
    Case("values that are a matrix", REGRESS, regress(BOTH, "values_matrix"), INVALID,
         "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,3]"),
    Case("values for fewer examples", REGRESS, regress(BOTH, "values_one_row"), INVALID, "Input batch size did not match output batch size: 2 vs. 1"),
    Case("values that are no floats", REGRESS, regress(BOTH, "values_doubles"), INVALID, "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    Case("Regress on a signature that classifies, checked", REGRESS, regress(BOTH, "only_scores"), INVALID,
         f"Expected regression signature method_name to be {SERVING}regress. Was: {SERVING}classify", flags=CHECKED),
]

MULTI = "PredictionService/MultiInference"
DEFAULT, REGRESSION = ("inference", "", "classify"), ("inference", "regression", "regress")
MULTIPLE = [
    Case("two tasks, one run", MULTI, multi(BOTH, DEFAULT, REGRESSION), answer=tasks),
    Case("one task", MULTI, multi(BOTH, REGRESSION),
         answer=lambda r: values(2.5, 1.0)(type("Response", (), {"result": r.results[0].regression_result}))),
    Case("no tasks", MULTI, multi(BOTH), INVALID, "ModelSpec has no name specified."),
    Case("tasks of an unknown model", MULTI, multi(BOTH, ("nobody", "", "classify")), MISSING, "Servable not found for request: Latest(nobody)"),
    Case("a task without a model's name", MULTI, multi(BOTH, DEFAULT, ("", "regression", "regress")), INVALID,
         "Found ModelSpec with an empty model name."),
    Case("tasks of two models", MULTI, multi(BOTH, DEFAULT, ("inference_v2", "regress", "regress")), INVALID,
         "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
    Case("the same signature twice", MULTI, multi(BOTH, DEFAULT, ("inference", "serving_default", "classify")), INVALID,
         "Duplicate evaluation of signature: serving_default"),
    Case("a task with an unknown signature", MULTI, multi(BOTH, DEFAULT, ("inference", "s", "regress")), INVALID,
         "Requested signature not found in model graph: s"),
    Case("a task of a method there is not", MULTI, multi(BOTH, ("inference", "predict", "predict")), "UNIMPLEMENTED",
         f"Unsupported signature method_name: {SERVING}predict"),
    Case("a task of the wrong kind", MULTI, multi(BOTH, DEFAULT, ("inference", "only_scores", "regress")), PRECONDITION,
         "No regression outputs found in SignatureDef: ..."),
    Case("tasks on different tensors", MULTI, multi(BOTH, REGRESSION, ("inference", "other_examples", "regress")), INVALID,
         "Input tensor must be the same for all Signatures."),
    Case("tasks and no examples", MULTI, multi(examples(), DEFAULT, REGRESSION), INVALID, "Input is empty."),
    Case("one task's outputs are wrong", MULTI, multi(BOTH, DEFAULT, ("inference", "values_matrix", "regress")), INVALID,
         "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,3]"),
]

RUN = "SessionService/SessionRun"
SERIALIZED = np.array([ONE.SerializeToString(), TWO.SerializeToString()], object)
SESSION = [
    Case("a tensor in the middle is fed, another fetched", RUN, session_run([("mul:0", np.float32([[5]])), ("ParseExample/ParseExampleV2:0", np.float32([[2]]))], ["column"]),
         answer=tensors(column=[[7.0]])),
    Case("tensors by name", RUN, session_run([("input_example_tensor:0", SERIALIZED)], ["values", "scores:0"]),
         answer=tensors(values=[2.5, 1.0], scores__0=[[1, 2, 3], [4, 8, 12]])),
    Case("a tensor no signature names", RUN, session_run([("number", floats(1, 2))], ["mul_1:0", "mul/y"]),
         answer=tensors(mul_1__0=[2.0, 4.0], mul__y=0.5)),
    Case("a fetch there is not", RUN, session_run([("number", floats(1, 2))], ["nothing"]), MISSING, "FetchOutputs node nothing: not found"),
    Case("aliases", RUN, session_run([("inputs", SERIALIZED)], ["outputs"], aliases=True, signature="regression"),
         answer=tensors(outputs=[[2.5], [1.0]])),
    Case("an alias there is not", RUN, session_run([("inputs", SERIALIZED)], ["scores"], aliases=True, signature="regression"), INVALID,
         "tensor alias not found in signature: scores"),
    Case("aliases of an unknown signature", RUN, session_run([], ["scores"], aliases=True, signature="s"), PRECONDITION,
         'Serving signature key "s" not found.'),
    Case("nothing to run", RUN, session_run([("number", floats(1))], []), INVALID, "Must specify at least one target to fetch or execute."),
    Case("a feed there is not", RUN, session_run([("nothing:0", floats(1))], ["scores"]), MISSING, "FeedInputs: unable to find feed output nothing:0"),
    Case("a feed that comes twice", RUN, session_run([("number", floats(1)), ("number", floats(1))], ["scores"]), INVALID,
         'Endpoint "number" fed more than once.'),
    Case("a feed that is fetched", RUN, session_run([("scores", floats(1))], ["scores"]), INVALID, "scores is both fed and fetched."),
    Case("an output the node does not have", RUN, session_run([], ["scores:3"]), INVALID, "FetchOutputs scores:3: output index too large, must be < 1"),
    Case("a target there is not", RUN, session_run([("input_example_tensor", SERIALIZED)], ["scores"], ["nothing"]), MISSING,
         "PruneForTargets: Some target nodes not found: nothing"),
    Case("a feed of another type", RUN, session_run([("input_example_tensor", floats(1))], ["scores"]), INVALID,
         "Expects arg[0] to be string but float is provided"),
    Case("nothing fed", RUN, session_run([], ["scores"]), INVALID, "You must feed a value for placeholder tensor 'input_example_tensor'..."),
    Case("a target that would change a constant", RUN, session_run([], [], ["weights/Assign"]), PRECONDITION,
         "variable 'weights' is a constant while the model serves..."),
    Case("a run with time enough", RUN, session_run([("input_example_tensor:0", SERIALIZED)], ["values"], timeout=20_000),
         answer=tensors(values=[2.5, 1.0])),
]


def metadata(fields, **spec):
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    fill(message.model_spec, **spec)
    return message


def status(**spec):
    message = get_model_status_pb2.GetModelStatusRequest()
    fill(message.model_spec, **spec)
    return message


def signatures(response):
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert response.metadata["signature_def"].Unpack(found)
    assert (response.model_spec.name, response.model_spec.signature_name, response.model_spec.version.value) == ("inference", "", 1)
    assert found.signature_def["regression"].method_name == SERVING + "regress"
    assert found.signature_def["regression"].inputs["inputs"].name == "input_example_tensor:0"


def available(response):
    assert [(s.version, s.state, s.status.error_code) for s in response.model_version_status] == [
        (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE, 0)]


METADATA, STATUS = "PredictionService/GetModelMetadata", "ModelService/GetModelStatus"
ABOUT = [
    Case("metadata", METADATA, metadata(["signature_def"], model="inference"), answer=signatures),
    Case("metadata of a version", METADATA, metadata(["signature_def", "signature_def"], model="inference", version=1), answer=signatures),
    Case("metadata of nothing", METADATA, metadata([], model="inference"), INVALID,
         "GetModelMetadataRequest must specify at least one metadata_field"),
    Case("metadata of a field there is not", METADATA, metadata(["signature_def", "assets"], model="inference"), INVALID,
         "Metadata field assets is not supported"),
    Case("fields are looked at before the model", METADATA, metadata(["assets"], model="nobody"), INVALID, "Metadata field assets is not supported"),
    Case("status", STATUS, status(model="inference"), answer=available),
    Case("status of a version", STATUS, status(model="inference", version=1), answer=available),
    Case("status without a model spec", STATUS, get_model_status_pb2.GetModelStatusRequest(), INVALID, "Missing ModelSpec"),
    Case("status of an unknown model", STATUS, status(model="nobody"), MISSING, "Could not find any versions of model nobody"),
    Case("status of an unknown version", STATUS, status(model="inference", version=7), MISSING, "Could not find version 7 of model inference"),
]

PREDICT = "PredictionService/Predict"
PREDICTING = [
    Case("Predict on a signature that classifies", PREDICT, request("inference", {"inputs": SERIALIZED}, signature="regression"),
         answer=lambda r: np.testing.assert_array_equal(tf.make_ndarray(r.outputs["outputs"]), [[2.5], [1.0]])),
    Case("Predict of an unknown signature", PREDICT, request("inference", {}, signature="s"), PRECONDITION, 'Serving signature key "s" not found.'),
    Case("Predict with a missing feature", PREDICT, request("inference", {"examples": [b""]}, signature="predict"), INVALID,
         "Name: <unknown>, Feature: x (data type: float) is required but could not be found...."),
]

CASES = SELECTION + CLASSIFYING + EXAMPLES + REGRESSING + MULTIPLE + SESSION + ABOUT + PREDICTING
