"""The rows over HTTP: each mistake with its code and its text (facts: tensorflow_serving/util/json_tensor.cc and what Predict, Classify
and Regress say themselves), each form a body can take with its answer, compared as parsed JSON."""
import base64
import math

from conformance import Case, Rest
from conformance_grpc import CHECKED, SERVING, example


def row(name, target, body=None, status=200, text=None, answer=None, verb="POST", headers=(), flags=()):
    path = target if target.startswith("/") else f"/v1/models/{target}"
    return Case(name, rest=Rest(verb, path, body, status, text, answer, dict(headers)), flags=flags)


def equals(expected):
    """Parsed JSON that must be just this; NaN is NaN."""
    def same(a, b):
        if isinstance(a, dict):
            return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
        if isinstance(a, list):
            return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
        if isinstance(a, float) and math.isnan(a):
            return isinstance(b, float) and math.isnan(b)
        return type(a) is type(b) and a == b

    def check(got):
        assert same(expected, got), got
    return check


def predictions(*values):
    return equals({"predictions": list(values)})


def outputs(value):
    return equals({"outputs": value})


def results(*values):
    return equals({"results": list(values)})


HALF, CLASSIFY, REGRESS = "half_plus_two:predict", "inference:classify", "inference:regress"
ONE, TWO = {"x": 1.0}, {"x": 4.0, "bias": -1.0, "name": "zoe"}
LABELLED = results([["anon", 1.0], ["b", 2.0], ["c", 3.0]], [["zoe", 4.0], ["b", 8.0], ["c", 12.0]])
SCORES = results([["", 1.0], ["", 2.0], ["", 3.0]], [["", 4.0], ["", 8.0], ["", 12.0]])
LABELS = results([["anon", 0.0], ["b", 0.0], ["c", 0.0]], [["zoe", 0.0], ["b", 0.0], ["c", 0.0]])


def examples(*each, signature=None, **more):
    return ({"signature_name": signature} if signature else {}) | {"examples": list(each)} | more


def both(signature=None, **more):
    return examples(ONE, TWO, signature=signature, **more)


def selection(verb, body):
    """The rules of model selection, the same for whatever runs a model."""
    return [
        row(f"{verb} of an unknown model", f"nobody:{verb}", body, 404, "Servable not found for request: Latest(nobody)"),
        row(f"{verb} of an unknown version", f"inference/versions/7:{verb}", body, 404, "Servable not found for request: Specific(inference, 7)"),
        row(f"{verb} of an unknown label", f"inference/labels/L:{verb}", body, 400, "Unrecognized servable version label: L"),
        row(f"{verb} of a name in percent signs", f"nob%6Fdy%20:{verb}", body, 404, "Servable not found for request: Latest(nobody )"),
        row(f"{verb} of an unknown model, and no JSON", f"nobody:{verb}", b"{", 400, "JSON Parse error: Missing a name for object member. at offset: 1"),
        row(f"{verb} by GET", f"inference:{verb}", None, 400, f"Malformed request: GET /v1/models/inference:{verb}", verb="GET"),
        row(f"{verb} of a version and a label", f"inference/versions/1/labels/L:{verb}", body, 400,
            f"Malformed request: POST /v1/models/inference/versions/1/labels/L:{verb}"),
        row(f"{verb} of a version that is none", f"inference/versions/L:{verb}", body, 400, f"Malformed request: POST /v1/models/inference/versions/L:{verb}"),
        row(f"{verb} of a version too large", f"inference/versions/18446744073709551615:{verb}", body, 400,
            "Failed to convert version: 18446744073709551615 to numeric."),
    ]


SELECTION = [case for verb, body in [("predict", {"instances": [1.0]}), ("classify", both()), ("regress", both())] for case in selection(verb, body)]

TARGETS = [
    row(f"{verb} {target}", target, body, 400, f"Malformed request: {verb} {target}", verb=verb)
    for verb, target, body in [
        ("GET", "/v1/foo", None), ("POST", "/v1/foo", b""), ("GET", "/v1/models/debug/model_name", None), ("POST", "/v1/models", b""),
        ("POST", "/v1/models/foo/version/50:regress", b""), ("POST", "/v1/models/foo/metadata", b""), ("POST", "/v1/models/foo/label/some:regress", b""),
        ("POST", "/v1/models/:predict", b""), ("POST", "/v1/models/half_plus_two:", b""), ("POST", "/v1/models/half_plus_two:explain", b""),
        ("POST", "/v1/models/half_plus_two:PREDICT", b""), ("GET", "/v1/models/half_plus_two/", None), ("PUT", "/v1/models/half_plus_two", b"{}"),
        ("DELETE", "/v1/models/half_plus_two", None), ("PATCH", "/v1/models/half_plus_two:predict", b"{}"),
    ]
] + [
    row("nobody's path", "/v2/models", None, 404, "Not found: GET /v2/models", verb="GET"),
    row("the path in capitals", "/V1/MODELS/half_plus_two:predict", {"instances": [1.0]}, answer=predictions(2.5)),
    row("a query means nothing", "half_plus_two:predict?key=value&x", {"instances": [1.0]}, answer=predictions(2.5)),
    row("a query behind a status", "half_plus_two/versions/1?x=1", verb="GET", answer=lambda got: got["model_version_status"][0]["version"] == "1"),
]

PREDICTING = [
    row("rows of numbers", HALF, {"instances": [1.0, 2, 5e0]}, answer=predictions(2.5, 3.0, 4.5)),
    row("rows of lists", HALF, {"instances": [[1.0, 2.0], [3.0, 4.0]]}, answer=predictions([2.5, 3.0], [3.5, 4.0])),
    row("rows of objects", HALF, {"instances": [{"x": [1.0]}, {"x": [2.0]}]}, answer=predictions([2.5], [3.0])),
    row("columns of one name", HALF, {"inputs": {"x": [[1.0, 2.0]]}}, answer=outputs([[2.5, 3.0]])),
    row("columns of no name", HALF, {"inputs": [1.0]}, answer=outputs([2.5])),
    row("a scalar", HALF, {"inputs": 1.0}, answer=outputs(2.5)),
    row("an empty column", HALF, {"inputs": []}, answer=outputs([])),
    row("a version by number", "half_plus_two/versions/1:predict", {"instances": [1.0]}, answer=predictions(2.5)),
    row("a signature by name", HALF, {"signature_name": "serving_default", "instances": [1.0]}, answer=predictions(2.5)),
    row("a signature by name, last", HALF, {"instances": [1.0], "signature_name": "serving_default"}, answer=predictions(2.5)),
    row("members nobody knows", HALF, {"z": [{}], "instances": [1.0]}, answer=predictions(2.5)),
    row("something behind the body", HALF, b'{"instances": [1.0]} ]}', answer=predictions(2.5)),
    row("numbers that are none", HALF, b'{"instances": [NaN, Infinity, -Infinity, Inf, -Inf]}', answer=predictions(math.nan, math.inf, -math.inf, math.inf, -math.inf)),
    row("a form's content type", HALF, b'{"instances": [1.0]}', answer=predictions(2.5), headers={"content-type": "application/x-www-form-urlencoded"}),
    row("several outputs", "signatures:predict", {"signature_name": "echo", "instances": [1.0, 2.0]},
        answer=lambda got: [sorted(row) for row in got["predictions"]] == [["one", "other", "x"]] * 2),
    row("several outputs in columns", "signatures:predict", {"signature_name": "echo", "inputs": [1.0, 2.0]},
        answer=lambda got: sorted(got["outputs"]) == ["one", "other", "x"]),
    row("several inputs in columns", "signatures:predict", {"signature_name": "scalars", "inputs": {"x": [[1, 2, 3]], "ignored": ["a"], "more": 0}},
        answer=outputs({"finite": True, "rows": 1, "sum": 6.0})),
    row("strings and bytes", "dtypes:predict", {"signature_name": "only_string", "instances": ["a", {"b64": "w6k="}, "\u20ac"]}, answer=predictions("a", "é", "€")),
    row("halves", "dtypes:predict", {"signature_name": "only_float16", "instances": [0.1, 65504, -2]}, answer=predictions(0.099975586, 65504.0, -2.0)),
    row("bfloat16s", "dtypes:predict", {"signature_name": "only_bfloat16", "instances": [0.1, -2.5]}, answer=predictions(0.100097656, -2.5)),
    row("unsigned sixteens", "dtypes:predict", {"signature_name": "only_uint16", "instances": [0, 65535]}, answer=predictions(0, 65535)),
    row("integers of 64 bits", "dtypes:predict", {"signature_name": "only_uint64", "instances": [18446744073709551615, 0]}, answer=predictions(18446744073709551615, 0)),
    row("booleans", "dtypes:predict", {"signature_name": "only_bool", "instances": [[True, False]]}, answer=predictions([True, False])),
    row("doubles", "dtypes:predict", {"signature_name": "only_float64", "instances": [0.1, 5e-324, 1.7976931348623157e308, 100]},
        answer=predictions(0.1, 5e-324, 1.7976931348623157e308, 100.0)),
    row("Predict on a signature that takes examples", "inference:predict",
        {"signature_name": "predict", "instances": [{"b64": base64.b64encode(m.SerializeToString()).decode()} for m in (example(x=[1.0]), example(x=[4.0], bias=[-1.0], name=[b"zoe"]))]},
        answer=predictions({"classes": ["anon", "b", "c"], "scores": [1.0, 2.0, 3.0], "values": 2.5}, {"classes": ["zoe", "b", "c"], "scores": [4.0, 8.0, 12.0], "values": 1.0})),
    row("Predict on an example that is none", "inference:predict", {"signature_name": "predict", "inputs": ["\u00ff nothing"]}, 400,
        "...Could not parse example input, value: '..."),
]

FIRST = "Failed to process element: 0 of 'instances' list. Error: "
MISTAKES = [
    row("no body", HALF, b"", 400, "JSON Parse error: The document is empty"),
    row("a body that is no JSON", HALF, b"instances = [1, 2]", 400, "JSON Parse error: Invalid value. at offset: 0"),
    row("a body that ends too soon", HALF, b'{"instances": [1.0', 400, "JSON Parse error: Missing a comma or ']' after an array element. at offset: 18"),
    row("a body that is no object", HALF, b"[1, 2]", 400, "JSON Value: [\n    1,\n    2\n] Is not object"),
    row("a signature's name that is none", HALF, {"signature_name": 100}, 400,
        'JSON Value: {\n    "signature_name": 100\n} not formatted correctly. \'signature_name\' key must be a string value.'),
    row("Predict of an unknown signature", HALF, {"signature_name": "s", "instances": [1]}, 400, 'Serving signature name: "s" not found in signature def'),
    row("Predict of a signature without inputs", "signatures:predict", {"signature_name": "constant", "inputs": {}}, 400,
        "Failed to get input map for signature: constant"),
    row("neither rows nor columns", HALF, {}, 400, "Missing 'inputs' or 'instances' key"),
    row("rows and columns", HALF, {"instances": [1], "inputs": [1]}, 400,
        'JSON Value: {\n    "instances": [\n        1\n    ],\n    "inputs": [\n        1\n    ]\n} '
        "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "),
    row("rows that are no list", HALF, {"instances": 1}, 400, "JSON Value: {\n    \"instances\": 1\n} Excepting 'instances' to be an list/array"),
    row("no rows", HALF, {"instances": []}, 400, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
    row("a string for a number", HALF, {"instances": ["x", "y"]}, 400, FIRST + 'INVALID_ARGUMENT: JSON Value: "x" Type: String is not of expected type: float'),
    row("null for a number", HALF, {"instances": [None]}, 400, FIRST + "INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: float"),
    row("an object for a number", HALF, {"inputs": {"x": {"a": 1}}}, 400,
        'JSON Value: {\n    "a": 1\n} Type: Object is not of expected type: float'),
    row("an integer a float does not hold", HALF, {"instances": [16777217]}, 400,
        FIRST + "INVALID_ARGUMENT: Cannot convert JSON value: 16777217 to float without loss of precision."),
    row("a fraction for an integer", "dtypes:predict", {"signature_name": "only_int32", "instances": [1.0]}, 400,
        FIRST + "INVALID_ARGUMENT: JSON Value: 1.0 Type: Number is not of expected type: int32"),
    row("a complex number", "dtypes:predict", {"signature_name": "only_complex64", "inputs": [0]}, 501, "Conversion of JSON Value: 0 to type: complex64"),
    row("bytes that are no base64", "dtypes:predict", {"signature_name": "only_string", "inputs": [{"b64": "*"}]}, 400, "Unable to base64 decode"),
    row("rows of two sizes", HALF, {"instances": [[1], [1, 2]]}, 400,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 1 but got: 2"),
    row("rows of two shapes", HALF, {"instances": [[1], [[1]]]}, 400,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [1] but got: [1,1]"),
    row("a list too deep", HALF, {"instances": [[1, [2]]]}, 400, FIRST + "INVALID_ARGUMENT: Encountered list at unexpected level: 1 expected < 1"),
    row("a number too high up", HALF, {"inputs": [[1], 2]}, 400, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    row("rows of values for several inputs", "signatures:predict", {"signature_name": "scalars", "instances": [1]}, 400,
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map"),
    row("columns of values for several inputs", "signatures:predict", {"signature_name": "scalars", "inputs": [1]}, 400,
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"),
    row("a missing column", "signatures:predict", {"signature_name": "scalars", "inputs": {"x": [[1, 2, 3]]}}, 400, "Missing named input: ignored in 'inputs' object."),
    row("a missing member", "signatures:predict", {"signature_name": "scalars", "instances": [{"ignored": "a"}]}, 400,
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"ignored\": \"a\"\n} keys must be equal to: ignored,x"),
    row("a member too many", HALF, {"instances": [{"x": 1, "k": 2}]}, 400,
        "Failed to process element: 0 key: k of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: k"),
    row("objects, then a list", HALF, {"instances": [{"x": 1}, [1]]}, 400, "Expecting object but got list at item 1 of input list"),
    row("a value, then an object", HALF, {"instances": [1, {"x": 1}]}, 400, "Expecting value/list but got object at item 1 of input list"),
    row("an answer without rows", "signatures:predict", {"signature_name": "scalars", "instances": [{"x": [1, 2, 3], "ignored": "a"}]}, 400,
        "Tensor name: finite has no shape information "),
]

WITHOUT = "When method is classify, key 'examples' is expected and was not found"


def bodies(target, signature):
    """What is wrong with a body, the same for Classify and Regress; it is found before the model is."""
    def case(name, body, text, **more):
        return row(f"{name}: {target}", target, {"signature_name": signature} | body if isinstance(body, dict) and signature else body, 400, text, **more)
    return [
        case("no body", b"", "JSON Parse error: The document is empty"),
        case("a body that ends too soon", b'{"examples": [{"n": 1}]', "JSON Parse error: Missing a comma or '}' after an object member. at offset: 23"),
        case("a body that is no object", b'"examples"', 'JSON Value: "examples" Is not object'),
        case("no examples at all", b"{}", "JSON Value: {} " + WITHOUT),
        case("an empty list of examples", b'{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        case("examples that are no list", b'{"examples": {}}', "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an list/array"),
        case("a signature's name that is none", b'{"signature_name": 1, "examples": [{}]}', "...'signature_name' key must be a string value."),
        case("an example that is a list", {"examples": [[1]]}, "Example must be JSON object but got JSON Array"),
        case("an example that is null", {"examples": [None]}, "Example must be JSON object but got JSON Null"),
        case("a context that is a list", {"examples": [{}], "context": [{}]}, "Example must be JSON object but got JSON Array"),
        case("a context is looked at before the examples", {"context": 1}, "Example must be JSON object but got JSON Number"),
        case("null in a feature", {"examples": [{"x": [1.0, None]}]}, "Feature: x has element with unexpected JSON type: Null"),
        case("a list in a list", {"examples": [{"x": [[1.0]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        case("an object in a feature", {"examples": [{"x": {"y": 1.0}}]}, "Feature: x has element with unexpected JSON type: Object"),
        case("an object with more than b64", {"examples": [{"x": {"b64": "YQ==", "y": 1}}]}, "Feature: x has element with unexpected JSON type: Object"),
        case("an integer after a float", {"examples": [{"x": [1.0, 1]}]}, "Unexpected element type in feature: x expecting type: float"),
        case("a float after an integer", {"examples": [{"x": [1, 1.5]}]}, "Unexpected element type in feature: x expecting type: int64"),
        case("a boolean after a string", {"examples": [{"x": ["a", True]}]}, "Unexpected element type in feature: x expecting type: bytes"),
        case("bytes after a boolean", {"examples": [{"x": [True, {"b64": "YQ=="}]}]}, "Unexpected element type in feature: x expecting type: int64"),
        case("an integer past 63 bits", {"examples": [{"x": 9223372036854775808}]}, "Feature: x has uint64 element. Only int64 is supported."),
        case("a number past a float", {"examples": [{"x": 1e39}]}, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        case("bytes that are no base64", {"examples": [{"x": {"b64": "*"}}]}, "Unable to base64 decode"),
    ]


CLASSIFYING = bodies(CLASSIFY, None) + [
    row("a body is looked at before its model", "nobody:classify", {"examples": []}, 400, "...'examples' value is an empty array"),
    row("classes and scores", CLASSIFY, both(), answer=LABELLED),
    row("a signature by name, a version by number: classify", "inference/versions/1:classify", both("classification"), answer=LABELLED),
    row("scores only", CLASSIFY, both("only_scores"), answer=SCORES),
    row("classes only", CLASSIFY, both("only_classes"), answer=LABELS),
    row("scores, and an output nobody asks for", CLASSIFY, both("scores_and_more"), answer=SCORES),
    row("a context's features are every example's", CLASSIFY, examples({"bias": 1.0}, TWO, context=ONE), answer=LABELLED),
    row("a context for complete examples", CLASSIFY, both(context={"x": 9.0, "z": 1}), answer=LABELLED),
    row("a context first", CLASSIFY, {"context": {"x": 1.0, "name": {"b64": "YW5vbg=="}}, "examples": [{}, TWO]}, answer=LABELLED),
    row("an empty context", CLASSIFY, both(context={}), answer=LABELLED),
    row("lists of one value", CLASSIFY, examples({"x": [1.0]}, {"x": [4.0], "bias": [-1.0], "name": ["zoe"]}), answer=LABELLED),
    row("bytes as base64", CLASSIFY, examples(ONE, TWO | {"name": {"b64": "em9l"}}), answer=LABELLED),
    row("the last of a feature counts", CLASSIFY, b'{"examples": [{"x": 7.0, "x": 1.0}, {"name": "joe", "x": 4.0, "bias": -1.0, "name": "zoe"}]}', answer=LABELLED),
    row("features nobody asked for", CLASSIFY, examples(ONE | {"other": [1, 2, 3], "none": [], "flags": [True, 0]}, TWO), answer=LABELLED),
    row("TF2, sparse and ragged features", "inference_v2:classify",
        examples({"x": 1.0, "tags": [1, 2], "words": ["a", "b", "c"]}, {"x": 2.0}), answer=results([["", 0.5], ["", 3.0], ["", 3.0]], [["", 1.0], ["", 0.0], ["", 0.0]])),
    row("Classify with an unknown signature", CLASSIFY, both("s"), 400, "No signature was found with the name: s"),
    row("Classify on two inputs", CLASSIFY, both("two_inputs"), 400, "Expected one input Tensor."),
    row("Classify on three outputs", CLASSIFY, both("three_outputs"), 400, "Expected one or two output Tensors, found 3"),
    row("Classify on another input alias", CLASSIFY, both("input_alias"), 400, "No classification inputs found in SignatureDef: ..."),
    row("Classify on another output alias", CLASSIFY, both("output_alias"), 400,
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ...'),
    row("scores that are no matrix", CLASSIFY, both("scores_vector"), 400, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
    row("classes that are no matrix", CLASSIFY, both("classes_vector"), 400, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
    row("scores that are no floats", CLASSIFY, both("scores_ints"), 400, "Expected scores Tensor of DT_FLOAT. Got: DT_INT64"),
    row("classes that are no strings", CLASSIFY, both("classes_ints"), 400, "Expected classes Tensor of DT_STRING. Got: DT_INT32"),
    row("scores for fewer examples", CLASSIFY, both("scores_one_row"), 400, "Expected scores output batch size of 2. Got: 1"),
    row("classes for fewer examples", CLASSIFY, both("classes_one_row"), 400, "Expected classes output batch size of 2. Got: 1"),
    row("classes and scores of different width", CLASSIFY, both("widths"), 400, "Tensors class and score should match in dim_size(1). Got 2 vs. 3"),
    row("Classify on a signature that predicts, unchecked", "inference_v2:classify", examples(ONE), answer=results([["", 0.5], ["", 0.0], ["", 0.0]])),
    row("Classify on a signature that predicts, checked", "inference_v2:classify", examples(ONE), 400,
        f"Expected classification signature method_name to be {SERVING}classify. Was: {SERVING}predict", flags=CHECKED),
    row("Classify on a signature that classifies, checked", "inference_v2:classify", examples(ONE, signature="classify"),
        answer=results([["", 0.5], ["", 0.0], ["", 0.0]]), flags=CHECKED),
    row("a feature that must be there", CLASSIFY, examples({"bias": 1.0}), 400,
        "Name: <unknown>, Feature: x (data type: float) is required but could not be found...."),
    row("a whole number for a float feature", CLASSIFY, examples({"x": 1}), 400,
        "Name: <unknown>, Key: x, Index: 0.  Data types don't match. Expected type: float, Actual type: int64..."),
    row("more values than a feature has", CLASSIFY, examples(ONE, {"x": [1.0, 2.0]}), 400,
        "Name: <unknown>, Key: x, Index: 1.  Number of float values != expected.  Values size: 2 but output shape: [1]..."),
]

REGRESSING = bodies(REGRESS, "regression") + [
    row("a value for each example", REGRESS, both("regression"), answer=results(2.5, 1.0)),
    row("a signature by name, a version by number: regress", "inference/versions/1:regress", both("regression"), answer=results(2.5, 1.0)),
    row("values that are a vector", REGRESS, both("regression_flat"), answer=results(2.5, 1.0)),
    row("Regress with a context", REGRESS, examples({"bias": 0.0}, TWO, signature="regression", context=ONE), answer=results(0.5, 1.0)),
    row("Regress, TF2", "inference_v2:regress", examples(ONE, signature="regress"), answer=results(2.5)),
    row("numbers that are none: regress", REGRESS, b'{"signature_name": "regression", "examples": [{"x": NaN}, {"x": -Infinity}, {"x": 1e9}]}',
        answer=results(math.nan, -math.inf, 500000000.0)),
    row("Regress with an unknown signature", REGRESS, both("s"), 400, "No signature was found with the name: s"),
    row("Regress on the default signature, which classifies", REGRESS, both(), 400, "Expected one output Tensor."),
    row("Regress on two outputs", REGRESS, both("two_values"), 400, "Expected one output Tensor."),
    row("Regress on another input alias", REGRESS, both("regression_input_alias"), 400, "No regression inputs found in SignatureDef: ..."),
    row("Regress on another output alias", REGRESS, both("regression_output_alias"), 400, "No regression outputs found in SignatureDef: ..."),
    row("Regress on numbers", REGRESS, both("numbers"), 400, "Expects arg[0] to be float but string is provided"),
    row("values that are a matrix", REGRESS, both("values_matrix"), 400, "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,3]"),
    row("values for fewer examples", REGRESS, both("values_one_row"), 400, "Input batch size did not match output batch size: 2 vs. 1"),
    row("values that are no floats", REGRESS, both("values_doubles"), 400, "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    row("Regress on a signature that classifies, checked", REGRESS, both("only_scores"), 400,
        f"Expected regression signature method_name to be {SERVING}regress. Was: {SERVING}classify", flags=CHECKED),
]

AVAILABLE = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
GET = {"verb": "GET"}
ABOUT = [
    row("status", "half_plus_two", answer=equals({"model_version_status": [AVAILABLE]}), **GET),
    row("status of a version", "half_plus_two/versions/1", answer=equals({"model_version_status": [AVAILABLE]}), **GET),
    row("status of an unknown model", "nobody", None, 404, "Could not find any versions of model nobody", **GET),
    row("status of an unknown version", "half_plus_two/versions/9", None, 404, "Could not find version 9 of model half_plus_two", **GET),
    row("metadata of an unknown model", "nobody/metadata", None, 404, "Servable not found for request: Latest(nobody)", **GET),
    row("metadata of an unknown version", "inference/versions/7/metadata", None, 404, "Servable not found for request: Specific(inference, 7)", **GET),
    row("metadata", "half_plus_two_tf1/metadata", answer=lambda got: got["model_spec"] == {"name": "half_plus_two_tf1", "signature_name": "", "version": "1"}, **GET),
    row("the list", "/v1/models", answer=lambda got: AVAILABLE in [m for m in got["models"] if m["name"] == "half_plus_two"][0]["model_version_status"], **GET),
]

CASES = SELECTION + TARGETS + PREDICTING + MISTAKES + CLASSIFYING + REGRESSING + ABOUT
