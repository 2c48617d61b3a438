"""Building a base: phases, their scale, what is written. The phases themselves have tests of their own."""

import json

import pytest
from PIL import Image
from torch import nn

from unichar.errors import UserError
from unichar.pretrain import build
from unichar.pretrain.build import PHASES, _thin, main


@pytest.fixture
def phases(monkeypatch):
    """(phases that training got, keys); nothing is trained or measured."""
    seen = {}

    def train(training):
        seen.update(phases=training.phases, keys={name: training._key(name) for name in training.phases})
        for name in training.phases:
            (training.scratch / name).mkdir(parents=True, exist_ok=True)
            (training.scratch / name / "curve.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
        return {"vae": nn.Linear(1, 1), "examiner": nn.Linear(1, 1)}

    monkeypatch.setattr(build, "_parts", train)
    monkeypatch.setattr(build.measure, "measure_base", lambda parts, shape: {"vae_psnr_db": 30.0})
    monkeypatch.setattr(build.measure, "sample_page", lambda parts, shape: Image.new("RGB", (2, 2)))
    return seen


def test_a_base_has_weights_a_record_and_a_page(phases, tmp_path):
    path = main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none")
    assert {file.name for file in path.parent.iterdir()} == {"base.safetensors", "base.json", "base.png"}
    record = json.loads((path.parent / "base.json").read_text())
    assert record["phases"].keys() == record["curves"].keys() == PHASES.keys()
    assert record["measured"] == {"vae_psnr_db": 30.0}
    assert record["curves"]["vae"] == [{"step": 1, "loss": 2.0}]


def test_the_scale_multiplies_steps_and_the_seed_is_added(phases, tmp_path):
    main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none", scale=0.5, seed=3)
    for name, phase in phases["phases"].items():
        assert phase.steps == round(PHASES[name].steps / 2)
        assert phase.seed == PHASES[name].seed + 3
    main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none", scale=1e-9)
    assert {phase.steps for phase in phases["phases"].values()} == {1}


def test_other_settings_have_other_keys(phases, tmp_path):
    main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none")
    first = dict(phases["keys"])
    main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none")
    assert phases["keys"] == first
    main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none", seed=1)
    assert all(phases["keys"][name] != key for name, key in first.items())


def test_a_scale_that_is_not_positive_is_refused(tmp_path):
    with pytest.raises(UserError, match="scale of the base training is 0"):
        main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none", scale=0)


def test_one_phase_can_be_trained_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(build.Training, "vae", property(lambda self: asked.append("vae")))
    asked: list[str] = []
    assert (
        main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none", phase="vae")
        == tmp_path / "scratch" / "vae"
    )
    assert asked == ["vae"] and not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="no phase 'painter'"):
        main(tmp_path / "out", tmp_path / "scratch", first=tmp_path / "none", phase="painter")


def test_the_base_that_is_there_is_kept_to_start_from(tmp_path):
    first, scratch = tmp_path / "base.safetensors", tmp_path / "scratch"
    assert build._kept(first, scratch) is None
    first.write_bytes(b"old")
    kept = build._kept(first, scratch)
    first.write_bytes(b"new")
    assert build._kept(first, scratch) == kept and kept.read_bytes() == b"old"


def test_a_vae_is_read_from_an_older_base(small_base):
    """A base that does not say how many channels its latents have has eight."""
    assert build._vae_of(small_base).shift.shape == (8,)


def test_curves_are_thinned_to_about_a_hundred_rows():
    rows = [{"step": float(i)} for i in range(1000)]
    assert len(_thin(rows)) == 100 and _thin(rows)[0] == rows[0]
    assert _thin(rows[:50]) == rows[:50]
