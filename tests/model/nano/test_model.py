"""Nano keeps the contract of `unichar.model.protocol.UnifiedModel`."""

import random

import pytest
import torch
from factories_model import BASE, PROMPTS, disturb, make_album, make_prior_images, sketch

from unichar.domains.toon.captions import caption, describe
from unichar.domains.toon.vocabulary import random_identity, random_scene
from unichar.model.lora import LoraSettings, add_adapters
from unichar.model.nano import model as nano
from unichar.model.nano.loading import load_nano
from unichar.model.protocol import Turn
from unichar.types import Segment


def said(text: str, role: str = "user", *, loss: bool = False) -> Segment:
    return Segment(type="text", value=text, role=role, loss=loss)


def shown(name: str) -> Segment:
    return Segment(type="image", value=name, role="user")


CHATS = [
    [said("Is a storm coming?"), said("Hmph. Tie up the boat, sailor.", "assistant", loss=True)],
    [said("Answer as Bramble.", "system"), said("Hello!"), said("Hmph.", "assistant", loss=True)],
]


@pytest.fixture(scope="module")
def tuned():
    """The base under adapters that were moved at random, as if trained."""
    model = load_nano(BASE)
    add_adapters(model, und=LoraSettings(rank=4, alpha=8), gen=LoraSettings(rank=4, alpha=8), seed=0)
    disturb(model, by=0.05)
    return model


# Pictures


def test_a_picture_depends_on_its_seed_alone(model):
    context = model.prompt_context(PROMPTS[:1])
    settings = {"steps": 2, "guidance": 2.0, "shift": 2.0}
    pair = model.sample_latents(context, [1, 2], **settings)
    assert pair.shape == (2, 8, 16, 16) and pair.isfinite().all()
    assert torch.equal(pair, model.sample_latents(context, [1, 2], **settings))
    assert (pair[0] - pair[1]).abs().mean() > 0.1
    alone = model.sample_latents(context, [2], **settings)
    assert (alone[0] - pair[1]).square().mean().sqrt() < 0.003 * pair[1].std()


@pytest.mark.parametrize(("prompts", "each"), [(3, 1), (2, 2), (1, 5)])
def test_pictures_are_sampled_in_chunks_and_returned_in_order(model, monkeypatch, prompts, each):
    seeds, settings = list(range(prompts * each)), {"steps": 2, "guidance": 2.0, "shift": 2.0}
    context = model.prompt_context(PROMPTS[:prompts])
    whole = model.sample_latents(context, seeds, **settings)
    monkeypatch.setattr(nano, "CHUNK", 2)
    parts = model.sample_latents(context, seeds, **settings)
    assert parts.shape == whole.shape
    apart = (parts - whole).square().mean(dim=(1, 2, 3)).sqrt() / whole.std()
    assert apart.max() < 0.05  # prompts of a chunk are padded to another length


def test_nan_of_a_diverged_expert_is_refused():
    broken = load_nano(BASE)
    broken.gen.norm.weight.data[0] = torch.nan
    with pytest.raises(ValueError, match=r"expert draws NaN \(pictures 0, 1 of 2\).*adapters/gen"):
        broken.sample_latents(broken.prompt_context([PROMPTS[0]]), [0, 1], steps=2, guidance=1.0, shift=2.0)


def test_pictures_of_another_size_are_not_encoded(model):
    right, wrong = make_album(1).images[0].resize((128, 128)), make_album(1).images[0].resize((64, 96))
    with pytest.raises(ValueError, match="picture 1 of 2 is 64 x 96 pixels, nano draws 128 x 128"):
        model.encode_images([right, wrong])


def test_prompt_and_guidance_change_the_picture(model):
    one, other = (model.prompt_context([prompt]) for prompt in PROMPTS[:2])
    plain = model.sample_latents(one, [1], steps=2, guidance=1.0, shift=2.0)
    assert not torch.allclose(
        plain, model.sample_latents(other, [1], steps=2, guidance=1.0, shift=2.0), atol=0.05
    )
    assert not torch.allclose(
        plain, model.sample_latents(one, [1], steps=2, guidance=3.0, shift=2.0), atol=0.05
    )


def test_a_trained_base_follows_the_scene(model):
    """The least that any trained base does: night is dark and snow is bright."""
    prompts = ("A cartoon of a red bear, at night under the stars", "A cartoon of a red bear, in the snow")
    latents = model.sample_latents(
        model.prompt_context(prompts), [0, 1, 0, 1], steps=6, guidance=2.0, shift=2.0
    )
    night, snow = model.decode_latents(latents).view(2, -1).mean(dim=1)
    assert night + 0.3 < snow


# Text adapters and prompts


def test_contexts_are_batch_invariant(model):
    """A resumed run encodes its prompts in other batches, and must compute the same steps."""
    rng = random.Random(0)
    prompts = [caption(describe(random_identity(rng)), random_scene(rng), rng) for _ in range(10)]
    prompts += ["", "Mochi", "A long one: " + "round and round " * 20]
    model._contexts.clear()
    together = model.prompt_context(prompts)
    for row, prompt in enumerate(prompts):
        model._contexts.clear()
        alone, among = model.prompt_context([prompt]), together.select(torch.tensor([row]))
        assert all(
            torch.equal(a, b)
            for a, b in zip(alone.keys + alone.values, among.keys + among.values, strict=True)
        ), prompt


def test_prompts_are_encoded_without_text_adapters(model, tuned):
    for before, after in zip(
        model.prompt_context(PROMPTS).keys, tuned.prompt_context(PROMPTS).keys, strict=True
    ):
        assert torch.equal(before, after)


def test_base_text_disables_text_adapters_and_enables_them_again(model, tuned, tmp_path):
    base, adapted = (torch.cat(m.text_losses(CHATS, tmp_path)) for m in (model, tuned))
    assert not torch.allclose(base, adapted, atol=0.1)
    with tuned.base_text():
        assert torch.equal(torch.cat(tuned.text_losses(CHATS, tmp_path)), base)
    assert torch.equal(torch.cat(tuned.text_losses(CHATS, tmp_path)), adapted)


def test_base_pictures_disables_image_adapters_and_enables_them_again(model, tuned):
    trains = {name: parameter.requires_grad for name, parameter in tuned.named_parameters()}
    own, base = sketch(tuned), sketch(model)
    with tuned.base_pictures():
        assert torch.equal(sketch(tuned), base)
    assert torch.equal(sketch(tuned), own) and not torch.equal(own, base)
    assert {name: parameter.requires_grad for name, parameter in tuned.named_parameters()} == trains


def test_start_noise_depends_on_each_seed_alone(model):
    noise = model.start_noise([3, 4, 3])
    assert noise.shape == (3, 8, 16, 16)
    assert torch.equal(noise[0], noise[2]) and torch.equal(noise[1], model.start_noise([4])[0])
    assert float(noise.std()) == pytest.approx(1, abs=0.05) and not torch.equal(noise[0], noise[1])


def test_base_text_changes_nothing_where_there_are_no_adapters(model, tmp_path):
    with model.base_text():
        within = torch.cat(model.text_losses(CHATS, tmp_path))
    assert torch.equal(within, torch.cat(model.text_losses(CHATS, tmp_path)))


def test_picture_adapters_change_pictures(model, tuned):
    assert not torch.allclose(sketch(model), sketch(tuned), atol=0.05)


# Losses on text


def test_one_loss_per_target_token_one_tensor_per_conversation(model, tmp_path):
    losses = model.text_losses(CHATS, tmp_path)
    expected = [
        len(model.tokenizer(chat[-1].value)["input_ids"]) + 1 for chat in CHATS
    ]  # and the end of the message
    assert [len(loss) for loss in losses] == expected
    assert all((loss > 0).all() for loss in losses)


def test_other_conversations_do_not_change_a_loss(model, tmp_path):
    for image, name in zip(make_prior_images(2), ("a.png", "b.png"), strict=True):
        image.save(tmp_path / name)
    answer = said("A bear.", "assistant", loss=True)
    chats = [
        *CHATS,
        [shown("a.png"), said("Who?"), answer],
        [shown("b.png"), shown("a.png"), said("And here?"), answer],
    ]
    together = model.text_losses(chats, tmp_path)
    for chat, loss in zip(chats, together, strict=True):
        assert torch.allclose(model.text_losses([chat], tmp_path)[0], loss, atol=0.15, rtol=0.05)


def test_the_picture_of_a_question_changes_the_loss(model, tmp_path):
    for image, name in zip(make_prior_images(2), ("a.png", "b.png"), strict=True):
        image.save(tmp_path / name)
    question, answer = said("What do you see?"), said("A bear.", "assistant", loss=True)
    one, other = (
        model.text_losses([[shown(name), question, answer]], tmp_path)[0] for name in ("a.png", "b.png")
    )
    assert not torch.allclose(one, other, atol=0.01)


def test_gradients_reach_the_adapters_only(tuned, tmp_path):
    torch.cat(tuned.text_losses(CHATS, tmp_path)).mean().backward()
    context = tuned.prompt_context(PROMPTS[:1])
    tuned.velocity(torch.ones(1, 8, 16, 16), torch.tensor([0.5]), context).square().mean().backward()
    touched = {name for name, parameter in tuned.named_parameters() if parameter.grad is not None}
    assert touched and all("lora_" in name for name in touched)
    assert {name.split(".")[0] for name in touched} == {"und", "gen"}
    tuned.zero_grad()


# Replies


def ask(model, *texts: str, temperature: float = 1.0, seed: int = 0, tokens: int = 5) -> list[str]:
    return model.reply(
        [[Turn(role="user", text=text)] for text in texts],
        max_tokens=tokens,
        temperature=temperature,
        seed=seed,
    )


def test_a_seed_decides_the_reply(model):
    assert ask(model, "Tell me a tale.") == ask(model, "Tell me a tale.")
    assert len({ask(model, "Tell me a tale.", seed=seed, tokens=8)[0] for seed in range(4)}) > 1
    assert len({ask(model, "Tell me a tale.", seed=seed, temperature=0.0)[0] for seed in range(2)}) == 1


def test_replies_are_batch_invariant(model):
    alone = ask(model, "What is a lighthouse?")[0]
    assert ask(model, "Hello!", "What is a lighthouse?")[1] == alone
    assert ask(model, "What is a lighthouse?", "Hello!")[0] == alone


def test_a_reply_is_bare_text_of_limited_length(model):
    (reply,) = ask(model, "Count to a hundred.", temperature=0.0, tokens=6)
    assert reply == reply.strip() and "<|" not in reply
    assert 0 < len(model.tokenizer(reply)["input_ids"]) <= 7
    assert ask(model, "Hello!", tokens=0) == [""]


def test_replies_stop_at_the_end_of_the_message(model):
    """Which of them end early depends on the last bits of a CPU's kernels, that some do does not."""
    asked = ("Reply with the single word: yes", "What is 1 + 1?", "Say hello.", "Is snow white?")
    replies = [ask(model, text, temperature=0.0, tokens=60)[0] for text in asked]
    lengths = [len(model.tokenizer(reply)["input_ids"]) for reply in replies]
    assert min(lengths) < 60
    assert not any("<|im_end|>" in reply for reply in replies)


def test_a_picture_can_be_shown(model):
    turns = [Turn(role="user", image=make_album(1).images[0]), Turn(role="user", text="What do you see?")]
    (reply,) = model.reply([turns], max_tokens=4, temperature=0.0, seed=0)
    assert reply == model.reply([turns], max_tokens=4, temperature=0.0, seed=0)[0]
