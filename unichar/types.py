"""Records that packages exchange: frozen dataclasses, written as JSON and read back. No torch.

The data flow: a kit folder is checked by `validate` and becomes a `CuratedKit` (`curate`), from which come
`Interaction`s (`synthesize`). `sft` and `grpo` train on those of the training split, `evaluate` tests with
the others.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from unichar.errors import UserError

# Values that stand in files: kit.json, train.jsonl and test.jsonl.
Split = Literal["train", "test"]
Role = Literal["system", "user", "assistant"]

# How frozen weights are stored; empty: as the base is loaded.
Quantization = Literal["", "nf4", "nf4-double"]

# "thinking": reasoning before a picture. "portrait": a text-to-image sample.
Kind = Literal["role_play", "thinking", "portrait", "visual_qa", "knowledge_qa"]


@dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """How a base model is loaded; the same for every stage that loads it."""

    quantize: Quantization = ""
    """BAGEL only: `nf4` stores the frozen layers of both experts in 4 bits, and `nf4-double` their scales in
    8."""
    image_size: int = 0
    """BAGEL only: side of the pictures it is trained on and draws, in pixels; 0 is what the base says."""

    def __post_init__(self) -> None:
        if self.quantize not in get_args(Quantization):
            raise UserError(
                f"LoadConfig.quantize is {self.quantize!r}; expected one of "
                f"{', '.join(map(repr, get_args(Quantization)))}"
            )
        if self.image_size < 0:
            raise UserError(f"LoadConfig.image_size is {self.image_size}; expected pixels, or 0")


@dataclass(frozen=True, kw_only=True)
class StageJob:
    """Everything a stage's `run(job)` gets: it reads `inputs`, writes into `out` and returns numbers."""

    # What to make.
    character: str
    """Id of the character, as `mochi`; under Dagster the partition key."""
    config: Any
    """The stage's own settings, resolved."""
    seed: int
    """Of everything random in the stage."""

    # What to read.
    inputs: dict[str, Path]
    """Noun of each upstream output -> its folder; `raw_kit` -> the user's kit folder."""
    base: Path
    """The base model: one safetensors file (nano) or a folder (BAGEL)."""
    load: LoadConfig = LoadConfig()
    """How it is loaded."""

    # Where to write. Neither folder is visible to readers while the stage runs.
    scratch: Path
    """Folder that survives a kill, for what the stage resumes from."""
    out: Path
    """Empty temporary folder; it becomes visible under its final name only after `run` has returned."""
    preset: str = ""
    """Name of the preset that the settings come from, for display."""
    checksums: Path | None = None
    """File that remembers the checksums of large files; without it they are read each time."""


@dataclass(frozen=True, kw_only=True)
class Persona:
    """How a character thinks and talks."""

    traits: tuple[str, ...]
    style: str
    speech_habits: tuple[str, ...]
    catchphrases: tuple[str, ...]
    likes: tuple[str, ...]
    dislikes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that is true of a character."""

    question: str
    answer: str
    evidence: str
    """The sentence of the profile that says so."""
    paraphrase: str = ""
    """The question in other words, for the test split; may be empty."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One message to the character and its reply."""

    user: str
    reply: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One curated picture with the exchange that it illustrates.

    Example: `Picture(image="images/03.png", split="train", user="Fancy a swim?", reply="In this fur? Never.",
    caption="Mochi, looking sad, at the beach", thinking="…", instruction="…", attributes={"pose": "waving"})`
    """

    # The picture and the exchange that belongs to it.
    image: str
    """Path inside the curated kit's folder."""
    split: Split
    user: str
    reply: str

    # Texts about the picture. The last two are empty where nothing could be composed.
    caption: str
    """What is in the picture, naming the character; always present after curation."""
    thinking: str = ""
    instruction: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    """Toons only: attribute -> value in the vocabulary of `unichar.domains.toon.vocabulary`."""


@dataclass(frozen=True, kw_only=True)
class CuratedKit:
    """A validated kit with normalised pictures, split into training and test. Stored as `kit.json`."""

    id: str
    name: str
    category: Literal["human", "animal", "toon"]
    description: str
    opening: str
    persona: Persona

    # What interactions are composed from.
    facts: tuple[Fact, ...]
    pictures: tuple[Picture, ...]
    dialogues: tuple[Exchange, ...]
    """Further example exchanges without a picture."""
    domain: str = ""
    """Kind of pictures, a name in `unichar.domains.lookup`; empty in a `kit.json` of earlier versions."""

    def split(self, split: Split) -> tuple[Picture, ...]:
        """The pictures of one split."""
        return tuple(picture for picture in self.pictures if picture.split == split)

    @classmethod
    def read(cls, folder: Path) -> "CuratedKit":
        """Read `folder/kit.json`."""
        raw: dict[str, Any] = json.loads((folder / "kit.json").read_text(encoding="utf-8"))

        # JSON has no tuples: a persona's lists are converted back.
        persona: dict[str, Any] = {}
        for name, value in raw["persona"].items():
            persona[name] = tuple(value) if isinstance(value, list) else value

        # The rest are records whose fields are plain texts.
        raw["persona"] = Persona(**persona)
        raw["facts"] = tuple(Fact(**fact) for fact in raw["facts"])
        raw["pictures"] = tuple(Picture(**picture) for picture in raw["pictures"])
        raw["dialogues"] = tuple(Exchange(**exchange) for exchange in raw["dialogues"])
        return cls(**raw)

    def to_json(self) -> str:
        """The text of `kit.json`."""
        # Fields in their order, so that equal kits give equal bytes.
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One piece of an interaction: a text or a picture."""

    type: Literal["text", "image"]
    value: str
    """The text, or the picture's path inside the curated kit's folder."""
    role: Role
    loss: bool = False
    """Whether the model is trained to produce it: texts by cross-entropy, pictures by flow matching."""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """One training or test item: a conversation of text and pictures.

    Example (a text-to-image sample): `Interaction(id="portrait-0004", kind="portrait", form="plain",
    split="train", group="image-03", segments=(Segment(type="text", value="Mochi, smiling, at the beach.",
    role="user"), Segment(type="image", value="images/03.png", role="assistant", loss=True)))`
    """

    # `group` keeps questions about one topic out of the other split.
    id: str
    kind: Kind
    form: str
    """Wording within the kind: `plain`, `scene` or `scene_thinking` for text-to-image samples."""
    split: Split
    group: str
    """Topic; no group is in both splits."""
    segments: tuple[Segment, ...]

    # Only some kinds have these.
    options: tuple[str, ...] = ()
    """Multiple-choice tests: four options, the right one first (the caller shuffles them); else empty."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Text-to-image samples of toons: attribute -> value that the picture must show."""

    @property
    def prompt(self) -> str:
        """The text of the last user segment."""
        texts = [s.value for s in self.segments if s.type == "text" and s.role == "user"]
        return texts[-1]

    @property
    def target(self) -> Segment:
        """The last segment with a loss."""
        return [segment for segment in self.segments if segment.loss][-1]

    def to_json(self) -> str:
        """One line of `train.jsonl` or `test.jsonl`."""
        # One line: JSON escapes line breaks inside of texts.
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A text-to-image prompt with what its pictures are judged against.

    Example: `Prompt(text="Mochi, sad, at the beach", attributes={"expression": "sad", "background": "beach"},
    is_open=True)`
    """

    text: str

    # Judges use what is there: attributes, else the reference, else a text.
    attributes: dict[str, str] = field(default_factory=dict)
    """What the picture must show, where the domain reads attributes."""
    reference: str = ""
    """The picture of the same scene, as a path inside the curated kit's folder; empty where there is none."""
    reply: str = ""
    """Multimodal turns: the character's reply and the drawing instruction that goes with it."""
    is_open: bool = False
    """Whether part of the scene is left to the model, so that pictures of the prompt should differ."""


def read_interactions(path: Path) -> list[Interaction]:
    """The interactions of a `train.jsonl` or `test.jsonl`, in order."""
    interactions = []
    # Not splitlines(): it also splits at U+2028 and the like, which stand raw inside a JSON string.
    for line in filter(None, path.read_text(encoding="utf-8").split("\n")):
        raw = json.loads(line)

        # JSON has no tuples, and frozen records hold no lists.
        raw["segments"] = tuple(Segment(**segment) for segment in raw["segments"])
        raw["options"] = tuple(raw["options"])
        interactions.append(Interaction(**raw))
    return interactions
