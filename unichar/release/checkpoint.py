"""Which trained character is meant: the promoted one, or the newest.

`talk` and `merge` ask here. No torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unichar.store.store import MissingOutput, Output, Store
from unichar.types import LoadConfig

Which = Literal["promoted", "current"]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Adapters of a character with the base model they belong to.

    Example: `find_checkpoint(store, "mochi").adapters`
    """

    output: Output
    which: Which
    family: str
    """`nano` or `bagel`."""
    base: Path
    """The base model: a file (nano) or a folder (BAGEL)."""

    @property
    def adapters(self) -> Path:
        """The folder that `unichar.model.load.load_model` takes."""
        return self.output.folder / "adapters"

    @property
    def load(self) -> LoadConfig:
        """How the base was loaded when the adapters were trained."""
        return LoadConfig(**self.output.manifest["recipe"].get("load", {}))

    def kit(self, store: Store) -> Output:
        """The curated kit that it was trained on; the current one when that is gone.

        Raises:
            MissingOutput: There is no curated kit at all.
        """
        # The kit may have changed since; the name and the card of the old one are what it was trained with.
        trained_on = self.output.manifest["inputs"].get("curated_kit")

        found = store.find(self.output.character, "curated_kit", trained_on) if trained_on else None
        return found or store.current(self.output.character, "curated_kit")

    def __str__(self) -> str:
        return f"{self.which} {self.output.noun} {self.output.fingerprint}"


def find_checkpoint(store: Store, character: str, which: Which = "promoted") -> Checkpoint:
    """The promoted GRPO checkpoint, or the current one: that of GRPO, else of SFT where GRPO has not run.

    Raises:
        MissingOutput: The character was never trained or never promoted, or the promoted checkpoint is gone;
            the message says what to run.
    """
    # A promoted model is never replaced silently by a newer one that has not passed the gate.
    output = _promoted(store, character) if which == "promoted" else _current(store, character)

    # Checkpoints made before the manifest named the family have only the preset to tell it by.
    family = output.manifest.get("model") or ("bagel" if output.manifest["preset"] == "bagel" else "nano")
    return Checkpoint(output=output, which=which, family=family, base=store.base(family))


def _promoted(store: Store, character: str) -> Output:
    # Without one the message names the newest checkpoint, which the user may want instead.
    pointer = store.promoted(character)
    if pointer is None:
        newest = _current(store, character)
        raise MissingOutput(
            f"no release of {character} was promoted: its gate has not passed, or `release` never ran. "
            f"Say `--checkpoint current` to take the newest {newest.noun} ({newest.fingerprint}), "
            f"or run `python -m unichar customize --character {character}`"
        )

    # The pointer outlives the output when somebody deletes the folder.
    output = store.find(character, "grpo_checkpoint", pointer["grpo_checkpoint"])
    if output is None:
        raise MissingOutput(
            f"the promoted checkpoint {pointer['grpo_checkpoint']} of {character} is gone from {store.runs}: "
            f"restore it, run `python -m unichar customize --character {character}`, "
            "or say `--checkpoint current`"
        )
    return output


def _current(store: Store, character: str) -> Output:
    # GRPO starts from the SFT checkpoint, so it is the later of the two.
    for noun in ("grpo_checkpoint", "sft_checkpoint"):
        try:
            return store.current(character, noun)
        except MissingOutput:
            continue

    raise MissingOutput(
        f"{character} was never trained: run `python -m unichar customize --character {character}` first"
    )
