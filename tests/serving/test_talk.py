"""Talking to a character: how it samples, where its replies end, what is said of a bad picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factories_interactions import make_curated_kit
from factories_store import make_manifest, make_output, make_store
from PIL import Image

from unichar.errors import MissingFile
from unichar.kit.images import UnusablePicture
from unichar.model.character import GenerationConfig
from unichar.model.protocol import Turn
from unichar.presets import bagel, cpu
from unichar.release.checkpoint import Checkpoint, find_checkpoint
from unichar.serving.talk import Talker, _free_name, generation_config, read_picture
from unichar.serving.talk import talk as say
from unichar.store.fingerprint import fingerprint
from unichar.store.store import Store
from unichar.types import CuratedKit


class Writer:
    """A model that writes a text word by word, up to the token limit."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def reply(self, conversations: Any, *, max_tokens: int, temperature: float, seed: int) -> list[str]:
        return [" ".join(self.words[:max_tokens])] * len(conversations)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> CuratedKit:
    return make_curated_kit(tmp_path_factory.mktemp("kit"))


@pytest.mark.parametrize(
    ("words", "limit", "reply"),
    [
        ("In this fur? Never. The water is cold.", 6, "In this fur? Never."),
        ("In this fur? Never. The water is cold.", 8, "In this fur? Never. The water is cold."),
        # It ended by itself, though at no sentence.
        ("In this fur? Never. Bye", 5, "In this fur? Never. Bye"),
        ("The water is so very cold", 3, "The water is…"),
    ],
)
def test_a_reply_that_reached_the_token_limit_ends_at_a_sentence(
    kit: CuratedKit, words: str, limit: int, reply: str
) -> None:
    talker = Talker(Writer(*words.split()), kit, GenerationConfig(max_reply_tokens=limit))  # type: ignore[arg-type]
    assert talker.reply([Turn(role="user", text="Fancy a swim?")]) == reply


def checkpoint_of(folder: Path, *, preset: str, model: str) -> Checkpoint:
    """A checkpoint that says it was made with this preset for this model family."""
    store, about = make_store(folder), make_manifest("grpo_checkpoint")
    about |= {"preset": preset, "model": model}
    with store.staging("pip", "grpo_checkpoint", fingerprint(about["recipe"])) as staged:
        (staged / "summary.json").write_text("{}")
        store.publish(staged, about)
    return find_checkpoint(store, "pip", "current")


@pytest.mark.parametrize(
    ("preset", "model", "expected"),
    [("bagel", "bagel", bagel), ("cpu", "nano", cpu), ("gone", "bagel", bagel), ("gone", "nano", cpu)],
)
def test_a_model_samples_as_in_the_report_of_its_preset(
    tmp_path: Path, preset: str, model: str, expected: Any
) -> None:
    config = generation_config(checkpoint_of(tmp_path, preset=preset, model=model))
    evaluation = expected().evaluation
    assert (config.steps, config.guidance, config.shift) == (
        evaluation.sample_steps,
        evaluation.guidance,
        evaluation.shift,
    )
    assert (config.temperature, config.max_reasoning_tokens) == (
        evaluation.temperature,
        evaluation.max_reasoning_tokens,
    )
    assert config.max_reply_tokens == max(160, evaluation.max_reply_tokens)


@pytest.fixture
def bagel_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A home with a promoted GRPO checkpoint of a tiny BAGEL; the current folder is empty."""
    from factories_bagel import make_bagel
    from factories_model import disturb

    from unichar.model.load import base_digest, load_model
    from unichar.model.lora import LoraSettings, add_adapters, save_adapters

    base = make_bagel(tmp_path / "bagel")
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path))
    monkeypatch.setenv("UNICHAR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("UNICHAR_BAGEL", str(base))
    monkeypatch.chdir(tmp_path)
    store = Store.from_env()
    with store.staging("bramble", "curated_kit", "kit") as staged:
        make_curated_kit(staged)
        files = {"kit.json": (staged / "kit.json").read_text()}
    make_output(store, "curated_kit", character="bramble", files=files)

    model = load_model(base)
    settings = LoraSettings(rank=4, alpha=8)
    add_adapters(model, und=settings, gen=settings, seed=0)
    disturb(model.und)
    disturb(model.gen)
    about = make_manifest("grpo_checkpoint", character="bramble") | {"preset": "bagel", "model": "bagel"}
    with store.staging("bramble", "grpo_checkpoint", fingerprint(about["recipe"])) as staged:
        save_adapters(model, staged / "adapters", base_sha256=base_digest(base))
        (staged / "summary.json").write_text("{}")
        made = store.publish(staged, about)
    release = make_output(store, "release", character="bramble", inputs={"grpo_checkpoint": made.version})
    release.manifest["inputs"]["grpo_checkpoint"] = made.fingerprint
    store.promote(release)
    return store


def test_an_earlier_picture_with_the_same_seed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pip-0.png", "pip-0-2.png", "pip-0-3.png"):
        assert _free_name("pip-0") == Path(name)
        Path(name).touch()


def test_a_character_of_bagel_talks_and_draws(
    bagel_home: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from unichar.model.bagel.model import BagelModel

    asked = []
    sample = BagelModel.sample_latents

    def spied(self: BagelModel, *arguments: Any, **settings: Any) -> Any:
        asked.append(settings)
        return sample(self, *arguments, **settings)

    monkeypatch.setattr(BagelModel, "sample_latents", spied)
    say("bramble", "Is a storm coming?", draw=True, seed=3)

    promoted = bagel_home.promoted("bramble")
    # The log line that names the device is on the terminal where logging is set up, as a command does.
    printed = capsys.readouterr().out.splitlines()
    first, *lines = [line for line in printed if not line.startswith("loading the model")]
    assert promoted and first == f"(promoted grpo_checkpoint {promoted['grpo_checkpoint']})"
    assert lines[0].startswith("Bramble: ") and lines[-1] == "bramble-3.png"
    assert Image.open("bramble-3.png").size == (64, 64)
    assert asked == [{"steps": 49, "guidance": 4.0, "shift": 3.0}]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_photo_stored_sideways_is_shown_upright(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 30)).save(tmp_path / f"a.{suffix}", exif=exif)
    assert read_picture(tmp_path / f"a.{suffix}").size == (30, 60)


def test_a_bad_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"there is no picture .*none\.png"):
        read_picture(tmp_path / "none.png")
    (tmp_path / "words.png").write_text("hello")
    with pytest.raises(UnusablePicture, match=r"words\.png is not a PNG, JPEG or WebP picture"):
        read_picture(tmp_path / "words.png")
    Image.new("RGB", (8, 30)).save(tmp_path / "small.png")
    with pytest.raises(UnusablePicture, match=r"small\.png is 8 x 30 pixels; show one with at least 16"):
        read_picture(tmp_path / "small.png")
