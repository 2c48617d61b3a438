"""The domain of procedural cartoons: every picture has exact attributes, any scene can be rendered."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from unichar.domains.base import NUM_OPTIONS, WHO_QUESTIONS, EncoderName, ModelFamily, PictureQuestion
from unichar.domains.toon.captions import caption, describe, questions, random_name, scene_phrases
from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import (
    ATTRIBUTES,
    IDENTITY,
    SCENE,
    Identity,
    Scene,
    filled,
    part_of,
    random_identity,
    random_scene,
)
from unichar.types import CuratedKit, Interaction, Picture, Prompt

_CAPTION_TRIES = 60
"""Draws of a caption's wording; there may be fewer different ones than are asked for."""
_WHOLE_EVERY = 4
"""One prompt in four names the whole scene. The others leave part of it open, as people do.

A model that has memorised its training pictures shows it there, by drawing the same things around what was
asked for; a whole scene leaves nothing to vary.
"""
# First sentence of a composed reasoning text: how the answer sounds, by the expression it is drawn with.
_MOODS = {
    "smiling": "The answer is a friendly one.",
    "sad": "The answer is a sad one.",
    "angry": "There is anger in the answer.",
    "surprised": "This comes as a surprise.",
    "sleepy": "The answer sounds tired.",
    "winking": "The answer is half a joke.",
    "laughing": "There is laughter in the answer.",
}


class ToonDomain:
    """See `unichar.domains.base.Domain`."""

    name = "toon"
    reads_attributes = True
    # BAGEL's vision tower has no heads that read attributes, so it has no reward encoder for toons.
    reward_encoder: Mapping[ModelFamily, EncoderName] = {"nano": "vision_tower"}
    validation_encoder: EncoderName = "attribute_classifier"
    report_encoder: EncoderName = "attribute_classifier"
    naturalness_denoiser: Literal["base", "reference"] = "base"
    renders = True
    report_forms: tuple[str, ...] = ("open",)
    advice = (
        "to train this character as if its pictures were photographs, remove `attributes` from every line "
        "of scenes.jsonl"
    )

    def visible_attributes(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """All of the vocabulary that is given, without the skin of those whose fur hides it."""
        hidden = {"skin"} if attributes.get("species") != "human" else set()
        return {name: attributes[name] for name in ATTRIBUTES if name in attributes and name not in hidden}

    def compose_caption(self, name: str, attributes: Mapping[str, str], rng: random.Random) -> str:
        """An exact caption of the scene."""
        return caption(name, _scene(attributes), rng)

    def compose_thinking(self, name: str, attributes: Mapping[str, str], rng: random.Random) -> str:
        """The mood of the answer, then the scene."""
        scene = _scene(attributes)
        return f"{_MOODS[scene.expression]} I picture {name} {', '.join(scene_phrases(scene, rng))}."

    def captions(self, kit: CuratedKit, picture: Picture, *, count: int, rng: random.Random) -> list[str]:
        """Exact wordings of the picture's attributes."""
        # A dictionary keeps the order and drops repetitions.
        found = {picture.caption: None}
        scene = _scene(picture.attributes)

        # A bounded number of draws; a caption that was drawn before changes nothing.
        for _ in range(_CAPTION_TRIES):
            if len(found) < count:
                found[caption(kit.name, scene, rng)] = None
        return list(found)[:count]

    def questions(
        self, kit: CuratedKit, picture: Picture, *, wordings: int, rng: random.Random
    ) -> list[PictureQuestion]:
        """Who it is, and the value of every visible attribute.

        Answers are one word; the wrong options are other values of the same attribute.
        """
        identity, scene = _identity(picture.attributes), _scene(picture.attributes)
        found: dict[str, PictureQuestion] = {}

        # Wrong names are made up, since the kit knows no other character.
        for question in rng.sample(WHO_QUESTIONS, min(wordings, len(WHO_QUESTIONS))):
            names = {kit.name: None}
            while len(names) < NUM_OPTIONS:
                names[random_name(rng)] = None
            found[question] = PictureQuestion("name", question, kit.name, tuple(names))

        # Every attribute, once per wording; wordings that are drawn twice are kept once.
        for _ in range(wordings):
            for attribute, question, answer in questions(identity, scene, rng):
                others = [value for value in ATTRIBUTES[attribute] if value != answer]
                # Drawn even if the question is known already: the draws that follow depend on it.
                options = (answer, *rng.sample(others, NUM_OPTIONS - 1))
                found.setdefault(question, PictureQuestion(attribute, question, answer, options))
        return list(found.values())

    def unseen_prompts(self, kit: CuratedKit, *, count: int, rng: random.Random) -> list[Prompt]:
        """Captions of random scenes that occur in no picture of the kit, each scene once."""
        # Held-out and training pictures alike are excluded: a test of what no picture shows.
        scenes = _new_scenes(kit, rng)
        return [self._test_prompt(kit, _values(next(scenes)), rng, is_open=False) for _ in range(count)]

    def open_prompts(self, kit: CuratedKit, *, count: int, rng: random.Random) -> list[Prompt]:
        """Captions of one or two attributes of a scene, no two alike."""
        taken: list[dict[str, str]] = []
        prompts = []

        # Parts are compared as dictionaries in the order of the vocabulary, see `part_of`.
        for _ in range(count):
            part = part_of(random_scene(rng), rng)
            while part in taken:
                part = part_of(random_scene(rng), rng)
            taken.append(part)
            prompts.append(self._test_prompt(kit, part, rng, is_open=True))
        return prompts

    def instruction_scenes(self, kit: CuratedKit, rng: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
        """Scenes that occur in no picture of the kit, each once."""
        for scene in _new_scenes(kit, rng):
            yield ", ".join(scene_phrases(scene, rng)), _values(scene)

    def validation_prompts(
        self,
        kit: CuratedKit,
        known: Sequence[Prompt],
        test: Sequence[Interaction],
        *,
        count: int,
        rng: random.Random,
    ) -> list[Prompt]:
        """New scenes and parts of scenes, each once, none of them in a test item."""
        # Each scene once, so that none counts twice in the choice of a checkpoint.
        taken = {self.scene_key(item.attributes) for item in test}

        return self._new_prompts(kit.name, rng, count, taken=taken, distinct=True)

    def training_prompts(
        self,
        kit: CuratedKit,
        known: Sequence[Prompt],
        test: Sequence[Interaction],
        *,
        validation: Sequence[Prompt],
        count: int,
        rng: random.Random,
    ) -> list[Prompt]:
        """New scenes and parts of scenes, none of them in a test item or a validation prompt."""
        # Held-out pictures are among the test items.
        # Over many rounds open prompts may come again; there are only so many parts of scenes.
        taken = {self.scene_key(item.attributes) for item in test}
        taken |= {self.scene_key(prompt.attributes) for prompt in validation}

        return self._new_prompts(kit.name, rng, count, taken=taken, distinct=False)

    def scene_key(self, attributes: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        """Expression, pose, prop and background, as far as they are given."""
        return frozenset((name, value) for name, value in attributes.items() if name in SCENE)

    def identity_attributes(self, kit: CuratedKit) -> tuple[str, ...]:
        """All attributes of the identity; the skin shows on humans only."""
        # All pictures of a kit show one character, so the first tells.
        is_human = kit.pictures[0].attributes["species"] == "human"
        return tuple(name for name in IDENTITY if name != "skin" or is_human)

    def prior_images(
        self, *, count: int, size: int, rng: random.Random
    ) -> tuple[list[str], list[Image.Image]]:
        """Renders of random identities that the starter cast does not have.

        Every other prompt uses a name, as the character's prompts do. What a prompt leaves open is drawn at
        random, so that it differs from picture to picture; it should for the character too.
        """
        # All scenes are drawn before the first seed: the order of draws fixes the data.
        told = [_prior_scene(index, rng) for index in range(count)]

        # Drawn after all scenes: the order of draws is part of the training data.
        images = [draw(identity, scene, size=size, seed=rng.randrange(2**31)) for identity, scene, _ in told]
        return [prompt for _, _, prompt in told], images

    def oracle_images(
        self, kit: CuratedKit, folder: Path, prompt: Prompt, *, count: int, rng: random.Random
    ) -> list[Image.Image]:
        """Renders; what the prompt leaves open is drawn at random for each."""
        identity = _identity(kit.pictures[0].attributes)

        # The identity comes from the kit, whatever the prompt says about it.
        named = {name: value for name, value in prompt.attributes.items() if name in SCENE}
        return [draw(identity, filled(named, rng), seed=rng.randrange(2**31)) for _ in range(count)]

    def _test_prompt(
        self, kit: CuratedKit, scene: dict[str, str], rng: random.Random, *, is_open: bool
    ) -> Prompt:
        """A caption of the named attributes; its pictures must show them and the identity."""
        # Reports judge every attribute that is listed, those of the identity included.
        identity = {name: value for name, value in kit.pictures[0].attributes.items() if name in IDENTITY}
        return Prompt(text=caption(kit.name, scene, rng), attributes=identity | scene, is_open=is_open)

    def _new_prompts(
        self,
        name: str,
        rng: random.Random,
        count: int,
        *,
        taken: set[frozenset[tuple[str, str]]],
        distinct: bool,
    ) -> list[Prompt]:
        """`count` prompts for scenes outside of `taken`, a whole scene and three open ones in turn.

        With `distinct` each scene comes once.
        """
        prompts: list[Prompt] = []
        while len(prompts) < count:
            scene = random_scene(rng)

            # A refused draw keeps its turn, so one prompt in four names the whole scene in any case.
            is_open = len(prompts) % _WHOLE_EVERY != 0
            attributes = part_of(scene, rng) if is_open else _values(scene)

            # Neither a scene that is kept for a test, nor (with `distinct`) one that was drawn before.
            key = self.scene_key(attributes)
            if key in taken:
                continue

            text = caption(name, attributes, rng)
            prompts.append(Prompt(text=text, attributes=attributes, is_open=is_open))
            if distinct:
                taken = {*taken, key}
        return prompts


def _identity(attributes: Mapping[str, str]) -> Identity:
    return Identity(**{name: value for name, value in attributes.items() if name in IDENTITY})


def _scene(attributes: Mapping[str, str]) -> Scene:
    return Scene(**{name: attributes[name] for name in SCENE})


def _values(scene: Scene) -> dict[str, str]:
    return {name: getattr(scene, name) for name in SCENE}


def _new_scenes(kit: CuratedKit, rng: random.Random) -> Iterator[Scene]:
    """Random scenes that occur in no picture of the kit, each once."""
    taken = {_scene(picture.attributes) for picture in kit.pictures}

    # Without end: the caller takes as many as it needs.
    while True:
        scene = random_scene(rng)
        while scene in taken:
            scene = random_scene(rng)
        taken.add(scene)
        yield scene


def _prior_scene(index: int, rng: random.Random) -> tuple[Identity, Scene, str]:
    """A random identity, its scene and a prompt that names all or part of the scene."""
    identity, scene = random_identity(rng), random_scene(rng)

    # Every other prompt has a name, so that the model does not take any name for the character's.
    who = random_name(rng) if index % 2 else describe(identity)
    if index % _WHOLE_EVERY == 0:
        return identity, scene, caption(who, scene, rng)

    # The picture is drawn for the part that is named; all else of it is random, with empty hands.
    asked = part_of(scene, rng)
    return identity, filled(asked, rng), caption(who, asked, rng)
