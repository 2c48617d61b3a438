"""The files between the command and the model's forward pass, seen in the stack of a real training.

    python tools/hops.py --data data        # the preset `smoke`, in a store that is thrown away

Prints each file of this project that stands on the stack when SFT first asks the model for velocities.
"""

import argparse
import contextlib
import inspect
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


class _Arrived(BaseException):
    """Ends the training at the first forward pass."""


def main() -> int:
    """Prepare a character, train until the first forward pass, print the files on the way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("--character", default="mochi")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"UNICHAR_HOME": home, "UNICHAR_DATA": str(options.data.resolve())}
        files = trace(options.character)
    print("\n".join(files))
    print(f"{len(files)} files from the command to the model's forward pass")
    return 0


def trace(character: str) -> list[str]:
    """Files of this project on the stack of the first `velocity` of SFT, from the command down, each once."""
    from unichar.cli import main as command
    from unichar.model.nano.model import NanoModel

    seen: list[str] = []

    def velocity(self: NanoModel, *arguments: object) -> None:
        frames = [Path(frame.filename) for frame in reversed(inspect.stack()[1:])]
        own = [path.relative_to(ROOT).as_posix() for path in frames if path.is_relative_to(ROOT / "unichar")]
        seen.extend([*dict.fromkeys(own), "unichar/model/nano/model.py"])
        raise _Arrived

    arguments = ["--character", character, "--preset", "smoke"]
    for verb in ("validate", "curate", "synthesize"):
        command([verb, *arguments])

    NanoModel.velocity = velocity  # type: ignore[assignment,method-assign]
    with contextlib.suppress(_Arrived):
        command(["sft", *arguments])
    return list(dict.fromkeys(seen))


if __name__ == "__main__":
    sys.exit(main())
