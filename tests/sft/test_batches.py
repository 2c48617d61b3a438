"""The samples of a step are a function of the seed and the step."""

import pytest
import torch
from factories_model import make_inputs

from unichar.domains.lookup import DOMAINS
from unichar.domains.toon.vocabulary import Scene, is_reserved
from unichar.kit.images import load_picture
from unichar.sft.batches import character_pool, mixed, prior_pool, shuffled, with_pictures
from unichar.sft.config import SftConfig
from unichar.training.seeds import derive
from unichar.types import read_interactions


def picks_of(count: int, take: int, steps: int, seed: int = 0) -> list[int]:
    return [pick for step in range(steps) for pick in shuffled(count, take, step, seed)]


@pytest.mark.parametrize(("count", "take"), [(7, 3), (5, 5), (12, 5), (3, 7), (1, 2)])
def test_every_item_is_seen_before_any_repeats(count, take):
    picks = picks_of(count, take, 2 * count)
    for start in range(0, len(picks) - count + 1, count):
        assert sorted(picks[start : start + count]) == list(range(count))


def test_order_depends_on_seed_and_epoch():
    picks = picks_of(20, 4, 10)
    assert picks[:20] != picks[20:] and picks[:20] != list(range(20))
    assert picks != picks_of(20, 4, 10, seed=1)
    assert picks == picks_of(20, 4, 10)


def test_a_step_does_not_depend_on_the_steps_before():
    assert shuffled(9, 4, 17, 3) == picks_of(9, 4, 18, seed=3)[-4:]


KINDS = ["talk"] * 30 + ["plan"] * 4 + ["quiz"] * 10


def test_a_mix_keeps_its_proportions_and_sees_every_item_before_repeating():
    mix = {"talk": 0.5, "plan": 0.2, "quiz": 0.3}
    order = mixed(KINDS, mix, 200, seed=0)
    for start in range(0, 200, 40):
        part = [KINDS[i] for i in order[start : start + 40]]
        assert all(abs(part.count(kind) - 40 * share) <= 1 for kind, share in mix.items())
    plans = [i for i in order if KINDS[i] == "plan"]
    assert all(sorted(plans[start : start + 4]) == [30, 31, 32, 33] for start in range(0, 40, 4))
    assert order == mixed(KINDS, mix, 200, seed=0) != mixed(KINDS, mix, 200, seed=1)


def test_proportions_of_missing_kinds_go_to_the_others():
    order = mixed(KINDS, {"talk": 0.5, "plan": 0, "poem": 0.5}, 50, seed=0)
    assert {KINDS[i] for i in order} == {"talk"} and len(order) == 50
    with pytest.raises(ValueError, match=r"gives no weight to any kind of item at hand \(plan, quiz, talk\)"):
        mixed(KINDS, {"poem": 1.0}, 5, seed=0)


def test_few_pictures_leave_out_all_items_that_show_others(inputs):
    train = read_interactions(inputs["interactions"] / "train.jsonl")
    shown = {s.value for item in train for s in item.segments if s.type == "image"}
    few = with_pictures(train, 2)
    assert len(shown) > 2 and len({s.value for item in few for s in item.segments if s.type == "image"}) == 2
    assert {item.kind for item in few} == {item.kind for item in train}
    assert with_pictures(train, 0) == with_pictures(train, 99) == train


def test_every_training_prompt_has_the_latents_of_its_picture(model, inputs):
    train = read_interactions(inputs["interactions"] / "train.jsonl")
    portraits = [item for item in train if item.kind == "portrait"]
    pool = character_pool(model, portraits, inputs["curated_kit"])
    assert pool.prompts == tuple(item.prompt for item in portraits)
    assert pool.latents.shape == (len(portraits), 8, 16, 16)
    for row in (0, len(portraits) - 1):
        image = load_picture(inputs["curated_kit"] / portraits[row].target.value, 128)
        assert (pool.latents[row] - model.encode_images([image])[0]).square().mean().sqrt() < 0.02


def test_pictures_are_resized_to_the_model(model, tmp_path):
    inputs = make_inputs(tmp_path)
    for path in (inputs["curated_kit"] / "images").iterdir():
        load_picture(path, 300).save(path)
    portraits = [i for i in read_interactions(inputs["interactions"] / "train.jsonl") if i.kind == "portrait"]
    assert character_pool(model, portraits[:2], inputs["curated_kit"]).latents.shape == (2, 8, 16, 16)


def test_strangers_are_the_same_for_a_seed_and_never_the_cast(model, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "unichar.domains.toon.domain.describe", lambda identity: drawn.append(identity) or "somebody"
    )
    config = SftConfig(prior_pool=5, prior_pictures=5)
    pool, again, other = (prior_pool(model, config, DOMAINS["toon"], seed) for seed in (0, 0, 1))
    assert pool.latents.shape == (5, 8, 16, 16) and len(pool.prompts) == 5
    assert pool.prompts == again.prompts != other.prompts
    assert torch.equal(pool.latents, again.latents) and not torch.equal(pool.latents, other.latents)
    assert not any(is_reserved(identity) for identity in drawn)


def test_the_base_can_draw_the_strangers_itself(model):
    config = SftConfig(prior_pool=10, prior_pictures=5, prior="base", prior_sample_steps=2)
    pool, again = (prior_pool(model, config, DOMAINS["toon"], 0) for _ in range(2))
    assert pool.latents.shape == (10, 8, 16, 16) and torch.equal(pool.latents, again.latents)
    photographs = [prompt for prompt in pool.prompts if prompt.startswith("A photograph of")]
    assert len(photographs) == 5 and len(set(pool.prompts)) == 10
    context = model.prompt_context(pool.prompts[8:])
    alone = model.sample_latents(
        context, [derive(0, "prior", i) for i in (8, 9)], steps=2, guidance=1.0, shift=config.shift
    )
    assert torch.equal(alone, pool.latents[8:])


def test_three_of_four_strangers_leave_something_open_and_half_have_names(model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "unichar.domains.toon.domain.caption", lambda who, scene, rng: asked.append((who, scene)) or who
    )
    prior_pool(model, SftConfig(prior_pool=8, prior_pictures=5), DOMAINS["toon"], 0)
    assert [isinstance(scene, Scene) for _, scene in asked] == [True, False, False, False] * 2
    assert all(0 < len(scene) < 3 for _, scene in asked if not isinstance(scene, Scene))
    assert [" eyes in a " in who for who, _ in asked] == [True, False] * 4
