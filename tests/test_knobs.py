"""Knobs read what is legal and refuse everything else in one line that names the path."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from regtune.core.errors import Refused
from regtune.core.knobs import Interval, Knob, knob, knobs, plain_settings, read_settings
from regtune.core.search_space import KnobPath, of_owner
from regtune.regularizers import REGULARIZERS
from regtune.sweep.ranges import read_space
from regtune.training.recipe import method_from_row

ENDLESS = 1 << 20_000  # TOML writes it in hexadecimal; Python refuses to write it in decimal


@dataclass(frozen=True, kw_only=True)
class Everything:
    """A knob of every kind."""

    share: float = knob(default=0.5, legal="[0, 1)", space=FloatDistribution(0.1, 0.9), meaning="a share")
    bound: float = knob(default=3.0, legal="(0, 1e6]", off=math.inf, neutral=math.inf, meaning="a bound")
    free: float = knob(default=0.0, meaning="any number")
    count: int = knob(default=3, legal="[1, 1000]", meaning="a count")
    quiet: bool = knob(default=False, meaning="a switch")
    mode: str = knob(default="fast", legal=("fast", "slow"), meaning="a mode")
    widths: tuple[int, ...] = knob(default=(8, 8), legal="[1, 100]", meaning="widths")


KNOBS = knobs(Everything)
NO_NUMBERS = [True, math.nan, -math.inf, -(10**30), date(2024, 1, 1), "fast", "0.5", None, [], {}]
HUGE = {"401-digits": 10**400, "minus-401-digits": -(10**400), "endless": ENDLESS}
WORDS = st.sampled_from(["low", "high", "log", "step", "off", "fast", "slow", *KNOBS])
ENDS = st.sampled_from([10**30, 10**400, -(10**400), 5e-324, 1e-40, 1e308, -0.0, date(2024, 1, 1)])
JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS | ENDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
RANGES = st.fixed_dictionaries(
    {"low": st.floats(0, 1) | st.integers(0, 9), "high": st.floats(0, 1) | st.integers(0, 99)},
    optional={"log": st.booleans(), "step": st.floats(0, 1) | st.integers(0, 9) | ENDS},
)


def refusal(value: object, name: str = "share") -> str:
    """Return the one line with which a value for a knob of `Everything` is refused at the path `arms.a`."""
    with pytest.raises(Refused) as caught:
        read_space(KNOBS[name], value, "arms.a")
    line = str(caught.value)
    assert len(line.splitlines()) == 1 and line.startswith("arms.a")
    return line


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("[0, 1)", [0, 0.5], [-1e-9, 1, math.nan]),
        ("(0,1]", [5e-324, 1], [0, 1.1, -math.inf]),
        ("(-1e3, inf)", [-999, 1e308], [-1000, math.inf]),
        ("[ 2 , 2 ]", [2], [1, 3]),
    ],
)
def test_an_interval_holds_what_mathematics_says(text: str, inside: list[float], outside: list[float]) -> None:
    interval = Interval.parse(text)
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)


@pytest.mark.parametrize("text", ["", "0, 1", "[0 1]", "[a, b]", "[0, 1, 2]", "{0, 1}", "[0, 1)x"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"interval|convert"):
        Interval.parse(text)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("share", 0, 0.0),
        ("bound", "off", math.inf),
        ("bound", 10**6, 1e6),
        ("count", 7, 7),
        ("quiet", True, True),
        ("mode", "slow", "slow"),
        ("widths", [1, 100], (1, 100)),
        ("widths", [], ()),
    ],
)
def test_legal_values_are_read_and_written_back(name: str, value: object, read: object) -> None:
    found = KNOBS[name].read(value, "here")
    assert found == read and type(found) is type(read)
    assert KNOBS[name].plain(found) == value


def test_off_stands_for_the_value_at_which_a_shipped_method_does_nothing() -> None:
    with_off = [k for cls in REGULARIZERS.all().values() for k in knobs(cls).values() if k.off is not None]
    assert with_off
    for k in with_off:
        assert k.read("off", "here") == k.off == k.neutral
        assert k.plain(k.off) == "off"


@pytest.mark.parametrize("value", [*NO_NUMBERS, *(pytest.param(n, id=name) for name, n in HUGE.items())])
@pytest.mark.parametrize("name", ["share", "bound", "count"])
def test_what_is_no_finite_number_is_refused_for_a_number(name: str, value: object) -> None:
    with pytest.raises(Refused, match=r"^here: expected a (whole )?number.*, given ") as caught:
        KNOBS[name].read(value, "here")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share", 1),
        ("share", math.inf),
        ("share", "off"),
        ("bound", 10**30),
        ("bound", 0),
        ("free", math.inf),
        ("free", math.nan),
        pytest.param("free", 10**400, id="free-401-digits"),
        ("count", 2.0),
        ("count", 1001),
        ("quiet", 1),
        ("quiet", "true"),
        ("mode", "off"),
        ("widths", [8, True]),
        ("widths", [8, 1.0]),
        ("widths", [[8]]),
        ("widths", [0]),
        ("widths", 8),
        ("widths", "88"),
    ],
)
def test_values_of_the_wrong_type_or_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(Refused, match=r"^here(\[\d\])?: expected .*, given "):
        KNOBS[name].read(value, "here")


@pytest.mark.parametrize(("off", "value"), [(0.0, False), (1.0, True)])
def test_a_boolean_is_no_number_even_where_off_is_that_number(off: float, value: bool) -> None:
    k = Knob(name="k", kind=float, default=0.5, legal=Interval.parse("[0, 1]"), space=None, meaning="m", off=off)
    with pytest.raises(Refused):
        k.read(value, "here")


def test_a_word_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    assert "did you mean 'slow'?" in refusal("slwo", "mode")
    assert "did you mean 'step'?" in refusal({"low": 0, "high": 0.5, "setp": 0.1})
    with pytest.raises(Refused, match=r"^here: unknown setting 'cuont' \(did you mean 'count'\?\)"):
        read_settings(Everything, {"cuont": 1}, "here")


@pytest.mark.parametrize(
    ("name", "value", "space"),
    [
        ("share", {"low": 0, "high": 0.5}, FloatDistribution(0, 0.5)),
        ("share", {"low": 0.1, "high": 0.5, "log": True}, FloatDistribution(0.1, 0.5, log=True)),
        ("share", {"low": 0, "high": 0.5, "step": 0.25}, FloatDistribution(0, 0.5, step=0.25)),
        ("count", {"low": 1, "high": 9}, IntDistribution(1, 9)),
        ("count", {"low": 1, "high": 9, "step": 2}, IntDistribution(1, 9, step=2)),
        ("mode", ["fast", "slow"], CategoricalDistribution(["fast", "slow"])),
        ("bound", [1, "off"], CategoricalDistribution([1.0, "off"])),
        ("quiet", [False, True], CategoricalDistribution([False, True])),
        ("share", 0.25, 0.25),
        ("widths", [4, 4], (4, 4)),
    ],
)
def test_spaces_are_read(name: str, value: object, space: object) -> None:
    assert read_space(KNOBS[name], value, "arms.a") == space


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("share", {"low": 0}, "arms.a: a range needs low and high"),
        ("share", {}, "arms.a: a range needs low and high"),
        ("share", {"low": 0.5, "high": 0.1}, "arms.a: expected low < high"),
        ("share", {"low": 0.5, "high": 0.5}, "arms.a: expected low < high"),
        ("share", {"low": 0, "high": 1}, "arms.a.high: "),
        ("share", {"low": True, "high": 0.5}, "arms.a.low: "),
        ("share", {"low": math.nan, "high": 0.5}, "arms.a.low: "),
        pytest.param("share", {"low": 10**400, "high": 0.5}, "arms.a.low: ", id="401-digits"),
        ("share", {"low": 0, "high": 0.5, "log": True}, "arms.a: a logarithmic range needs low > 0"),
        ("share", {"low": 0.1, "high": 0.5, "log": 1}, "arms.a.log: "),
        ("bound", {"low": 1, "high": "off"}, "arms.a: expected low < high, both finite"),
        ("share", {"low": 0, "high": 0.5, "step": 0}, "arms.a.step: "),
        ("share", {"low": 0, "high": 0.5, "step": 1}, "arms.a.step: "),
        ("share", {"low": 0, "high": 0.5, "step": True}, "arms.a.step: "),
        ("share", {"low": 0, "high": 0.5, "step": math.nan}, "arms.a.step: "),
        ("share", {"low": 0, "high": 0.5, "step": []}, "arms.a.step: "),
        ("share", {"low": 0, "high": 0.5, "step": 1e-40}, "arms.a.step: "),
        ("share", {"low": 0.1, "high": 0.5, "step": 0.1, "log": True}, "arms.a.step: "),
        ("count", {"low": 1, "high": 9, "step": 2.0}, "arms.a.step: "),
        ("count", {"low": 0, "high": 9}, "arms.a.low: "),
        ("share", [], "arms.a: expected at least one choice"),
        ("share", [0.5, 1], "arms.a[1]: "),
        ("mode", ["fast", "slwo"], "arms.a[1]: "),
        ("mode", {"low": 0, "high": 1}, "arms.a: "),
        ("quiet", {"low": 0, "high": 1}, "arms.a: "),
        ("widths", {"low": 0, "high": 1}, "arms.a: "),
    ],
)
def test_spaces_that_make_no_sense_are_refused_at_their_path(name: str, value: object, path: str) -> None:
    assert refusal(value, name).startswith(path)


@pytest.mark.parametrize(
    "value",
    [
        {"low": 0, "high": 0.5, "step": 0.3},
        {"low": 0.1, "high": 0.5, "step": 0.25},
        {"low": 0, "high": 0.5, "step": 0.16666666666666666},  # a third of it, but for rounding
    ],
)
def test_a_step_that_does_not_divide_its_range_is_not_answered_with_a_warning_of_optuna(value: object) -> None:
    try:  # pytest turns warnings into errors
        space = read_space(KNOBS["share"], value, "arms.a")
    except Refused as error:
        assert "step" in str(error) and len(str(error).splitlines()) == 1
    else:
        assert isinstance(space, FloatDistribution)


@given(name=st.sampled_from(list(KNOBS)), value=JSON_LIKE | RANGES)
@settings(deadline=None, max_examples=400)
def test_any_value_for_a_knob_is_read_or_refused_in_one_line(name: str, value: Any) -> None:
    try:
        read_space(KNOBS[name], value, "arms.a")
    except Refused as error:
        assert len(str(error).splitlines()) == 1 and str(error).startswith("arms.a")


@given(values=JSON_LIKE | st.dictionaries(st.sampled_from(list(KNOBS)), JSON_LIKE))
@settings(deadline=None, max_examples=400)
def test_any_settings_are_read_and_written_as_strict_json_or_refused_in_one_line(values: Any) -> None:
    try:
        read = Everything(**read_settings(Everything, values, "here"))
    except Refused as error:
        assert len(str(error).splitlines()) == 1 and str(error).startswith("here")
    else:
        written = json.loads(json.dumps(plain_settings(read), allow_nan=False))
        assert Everything(**read_settings(Everything, written, "here")) == read


SHIPPED_TWIN = "from regtune.regularizers import Regularizer\nclass Dropout(Regularizer): pass\n"
MADE_UP = "from regtune.regularizers import Regularizer\nclass MadeUp(Regularizer): pass\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Return a function that writes a user's module and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def not_found(name: object, *plugins: str) -> str:
    with pytest.raises(Refused) as caught:
        REGULARIZERS.find(name, "arms.a", plugins)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_thing_is_found_by_its_name_and_a_near_one_is_suggested() -> None:
    assert REGULARIZERS.find("max_norm", "arms.a").__name__ == "MaxNorm"
    assert not_found("maxnorm") == "arms.a: unknown regularizer 'maxnorm' (did you mean 'max_norm'?)"
    first, more = list(REGULARIZERS.all())[:12], len(REGULARIZERS.all()) - 12
    assert f"(one of: {', '.join(first)} and {more} more)" in not_found("zzz")
    names: list[object] = [None, 3, ["dropout"], {}, "Dropout\n", ENDLESS]
    for name in names:
        assert not_found(name).startswith("arms.a: unknown regularizer ")


def test_a_plugin_adds_its_things_and_nothing_that_it_imports(module: Callable[[str, str], str]) -> None:
    name = module("plugin_adds", MADE_UP + "from regtune.regularizers import Mixup\nclass B(MadeUp): label = 'bee'\n")
    assert set(REGULARIZERS.all([name])) == {*REGULARIZERS.all(), "made_up", "bee"}
    assert REGULARIZERS.find("bee", "arms.a", [name]).__module__ == name
    assert "did you mean 'made_up'" in not_found("madeup", name)
    assert "made_up" not in REGULARIZERS.all()


def test_two_things_of_one_name_are_refused(module: Callable[[str, str], str]) -> None:
    assert "'dropout' exists in regtune.regularizers.dropout" in not_found("dropout", module("twin", SHIPPED_TWIN))
    names = [module(f"twin_{n}", MADE_UP) for n in "ab"]
    assert "twin_b.MadeUp: a regularizer called 'made_up' exists in twin_a" in not_found("dropout", *names)


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("broken_value", "raise ValueError('a\\nb')", "plugin broken_value: ValueError: "),
        ("broken_syntax", "def", "plugin broken_syntax: SyntaxError: "),
        ("broken_exit", "import sys; sys.exit()", "plugin broken_exit: "),
        ("broken_key", "raise KeyboardInterrupt", "plugin broken_key: KeyboardInterrupt: '' (broken_key.py:1)"),
        ("broken_odd", "class Odd(BaseException): pass\nraise Odd('x')", "Odd: 'x' (broken_odd.py:2)"),
        ("broken_import", "import not_there", "it imports not_there, which is not installed"),
        ("broken_import_of_prefix", "import broken_import_of", "it imports broken_import_of, which is not installed"),
        (
            "broken_knob",
            MADE_UP + "from regtune.core.knobs import knob\nx = knob(default=1, meaning='', legal='0')",
            "0",
        ),
    ],
)
def test_a_plugin_that_fails_is_refused(name: str, source: str, said: str, module: Callable[[str, str], str]) -> None:
    assert said in not_found("dropout", module(name, source))


@pytest.mark.parametrize(
    "name", ["not_there", "not_there.either", "regtune.not_there", "json.x", "", ".", "a b", "a\nb"]
)
def test_a_plugin_that_does_not_exist_is_refused(name: str) -> None:
    assert not_found("dropout", name).startswith("plugin")


def test_knobs_without_the_dataclass_decorator_are_refused(module: Callable[[str, str], str]) -> None:
    source = (
        "from regtune.regularizers import Regularizer\nfrom regtune.core.knobs import knob\n"
        "class Forgot(Regularizer):\n    p: float = knob(default=0.5, legal='[0, 1)', meaning='x')\n"
    )
    assert "Forgot: expected @dataclass(frozen=True, kw_only=True) above the class" in not_found(
        "dropout", module("forgot", source)
    )


FIELDS = """
from dataclasses import dataclass, field
from typing import ClassVar
from regtune.regularizers import Regularizer
from regtune.core.knobs import knob

DECORATED
class Shy(Regularizer):
    constant: ClassVar[float] = 2.0
    p: float = knob(default=0.5, legal="[0, 1)", meaning="x")
    FIELD
"""


@pytest.mark.parametrize("field", ["share: float = 0.1", "share: float", "share: list = field(default_factory=list)"])
def test_a_field_without_knob_is_named_with_its_class_and_file(module: Callable[[str, str], str], field: str) -> None:
    decorated = "@dataclass(frozen=True, kw_only=True)"
    name = module("shy", FIELDS.replace("FIELD", field).replace("DECORATED", decorated))
    with pytest.raises(Refused) as caught:
        method_from_row({"name": "shy"}, [name], "recipe[0]")
    said, file = str(caught.value), str(sys.modules["shy"].__file__)
    assert said.startswith("shy.Shy.share: expected knob(default=..., meaning=...), given a field without it, in ")
    assert file in said
    assert len(said.splitlines()) == 1


def test_a_plain_value_without_knob_and_decorator_is_refused_and_a_constant_is_not(
    module: Callable[[str, str], str],
) -> None:
    bare = FIELDS.replace("DECORATED", "").replace("    p: float", "    # ")
    said = not_found("dropout", module("bare", bare.replace("FIELD", "share: float = 0.1")))
    assert "bare.Shy: expected @dataclass(frozen=True, kw_only=True) above the class" in said
    assert REGULARIZERS.find("shy", "x", [module("constant", bare.replace("FIELD", "needs = ('hidden',)"))])


def test_an_annotation_that_is_not_there_is_named(module: Callable[[str, str], str]) -> None:
    source = "from __future__ import annotations\n" + FIELDS.replace("float = knob", "Missing = knob")
    decorated = source.replace("FIELD", "").replace("DECORATED", "@dataclass(frozen=True, kw_only=True)")
    with pytest.raises(Refused, match=r"^unclear\.Shy: expected annotations .* name 'Missing' is not defined$"):
        method_from_row({"name": "shy"}, [module("unclear", decorated)], "recipe[0]")


@given(st.text(), st.text())
def test_a_path_of_a_knob_is_taken_apart_and_put_together(owner: str, name: str) -> None:
    owner = owner.replace(".", "")
    path = KnobPath.of(f"{owner}.{name}")
    assert path == (owner, name) and str(path) == f"{owner}.{name}"


def test_what_a_path_says_of_itself() -> None:
    said = {text: KnobPath.of(text) for text in ("dropout.switch", "mixing.one_of", "optimizer.learning_rate")}
    assert [path.is_switch for path in said.values()] == [True, False, False]
    assert [path.is_group for path in said.values()] == [False, True, False]
    assert [path.is_choice for path in said.values()] == [True, True, False]
    values = {"dropout.switch": True, "dropout.p_hidden": 0.1, "dropout_2.p_hidden": 0.2}
    assert of_owner(values, "dropout") == {"switch": True, "p_hidden": 0.1}
