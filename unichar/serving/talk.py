"""Talk to a trained character: `python -m unichar talk --character mochi "Fancy a swim?" --draw`.

Takes the promoted checkpoint; `--checkpoint current` takes the newest. With `--image` the text is a question about
that picture; with `--draw` the character also plans and draws the moment into the current folder.
"""

from pathlib import Path

from PIL import Image, ImageOps

from unichar.kit.images import MAX_PIXELS, UnusablePicture, check_size, opened
from unichar.model.character import Character, GenerationConfig
from unichar.model.load import load_model
from unichar.model.protocol import Turn
from unichar.release.checkpoint import Which, find_checkpoint
from unichar.store.store import Store
from unichar.types import CuratedKit


def main(
    character: str,
    text: str,
    *,
    draw: bool = False,
    image: Path | None = None,
    seed: int = 0,
    which: Which = "promoted",
) -> None:
    """Print the reply; with `draw` also write `<character>-<seed>.png`.

    Raises:
        MissingOutput: The character was never trained.
        FileNotFoundError: `image` does not exist.
        UnusablePicture: `image` can not be read, or is too small or too large.
    """
    store = Store.from_env()
    kit = CuratedKit.read(store.current(character, "curated_kit").folder)
    checkpoint = find_checkpoint(store, character, which)
    print(f"({checkpoint})", flush=True)
    model = load_model(checkpoint.base, checkpoint.adapters)
    actor = Character(model, kit, GenerationConfig(temperature=0.7))
    if image is not None:
        print(actor.answer(read_picture(image), text))
    elif draw:
        moment = actor.role_play(text, seed=seed)
        target = Path(f"{character}-{seed}.png")
        moment.picture.save(target)
        print(f"{kit.name}: {moment.reply}\n({moment.instruction or 'no plan'})\n{target}")
    else:
        print(f"{kit.name}: {actor.reply([Turn(role='user', text=text)], seed=seed)}")


def read_picture(path: Path) -> Image.Image:
    """A picture to show, upright.

    Raises:
        FileNotFoundError: It is not there.
        UnusablePicture: It can not be read, or is too small or too large; the message names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no picture {path}")
    try:
        with opened(path, max_pixels=MAX_PIXELS) as image:
            check_size(image)
            return ImageOps.exif_transpose(image)
    except UnusablePicture as error:
        raise UnusablePicture(f"{path} {error}") from error
