"""Write a character as one model without adapters, for programs that do not use peft.

    unichar merge --character mochi --out mochi-merged

Takes the promoted checkpoint, as `talk` does; `--checkpoint current` takes the newest. The folder's README
says what is in it. Not in the paper, which tunes all weights and has nothing to merge.
"""

import logging
import shutil
import tempfile
from pathlib import Path

from unichar.errors import UserError
from unichar.model.merging import save_merged
from unichar.release.checkpoint import Which, find_checkpoint
from unichar.store.files import sync_tree, write_atomic
from unichar.store.store import Store

_LOG = logging.getLogger(__name__)
_README = """# {character}, merged

A character's adapters added to the weights of their base model (`{model}`): nothing else has to be loaded.
Made from the {noun} `{fingerprint}`. The whole model is read by `unichar.model.load.load_model(folder)`.

{parts}
Licences and the rights of the character are those of the release this comes from.
"""
_PARTS = {
    "nano": """| file | what |
|---|---|
| `base.safetensors` | the nano base with the merged generation expert; draws the character |
| `backbone/` | the text backbone with the character's adapters, for `AutoModelForCausalLM.from_pretrained` |

Prompts for pictures are read by SmolLM2-135M-Instruct without these adapters, so drawing needs that model as
well; talking does not.
""",
    "bagel": "The files have the names and the form of BAGEL-7B-MoT's own.\n",
}


def merge(character: str, out: Path, *, which: Which = "promoted") -> Path:
    """Merge a checkpoint of the character into the new folder `out` and return it; after an error nothing is
    left.

    Raises:
        MissingOutput: The character was never trained, or never promoted.
        UserError: `out` exists already.
    """
    # Refused before the base is read, which takes longer.
    if out.exists():
        raise UserError(f"{out} is there already: name a folder that is not, or remove it first")

    store = Store.from_env()
    checkpoint = find_checkpoint(store, character, which)
    _LOG.info("merging the %s", checkpoint)

    # Written beside its final place and renamed, so that no half-written model is ever loaded.
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".tmp-{out.name}-"))
    try:
        # The model family decides the files; the README says which.
        base, adapters = checkpoint.base, checkpoint.adapters
        save_merged(base, adapters, part, load=checkpoint.load, hashes=store.hashes)

        # The folder travels alone, so it says what it is and what it was made from.
        readme = _README.format(
            character=character,
            model=checkpoint.family,
            noun=checkpoint.output.noun,
            fingerprint=checkpoint.output.fingerprint,
            parts=_PARTS[checkpoint.family],
        )
        write_atomic(part / "README.md", readme.encode())

        # On disk before it gets its name: a power cut must not leave a named, half-written model.
        sync_tree(part)

        # mkdtemp creates with mode 0700, but the model is for others, too.
        part.chmod(0o755)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return out
