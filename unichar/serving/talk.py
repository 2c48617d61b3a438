"""Talk to a trained character: `unichar talk --character mochi "Fancy a swim?" --draw`.

Takes the promoted checkpoint; `--checkpoint current` takes the newest. With `--image` the text is a question
about that picture; with `--draw` the character also draws a picture of the exchange into the current folder.

Replies end at a sentence. Reports do not go through this module: they show replies as the model wrote them.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from unichar.errors import MissingFile
from unichar.kit.images import MAX_PIXELS, UnusablePicture, check_size, opened
from unichar.model.character import Character, GenerationConfig
from unichar.model.load import load_model
from unichar.model.protocol import Turn, UnifiedModel
from unichar.presets import PRESETS, get_preset
from unichar.release.checkpoint import Checkpoint, Which, find_checkpoint
from unichar.serving.sentences import ends_at_a_sentence, up_to_the_last_sentence
from unichar.store.store import Store
from unichar.types import CuratedKit

_LEAST_REPLY_TOKENS = 160
"""Reports compare short replies (48 tokens for nano), which cuts most in the middle of a sentence."""


class Talker(Character):
    """A character whose replies end at a sentence.

    A reply that stops in the middle of a sentence because the token limit was reached loses that sentence.
    """

    def __init__(self, model: UnifiedModel, kit: CuratedKit, config: GenerationConfig) -> None:
        # The same model with a limit of one token more, to find out whether a reply was cut.
        super().__init__(model, kit, config)
        one_more = dataclasses.replace(config, max_reply_tokens=config.max_reply_tokens + 1)
        self._longer = Character(model, kit, one_more)

    def replies(self, histories: Sequence[Sequence[Turn]], *, seed: int = 0) -> list[str]:
        """The character's next message in several conversations; each ends at a sentence or where the model
        ended it.
        """
        # All conversations in one batch; only those that may have been cut are asked again.
        texts = super().replies(histories, seed=seed)
        for index, history in enumerate(histories):
            if ends_at_a_sentence(texts[index]):
                continue

            # With one more token allowed, a reply that ended by itself stays the same; one that was cut goes
            # on.
            is_cut = self._longer.replies([history], seed=seed) != [texts[index]]
            if is_cut:
                texts[index] = up_to_the_last_sentence(texts[index])
        return texts


def talk(
    character: str,
    text: str,
    *,
    draw: bool = False,
    image: Path | None = None,
    seed: int = 0,
    which: Which = "promoted",
) -> None:
    """Print which checkpoint speaks and its reply; with `draw` also write `<character>-<seed>.png`.

    If there is such a picture, the new one gets a number.

    Args:
        character: Id of a trained character.
        text: What the user says, or asks about `image`.
        draw: Plan and draw a picture of the exchange.
        image: A picture to ask about.
        seed: Of the sampled words and of the picture's noise.
        which: The promoted checkpoint or the newest.

    Raises:
        MissingOutput: The character was never trained, or never promoted.
        MissingFile: `image` does not exist.
        UnusablePicture: `image` cannot be read, or is too small or too large.
    """
    # A wrong picture is reported before the model is loaded, which takes seconds to minutes.
    picture = read_picture(image) if image is not None else None

    # The kit that the checkpoint was trained on, since its prompts hold the description.
    store = Store.from_env()
    checkpoint = find_checkpoint(store, character, which)
    kit = CuratedKit.read(checkpoint.kit(store).folder)

    # Before the model is loaded, so that a wrong checkpoint can be stopped.
    print(f"({checkpoint})", flush=True)
    model = load_model(
        checkpoint.base, checkpoint.adapters, merge=True, load=checkpoint.load, hashes=store.hashes
    )
    talker = Talker(model, kit, generation_config(checkpoint))

    # One of three ways to answer; the seed decides sampled words and noise.
    if picture is not None:
        print(talker.answer(picture, text))
    elif draw:
        exchange = talker.role_play(text, seed=seed)
        target = _free_name(f"{character}-{seed}")
        exchange.picture.save(target)
        print(f"{kit.name}: {exchange.reply}\n({exchange.instruction or 'no plan'})\n{target}")
    else:
        print(f"{kit.name}: {talker.reply([Turn(role='user', text=text)], seed=seed)}")


def _free_name(stem: str) -> Path:
    """`<stem>.png`, or `<stem>-2.png` and so on: an earlier picture with the same seed is not overwritten."""
    target, number = Path(f"{stem}.png"), 1
    while target.exists():
        number += 1
        target = Path(f"{stem}-{number}.png")
    return target


def generation_config(checkpoint: Checkpoint) -> GenerationConfig:
    """How the checkpoint's model samples: as in the report of its preset, except that replies may be longer.

    A preset that no longer exists stands for the default one of the model family.
    """
    name = checkpoint.output.manifest["preset"]

    if name not in PRESETS:
        name = "bagel" if checkpoint.family == "bagel" else "cpu"
    config = get_preset(name).evaluation

    # Sampling as in the report, so that its numbers hold for what the user sees.
    return GenerationConfig(
        steps=config.sample_steps,
        guidance=config.guidance,
        shift=config.shift,
        temperature=config.temperature,
        max_reply_tokens=max(config.max_reply_tokens, _LEAST_REPLY_TOKENS),
        max_reasoning_tokens=config.max_reasoning_tokens,
    )


def read_picture(path: Path) -> Image.Image:
    """A picture to show, upright.

    Raises:
        MissingFile: It does not exist.
        UnusablePicture: It cannot be read, or is too small or too large; the message names the file.
    """
    if not path.is_file():
        raise MissingFile(f"there is no picture {path}")

    try:
        with opened(path, max_pixels=MAX_PIXELS) as image:
            # Before it is unpacked; phones also store how the picture must be turned.
            check_size(image)
            return ImageOps.exif_transpose(image)
    except UnusablePicture as error:
        raise UnusablePicture(f"{path} {error}") from error
