"""What TensorFlow Serving answers, row by row: each mistake a client can make, each form a request can take.

A row is a `Case`. Over gRPC `method` and `request` are asked, over HTTP `rest`; a row may have either or both. `code` and `text` are
those of TensorFlow Serving's source; REST tells the same text unless its own says otherwise. A text that ends in "..." is the
beginning of what is said, one that begins with "..." is somewhere in it. `answer`, when given, is called with the response (a
message, or parsed JSON) and checks it.

test_conformance.py runs the table over gRPC, test_conformance_rest.py over HTTP.
"""
from dataclasses import dataclass, field
from typing import Any, Callable, Optional


@dataclass(frozen=True)
class Rest:
    """A request over HTTP: `verb` and `path`, a body (text, bytes, or what becomes JSON) and the answer's status."""
    verb: str
    path: str
    body: Any = None
    status: int = 200
    text: Optional[str] = None
    answer: Optional[Callable] = None
    headers: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    name: str
    #: `Service/Method` below `tensorflow.serving.`
    method: str = ""
    #: A message, or bytes.
    request: Any = None
    code: str = "OK"
    text: str = ""
    answer: Optional[Callable] = None
    rest: Optional[Rest] = None
    #: Flags of the server the row needs; rows with equal flags share a server.
    flags: tuple = ()

    def __str__(self):
        return self.name


def says(expected, text):
    """Whether `text` is what a row expects."""
    if expected.startswith("...") and expected.endswith("..."):
        return expected[3:-3] in text
    if expected.startswith("..."):
        return expected[3:] in text
    if expected.endswith("..."):
        return text.startswith(expected[:-3])
    return text == expected
