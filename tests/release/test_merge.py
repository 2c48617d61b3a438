"""A merged character needs no adapters: plain weights that other tools read, the same texts and pictures."""

import copy
from pathlib import Path

import pytest
import torch
from factories_model import PROMPTS, disturb
from factories_small import exact_arithmetic, small_home, small_model
from factories_store import make_manifest
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from unichar.__main__ import main
from unichar.model.load import load_model
from unichar.model.lora import save_adapters
from unichar.model.protocol import UnifiedModel
from unichar.store.files import sha256_file
from unichar.store.fingerprint import fingerprint
from unichar.store.store import Store
from unichar.types import Segment

CHAT = [
    Segment(type="text", value="Is a storm coming?", role="user"),
    Segment(type="text", value="Hmph. Tie up the boat, sailor.", role="assistant", loss=True),
]


def answers(model: UnifiedModel, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(losses on a reply, latents of quick pictures) in fp32: they tell both components apart."""
    model = copy.deepcopy(model).float()
    with torch.no_grad(), exact_arithmetic():
        latents = model.sample_latents(
            model.prompt_context(PROMPTS), [0, 1, 2], steps=2, guidance=1.0, shift=2.0
        )
        return model.text_losses([CHAT], folder)[0], latents


@pytest.fixture(scope="module")
def tuned(small_base: Path) -> UnifiedModel:
    model = small_model(small_base)
    disturb(model, by=0.1)
    return model


@pytest.fixture(scope="module")
def home(tuned: UnifiedModel, small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the checkpoint of a trained character."""
    home = tmp_path_factory.mktemp("home")
    base = home / "data" / "models" / "nano" / "base.safetensors"
    base.parent.mkdir(parents=True)
    base.write_bytes(small_base.read_bytes())
    store, about = Store(home, home / "data"), make_manifest("sft_checkpoint", character="bramble")
    with store.staging("bramble", "sft_checkpoint", fingerprint(about["recipe"])) as staged:
        save_adapters(tuned, staged / "adapters", base_sha256=sha256_file(base))
        for name in ("config.json", "summary.json"):
            (staged / name).write_text("{}")
        store.publish(staged, about)
    return home


@pytest.fixture(scope="module")
def merged(home: Path, small_base: Path) -> Path:
    """What the command wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNICHAR_HOME", str(home))
        patch.setenv("UNICHAR_DATA", str(home / "data"))
        patch.setenv("UNICHAR_BACKBONE", str(small_base.parent / "backbone"))
        command = ["merge", "--character", "bramble", "--checkpoint", "current"]
        assert main([*command, "--out", str(home / "deep" / "bramble")]) == 0
    return home / "deep" / "bramble"


def test_a_merged_character_answers_as_with_its_adapters(tuned, merged, small_base, tmp_path):
    with small_home(small_base):
        whole, plain = load_model(merged), load_model(small_base)
    assert not any(isinstance(module, PeftModel) for module in whole.modules())
    words, pictures = answers(whole, tmp_path)
    tuned_words, tuned_pictures = answers(tuned, tmp_path)
    plain_words, plain_pictures = answers(plain, tmp_path)
    assert (pictures - tuned_pictures).abs().max() < 1e-3 < 0.1 < (pictures - plain_pictures).abs().max()
    assert (words - tuned_words).abs().max() < 0.05 < 0.2 < (words - plain_words).abs().max()


def test_its_expert_draws_without_the_backbone_s_adapters(merged, tuned, small_base, tmp_path):
    """The base file alone is a base like any other."""
    with small_home(small_base):
        _, pictures = answers(load_model(merged / "base.safetensors"), tmp_path)
        assert (pictures - answers(tuned, tmp_path)[1]).abs().max() < 1e-3


def test_other_tools_read_the_text_backbone(merged, tuned):
    backbone = AutoModelForCausalLM.from_pretrained(merged / "backbone").float()
    tokenizer = AutoTokenizer.from_pretrained(merged / "backbone")
    ids = tokenizer("Is a storm coming?", return_tensors="pt")["input_ids"]

    with torch.no_grad():
        logits = backbone(input_ids=ids).logits
        expected = copy.deepcopy(tuned.und).float()(input_ids=ids).logits
    assert (logits - expected).abs().max() < 0.1


def test_the_files_are_those_of_a_base_and_the_readme_says_what_they_are(merged, small_base):
    assert {path.name for path in merged.iterdir()} == {"base.safetensors", "backbone", "README.md"}
    tensors, others = load_file(merged / "base.safetensors"), load_file(small_base)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tensor.shape for name, tensor in others.items()
    }
    assert all(torch.equal(tensors[name], others[name]) for name in others if not name.startswith("expert."))
    assert not any(
        "lora" in name or "base_layer" in name
        for name in load_file(merged / "backbone" / "model.safetensors")
    )
    words = (merged / "README.md").read_text()
    assert words.startswith("# bramble, merged") and "sft_checkpoint" in words and str(merged) not in words


def test_merging_changes_nothing_in_the_model(tuned, merged):
    assert isinstance(tuned.und, PeftModel) and isinstance(tuned.gen, PeftModel)


@pytest.mark.parametrize(
    ("out", "character", "words"),
    [("deep/bramble", "bramble", "is there already"), ("new", "nobody", "nobody was never trained")],
)
def test_a_merge_that_is_impossible_says_why(home, merged, monkeypatch, capsys, out, character, words):
    monkeypatch.setenv("UNICHAR_HOME", str(home))
    monkeypatch.setenv("UNICHAR_DATA", str(home / "data"))
    assert main(["merge", "--character", character, "--out", str(home / out)]) in (1, 2)
    assert words in capsys.readouterr().err
    assert not (home / "new").exists()
