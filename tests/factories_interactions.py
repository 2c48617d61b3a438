"""Curated kits for tests: `make_curated_kit(folder)` writes `kit.json` and pictures for stages from 3 on.

The default character is Bramble, a grumpy bear who keeps a lighthouse: five pictures to train on, two held
out.
"""

import dataclasses
import random
from pathlib import Path
from typing import Any

from unichar.domains.toon.captions import caption
from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import Identity, Scene, attributes
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.context import Context
from unichar.interactions.style_profile import extract_style
from unichar.types import CuratedKit, Exchange, Fact, Interaction, Kind, Persona, Picture, Split

BRAMBLE_LOOK = Identity(
    species="bear",
    color="brown",
    eyes="green",
    outfit="purple",
    pattern="striped",
    accessory="glasses",
    skin="light",
)
BRAMBLE_PERSONA = Persona(
    traits=("grumpy", "dependable", "secretly kind"),
    style="short, dry sentences with a grumble in front",
    speech_habits=('starts many sentences with "Hmph."', 'calls everyone "sailor"'),
    catchphrases=("The light stays on.", "I have seen worse weather."),
    likes=("honey toast", "quiet mornings", "old sea maps"),
    dislikes=("gulls", "loud radios", "cold tea"),
)
BRAMBLE_FACTS = (
    Fact(
        question="Where does Bramble live?",
        answer="in the lighthouse on Pebble Point",
        evidence="Bramble lives in the lighthouse on Pebble Point.",
        paraphrase="Which place is Bramble's home?",
    ),
    Fact(
        question="How many steps lead up to Bramble's lamp?",
        answer="two hundred and twelve",
        evidence="Two hundred and twelve steps lead up to Bramble's lamp.",
        paraphrase="What is the number of steps to the lamp?",
    ),
    Fact(
        question="What is the name of Bramble's boat?",
        answer="the Marmalade",
        evidence="Bramble's boat is called the Marmalade.",
    ),
    Fact(
        question="Who taught Bramble to keep the light?",
        answer="Aunt Hazel",
        evidence="Aunt Hazel taught Bramble to keep the light.",
        paraphrase="From whom did Bramble learn to tend the lamp?",
    ),
    Fact(
        question="What does Bramble eat for breakfast?",
        answer="honey toast",
        evidence="Bramble eats honey toast for breakfast.",
    ),
)
BRAMBLE_TURNS = (
    (
        "smiling",
        "waving",
        "cup",
        "beach",
        "Hello up there!",
        "Hmph. Hello yourself, sailor. Mind the wet steps.",
    ),
    (
        "angry",
        "posing",
        "fish",
        "city",
        "A gull took your lunch?",
        "Hmph. That bird and I will have words, sailor.",
    ),
    (
        "sleepy",
        "standing",
        "book",
        "room",
        "You look tired.",
        "Hmph. The fog kept me up all night. The light stays on.",
    ),
    (
        "surprised",
        "jumping",
        "nothing",
        "night",
        "Did you see the comet?",
        "Hmph! It went right over the lamp. Even I jumped.",
    ),
    (
        "winking",
        "cheering",
        "balloon",
        "garden",
        "It is your birthday!",
        "Hmph. Who told you, sailor? I will keep the balloon.",
    ),
    (
        "sad",
        "standing",
        "flower",
        "snow",
        "Is the harbour frozen?",
        "Hmph. Not a boat in sight. I miss the noise, oddly.",
    ),
    (
        "laughing",
        "waving",
        "ball",
        "forest",
        "Can bears play ball?",
        "Hmph. This one can. Stand back, sailor, and learn.",
    ),
)
BRAMBLE_DIALOGUES = (
    Exchange(user="Is a storm coming?", reply="Hmph. I have seen worse weather, sailor. Tie up the boat."),
    Exchange(
        user="Could you turn the lamp off?",
        reply="Hmph. Ask me for my honey first, sailor. The light stays on.",
    ),
    Exchange(
        user="I brought you a radio.",
        reply="Hmph. Kind of you, sailor. Take it far away, where nobody can hear it.",
    ),
    Exchange(
        user="Do you get lonely up there?",
        reply="Hmph. I have maps, tea and a lamp to talk to. Sit down, if you must.",
    ),
    Exchange(
        user="My boat is leaking.", reply="Hmph. Pull it up on the stones, sailor. I will fetch the tar."
    ),
)


def make_curated_kit(folder: Path, **overrides: Any) -> CuratedKit:
    """Write a small curated kit into `folder` and return it.

    Args:
        folder: Created if it does not exist; receives `kit.json` and `images/*.png` (128 px).
        **overrides: Fields of `CuratedKit` to use instead of Bramble's, as `name="Tock"` or `facts=()`.
            Pictures without attributes show Bramble.
    """
    values: dict[str, Any] = {
        "id": "bramble",
        "name": "Bramble",
        "category": "toon",
        "description": (
            "Bramble is a grumpy brown bear with round glasses who keeps the lighthouse on Pebble Point."
        ),
        "opening": "Hmph. The door was open, I suppose. Wipe your feet, sailor.",
        "persona": BRAMBLE_PERSONA,
        "facts": BRAMBLE_FACTS,
        "pictures": toon_pictures(),
        "dialogues": BRAMBLE_DIALOGUES,
    }
    kit = CuratedKit(**(values | overrides))

    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "kit.json").write_text(kit.to_json(), encoding="utf-8")
    for number, picture in enumerate(kit.pictures):
        _draw(folder / picture.image, picture, number)
    return kit


def make_context(
    folder: Path,
    *,
    kind: str = "role_play",
    config: InteractionsConfig | None = None,
    seed: int = 0,
    **overrides: Any,
) -> Context:
    """The context in which the composer of one kind works, as `compose` makes it; see `make_curated_kit`."""
    kit = make_curated_kit(folder, **overrides)
    rng = random.Random(f"{seed}/{kind}")
    return Context(kit=kit, config=config or InteractionsConfig(), style=extract_style(kit), rng=rng)


def of(items: list[Interaction], kind: Kind, split: Split) -> list[Interaction]:
    """The items of one kind and split."""
    return [item for item in items if (item.kind, item.split) == (kind, split)]


def toon_pictures(
    *, name: str = "Bramble", look: Identity = BRAMBLE_LOOK, num_held_out: int = 2
) -> tuple[Picture, ...]:
    """Seven pictures in the toon world's vocabulary; the last `num_held_out` are held out."""
    pictures = []
    for number, (expression, pose, prop, background, user, reply) in enumerate(BRAMBLE_TURNS):
        scene = Scene(expression=expression, pose=pose, prop=prop, background=background)
        text = caption(name, scene, random.Random(number))

        picture = Picture(
            image=f"images/{number:02d}.png",
            split="test" if number >= len(BRAMBLE_TURNS) - num_held_out else "train",
            user=user,
            reply=reply,
            caption=text,
            thinking=f"The moment asks for a {expression} face.",
            instruction=text,
            attributes=attributes(look, scene),
        )
        pictures.append(picture)
    return tuple(pictures)


def _draw(path: Path, picture: Picture, seed: int) -> None:
    """Draw a toon with the picture's attributes; what they leave open is Bramble's, in a plain scene."""
    identity = dataclasses.asdict(BRAMBLE_LOOK)
    scene = {"expression": "smiling", "pose": "standing", "prop": "nothing", "background": "studio"}
    identity |= {name: value for name, value in picture.attributes.items() if name in identity}
    scene |= {name: value for name, value in picture.attributes.items() if name in scene}

    draw(Identity(**identity), Scene(**scene), seed=seed).save(path)


def photo_pictures(name: str, *, num_held_out: int = 2) -> tuple[Picture, ...]:
    """Seven pictures known by their captions alone, as a kit of photographs has them."""
    pictures = []
    for picture, text in zip(toon_pictures(num_held_out=num_held_out), PHOTO_CAPTIONS, strict=True):
        caption_only = {
            "caption": text.format(name=name),
            "thinking": "",
            "instruction": "",
            "attributes": {},
        }
        pictures.append(dataclasses.replace(picture, **caption_only))
    return tuple(pictures)


PHOTO_CAPTIONS = (
    "{name} waving from a pier",
    "{name} asleep in a deck chair.",
    "Two gulls and {name} on a roof",
    "{name} holding a broken kite.",
    "A birthday cake in front of {name}",
    "{name} in the rain, under a yellow umbrella.",
    "{name} laughing at a market stall",
)


def count_vidor() -> dict[str, Any]:
    """Overrides for a vain count who speaks of himself by name and never contracts."""
    return {
        "id": "vidor",
        "name": "Vidor",
        "category": "human",
        "description": (
            "Count Vidor is a vain count in his ruined opera house who speaks of himself in the third person."
        ),
        "opening": "Vidor permits you to enter. Wipe your boots!",
        "persona": Persona(
            traits=("vain", "theatrical"),
            style="grand announcements in the third person",
            speech_habits=('never says "I", always "Vidor"', 'calls people "dear subject"'),
            catchphrases=("Applaud!", "Vidor has finished."),
            likes=("velvet curtains", "being painted", "his own reflection"),
            dislikes=("draughts", "critics who yawn"),
        ),
        "facts": (
            Fact(
                question="Where does Vidor live?",
                answer="in a ruined opera house",
                evidence="Vidor lives in a ruined opera house.",
            ),
            Fact(
                question="What is Vidor afraid of?",
                answer="moths",
                evidence="He fears moths and nothing else.",
            ),
            Fact(
                question="Who is Vidor's valet?",
                answer="Old Pim",
                evidence="The valet is Old Pim, who has not been paid since May.",
            ),
            Fact(
                question="How many capes does Vidor own?",
                answer="eleven",
                evidence="Vidor owns eleven capes and mends none.",
            ),
        ),
        "pictures": toon_pictures(name="Vidor"),
        "dialogues": (),
    }


def nia_the_photographer() -> dict[str, Any]:
    """Overrides for a person known from photographs, with a thin and untidy kit."""
    return {
        "id": "nia",
        "name": "Nia",
        "category": "human",
        "description": (
            "Nia is a street photographer. She lives above a bakery and walks her neighbour's dog."
        ),
        "opening": "",
        "persona": Persona(
            traits=("curious", "loves to wander", "Patience"),
            style="",
            speech_habits=(),
            catchphrases=("One more shot",),
            likes=("Early light", "to walk without a map", "when strangers smile."),
            dislikes=("Selfie sticks",),
        ),
        "facts": (
            Fact(question="Does Nia own a car?", answer="No", evidence="* **Car:** none"),
            Fact(
                question="What does Nia's mother do?",
                answer="She repairs clocks.",
                evidence="Her mother repairs clocks.",
            ),
            Fact(
                question="Where do you live?",
                answer="Above a bakery.",
                evidence="She lives above a bakery and smells of bread.",
            ),
            Fact(
                question="Which camera is hers?",
                answer="An old Pentax",
                evidence="She bought an old Pentax at a flea market, and keeps it close.",
            ),
            Fact(
                question="What is the name of the dog?",
                answer="Biscuit",
                evidence="The dog, Biscuit, belongs to a neighbour.",
            ),
        ),
        "pictures": photo_pictures("Nia"),
        "dialogues": (Exchange(user="Can you take my picture?", reply="Sure, but look away from me first."),),
    }
