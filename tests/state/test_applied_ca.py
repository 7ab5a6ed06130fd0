"""An apply never brings a CA that no client trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.state.applied import applied_from
from rackwright.state.applied_ca import refuse_other_ca
from rackwright.state.checkout import checkout
from rackwright.state.formats import utc_now
from tests.fleet.fleets import make_fleet

OLD, NEW, OTHER = (
    f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n" for name in ("b2xk", "bmV3", "eA==")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.yml").write_text("fleet: acme\n")
    return tmp_path


def refuse(folder: Path, before: str | None, here: str | None) -> None:
    """Apply with `before` as the fleet's CAs, and compare with `here`."""
    path, fleet = folder / "site.ca.crt", make_fleet(folder / "site.yml")

    def put(pem: str | None) -> None:
        path.unlink(missing_ok=True)
        if pem is not None:
            path.write_text(pem)

    put(before)
    applied = applied_from(checkout(fleet), who="anna", run="r1", when=utc_now())
    put(here)
    refuse_other_ca(applied, checkout(fleet))


@pytest.mark.parametrize(("before", "here"), [(OLD, None), (OLD, ""), (OLD + NEW, None)])
def test_a_missing_one_is_refused_with_where_it_is(folder: Path, before: str, here: str | None) -> None:
    with pytest.raises(RackwrightError) as caught:
        refuse(folder, before, here)
    assert str(caught.value) == (
        f"{folder}/site.ca.crt: is missing, and the fleet has a CA; a new CA would break every client, so it should "
        "be the file that was applied last\n  next: git pull, or rackwright ca fetch"
    )


@pytest.mark.parametrize("here", [OTHER, "garbage"])
def test_another_one_is_refused_and_left_alone(folder: Path, here: str) -> None:
    with pytest.raises(RackwrightError, match="doesn't have the CA that was applied last") as caught:
        refuse(folder, OLD, here)
    assert caught.value.problems[0].next == (
        "mv site.ca.crt site.ca.crt.other; then git pull, or rackwright ca fetch"
    )
    assert (folder / "site.ca.crt").read_text() == here


@pytest.mark.parametrize(
    ("before", "here"),
    [(OLD, OLD), (OLD, OLD + NEW), (OLD + NEW, NEW + OLD), (NEW + OLD, NEW), (None, OLD), (None, None)],
)
def test_a_first_one_and_one_that_is_rotated_are_accepted(folder: Path, before: str | None, here: str | None) -> None:
    refuse(folder, before, here)


def test_without_an_apply_nothing_is_refused(folder: Path) -> None:
    refuse_other_ca(None, checkout(make_fleet(folder / "site.yml")))
