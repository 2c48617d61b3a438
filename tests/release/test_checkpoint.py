"""Which checkpoint is meant, and what to do when there is none."""

import json
import shutil
from pathlib import Path

import pytest
from factories_store import make_manifest, make_output, make_store

from unichar.release.checkpoint import find_checkpoint
from unichar.store.fingerprint import fingerprint
from unichar.store.store import MissingOutput, Output, Store
from unichar.types import LoadConfig


def promote(store: Store, checkpoint: Output) -> None:
    """Publish a release of this checkpoint and make it the one in use."""
    release = make_output(store, "release", inputs={"grpo_checkpoint": checkpoint.version})
    release.manifest["inputs"]["grpo_checkpoint"] = checkpoint.fingerprint
    store.promote(release)


def test_the_promoted_checkpoint_is_the_default_although_a_newer_one_exists(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    released = make_output(store, "grpo_checkpoint", seed=1)
    promote(store, released)
    newer = make_output(store, "grpo_checkpoint", seed=2)

    found = find_checkpoint(store, "pip")
    assert (found.output.fingerprint, found.which) == (released.fingerprint, "promoted")
    assert found.adapters == released.folder / "adapters"
    assert str(found) == f"promoted grpo_checkpoint {released.fingerprint}"
    assert find_checkpoint(store, "pip", "current").output.fingerprint == newer.fingerprint


def test_without_grpo_the_current_checkpoint_is_that_of_sft(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    sft = make_output(store, "sft_checkpoint")
    assert str(find_checkpoint(store, "pip", "current")) == f"current sft_checkpoint {sft.fingerprint}"


def test_a_character_that_was_never_promoted_says_how_to_use_it_nevertheless(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    newest = make_output(store, "grpo_checkpoint")
    with pytest.raises(MissingOutput) as caught:
        find_checkpoint(store, "pip")
    assert "no release of pip was promoted" in str(caught.value)
    assert f"`--checkpoint current` to take the newest grpo_checkpoint ({newest.fingerprint})" in str(
        caught.value
    )


@pytest.mark.parametrize("which", ["promoted", "current"])
def test_a_character_that_was_never_trained_says_what_to_run(tmp_path: Path, which: str) -> None:
    with pytest.raises(
        MissingOutput, match="pip was never trained: run `python -m unichar customize --character pip`"
    ):
        find_checkpoint(make_store(tmp_path), "pip", which)  # type: ignore[arg-type]


def test_a_promoted_checkpoint_that_was_deleted_is_named_with_the_cure(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    released = make_output(store, "grpo_checkpoint", seed=1)
    promote(store, released)
    shutil.rmtree(released.folder)
    with pytest.raises(
        MissingOutput, match=rf"the promoted checkpoint {released.fingerprint} of pip is gone"
    ):
        find_checkpoint(store, "pip")


@pytest.mark.parametrize(
    ("preset", "model", "family"),
    [("bagel", None, "bagel"), ("cpu", None, "nano"), ("mine", "bagel", "bagel")],
)
def test_the_model_family_comes_from_the_manifest_or_for_old_ones_from_the_preset(
    tmp_path: Path, preset: str, model: str | None, family: str
) -> None:
    store, about = make_store(tmp_path), make_manifest("sft_checkpoint") | {"preset": preset}
    if model:
        about["model"] = model
    with store.staging("pip", "sft_checkpoint", fingerprint(about["recipe"])) as staged:
        (staged / "summary.json").write_text("{}")
        store.publish(staged, about)

    found = find_checkpoint(store, "pip", "current")
    assert (found.family, found.base) == (family, store.base(family))


def test_a_checkpoint_is_loaded_as_it_was_trained(tmp_path: Path) -> None:
    store, about = make_store(tmp_path), make_manifest("sft_checkpoint") | {"model": "bagel"}
    about["recipe"]["load"] = {"quantize": "nf4", "image_size": 512}
    with store.staging("pip", "sft_checkpoint", fingerprint(about["recipe"])) as staged:
        (staged / "summary.json").write_text("{}")
        store.publish(staged, about)
    assert find_checkpoint(store, "pip", "current").load == LoadConfig(quantize="nf4", image_size=512)

    make_output(store, "sft_checkpoint", seed=1)  # a manifest that says nothing
    assert find_checkpoint(store, "pip", "current").load == LoadConfig()


def test_a_checkpoint_speaks_with_the_kit_that_it_was_trained_on(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    old = make_output(store, "curated_kit", files={"kit.json": "{}"}, seed=1)
    make_output(store, "grpo_checkpoint", inputs={"curated_kit": old.version})
    newer = make_output(store, "curated_kit", files={"kit.json": json.dumps({"id": "pip"})}, seed=2)

    found = find_checkpoint(store, "pip", "current")
    found.output.manifest["inputs"]["curated_kit"] = old.fingerprint
    assert found.kit(store).fingerprint == old.fingerprint
    shutil.rmtree(old.folder)
    assert found.kit(store).fingerprint == newer.fingerprint
