"""Write a character as one model without adapters, for whoever wants no peft.

    python -m unichar merge --character mochi --out mochi

Takes the promoted checkpoint, as `talk` does; `--checkpoint current` takes the newest. The folder says in its README what
is in it. Not in the paper, which tunes all weights and has nothing to merge.
"""

import shutil
import tempfile
from pathlib import Path

from unichar.model.load import load_model
from unichar.release.checkpoint import Which, find_checkpoint
from unichar.store.files import sync_tree, write_atomic
from unichar.store.store import Store

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


def main(character: str, out: Path, *, which: Which = "promoted") -> Path:
    """Merge a checkpoint of the character into `out`, which appears whole or not at all; returns it.

    Raises:
        MissingOutput: The character was never trained.
        ValueError: `out` is there already.
    """
    if out.exists():
        raise ValueError(f"{out} is there already: name a folder that is not, or remove it first")
    checkpoint = find_checkpoint(Store.from_env(), character, which)
    print(f"merging the {checkpoint}", flush=True)
    model = load_model(checkpoint.base, checkpoint.adapters)

    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".tmp-{out.name}-"))
    try:
        model.save_merged(part, base=checkpoint.base)
        readme = _README.format(
            character=character,
            model=checkpoint.family,
            noun=checkpoint.output.noun,
            fingerprint=checkpoint.output.fingerprint,
            parts=_PARTS[checkpoint.family],
        )
        write_atomic(part / "README.md", readme.encode())
        sync_tree(part)
        part.chmod(0o755)  # mkdtemp gives 0700
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out
