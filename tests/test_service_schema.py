"""The API answers as its own description says, whatever is sent: by schemathesis, in this process."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.strategies import SearchStrategy
from schemathesis.specs.openapi.checks import positive_data_acceptance

from regtune.service import routes
from regtune.service.app import api, service
from regtune.service.events import Position, events, statuses
from regtune.service.looks import Looks
from regtune.service.runs import Processes
from regtune.service.settings import Settings
from regtune.storage.layout import LOG
from tests.made_up import made_up_log
from tests.served import API, asked_here, settings

TOKEN = "-".join(["the", "token", "of", "the", "schema"])
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

NAMES = ("one", "damaged", "empty")
# Whether a text is a sweep file no schema says.
BEYOND_SCHEMAS = ("POST /api/v1/check", "POST /api/v1/sweeps")


class Nothing(Processes):
    """Runs that do not start."""

    def start(self, folder: Path, text: bytes, plugins: Sequence[str]) -> None:
        """Start nothing."""


def described(given: Settings) -> dict[str, Any]:
    """Return what the service says of its paths."""
    paths: dict[str, Any] = api(given, Nothing(given), asked_here(given), threading.Event()).openapi()["paths"]
    return paths


OPERATIONS = [
    f"{method.upper()} {path}" for path, methods in described(settings(Path("none"))).items() for method in methods
]


async def those_there(position: Position, looks: Looks, ending: threading.Event) -> AsyncIterator[str]:
    """Yield the first event: a stream that follows has no end."""
    async for event in events(position, looks, ending):
        yield event
        return


async def as_it_stands(
    sweep: tuple[str, int | None], status: Callable[[], str], looks: Looks, ending: threading.Event
) -> AsyncIterator[str]:
    """Yield the first status."""
    async for event in statuses(sweep, status, looks, ending):
        yield event
        return


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("schema")
    made_up_log(folder / "one", {"baseline": [0.6, 0.61], "dropout": [0.7, 0.72]})
    damaged = made_up_log(folder / "damaged", {"baseline": [0.6]}) / LOG
    damaged.write_bytes(damaged.read_bytes().replace(b'"ok"', b'"OK"', 1))
    (folder / "empty").mkdir()
    given = settings(folder, hosts=frozenset({"testserver"}), token=TOKEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "events", those_there)
        patch.setattr(routes, "statuses", as_it_stands)
        yield schemathesis.openapi.from_asgi(
            f"{API}/openapi.json", service(given, asked_here(given), threading.Event(), Nothing(given)), headers=HEADERS
        )


@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
@pytest.mark.parametrize("label", OPERATIONS)
def test_a_route_answers_as_described(schema: Any, label: str, mode: schemathesis.GenerationMode) -> None:
    operation = next(each for each in (found.ok() for found in schema.get_all_operations()) if each.label == label)
    places = {each.name for each in operation.path_parameters}
    for name in NAMES if "/sweeps/{name}" in label else [""]:
        of_one = places == {"name"} and (mode is schemathesis.GenerationMode.POSITIVE)
        held = {"name": name} if of_one else None
        unsure = [positive_data_acceptance] if label in BEYOND_SCHEMAS or name in NAMES[1:] else []
        _asked(operation.as_strategy(generation_mode=mode, path_parameters=held), unsure)


def test_a_token_is_described_where_there_is_one(tmp_path: Path) -> None:
    for token in (None, TOKEN):
        given = settings(tmp_path, token=token)
        assert ("security" in described(given)[f"{API}/about"]["get"]) == (token is not None)


def _asked(cases: SearchStrategy[Any], excluded: list[Any]) -> None:
    """Have some cases answered, and all checks look at that."""

    @examples(
        max_examples=4,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(cases)
    def answered(case: Any) -> None:
        case.call_and_validate(headers=HEADERS, excluded_checks=excluded)

    answered()
