"""Write a character as one model without adapters, for whoever wants no peft.

    python -m unichar merge --character mochi --out mochi

Takes the current GRPO checkpoint, or the SFT checkpoint where there is none, as `talk` does. The folder says in its README what
is in it. Not in the paper, which tunes all weights and has nothing to merge.
"""

import shutil
import tempfile
from pathlib import Path

from unichar.files import sync_tree, write_atomic
from unichar.model.load import load_model
from unichar.presets import get_preset
from unichar.recipe import base_of
from unichar.store import MissingOutput, Output, Store

_README = """# {character}, merged

A character's adapters added to the weights of their base model (`{model}`), so that nothing else has to be loaded.
Made from the {noun} `{fingerprint}`. The whole model is read by `unichar.model.load.load_model(folder)`.

{parts}
Licences and the rights of the character are those of the release this comes from.
"""
_PARTS = {
    "nano": """| file | what |
|---|---|
| `base.safetensors` | the nano base with the merged generation expert; draws the character |
| `backbone/` | the text backbone with the character's voice; `transformers` reads it: `AutoModelForCausalLM.from_pretrained` |

Prompts for pictures are read by SmolLM2-135M-Instruct without the voice, so drawing needs that model as well; talking does not.
""",
    "bagel": "The files have the names and the form of BAGEL-7B-MoT's own.\n",
}


def main(character: str, out: Path) -> Path:
    """Merge the character's current checkpoint into `out`, which appears whole or not at all; returns it.

    Raises:
        MissingOutput: The character was never trained.
        ValueError: `out` is there already.
    """
    if out.exists():
        raise ValueError(f"{out} is there already: name a folder that is not, or remove it first")
    store = Store.from_env()
    checkpoint = _checkpoint(store, character)
    preset = get_preset(checkpoint.manifest["preset"])
    base = base_of(preset, store)
    model = load_model(base, checkpoint.folder / "adapters")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".tmp-{out.name}-"))
    try:
        model.save_merged(part, base=base)
        about = {"character": character, "model": preset.model, "noun": checkpoint.noun, "fingerprint": checkpoint.fingerprint}
        write_atomic(part / "README.md", _README.format(**about, parts=_PARTS[preset.model]).encode())
        sync_tree(part)
        part.chmod(0o755)  # mkdtemp gives 0700
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out


def _checkpoint(store: Store, character: str) -> Output:
    try:
        return store.current(character, "grpo_checkpoint")
    except MissingOutput:
        return store.current(character, "sft_checkpoint")
