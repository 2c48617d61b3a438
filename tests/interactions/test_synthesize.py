"""The whole stage on real kits: what is written, that no text is broken, and that a leaky kit is refused."""

import dataclasses
import json
import tempfile
from pathlib import Path

import pytest
from factories_interactions import make_curated_kit, of, toon_pictures

from unichar.interactions.config import InteractionsConfig
from unichar.interactions.synthesize import LeakyInteractions, compose, run
from unichar.interactions.wording import flaws
from unichar.types import CuratedKit, StageJob, read_interactions


def job(tmp_path: Path, kit_folder: Path, seed: int = 0) -> StageJob:
    out = Path(tempfile.mkdtemp(dir=tmp_path))
    return StageJob(
        character="x",
        config=InteractionsConfig(),
        seed=seed,
        inputs={"curated_kit": kit_folder},
        base=out,
        scratch=out,
        out=out,
    )


def test_run_writes_both_splits_a_preview_and_the_counts(tmp_path):
    make_curated_kit(tmp_path / "kit")
    this = job(tmp_path, tmp_path / "kit")
    counts = run(this)
    train, test = read_interactions(this.out / "train.jsonl"), read_interactions(this.out / "test.jsonl")

    kinds = {"role_play", "thinking", "portrait", "visual_qa", "knowledge_qa"}
    assert {item.kind for item in train} == {item.kind for item in test} == kinds
    assert (len(train), len(test)) == (counts["train"], counts["test"])
    assert counts["train_role_play"] == len(of(train, "role_play", "train")) >= 150
    assert len({item.id for item in train + test}) == len(train + test)
    assert "## role_play, train: " in (this.out / "preview.md").read_text()


def test_the_seed_decides_every_byte(tmp_path):
    make_curated_kit(tmp_path / "kit")
    once, again, other = (job(tmp_path, tmp_path / "kit", seed=seed) for seed in (7, 7, 8))
    for this in (once, again, other):
        run(this)

    for name in ("train.jsonl", "test.jsonl", "preview.md"):
        assert (once.out / name).read_bytes() == (again.out / name).read_bytes()
        assert (once.out / name).read_bytes() != (other.out / name).read_bytes()


def test_written_lines_are_plain_json(tmp_path):
    make_curated_kit(tmp_path / "kit", opening="Ünïcode – ça va?")
    this = job(tmp_path, tmp_path / "kit")
    run(this)

    lines = (this.out / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert "Ünïcode – ça va?" in lines[0]
    fields = {"id", "kind", "form", "split", "group", "segments", "options", "attributes"}
    assert all(set(json.loads(line)) == fields for line in lines)


def test_a_picture_in_both_splits_is_refused(tmp_path):
    first, *rest = toon_pictures()
    twin = dataclasses.replace(rest[-1], image=first.image)
    kit = make_curated_kit(tmp_path, pictures=(first, *rest[:-1], twin))
    with pytest.raises(LeakyInteractions, match="keep each in one split"):
        compose(kit, InteractionsConfig(), 0)


def test_no_text_is_empty_or_flawed(kit: CuratedKit):
    # Texts that stand in the kit word for word may be as they like.
    own = {picture.caption for picture in kit.pictures}
    own |= {text for exchange in kit.dialogues for text in (exchange.user, exchange.reply)}

    for seed in range(3):
        for item in compose(kit, InteractionsConfig(), seed)[0]:
            for segment in item.segments:
                assert segment.value.strip()
                is_prompt = segment.role == "system" or "Description:" in segment.value
                is_composed = segment.type == "text" and not is_prompt and segment.value not in own
                if is_composed and "<gen>" not in segment.value:
                    assert flaws(segment.value) == [], segment.value


def test_a_tiny_setting_makes_a_tiny_stage(tmp_path):
    tiny = InteractionsConfig(
        num_role_play=20,
        num_plain_captions=1,
        num_visual_wordings=1,
        num_knowledge_wordings=1,
        num_unseen_scenes=2,
        num_open_prompts=2,
        num_instructions=1,
        num_test_instructions=1,
    )
    items, _ = compose(make_curated_kit(tmp_path), tiny, 0)
    several = ("grounded", "two_turns", "request")
    assert len([i for i in items if i.kind == "role_play" and i.form not in several]) == 20
    assert len(items) < 160


def test_what_a_test_asks_is_left_out_of_training_and_counted(tmp_path):
    # A training picture that asks what a held-out one asks: its reasoning and scene samples have to go.
    first, *rest = toon_pictures()
    repeats = dataclasses.replace(first, user=rest[-1].user)
    items, num_left_out = compose(
        make_curated_kit(tmp_path, pictures=(repeats, *rest)), InteractionsConfig(), 0
    )
    assert num_left_out > 0
    assert not [i for i in items if i.split == "train" and repeats.user in [s.value for s in i.segments]]
