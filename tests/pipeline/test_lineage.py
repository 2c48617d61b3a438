"""What an output is made from, and why a stage would run again."""

from dataclasses import replace
from pathlib import Path

import pytest
from factories_pipeline import Toys, edit_kit, make_store

from unichar.errors import MissingFile
from unichar.pipeline.lineage import (
    StageSpec,
    StaleInput,
    changes,
    check_lineage,
    current_inputs,
    hash_base,
    hash_kit,
    stage_spec,
    upstream,
    why,
)
from unichar.presets import Preset, bagel, bagel_24gb, smoke
from unichar.stages import stage_of
from unichar.store.store import MissingOutput, Store
from unichar.types import LoadConfig


def spec_of(store: Store, verb: str, *, seed: int = 0) -> StageSpec:
    """The specification of a stage of pip with the current inputs."""
    return stage_spec(stage_of(verb), "pip", preset=smoke(), seed=seed, store=store)


def test_a_recipe_names_versions_of_what_is_read_without_the_verdict(store: Store) -> None:
    spec = spec_of(store, "sft")
    assert set(spec.inputs) == {"validated_kit", "curated_kit", "interactions"}
    assert spec.recipe["inputs"] == {
        noun: store.current("pip", noun).version for noun in ("curated_kit", "interactions")
    }
    assert spec.recipe["base_sha256"] == hash_base(store.base("nano"), store)
    assert spec.key == store.current("pip", "sft_checkpoint").fingerprint


def test_a_stage_that_loads_no_model_depends_on_no_base(store: Store) -> None:
    spec = spec_of(store, "curate")
    assert spec.recipe["base_sha256"] == ""
    assert spec.recipe["inputs"] == {"raw_kit": hash_kit("pip", store)}


def test_everything_upstream_is_found_without_the_kit() -> None:
    assert upstream(stage_of("validate")) == set()
    assert upstream(stage_of("sft")) == {"validated_kit", "curated_kit", "interactions"}
    assert upstream(stage_of("release")) >= {"sft_checkpoint", "grpo_checkpoint", "eval_report"}


def test_an_input_made_from_an_older_kit_is_stale(store: Store, toys: Toys) -> None:
    edit_kit(store, "pip", "dialogues.jsonl", "hopped home", "jumped home")
    with pytest.raises(StaleInput, match="the validated_kit of pip was made from another raw_kit"):
        check_lineage(stage_of("sft"), "pip", hash_kit("pip", store), store)


def test_an_input_that_was_never_made_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingOutput, match="pip has no validated_kit yet"):
        current_inputs(stage_of("sft"), "pip", make_store(tmp_path, "pip"))


def test_a_missing_kit_or_base_says_how_to_get_it(tmp_path: Path) -> None:
    store = make_store(tmp_path, "pip")
    with pytest.raises(MissingFile, match=r"no kit for 'tock'.*onboard"):
        hash_kit("tock", store)
    with pytest.raises(MissingFile, match=r"no base model in .*make data"):
        hash_base(tmp_path / "none.safetensors", store)
    with pytest.raises(MissingFile, match="UNICHAR_BAGEL"):
        hash_base(tmp_path / "bagel", store)


def test_a_folder_of_weights_has_a_hash_of_its_names_and_contents(tmp_path: Path) -> None:
    store, folder = make_store(tmp_path, "pip"), tmp_path / "bagel"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = hash_base(folder, store)
    (folder / "a").rename(folder / "b")
    assert hash_base(folder, store) != first


def test_what_a_download_keeps_beside_the_weights_does_not_count_nor_whether_they_are_links(
    tmp_path: Path,
) -> None:
    store, folder, cache = make_store(tmp_path, "pip"), tmp_path / "bagel", tmp_path / "cache"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = hash_base(folder, store)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "a.metadata").write_text("time of the download")
    (folder / "a").rename(cache)
    (folder / "a").symlink_to(cache)
    assert hash_base(folder, store) == first


def test_the_reasons_to_run_again_are_named(store: Store) -> None:
    assert why(spec_of(store, "sft"), store) == ""
    assert why(spec_of(store, "sft", seed=4), store) == "seed 0 -> 4"

    spec = spec_of(store, "sft")
    recipe = spec.recipe | {
        "code_version": "new",
        "base_sha256": "new",
        "inputs": spec.recipe["inputs"] | {"interactions": "new"},
        "config": spec.recipe["config"] | {"steps": 9},
    }
    assert why(replace(spec, recipe=recipe), store) == (
        "interactions changed, its code changed, another base model, steps 3 -> 9"
    )


def test_how_the_base_is_loaded_is_part_of_what_an_output_was_made_from(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bagel").mkdir()
    monkeypatch.setenv("UNICHAR_BAGEL", str(tmp_path / "bagel"))

    def spec(verb: str, preset: Preset) -> StageSpec:
        stage = stage_of(verb)
        inputs = current_inputs(stage, "pip", store)
        return stage_spec(stage, "pip", preset=preset, seed=0, store=store, inputs=inputs)

    quantised = bagel_24gb()
    plain = replace(quantised, load=LoadConfig(image_size=512))
    assert spec("sft", quantised).recipe["load"] == {"quantize": "nf4", "image_size": 512}
    assert spec("sft", quantised).key != spec("sft", plain).key
    assert changes(spec("sft", plain).recipe, spec("sft", quantised).recipe) == ["load.quantize  -> nf4"]
    assert "load.quantize None -> nf4" in why(spec("sft", quantised), store)

    # Stages that load no model, and presets that load the base as it is, keep their recipes.
    assert spec("curate", quantised).key == spec("curate", plain).key
    assert "load" not in spec("curate", quantised).recipe and "load" not in spec("sft", bagel()).recipe


def test_changed_settings_are_named_by_their_path() -> None:
    old = {"steps": 1, "nft": {"beta": 0.2, "times": 1}, "targets": ["q"], "gone": 3}
    new = {"steps": 1, "nft": {"beta": 0.5, "times": 1}, "targets": ("q",), "added": True}
    assert changes(old, new) == ["added None -> True", "gone 3 -> None", "nft.beta 0.2 -> 0.5"]
