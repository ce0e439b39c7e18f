"""The models. A recipe is a function `(version_directory, rng) -> {"signature.case": {input: value}}` with a name."""
from typing import Callable, NamedTuple


class Fixture(NamedTuple):
    name: str
    build: Callable


_fixtures = []


def fixture(name):
    """Registers a recipe under the folder it writes."""
    def register(build):
        _fixtures.append(Fixture(name, build))
        return build
    return register


def all_fixtures():
    from . import control_flow, examples, graphs, half_plus_two, keras_models, ops, signatures, variables  # noqa: F401
    return list(_fixtures)
