"""The whole pipeline: what runs, what does not run twice, what is refused; a bad kit is never trained on."""

import json
import logging
import signal
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories_kit import make_kit
from factories_pipeline import TOYS, Toys, edit_kit, make_store

from unichar.errors import UserError
from unichar.kit.verdict import KitRejected
from unichar.pipeline.kit_gate import check_kit
from unichar.pipeline.lineage import StaleInput
from unichar.pipeline.run import customize, run_stage
from unichar.presets import PRESETS, smoke
from unichar.stages import STAGES, VERBS
from unichar.store.store import BrokenOutput, MissingOutput, Store
from unichar.types import LoadConfig, StageJob

TESTS = Path(__file__).parents[1]


def fresh(store: Store, *, seed: int = 0, preset: str = "smoke") -> list[str]:
    """The verbs of the stages that really run."""
    outputs = customize("pip", preset=preset, seed=seed, store=store)
    return [stage.verb for stage, output in zip(STAGES[1:], outputs, strict=True) if output.fresh]


def test_every_stage_publishes_what_it_read_and_how_it_was_set(store: Store) -> None:
    for stage in STAGES[1:]:
        output = store.current("pip", stage.noun)
        manifest = output.manifest
        store.verify(output, again=True)
        assert set(manifest["inputs"]) == set(stage.needs) - {"raw_kit"}
        assert all(
            manifest["inputs"][noun] == store.current("pip", noun).fingerprint for noun in manifest["inputs"]
        )
        assert manifest["preset"] == "smoke" and manifest["recipe"]["verb"] == stage.verb
        assert bool(manifest["recipe"]["base_sha256"]) == stage.own_process
        assert manifest["tools"].keys() >= {"python", "torch", "great-expectations"}
        config = json.loads((output.folder / "config.json").read_text())
        assert config == {
            "character": "pip",
            "verb": stage.verb,
            "preset": "smoke",
            "seed": 0,
            "config": manifest["recipe"]["config"],
        }
        assert output.summary["seconds"] >= 0 and output.summary["peak_rss_mb"] > 0
    hidden = [p.name for p in store.runs.glob("pip/*/.*")]
    assert hidden == []


def test_a_stage_gets_exactly_what_it_needs(store: Store, toys: Toys) -> None:
    run_stage("grpo", "pip", preset="smoke", seed=5, store=store)
    [(_, job)] = toys.jobs
    assert set(job.inputs) == {"validated_kit", "curated_kit", "interactions", "sft_checkpoint"}
    assert (job.inputs["sft_checkpoint"] / "adapters" / "weights.txt").read_text() == "sft 0"
    assert job.base == store.data / "models" / "nano" / "base.safetensors"
    assert (job.character, job.seed) == ("pip", 5)


def test_a_stage_gets_and_publishes_how_its_base_is_loaded(
    store: Store, toys: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = LoadConfig(quantize="nf4", image_size=smoke().kit.size)
    monkeypatch.setitem(PRESETS, "smoke", lambda: replace(smoke(), model="bagel", load=load))
    monkeypatch.setattr("unichar.pipeline.run.check_compatible", lambda *about: None)  # pip is a toon
    (tmp_path / "bagel").mkdir()
    monkeypatch.setenv("UNICHAR_BAGEL", str(tmp_path / "bagel"))

    output = run_stage("sft", "pip", preset="smoke", seed=5, store=store)
    assert toys.jobs[-1][1].load == load
    config = json.loads((output.folder / "config.json").read_text())
    assert config["load"] == output.manifest["recipe"]["load"] == asdict(load)
    assert "bitsandbytes" in output.manifest["tools"]


def test_a_stage_with_an_unchanged_recipe_does_not_run_again(
    store: Store, toys: Toys, capsys: pytest.CaptureFixture
) -> None:
    assert fresh(store) == [] and toys.ran == []
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and all(line.endswith("already there") for line in lines)


def test_another_seed_trains_again_and_the_first_is_still_there(store: Store, toys: Toys) -> None:
    ran = fresh(store, seed=1)
    assert ran[-4:] == ["sft", "grpo", "evaluate", "release"]
    assert fresh(store) == []  # back to seed 0: found again


def test_another_base_trains_again_but_checks_no_kit(store: Store, toys: Toys) -> None:
    (store.data / "models" / "nano" / "base.safetensors").write_bytes(b"a better base")
    assert fresh(store) == ["sft", "grpo", "evaluate", "release"]


def test_a_note_about_rights_does_not_retrain(store: Store, toys: Toys) -> None:
    edit_kit(store, "pip", "kit.yaml", "drawn by unichar.domains.toon", "written down later")
    assert fresh(store) == ["validate", "curate", "evaluate", "release"]
    assert toys.ran == ["evaluate"]
    assert "written down later" in (store.current("pip", "release").folder / "MODEL_CARD.md").read_text()


def test_another_reply_retrains(store: Store, toys: Toys) -> None:
    edit_kit(store, "pip", "dialogues.jsonl", "hopped home", "jumped home")
    assert fresh(store) == list(VERBS)


def test_training_refuses_a_kit_that_changed_since_its_checks(store: Store, toys: Toys) -> None:
    edit_kit(store, "pip", "dialogues.jsonl", "hopped home", "jumped home")
    for verb in ("sft", "grpo", "evaluate"):
        with pytest.raises(KitRejected, match="its files changed since validation"):
            run_stage(verb, "pip", preset="smoke", store=store)
    assert toys.ran == []


def test_stale_inputs_are_reported_one_by_one_with_their_commands(store: Store, toys: Toys) -> None:
    edit_kit(store, "pip", "dialogues.jsonl", "hopped home", "jumped home")
    with pytest.raises(
        StaleInput, match=r"the validated_kit of pip .* another raw_kit .*unichar validate --character pip"
    ):
        run_stage("curate", "pip", preset="smoke", store=store)
    for verb, stale in [("validate", "curated_kit"), ("curate", "interactions"), ("synthesize", "")]:
        run_stage(verb, "pip", preset="smoke", store=store)
        if stale:
            with pytest.raises(StaleInput, match=f"the {stale} of pip was made from another"):
                run_stage("sft", "pip", preset="smoke", store=store)
    run_stage("sft", "pip", preset="smoke", store=store)
    with pytest.raises(StaleInput, match="the grpo_checkpoint of pip was made from another curated_kit"):
        run_stage("evaluate", "pip", preset="smoke", store=store)
    assert toys.ran == ["sft"]


def test_a_bad_kit_stops_the_pipeline_with_every_reason_before_training(tmp_path: Path, toys: Toys) -> None:
    store = make_store(tmp_path, "pip", rights=None, facts=[])
    with pytest.raises(KitRejected) as caught:
        customize("pip", preset="smoke", store=store)
    assert "rights_stated" in str(caught.value) and "fact" in str(caught.value)
    assert toys.ran == [] and not list(store.runs.glob("pip/*/*/manifest.json"))
    with pytest.raises(MissingOutput, match="run `python -m unichar validate --character pip` first"):
        run_stage("sft", "pip", preset="smoke", store=store)


def test_an_edited_verdict_stops_training(store: Store, toys: Toys) -> None:
    path = store.current("pip", "validated_kit").folder / "validation.json"
    path.write_text(path.read_text().replace('"passed": true', '"passed": false'))
    with pytest.raises(BrokenOutput, match=r"validation\.json was changed"):
        run_stage("sft", "pip", preset="smoke", store=store)
    assert toys.ran == []


def test_the_verdict_on_a_kit_is_put_on_record_good_or_bad(tmp_path: Path) -> None:
    store = make_store(tmp_path, "pip", rights=None)
    verdict = check_kit("pip", preset="smoke", store=store)
    assert not verdict.passed
    evidence = store.runs / "pip" / "0_raw_kit" / verdict.kit_hash / "validation.json"
    assert json.loads(evidence.read_text())["kit_hash"] == verdict.kit_hash
    with pytest.raises(KitRejected, match="rights_stated"):
        run_stage("validate", "pip", preset="smoke", store=store)


def test_validate_trusts_evidence_of_the_same_checks_on_the_same_kit_only(tmp_path: Path) -> None:
    store = make_store(tmp_path, "pip")
    verdict = check_kit("pip", preset="smoke", store=store)
    evidence = store.runs / "pip" / "0_raw_kit" / verdict.kit_hash / "validation.json"
    evidence.write_text(evidence.read_text().replace('"passed": true', '"passed": false'))
    with pytest.raises(KitRejected):  # it was read instead of checking twice
        run_stage("validate", "pip", preset="smoke", store=store)
    checked_by = evidence.with_name("checked_by.json")
    checked_by.write_text(json.dumps(json.loads(checked_by.read_text()) | {"code_version": "older"}))
    assert run_stage("validate", "pip", preset="smoke", store=store).fresh  # evidence of other checks is none


def test_a_forced_output_makes_later_stages_stale(
    store: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.current("pip", "sft_checkpoint")
    again = run_stage("sft", "pip", preset="smoke", store=store, force=True)
    assert again.fresh and again.fingerprint == before.fingerprint
    with pytest.raises(StaleInput, match="the grpo_checkpoint of pip was made from another sft_checkpoint"):
        run_stage("evaluate", "pip", preset="smoke", store=store)
    assert fresh(store) == ["grpo", "evaluate", "release"]


def test_damaged_input_is_refused_and_force_mends_it(store: Store, toys: Toys) -> None:
    output = store.current("pip", "interactions")
    (output.folder / "train.jsonl").write_text("{}\n")
    with pytest.raises(
        BrokenOutput, match=r"train\.jsonl was changed .*unichar synthesize --character pip --force"
    ):
        run_stage("sft", "pip", preset="smoke", seed=1, store=store)
    run_stage("synthesize", "pip", preset="smoke", store=store, force=True)
    assert fresh(store) == []  # it came out as it was


def test_only_a_model_whose_report_is_good_enough_is_promoted(store: Store, toys: Toys) -> None:
    customize("pip", preset="cpu", store=store)
    first = store.promoted("pip")
    assert first and first["grpo_checkpoint"] == store.current("pip", "grpo_checkpoint").fingerprint
    assert store.current("pip", "release").summary["promoted"] is True

    toys.identity = 0.1
    customize("pip", preset="cpu", seed=1, store=store)
    summary = store.current("pip", "release").summary
    assert (summary["passed"], summary["promoted"]) == (False, False)
    assert store.promoted("pip") == first

    toys.identity = 0.8
    customize("pip", preset="cpu", seed=2, store=store)
    assert store.promoted("pip") != first


def test_a_smoke_run_is_never_promoted(store: Store, toys: Toys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="unichar")
    customize("pip", preset="smoke", seed=1, store=store)
    summary = store.current("pip", "release").summary
    assert (summary["passed"], summary["promoted"]) == (True, False)
    assert store.promoted("pip") is None
    words = "release of pip: passed its gate, but models of the preset smoke are never promoted"
    assert words in caplog.messages


def test_a_smoke_run_leaves_the_promoted_model_in_use(store: Store, toys: Toys) -> None:
    customize("pip", preset="cpu", store=store)
    promoted = store.promoted("pip")
    customize("pip", preset="smoke", seed=1, store=store)
    assert store.promoted("pip") == promoted is not None


def test_a_stage_that_fails_leaves_only_its_scratch_folder(
    store: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratches = []

    def run(job: StageJob) -> dict[str, float]:
        scratches.append(job.scratch)
        seen = (job.scratch / "state").exists()
        (job.scratch / "state").write_text("step 5")
        (job.out / "half").write_text("x")
        if not seen:
            raise RuntimeError("out of memory")
        return {"loss": 0.5}

    monkeypatch.setattr(sys.modules["unichar.sft.train"], "run", run)
    old = store.current("pip", "sft_checkpoint").fingerprint
    with pytest.raises(RuntimeError):
        run_stage("sft", "pip", preset="smoke", seed=9, store=store)
    assert store.current("pip", "sft_checkpoint").fingerprint == old
    assert [path.name for path in scratches[0].parent.glob(".*")] == [scratches[0].name]
    assert run_stage("sft", "pip", preset="smoke", seed=9, store=store).fresh  # goes on from the state
    assert scratches[0] == scratches[1] and not scratches[0].exists()


@pytest.mark.parametrize("verb", ["sft", "grpo", "evaluate"])
def test_a_card_without_memory_is_one_message_that_names_a_setting(
    verb: str, store: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    # The real modules; nano's weights are not there, but they are not asked for either.
    for module in ("unichar.cost.measured", "unichar.cost.fit"):
        monkeypatch.delitem(sys.modules, module)
    fit = import_module("unichar.cost.fit")
    monkeypatch.setattr(fit, "card_memory", lambda: 8e9)
    monkeypatch.setattr(fit, "TrainingMemory", lambda job: SimpleNamespace(next=lambda now, card: None))

    def run(job: StageJob) -> dict[str, float]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has\nSee")

    monkeypatch.setattr(sys.modules[TOYS[verb]], "run", run)
    with pytest.raises(UserError, match=rf"^{verb} ran out of GPU memory \(Tried to allocate 2.50 GiB\): "):
        run_stage(verb, "pip", preset="smoke", seed=9, store=store)


def test_microbatches_that_the_card_decides_are_in_the_summary_and_not_in_the_recipe(
    store: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = sys.modules["unichar.cost.fit"]
    seen = []

    def choose(number: int) -> None:
        monkeypatch.setattr(
            fitted,
            "choose_microbatches",
            lambda job: replace(job, config=replace(job.config, microbatches=number)),
        )
        monkeypatch.setattr(fitted, "chosen_microbatches", lambda job, other: {"microbatches": number})

    for number in (2, 5):
        choose(number)
        output = run_stage("sft", "pip", preset="smoke", seed=9, store=store, force=True)
        assert toys.jobs[-1][1].config.microbatches == output.summary["microbatches"] == number
        seen.append(output.fingerprint)
    assert len(set(seen)) == 1


def test_a_training_that_diverged_is_not_published(
    store: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys.modules["unichar.sft.train"], "run", lambda job: {"loss": float("nan"), "steps": 3}
    )
    with pytest.raises(ValueError, match="sft ended with loss not a number"):
        run_stage("sft", "pip", preset="smoke", seed=1, store=store)


def test_an_output_is_not_published_if_its_kit_changed_meanwhile(
    store: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: StageJob) -> dict[str, float]:
        edit_kit(store, "pip", "dialogues.jsonl", "hopped home", "jumped home")
        return {"identity": 1.0}

    monkeypatch.setattr(sys.modules["unichar.evaluation.evaluate"], "run", run)
    with pytest.raises(StaleInput, match="the kit of pip changed while evaluate was reading it"):
        run_stage("evaluate", "pip", preset="smoke", seed=1, store=store)


@pytest.mark.parametrize(
    ("verb", "character", "preset", "error", "says"),
    [
        ("sft", "nobody", "smoke", FileNotFoundError, r"no kit for 'nobody' in .*data/characters/nobody"),
        ("sft", "../pip", "smoke", ValueError, "cannot be a character's id"),
        (
            "sft",
            "pip",
            "huge",
            ValueError,
            "no preset 'huge'; the presets are smoke, cpu, cpu-1, cpu-3, cpu-5, bagel, bagel-24gb",
        ),
        ("train", "pip", "smoke", ValueError, "no stage 'train'"),
    ],
)
def test_a_wrong_argument_is_one_message(
    store: Store, verb: str, character: str, preset: str, error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        run_stage(verb, character, preset=preset, store=store)
    assert not (store.runs / "nobody").exists()


def test_a_missing_base_says_how_to_get_one(store: Store, toys: Toys) -> None:
    (store.data / "models" / "nano" / "base.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no base model in .*make data.*unichar base"):
        run_stage("sft", "pip", preset="smoke", store=store)


def test_characters_do_not_share_outputs(store: Store, toys: Toys) -> None:
    make_kit(store.data / "characters", "tock", name="Tock")
    pip = {path: path.read_bytes() for path in (store.runs / "pip").rglob("*") if path.is_file()}
    customize("tock", preset="smoke", store=store)
    assert {path: path.read_bytes() for path in (store.runs / "pip").rglob("*") if path.is_file()} == pip


TRAINER = """
    import logging, sys, time
    from pathlib import Path
    from types import SimpleNamespace
    from factories_pipeline import UNFITTED
    from unichar.pipeline.run import run_stage
    from unichar.store.store import Store

    def run(job):
        steps = job.scratch / "steps"
        done = steps.read_text() if steps.exists() else ""
        steps.write_text(done + "x")
        print(f"step {len(done)}", flush=True)
        if sys.argv[2] == "hang":
            time.sleep(60)
        (job.out / "weights").write_text(done + "x")
        return {"steps": len(done) + 1}

    sys.modules["unichar.sft.train"] = SimpleNamespace(run=run)
    sys.modules["unichar.cost.measured"] = SimpleNamespace(training_flops=lambda verb, job, summary: {})
    sys.modules["unichar.cost.fit"] = UNFITTED
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    home = Path(sys.argv[1])
    print(run_stage("sft", "pip", preset="smoke", seed=3, store=Store(home, home / "data")).fresh, flush=True)
"""


def train(home: Path, how: str) -> subprocess.Popen[str]:
    """A training in another process, from its first step on."""
    command = [sys.executable, "-c", textwrap.dedent(TRAINER), str(home), how]
    process = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.first = process.stdout.readline()  # type: ignore[attr-defined]
    return process


def test_a_killed_training_goes_on_and_the_old_model_stays_in_use(store: Store) -> None:
    old = store.current("pip", "sft_checkpoint").fingerprint
    killed = train(store.home, "hang")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert store.current("pip", "sft_checkpoint").fingerprint == old
    again = train(store.home, "finish")
    assert again.first == "step 1\n"  # type: ignore[attr-defined]
    assert again.communicate()[0] == "True\n"
    assert store.current("pip", "sft_checkpoint").summary["steps"] == 2


def test_the_same_training_started_twice_runs_once(store: Store) -> None:
    hanging = train(store.home, "hang")
    waiting = train(store.home, "finish")
    assert waiting.first == "another sft of pip is running: waiting\n"  # type: ignore[attr-defined]
    hanging.kill()
    hanging.wait()
    assert waiting.communicate()[0] == "step 1\nTrue\n"
    late = train(store.home, "finish")
    assert late.first == "False\n"  # type: ignore[attr-defined]
    late.wait()
