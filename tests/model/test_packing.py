"""Packing: shared prefixes stand once, and every loss is predicted from its own conversation alone."""

import random
from functools import partial

import pytest
import torch
from factories_model import disturb, make_prior_images
from factories_small import exact_arithmetic, small_model
from peft.tuners.lora import LoraLayer

from unichar.kit.images import load_picture
from unichar.model import packing
from unichar.model.nano import model as nano
from unichar.model.packing import PackingStats, pack, stats_of
from unichar.model.pixels import to_pixels
from unichar.model.tokens import IMAGE, TokenSequence, collate, render
from unichar.types import Segment

packed_of = partial(pack, image_tokens=2, limit=100)
CARD = [1, 2, 3, 4]


def tokens(ids, *, learned=1, images=()):
    """The last `learned` tokens carry a loss."""
    return TokenSequence(
        ids=ids, loss=[i >= len(ids) - learned for i in range(len(ids))], images=list(images)
    )


def some_conversations(*, seed, count=9, longest=12):
    """Few different tokens, so that conversations share prefixes, are prefixes of others, and repeat."""
    rng = random.Random(seed)
    return [
        tokens([rng.randrange(2) for _ in range(rng.randrange(3, longest))], learned=rng.randrange(1, 3))
        for _ in range(count)
    ]


def visible(row):
    """Position -> positions it attends to."""
    seen = {}
    for block in row.blocks:
        for query, hidden in enumerate(block.hidden, start=block.start):
            seen[query] = block.keys[~hidden].tolist()
    return seen


def test_a_shared_prefix_stands_once():
    conversations = [tokens([*CARD, 5, 6]), tokens([*CARD, 7]), tokens([*CARD, 5, 8])]
    (row,) = packed_of(conversations)
    assert sorted(row.ids.tolist()) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert dict(zip(row.ids.tolist(), row.positions.tolist(), strict=True)) == {
        1: 0,
        2: 1,
        3: 2,
        4: 3,
        5: 4,
        7: 4,
        6: 5,
        8: 5,
    }
    assert stats_of(conversations, [row]) == PackingStats(given=17, computed=8, targets=3)
    assert stats_of(conversations, [row]).shared == 9


@pytest.mark.parametrize("block", [1, 3, 128])
@pytest.mark.parametrize("seed", range(5))
def test_every_loss_is_predicted_from_its_own_conversation(block, seed):
    conversations = some_conversations(seed=seed)
    for row in packed_of(conversations, block=block, budget=30):
        seen, losses = (
            visible(row),
            iter(zip(row.sources[row.loss_sources].tolist(), row.targets.tolist(), strict=True)),
        )
        assert sorted(seen) == list(range(len(row.ids)))
        for member, count in zip(row.members, row.lengths, strict=True):
            own = conversations[member]
            assert count == sum(own.loss)
            for place in [i for i, learned in enumerate(own.loss) if learned]:
                source, target = next(losses)
                assert row.ids[seen[source]].tolist() == own.ids[:place] and target == own.ids[place]
                assert row.positions[seen[source]].tolist() == list(range(place))
        assert next(losses, None) is None


@pytest.mark.parametrize("budget", [5, 12, 30, 1000])
def test_nothing_is_lost_under_a_budget(budget):
    conversations = some_conversations(seed=1, count=20)
    rows = packed_of(conversations, budget=budget)
    assert sorted(member for row in rows for member in row.members) == list(range(20))
    assert all(len(row.ids) <= budget or len(row.members) == 1 for row in rows)
    assert sum(sum(row.lengths) for row in rows) == sum(sum(own.loss) for own in conversations)
    assert (len(rows) == 1) == (budget == 1000)


def test_packing_does_not_depend_on_the_order_of_conversations():
    conversations = some_conversations(seed=2)
    shuffled = random.Random(0).sample(conversations, len(conversations))
    for one, other in zip(packed_of(conversations, budget=20), packed_of(shuffled, budget=20), strict=True):
        assert (
            torch.equal(one.ids, other.ids)
            and torch.equal(one.positions, other.positions)
            and torch.equal(one.targets, other.targets)
        )


def test_a_picture_is_shared_by_name():
    cat, dog = [IMAGE, IMAGE], [IMAGE, IMAGE]
    conversations = [
        tokens([1, *cat, 5], images=["cat.png"]),
        tokens([1, *cat, 6], images=["cat.png"]),
        tokens([1, *dog, 5], images=["dog.png"]),
        tokens([1, *cat, *dog, 5], images=["cat.png", "dog.png"]),
    ]
    (row,) = packed_of(conversations)
    assert row.images == ["cat.png", "dog.png"]
    assert (
        (row.ids == IMAGE).sum() == len(row.image_features) == 6
    )  # the cat once, the dog after it and alone
    assert sorted(row.image_features.tolist()) == [0, 1, 2, 2, 3, 3]
    assert len(row.ids) == 1 + 2 + 1 + 1 + 2 + 1 + 2 + 1


def test_several_targets_have_one_source():
    (row,) = packed_of([tokens([1, 2, answer]) for answer in (7, 8, 9, 9)])
    assert (
        len(row.sources) == 1
        and row.loss_sources.tolist() == [0, 0, 0, 0]
        and row.targets.tolist() == [7, 8, 9, 9]
    )


def test_a_conversation_without_a_loss_gives_none():
    (row,) = packed_of([tokens([1, 2], learned=0)])
    assert row.lengths == (0,) and len(row.targets) == 0


def test_a_conversation_that_is_too_long_is_named():
    with pytest.raises(
        ValueError, match="conversation 2 of 2 has 101 tokens, the model reads at most 100: shorten"
    ):
        packed_of([tokens([1, 2]), tokens(list(range(101)))])


def test_no_conversations_give_no_sequences():
    assert packed_of([]) == []


# With a model


def said(text, role="user", *, loss=False):
    return Segment(type="text", value=text, role=role, loss=loss)


def shown(name):
    return Segment(type="image", value=name, role="user")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pictures."""
    where = tmp_path_factory.mktemp("pictures")
    for image, name in zip(make_prior_images(2), ("a.png", "b.png"), strict=True):
        image.save(where / name)
    return where


@pytest.fixture(scope="module")
def chats():
    """As in training: a card before most, questions about one picture, targets in a shared prefix."""
    card = said("Character Description: Bramble is a grumpy bear. " * 4 + "Answer as Bramble.", "system")
    hello = [card, said("Hello!"), said("Hmph. What now?", "assistant", loss=True)]
    asked = [said("Which color is it?"), said("teal", "assistant", loss=True)]
    return [
        hello,
        [shown("a.png"), *asked],
        [
            card,
            said("Is a storm coming?"),
            said("Tie up the boat, sailor, and be quick.", "assistant", loss=True),
        ],
        [
            *hello,
            said("Plan a picture."),
            said("<think>No.</think><gen>A bear</gen>", "assistant", loss=True),
        ],
        [shown("a.png"), said("What is it?"), said("A bear.", "assistant", loss=True)],
        [card, shown("b.png"), said("And here?"), said("The sea.", "assistant", loss=True)],
        [shown("b.png"), *asked],
        hello,
    ]


@pytest.fixture(scope="module")
def exact(small_base):
    """The small base in fp32 under adapters as if trained."""
    model = small_model(small_base, exact=True)
    disturb(model.und, by=0.05)
    return model


def losses_alone(model, chats, folder):
    """Losses of conversations that are computed one by one, by transformers' own attention."""
    losses = []
    for chat in chats:
        batch = collate(
            [render(chat, model.tokenizer, image_tokens=nano.NUM_TOKENS)], pad=model.tokenizer.pad_token_id
        )
        images = [load_picture(folder / name, model.image_size) for name in batch.images]
        losses.append(model.token_losses(batch, to_pixels(images) if images else None))
    return losses


def gradients(model, losses):
    """Of the sum of all losses, weighted differently."""
    torch.stack([(number + 1) * loss.sum() for number, loss in enumerate(losses)]).sum().backward()
    found = {
        name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    model.zero_grad()
    return found


@pytest.mark.parametrize(("budget", "block"), [(2048, 128), (2048, 7), (150, 64)])
def test_losses_and_gradients_are_those_of_conversations_alone(
    monkeypatch, exact, chats, folder, budget, block
):
    monkeypatch.setattr(nano, "pack", partial(pack, budget=budget, block=block))
    with exact_arithmetic():
        expected, packed = losses_alone(exact, chats, folder), exact.text_losses(chats, folder)
        for one, other in zip(packed, expected, strict=True):
            assert torch.allclose(one, other, atol=1e-5, rtol=1e-5)
        target, found = gradients(exact, expected), gradients(exact, packed)
    assert target.keys() == found.keys() and len(target) > 20
    for name, gradient in target.items():
        assert torch.allclose(
            found[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max() + 1)
        ), name


def test_checkpointed_training_has_the_same_losses_and_gradients(exact, chats, folder):
    with exact_arithmetic():
        plain = exact.text_losses(chats, folder)
        target = gradients(exact, plain)
        exact.und.activation_checkpointing_enable({"use_reentrant": False})
        exact.und.train()
        again = exact.text_losses(chats, folder)
        found = gradients(exact, again)
        exact.und.eval()
        exact.und.activation_checkpointing_disable()
    assert torch.equal(torch.cat(plain), torch.cat(again))
    assert all(torch.equal(found[name], gradient) for name, gradient in target.items())


def test_a_step_has_the_same_bits_every_time(small_base, chats, folder):
    model = small_model(small_base)
    disturb(model.und, by=0.05)
    first, second = (gradients(model, model.text_losses(chats, folder)) for _ in range(2))
    assert all(torch.equal(second[name], gradient) for name, gradient in first.items())


def test_adapter_inputs_are_not_cast_and_bits_stay(small_base, chats, folder):
    casting, model = small_model(small_base), small_model(small_base)
    for each in (casting, model):
        disturb(each.und, by=0.05)
    lean = torch.cat(model.text_losses(chats, folder))

    layers = [module for module in casting.und.modules() if isinstance(module, LoraLayer)]
    assert layers and not any(layer.cast_input_dtype_enabled for layer in layers)
    for layer in layers:
        layer.cast_input_dtype_enabled = True
    assert torch.equal(torch.cat(casting.text_losses(chats, folder)), lean)


def test_the_model_counts_the_tokens_that_sharing_saves(small_base, chats, folder):
    model = small_model(small_base)
    with torch.no_grad():
        losses = model.text_losses(chats, folder)
        model.text_losses(chats[:1], folder)
    assert model.packing.targets == sum(map(len, losses)) + len(losses[0])
    assert model.packing.given > 1.5 * model.packing.computed > 0


def test_a_conversation_beyond_the_context_is_named(small_base, folder):
    model = small_model(small_base)
    model._llama().config.max_position_embeddings = 40
    with pytest.raises(ValueError, match=r"conversation 2 of 2 has \d+ tokens, the model reads at most 40"):
        model.text_losses([[said("Short.")], [said("long " * 60)]], folder)


def test_a_packed_sequence_takes_one_forward_pass(monkeypatch, small_base, chats, folder):
    """Ranks with sharded weights must make equally many passes: one for all that fit a packed sequence."""
    model = small_model(small_base)
    passes = []
    model._llama().model.layers[0].register_forward_pre_hook(lambda *_: passes.append(1))
    with torch.no_grad():
        model.text_losses(chats, folder)
        assert len(passes) == 1
        model.text_losses(chats[3:4], folder)
    assert len(passes) == 2 and packing.BUDGET > 1000
