"""The models. A recipe is a function `(version_directory, rng) -> {"signature.case": {input: value}}` with a name."""
from typing import Callable, NamedTuple


class Fixture(NamedTuple):
    name: str
    build: Callable
    stateful: bool


_fixtures = []


def fixture(name, stateful=False):
    """Registers a recipe under the folder it writes. Stateful: requests change what later ones get."""
    def register(build):
        _fixtures.append(Fixture(name, build, stateful))
        return build
    return register


def all_fixtures():
    from . import batching, control_flow, examples, feature_columns, graphs, half_plus_two, keras_models, ops, preprocessing, signatures, state, tables, text_flow, tf1_control_flow, variables  # noqa: F401
    return list(_fixtures)
