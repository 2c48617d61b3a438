"""The GPU benchmark at tiny size on the CPU: every section runs, beside its prediction, on a machine that has
only what a GPU box has."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "bagel_gpu.py"
pytestmark = pytest.mark.slow
ABSENT = ("pydantic", "great_expectations", "dagster", "dvc", "boto3", "bitsandbytes", "pandas", "typer")
"""Packages that are not on a bare GPU box, or need not be."""

HIDE = f"""
import importlib.machinery, runpy, sys
find = importlib.machinery.PathFinder.find_spec
def without(name, path=None, target=None):
    return None if name.partition(".")[0] in {ABSENT} else find(name, path, target)
importlib.machinery.PathFinder.find_spec = without
sys.path.insert(0, {str(SCRIPT.parent)!r})
sys.argv[0] = {str(SCRIPT)!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs the script as if these packages were not installed."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a whole run without the absent packages, and what it printed."""
    out = tmp_path_factory.mktemp("gpu") / "out.json"
    given = [sys.executable, "-c", HIDE, "--tiny", "--device", "cpu", "--out", str(out)]
    done = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(out.read_text()) | {"printed": done.stdout}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The script's modules."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import gpu.expected
    import gpu.lab
    import gpu.main
    import gpu.memory
    import gpu.plan
    import gpu.scales
    import gpu.summary

    names = ("expected", "lab", "main", "memory", "plan", "scales", "summary")
    return SimpleNamespace(**{name: getattr(gpu, name) for name in names})


@pytest.mark.e2e
def test_all_sections_run_on_a_bare_machine(bare: dict[str, Any], gpu: SimpleNamespace) -> None:
    status = {section["name"]: section["status"] for section in bare["sections"]}
    assert list(status) == [section.name for section in gpu.main.SECTIONS]
    assert {name for name, said in status.items() if said != "done"} == {"nf4"}

    # Said with what to install.
    (skipped,) = [section for section in bare["sections"] if section["status"] == "skipped"]
    assert "bitsandbytes" in skipped["reason"]


@pytest.mark.e2e
def test_every_prediction_stands_beside_a_measured_number(bare: dict[str, Any], gpu: SimpleNamespace) -> None:
    plan = gpu.plan.plan_of(torch.device("cpu"))
    scale = gpu.memory.fitted(gpu.scales.tiny_scale(), plan.memory)
    expected = gpu.expected.Expectations(scale, plan).rows
    rows = {f"{row['section']}/{row['name']}": row for row in bare["rows"]}
    assert len(rows) == len(bare["rows"]), "two rows have the same name"

    for key, prediction in expected.items():
        if key.startswith("nf4/"):
            continue
        row = rows[key]
        assert row["value"] > 0 and row["unit"] == prediction.unit
        assert row["predicted"] == pytest.approx(prediction.value)
        if prediction.flops is not None:
            share = prediction.flops / row["value"] / (1e12 * bare["peak_tflops"])
            assert row["mfu"] == pytest.approx(share)


@pytest.mark.e2e
def test_parts_of_steps_add_up(bare: dict[str, Any]) -> None:
    for section, whole in (("sft", "step"), ("grpo", "a quarter of a round")):
        rows = {row["name"]: row["value"] for row in bare["rows"] if row["section"] == section}
        parts = [value for name, value in rows.items() if name.startswith(f"{whole}, ")]
        assert len(parts) >= 4
        assert sum(parts) == pytest.approx(rows[whole], rel=0.25)


@pytest.mark.e2e
def test_checks_compare_with_the_cpu(bare: dict[str, Any]) -> None:
    checks = {check["name"]: check for check in bare["checks"]}
    assert all(check["passed"] for check in checks.values())
    # bf16 is never as good as fp32: a difference of 0 would compare a model with itself.
    for name in ("velocities, bf16", "gradients of adapters, bf16", "losses of SFT steps, bf16"):
        assert checks[name]["value"] > 0


@pytest.mark.e2e
def test_the_table_has_every_row_and_the_hours(bare: dict[str, Any], gpu: SimpleNamespace) -> None:
    table = gpu.summary.markdown(bare)
    assert table.strip() in bare["printed"]
    for row in bare["rows"]:
        assert f"| {row['section']} | {row['name']} | " in table
    assert "not measured yet" not in table
    assert all(bare["summary"]["hours"][stage] > 0 for stage in ("sft", "grpo", "evaluate"))
    assert all(0 < bare["summary"]["mfu"][kind] < 1 for kind in ("sft", "drawing"))


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
def test_the_quantised_model_is_measured_where_its_library_is(tmp_path: Path, gpu: SimpleNamespace) -> None:
    lab = make_lab(tmp_path, gpu)
    lab.run(gpu.main.chosen(only("nf4")))
    assert [(each["name"], each["status"]) for each in lab.sections] == [("build", "done"), ("nf4", "done")]

    # At the tiny sizes hardly anything but the layers is small, but 4 bits are less than 16.
    assert 0 < lab.value("nf4", "weights") < lab.value("build", "weights")
    assert lab.value("nf4", "step") > 0
    expected = {key for key in lab.expected if key.startswith("nf4/")}
    assert expected <= {f"{row.section}/{row.name}" for row in lab.rows if row.predicted is not None}


@pytest.mark.parametrize("name", ["pictures", "passes", "sft", "grpo", "texts", "files"])
def test_a_section_runs_alone(name: str, tmp_path: Path, gpu: SimpleNamespace) -> None:
    lab = make_lab(tmp_path, gpu)
    lab.run(gpu.main.chosen(only(name)))
    sections = [section["name"] for section in lab.sections]
    assert sections == ["build", name]
    assert [section["status"] for section in lab.sections] == ["done", "done"], lab.sections


def test_what_there_is_no_time_for_is_skipped(tmp_path: Path, gpu: SimpleNamespace) -> None:
    lab = make_lab(tmp_path, gpu, seconds=0)
    lab.run(gpu.main.SECTIONS)
    found = json.loads(lab.out.read_text())
    assert {section["status"] for section in found["sections"]} == {"skipped"}
    assert len(found["sections"]) == len(gpu.main.SECTIONS) and found["rows"] == []


def test_which_sections_run(gpu: SimpleNamespace) -> None:
    def names(**options: Any) -> list[str]:
        return [section.name for section in gpu.main.chosen(only(**options))]

    assert names() == [section.name for section in gpu.main.SECTIONS]
    assert names(only="grpo,velocity") == ["build", "velocity", "grpo"]
    assert names(check=True) == ["checks"]
    with pytest.raises(SystemExit, match="no section drawing; the sections are checks, "):
        names(only="velocity,drawing")

    # Shares are for a run of eight minutes.
    assert sum(section.seconds for section in gpu.main.SECTIONS) <= 480


def test_a_section_that_fails_leaves_the_others_alone(tmp_path: Path, gpu: SimpleNamespace) -> None:
    lab = make_lab(tmp_path, gpu)

    def too_large(lab: Any) -> None:
        def work() -> None:
            raise torch.OutOfMemoryError("tried to allocate 98 GB")

        lab.add_time_or_oom("24 pictures", work)

    def wrong(lab: Any) -> None:
        lab.add("before", 1.0, "s")
        raise ValueError("no such kernel")

    seen = []

    def later(lab: Any) -> None:
        # What was measured before is on disk already.
        seen.append(json.loads(lab.out.read_text()))
        lab.add("after", 2.0, "s")

    works = {"passes": too_large, "sft": wrong, "texts": later}
    lab.run([gpu.lab.Section(name=name, seconds=1, run=work) for name, work in works.items()])

    assert [section["status"] for section in lab.sections] == ["done", "failed", "done"]
    assert lab.sections[1]["reason"] == "ValueError: no such kernel"
    assert [(row.name, row.value) for row in lab.rows] == [
        ("24 pictures", None),
        ("before", 1.0),
        ("after", 2.0),
    ]
    assert "98 GB" in lab.rows[0].note
    assert len(seen[0]["sections"]) == 2


def test_a_card_that_is_too_small_gets_more_microbatches(tmp_path: Path, gpu: SimpleNamespace) -> None:
    import gpu.training as training

    lab, tried = make_lab(tmp_path, gpu), []
    lab.model = torch.nn.Linear(1, 1)

    def measure(microbatches: int) -> None:
        tried.append(microbatches)
        if microbatches < fits:
            raise torch.OutOfMemoryError("too much")
        lab.add("step", 1.0, "s")

    fits = 4
    training.in_more_parts(lab, measure, 2)
    assert tried == [2, 3, 4]
    assert [row.name for row in lab.rows] == ["2 microbatches", "3 microbatches", "step"]

    fits = 100
    with pytest.raises(torch.OutOfMemoryError):
        training.in_more_parts(lab, measure, 2)
    assert tried[3:] == [2, 3, 4, 5]


def test_a_median_takes_as_many_runs_as_there_is_time_for(
    tmp_path: Path, gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(tmp_path, gpu)
    taken = iter([3.0, 1.0, 2.0, 9.0, 9.0])
    monkeypatch.setattr(lab, "once", lambda work: next(taken))

    # The first run says how long the next will take.
    left = iter([10.0, 10.0, 0.5])
    monkeypatch.setattr(lab, "left_in_section", lambda: next(left))
    timing = lab.time(lambda: None, runs=5)
    assert (timing.seconds, timing.n) == (2.0, 3)


def test_the_page_has_the_predictions_of_today(gpu: SimpleNamespace) -> None:
    """Paste what `python benchmarks/bagel_gpu.py --predict` prints where it is not."""
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    table = gpu.summary.markdown(
        gpu.summary.predictions(gpu.memory.fitted(gpu.scales.full_scale(), 80e9), gpu.plan.H100)
    )
    assert [line for line in table.splitlines() if line not in page.splitlines()] == []


def test_what_it_repeats_of_other_modules_is_theirs(gpu: SimpleNamespace) -> None:
    """Those cannot be imported on a bare machine."""
    from unichar.cost.cards import CARDS
    from unichar.cost.estimate import MFU

    assert gpu.plan.MFU == MFU
    ours = {card.card: (card.peak, card.memory) for card in gpu.plan.CARDS}
    assert all(ours[card.name] == (card.peak, card.memory) for card in CARDS)


def test_adapters_in_fp32_are_another_computation(gpu: SimpleNamespace) -> None:
    import gpu.drawing as drawing
    import gpu.models as models

    scale = gpu.scales.tiny_scale()
    model = models.random_bagel(scale.config, image_size=64, device=torch.device("cpu"), by_width=True)
    drawing.attach(model, scale.preset.sft)
    for parameter in [*model.und.parameters(), *model.gen.parameters()]:
        if parameter.requires_grad:
            parameter.data.mul_(100)  # so much that rounding them differently can be seen
    latents, t, context = model.start_noise([0]), torch.tensor([0.5]), model.prompt_context(["a dog"])
    with torch.no_grad():
        ours = model.velocity(latents, t, context)
        with drawing.as_peft_computes():
            theirs = model.velocity(latents, t, context)

    # The same numbers up to the rounding of bf16, which is not theirs.
    error = float((ours - theirs).norm() / theirs.norm())
    assert 0 < error < 0.03


def only(only: str = "", *, check: bool = False) -> SimpleNamespace:
    """The part of the command line that chooses sections."""
    return SimpleNamespace(only=only, check=check)


def make_lab(folder: Path, gpu: SimpleNamespace, *, seconds: float = 600) -> Any:
    """A lab without a model."""
    device = torch.device("cpu")
    return gpu.lab.Lab(
        scale=gpu.memory.fitted(gpu.scales.tiny_scale(), 80e9),
        device=device,
        plan=gpu.plan.plan_of(device),
        out=folder / "out.json",
        folder=folder,
        seconds=seconds,
    )
