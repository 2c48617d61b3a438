"""Adapters: what is saved is what comes back, on the base it belongs to, and for anyone who has peft."""

import json
from pathlib import Path

import pytest
import torch
from factories_model import BASE, PROMPTS, disturb, sketch
from peft import PeftModel
from safetensors.torch import load_file

from unichar.model.load import load_model
from unichar.model.lora import LoraSettings, add_adapters, load_adapters, save_adapters, trainable
from unichar.model.nano.backbone import backbone_folder, load_backbone
from unichar.store.files import sha256_file
from unichar.types import Segment

CHAT = [
    Segment(type="text", value="Is a storm coming?", role="user"),
    Segment(type="text", value="Hmph. Tie up the boat, sailor.", role="assistant", loss=True),
]
SMALL = LoraSettings(rank=4, alpha=8)


def adapted_model(seed: int = 0):
    model = load_model(BASE)
    add_adapters(model, und=SMALL, gen=SMALL, seed=seed)
    return model


def answers(model, folder):
    """(losses on a reply, a picture's latents): fingerprints of both components."""
    with torch.no_grad():
        return model.text_losses([CHAT], folder)[0], sketch(model)


@pytest.fixture(scope="module")
def tuned():
    model = adapted_model()
    disturb(model, by=0.05)
    return model


@pytest.fixture(scope="module")
def saved(tuned, tmp_path_factory):
    """Folder of the saved adapters of `tuned`."""
    folder = tmp_path_factory.mktemp("checkpoint") / "adapters"
    save_adapters(tuned, folder, base_sha256=sha256_file(BASE))
    return folder


def test_fresh_adapters_change_nothing(model, tmp_path):
    for before, after in zip(answers(model, tmp_path), answers(adapted_model(), tmp_path), strict=True):
        assert torch.equal(before, after)


def test_the_seed_decides_where_adapters_start():
    one, again, other = (trainable(adapted_model(seed).gen) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_only_adapters_train(tuned):
    for component in (tuned.und, tuned.gen):
        names = trainable(component)
        assert names and all("lora_" in name for name in names)
    assert not trainable(tuned.vae) and not trainable(tuned.vision) and not trainable(tuned.connector)


def test_saved_adapters_come_back_to_the_last_bit(tuned, saved, tmp_path):
    back = load_model(BASE, saved)
    for before, after in zip(answers(tuned, tmp_path), answers(back, tmp_path), strict=True):
        assert torch.equal(before, after)
    assert not trainable(back.und) and not trainable(back.gen)


def test_loaded_adapters_can_be_trained_further(saved):
    back = load_model(BASE, saved, trainable=True)
    assert trainable(back.und) and trainable(back.gen)


def test_saving_twice_gives_the_same_bytes(tuned, saved, tmp_path):
    save_adapters(tuned, tmp_path, base_sha256=sha256_file(BASE))
    for component in ("und", "gen"):
        name = f"{component}/adapter_model.safetensors"
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()


def test_a_checkpoint_holds_adapters_their_settings_and_the_base_they_belong_to(saved):
    files = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert files == {"base.json"} | {
        f"{s}/{n}" for s in ("und", "gen") for n in ("adapter_config.json", "adapter_model.safetensors")
    }
    assert json.loads((saved / "base.json").read_text()) == {"sha256": sha256_file(BASE)}
    tensors = load_file(saved / "gen" / "adapter_model.safetensors")
    assert tensors and all("lora_" in name for name in tensors)


def test_settings_name_the_base_as_others_know_it_and_no_folder_of_this_machine(saved):
    texts = {part: (saved / part / "adapter_config.json").read_text() for part in ("und", "gen")}
    names = {part: json.loads(text)["base_model_name_or_path"] for part, text in texts.items()}
    assert names == {"und": "HuggingFaceTB/SmolLM2-135M-Instruct", "gen": "unichar-nano"}
    assert not any(str(backbone_folder()) in text or str(Path.home()) in text for text in texts.values())


def test_adapters_of_another_base_are_refused(saved, model):
    with pytest.raises(ValueError) as caught:
        load_adapters(model, saved, base_sha256="0123456789abcdef" * 4)
    message = str(caught.value)
    assert (
        str(saved) in message
        and sha256_file(BASE)[:12] in message
        and "0123456789ab" in message
        and "make data" in message
    )
    assert not isinstance(model.und, PeftModel)


def test_plain_peft_loads_the_text_adapters(tuned, saved):
    backbone, tokenizer = load_backbone()
    adapted = PeftModel.from_pretrained(backbone, saved / "und").eval()
    ids = tokenizer("Is a storm coming?", return_tensors="pt")["input_ids"]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        ours, theirs = tuned.und(input_ids=ids).logits, adapted(input_ids=ids).logits
        with adapted.disable_adapter():
            plain = adapted(input_ids=ids).logits
    assert torch.equal(ours, theirs)
    assert not torch.allclose(ours, plain, atol=0.5)


def test_plain_peft_loads_the_image_adapters(tuned, saved, model):
    gen = PeftModel.from_pretrained(load_model(BASE).gen, saved / "gen").eval()
    context, x, t = model.prompt_context(PROMPTS[:1]), torch.ones(1, 8, 16, 16), torch.tensor([0.7])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gen(x, t, context), tuned.gen(x, t, context))


def test_a_rank_below_one_is_refused():
    with pytest.raises(ValueError, match="rank is 0; expected 1 or more"):
        LoraSettings(rank=0)
