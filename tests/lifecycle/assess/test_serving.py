from __future__ import annotations

from pathlib import Path
from typing import Any

from rackwright.cli.render.assess_html import as_html
from rackwright.cli.render.assess_text import as_text
from rackwright.fit.demand import Asked
from rackwright.launch import Widths
from rackwright.lifecycle.assess.assessment import Assessed, Assessment
from rackwright.lifecycle.assess.serving import Verdict, Wanted, verdicts, wanted_of, well_known
from rackwright.state.formats import utc_now
from tests.fit.shapes import GIB, plain
from tests.lifecycle.assess.hosts import assessed, bare, gpu, hardware
from tests.lifecycle.fit.test_procedure import fleet_of, lock_of

VLLM = Asked("vllm", context=8192)


def wanted(gpus: int = 1, *, shape: Any = None, here: bool = True, **asked: Any) -> Wanted:
    made = Asked("vllm", **{"context": 8192, "widths": Widths(tensor=max(gpus, 1)), **asked})
    return Wanted("assistant", gpus, made, plain() if shape is None else shape, here)


def verdict(one: Wanted, **host: Any) -> Verdict:
    (found,) = verdicts((one,), hardware(**host))
    return found


def test_each_model_of_the_fleet_is_asked_as_it_is_placed(tmp_path: Path):
    fleet = fleet_of(tmp_path, 2, cpu1=["other@1"])
    lock = lock_of(fleet, plain())
    here, there = wanted_of(fleet, lock, "gpu1")
    assert (here.model, here.gpus, here.here, here.asked.widths.tensor) == ("assistant", 2, True, 2)
    assert (there.model, there.gpus, there.here) == ("other", 0, False)
    assert here.shape == plain()
    assert [one.shape for one in wanted_of(fleet, None, "gpu1")] == [None, None]


def test_what_fits_and_what_does_not():
    fits = verdict(wanted())
    assert fits.fits is True
    assert "stay free of" in fits.why
    tight = verdict(wanted(context=131_072), gpus=(gpu(0, memory=24 * GIB),))
    assert tight.fits is False
    assert tight.why.startswith("too large; context: ")


def test_more_gpus_than_there_are():
    found = verdict(wanted(4))
    assert (found.fits, found.why) == (False, "a replica needs 4 GPUs, but the host has 2")


def test_heads_that_do_not_come_out_even():
    found = verdict(wanted(3, widths=Widths(tensor=3)), count=3)
    assert found.fits is False
    assert found.why == "its 32 attention heads can't be divided by tensor width 3; gpus: 2 instead of 3"
    alone = verdict(
        wanted(2, shape=plain(heads=1), widths=Widths(tensor=2)), gpus=(gpu(0, memory=GIB), gpu(1, memory=GIB))
    )
    assert alone.why == "its 1 attention heads can't be divided by tensor width 2"


def test_what_nobody_can_tell():
    assert verdict(wanted(shape=plain(unknown="odd", layers=()))).why == "odd"
    no_lock = Wanted("assistant", 1, VLLM, None, here=True)
    (found,) = verdicts((no_lock,), hardware())
    assert (found.fits, found.why) == (None, "the lock doesn't have its shape yet")
    (found,) = verdicts((wanted(),), bare())
    assert (found.fits, found.why) == (None, "no driver reports the GPUs' memory yet")


def test_on_the_processor_the_memory_counts():
    assert verdict(wanted(0), memory=64 * GIB).fits is True
    assert verdict(wanted(0), memory=8 * GIB).fits is False


def test_well_known_models_by_what_the_host_is_for():
    names = {one.name for one in well_known((), hardware(), stranger=False)}
    assert {"Llama-3.1-8B", "gpt-oss-120b", "Llama-3.1-70B"} <= names
    assert well_known((), bare(), stranger=True) == ()
    without = hardware(0, gpus=(), memory=32 * GIB)
    assert well_known((), without, stranger=False) == ()
    assert well_known((wanted(here=False),), without, stranger=False) == ()
    assert {one.gpus for one in well_known((), without, stranger=True)} == {0}
    assert well_known((wanted(0),), without, stranger=False)


def test_a_card_that_is_cut_serves_nothing():
    cut = hardware(gpus=(gpu(0, mig=True), gpu(1)))
    assert verdict(wanted(2), gpus=(gpu(0, mig=True), gpu(1))).why == "a replica needs 2 GPUs, but the host has 1"
    assert max(one.gpus for one in well_known((), cut, stranger=False)) == 1


def found() -> Assessed:
    return assessed(hardware(), models=(wanted(), wanted(4)))


def test_the_text_has_a_line_a_model():
    lines = [line for line in as_text(Assessment((found(),))) if line.startswith("  serves ")]
    assert lines[0].startswith("  serves   assistant, on 1 GPU: fits, ")
    assert lines[1] == "  serves   assistant, on 4 GPUs: doesn't fit, a replica needs 4 GPUs, but the host has 2"
    (llama,) = [line for line in lines if line.startswith("  serves   Llama-3.1-8B: ")]
    assert llama.startswith("  serves   Llama-3.1-8B: bf16 on 1 GPU, 131072 tokens alone or ")


def test_the_page_has_two_tables():
    page = as_html(Assessment((found(),)), utc_now())
    assert "The fleet's models on it" in page
    assert "<td>on 4 GPUs</td><td>no</td>" in page
    assert '<th scope="row">gpt-oss-120b</th><td>4-bit</td>' in page
    assert "models on it" not in as_html(Assessment((Assessed("gpu1", "10.0.0.1"),)), utc_now())
