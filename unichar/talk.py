"""Talk to a trained character: `python -m unichar talk --character mochi "Fancy a swim?" --draw`.

Takes the current GRPO checkpoint, or the SFT checkpoint where there is none. With `--image` the text is a question about
that picture; with `--draw` the character also plans and draws the moment into the current folder.
"""

from pathlib import Path

from unichar.kit.images import load_picture
from unichar.model.character import Character, Manner
from unichar.model.load import load_model
from unichar.model.protocol import Turn
from unichar.records import CuratedKit
from unichar.store import MissingOutput, Output, Store


def main(character: str, text: str, *, draw: bool = False, image: Path | None = None, seed: int = 0) -> None:
    """Print the reply; with `draw` also write `<character>-<seed>.png`.

    Raises:
        MissingOutput: The character was never trained.
        FileNotFoundError: `image` does not exist.
    """
    store = Store.from_env()
    kit = CuratedKit.read(store.current(character, "curated_kit").folder)
    model = load_model(store.data / "models" / "nano" / "base.safetensors", _checkpoint(store, character).folder / "adapters")
    actor = Character(model, kit, Manner(temperature=0.7))
    if image is not None:
        print(actor.answer(load_picture(image, model.image_size), text))
    elif draw:
        moment = actor.role_play(text, seed=seed)
        target = Path(f"{character}-{seed}.png")
        moment.picture.save(target)
        print(f"{kit.name}: {moment.reply}\n({moment.instruction or 'no plan'})\n{target}")
    else:
        print(f"{kit.name}: {actor.reply([Turn(role='user', text=text)], seed=seed)}")


def _checkpoint(store: Store, character: str) -> Output:
    try:
        return store.current(character, "grpo_checkpoint")
    except MissingOutput:
        return store.current(character, "sft_checkpoint")
