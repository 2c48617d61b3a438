"""Published networks: loaded from safetensors on this machine, whole or not at all."""

import json

import pytest
import torch
from factories_judges import make_clip, make_dino
from transformers import CLIPModel

from unichar.judges.clip import Clip
from unichar.judges.config import MissingJudge, check_published


def test_a_judge_that_is_not_there_is_named_in_one_line(tmp_path):
    for name in (str(tmp_path / "nowhere"), "nobody/has-this-clip"):
        with pytest.raises(
            MissingJudge, match=r"the judge .*(nowhere|has-this-clip) cannot be loaded"
        ) as caught:
            Clip(name)
        assert "\n" not in str(caught.value)


def test_another_network_is_refused(tmp_path):
    make_clip(tmp_path)
    about = json.loads((tmp_path / "config.json").read_text()) | {"model_type": "siglip"}
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(MissingJudge, match="is a 'siglip' network; expected 'clip'"):
        Clip(str(tmp_path))


def test_pickled_weights_are_refused(tmp_path):
    make_clip(tmp_path)
    net = CLIPModel.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(MissingJudge, match=r"cannot be loaded .*safetensors"):
        Clip(str(tmp_path))


def test_weights_that_are_not_there_are_never_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    make_clip(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MissingJudge, match=r"lack 1 tensors, as visual_projection.weight"):
        Clip(str(tmp_path))


@pytest.mark.parametrize("file", ["preprocessor_config.json", "tokenizer.json", "model.safetensors"])
def test_a_network_with_a_part_missing_is_of_no_use(tmp_path, file):
    (make_clip(tmp_path) / file).unlink()
    with pytest.raises(
        MissingJudge,
        match=r"cannot be loaded .*expected a local folder|tokenizer of .* has 2 tokens, its weights 514",
    ):
        Clip(str(tmp_path))


@pytest.mark.parametrize("file", ["preprocessor_config.json", "model.safetensors", "config.json"])
def test_a_missing_file_is_found_without_loading_anything(tmp_path, file):
    folder = make_dino(tmp_path)
    check_published(str(folder), "dinov2")
    (folder / file).unlink()
    with pytest.raises(MissingJudge, match=rf"cannot be loaded \(.*{file}.*\): expected a local folder"):
        check_published(str(folder), "dinov2")


@pytest.mark.parametrize("name", ["/nowhere/clip", "nobody/has-this-clip"])
def test_names_that_are_nowhere_are_found_without_loading_anything(name):
    with pytest.raises(MissingJudge, match=f"the judge {name} cannot be loaded"):
        check_published(name, "clip")
