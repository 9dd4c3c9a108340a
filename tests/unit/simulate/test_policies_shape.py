from __future__ import annotations

import importlib

import msgspec
import pytest

from howdah.errors import BadInput
from howdah.simulate.policies import policy


def admit(state: policy.Numbers, p: policy.Numbers, view: policy.Numbers, u: float) -> float:
    return 1.0 if u < p[0] else 0.0


def nothing() -> None: ...


HERE = __name__


@pytest.mark.parametrize("name", policy.names())
def test_every_policy_has_hooks_a_source_and_plain_numbers(name: str) -> None:
    kind = policy.find(name)
    assert "Source:" in kind.note
    p = kind.parameters({})
    assert len(p) == len(kind.names())
    state = kind.initial(p)
    assert all(isinstance(x, float) for x in [*p, *state])
    assert len(state) >= (8 if "tick" in kind.hooks else 1)


@pytest.mark.parametrize("name", policy.names())
def test_the_names_of_the_parameters_are_their_places(name: str) -> None:
    """`p[STEP]` in the hooks must be the field `step`."""
    module = importlib.import_module(f"howdah.simulate.policies.{name}")
    kind = policy.find(name)
    for index, field in enumerate(kind.names()):
        named = getattr(module, field.upper(), index)
        assert named == index, f"{field} is p[{index}]"


def test_an_unknown_policy_suggests_the_nearest() -> None:
    with pytest.raises(BadInput) as caught:
        policy.find("gradiant2")
    assert caught.value.hint == "gradient2"


def test_an_unknown_argument_suggests_the_nearest() -> None:
    with pytest.raises(BadInput) as caught:
        policy.find("aimd").parameters({"backof": 0.8})
    assert caught.value.hint == "backoff"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("aimd", {"backoff": 2.0}),
        ("aimd", {"start": float("nan")}),
        ("jitter", {"kind": "fool"}),
        ("rate_limiter", {"rate": -1.0}),
        ("rate_limiter", {"rate": float("inf")}),
    ],
)
def test_arguments_out_of_bounds_are_refused(name: str, arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=f"policy {name}"):
        policy.find(name).parameters(arguments)


def test_a_word_is_its_index() -> None:
    kind = policy.find("jitter")
    assert kind.parameters({"kind": "decorrelated"})[kind.index("kind")] == 2.0
    assert kind.words("kind") == ("full", "equal", "decorrelated", "none")
    assert kind.words("base") == ()


def test_a_function_of_ones_own_is_found_by_module_and_name() -> None:
    kind = policy.find(f"{HERE}:admit")
    assert set(kind.hooks) == {"admit"}
    assert kind.parameters({"share": 0.25}) == [0.25]
    assert kind.initial([0.25]) == [0.0]


class Own:
    """A policy as an object."""

    class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        depth: float = 3.0

    @staticmethod
    def initial(p: policy.Numbers) -> list[float]:
        return [p[0], 1.0]

    @staticmethod
    def dequeue(state: policy.Numbers, p: policy.Numbers, view: policy.Numbers, u: float) -> float:
        return p[0]


def test_an_object_of_ones_own_is_found_by_module_and_name() -> None:
    kind = policy.find(f"{HERE}:Own")
    assert set(kind.hooks) == {"dequeue"}
    assert kind.initial(kind.parameters({"depth": 5})) == [5.0, 1.0]


@pytest.mark.parametrize("name", ["nowhere:admit", f"{HERE}:absent", f"{HERE}:nothing"])
def test_what_cannot_be_loaded_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        policy.find(name)
