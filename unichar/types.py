"""What passes between rooms. Frozen, plain, JSON in and out, no torch.

The way of data: a `Kit` folder is checked by `validate`, becomes a `CuratedKit` (`curate`), then `Interaction`s
(`synthesize`), which `sft` and `grpo` learn from and `evaluate` asks for.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "test"]
Role = Literal["system", "user", "assistant"]
Kind = Literal["role_play", "thinking", "portrait", "visual_qa", "knowledge_qa"]


@dataclass(frozen=True, kw_only=True)
class StageJob:
    """Everything a stage's `run(job) -> summary` gets. It reads `inputs`, writes its product into `out`, returns numbers.

    `out` is an empty temporary folder that becomes visible only when `run` returns; `scratch` survives a kill and is where a
    stage keeps what it resumes from.
    """

    character: str
    """Partition key, as `mochi`."""
    config: Any
    """The stage's own config record, resolved."""
    seed: int
    inputs: dict[str, Path]
    """Noun of each upstream output -> its folder; `raw_kit` -> the user's kit folder."""
    base: Path
    """The base model: one safetensors file (nano) or a folder (BAGEL)."""
    scratch: Path
    out: Path
    preset: str = ""
    """Name of the preset the settings come from, for what is shown to people."""


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
    """One thing that is true of a character. `paraphrase` asks the same in other words and is kept for testing."""

    question: str
    answer: str
    evidence: str
    paraphrase: str = ""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One thing said to the character and what it answers."""

    user: str
    reply: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One curated picture with the moment it shows.

    Example: `Picture(image="images/03.png", split="train", user="Fancy a swim?", reply="In this fur? Never.",
    caption="Mochi, looking sad, at the beach", thinking="…", instruction="…", attributes={"pose": "waving"})`
    """

    image: str
    """Path inside the curated kit's folder."""
    split: Split
    user: str
    reply: str
    caption: str
    """What is in the picture, naming the character; always present after curation."""
    thinking: str = ""
    instruction: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    """Toons only: attribute -> value in the vocabulary of `unichar.domains.toon.vocabulary`."""


@dataclass(frozen=True, kw_only=True)
class CuratedKit:
    """A kit that passed validation: normalised pictures, split into train and held out. Stored as `kit.json`."""

    id: str
    name: str
    category: Literal["human", "animal", "toon"]
    description: str
    opening: str
    persona: Persona
    facts: tuple[Fact, ...]
    pictures: tuple[Picture, ...]
    dialogues: tuple[Exchange, ...]
    """Further example exchanges without a picture."""
    domain: str = ""
    """Kind of pictures, a name in `unichar.domains.lookup`; empty in a `kit.json` written before the field existed."""

    def split(self, split: Split) -> tuple[Picture, ...]:
        """The pictures of one split."""
        return tuple(picture for picture in self.pictures if picture.split == split)

    @classmethod
    def read(cls, folder: Path) -> "CuratedKit":
        """Read `folder/kit.json`."""
        raw: dict[str, Any] = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
        persona: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in raw["persona"].items()
        }
        raw["persona"] = Persona(**persona)
        raw["facts"] = tuple(Fact(**fact) for fact in raw["facts"])
        raw["pictures"] = tuple(Picture(**picture) for picture in raw["pictures"])
        raw["dialogues"] = tuple(Exchange(**exchange) for exchange in raw["dialogues"])
        return cls(**raw)

    def to_json(self) -> str:
        """The text of `kit.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One piece of an interaction: a text, or a picture by its path inside the curated kit's folder.

    `loss` marks what the model must produce: cross-entropy on a text, flow matching on a picture.
    """

    type: Literal["text", "image"]
    value: str
    role: Role
    loss: bool = False


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """One training or test item: a conversation of text and pictures.

    Example (a portrait): `Interaction(id="portrait-0004", kind="portrait", form="plain", split="train", group="image-03",
    segments=(Segment(type="text", value="Mochi, smiling, at the beach.", role="user"),
    Segment(type="image", value="images/03.png", role="assistant", loss=True)))`
    """

    id: str
    kind: Kind
    form: str
    """Wording family inside the kind: `plain`, `scene` or `scene_thinking` for portraits; free for the others."""
    split: Split
    group: str
    """Topic. No group is in both splits."""
    segments: tuple[Segment, ...]
    options: tuple[str, ...] = ()
    """Four-option tests: the right answer first (whoever asks shuffles them); empty otherwise."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Portraits of toons: what the picture must show."""

    @property
    def prompt(self) -> str:
        """The text of the last user segment."""
        return [s.value for s in self.segments if s.type == "text" and s.role == "user"][-1]

    @property
    def target(self) -> Segment:
        """The last segment with a loss."""
        return [s for s in self.segments if s.loss][-1]

    def to_json(self) -> str:
        """One line of `train.jsonl` or `test.jsonl`."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A text-to-image prompt with what its pictures are judged against.

    Example: `Prompt(text="Mochi, sad, at the beach", attributes={"expression": "sad", "background": "beach"}, is_open=True)`
    """

    text: str
    attributes: dict[str, str] = field(default_factory=dict)
    """What the picture must show, where the domain reads attributes."""
    reference: str = ""
    """The picture of the same scene, as a path inside the curated kit's folder; empty where there is none."""
    reply: str = ""
    """Multimodal turns: the character's reply and the drawing instruction that goes with it."""
    is_open: bool = False
    """Whether part of the scene is left to the model, so that pictures of the prompt should differ."""


def read_interactions(path: Path) -> list[Interaction]:
    """The interactions of a JSONL file."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)
        raw["segments"] = tuple(Segment(**segment) for segment in raw["segments"])
        raw["options"] = tuple(raw["options"])
        rows.append(Interaction(**raw))
    return rows
