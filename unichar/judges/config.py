"""Which published networks judge pictures and replies besides those that every base brings, and whether they
can be found.

No torch: a run checks for all of its judges before anything is trained. The reward and the report have one
`JudgesConfig` each, and `Preset` refuses a network that is in both (see `docs/judges.md`).
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from unichar.errors import MissingFile, UserError


class MissingJudge(UserError):
    """A configured judge cannot be loaded."""

    # Not an error of the command line: the machine lacks something.
    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class JudgesConfig:
    """Judges of pictures without attributes, and of replies; an empty string is off.

    A name stands for the weights under it: put other weights into another folder, or what they judged counts
    as up to date.
    """

    clip: str = ""
    """Alignment by text and picture features: folder or hub name of a CLIP, as
    `openai/clip-vit-large-patch14`."""
    dino: str = ""
    """Identity, copying and diversity: folder or hub name of a DINOv2, as `facebook/dinov2-base`."""
    endpoint: str = ""
    """Alignment by questions about pictures, and scores of replies: an OpenAI-compatible address, as
    `http://127.0.0.1:8000/v1`. Its key, if it needs one, is read from UNICHAR_ENDPOINT_KEY and from nowhere
    else."""
    endpoint_model: str = ""
    """The model there that reads texts and sees pictures."""

    def __post_init__(self) -> None:
        # A server may have several models, and a model without a server cannot be asked.
        if bool(self.endpoint) != bool(self.endpoint_model):
            raise UserError(
                f"JudgesConfig.endpoint is {self.endpoint!r} and endpoint_model {self.endpoint_model!r}; "
                "expected both or neither"
            )

        # The address is saved with the settings, so it is checked before.
        if self.endpoint:
            _check_address(self.endpoint)

    def shared_with(self, other: "JudgesConfig") -> list[str]:
        """The networks that both use."""
        # The model counts, not its address: one model may be served at two. An empty name is no network.
        mine = {self.clip, self.dino, self.endpoint_model} - {""}
        theirs = {other.clip, other.dino, other.endpoint_model} - {""}
        return sorted(mine & theirs)

    def check_files(self) -> None:
        """Look for the published networks without loading them.

        Raises:
            MissingJudge: One is not there, or is a network of another kind.
        """
        # The endpoint is not asked here: it may be started later than the run.
        for name, model_type in ((self.clip, "clip"), (self.dino, "dinov2")):
            if name:
                check_published(name, model_type)


def reward_judges() -> JudgesConfig:
    """The judges that the environment offers to rewards: UNICHAR_CLIP."""
    # Rewards and reports read different variables; `Preset` refuses a network that both name.
    return JudgesConfig(clip=os.environ.get("UNICHAR_CLIP", ""))


def report_judges() -> JudgesConfig:
    """The judges that the environment offers to reports: UNICHAR_DINO, UNICHAR_ENDPOINT and
    UNICHAR_ENDPOINT_MODEL."""
    return JudgesConfig(
        dino=os.environ.get("UNICHAR_DINO", ""),
        endpoint=os.environ.get("UNICHAR_ENDPOINT", ""),
        endpoint_model=os.environ.get("UNICHAR_ENDPOINT_MODEL", ""),
    )


def judges_file(base: Path) -> Path:
    """The file that the packed encoders of a base are in.

    A nano base holds them itself. A folder (BAGEL) is judged by those of the nano base that `make data`
    fetches, or of the one that UNICHAR_JUDGES names.

    Raises:
        MissingFile: It does not exist.
    """
    # A nano base is one file, BAGEL a folder.
    if base.is_file():
        return base

    # The variable is for machines without a checkout's data folder.
    data = Path(os.environ.get("UNICHAR_DATA") or "data")
    found = Path(os.environ.get("UNICHAR_JUDGES") or data / "models" / "nano" / "base.safetensors")
    if not found.is_file():
        raise MissingFile(
            f"reports on {base} are judged by networks of the nano base, and {found} is missing: "
            "run `make data`, or set UNICHAR_JUDGES to a base.safetensors"
        )
    return found


def check_published(name: str, model_type: str) -> None:
    """Look for a published network: a local folder, or a name in the local Hugging Face cache. Nothing is
    downloaded.

    Raises:
        MissingJudge: A file of it is not there, or its `config.json` says that it is another network than
            `model_type`.
    """
    try:
        # `config.json` first: other files matter only if it names the right network.
        about = json.loads(_published_file(name, "config.json").read_text(encoding="utf-8"))
        found = about.get("model_type", "")
        if found == model_type:
            _published_file(name, "preprocessor_config.json")

            # Large networks are split over several files, which the index names.
            _published_file(name, "model.safetensors", "model.safetensors.index.json")
    except (OSError, ValueError, AttributeError) as error:
        raise MissingJudge(missing_judge(name, error)) from error

    if found != model_type:
        raise MissingJudge(f"{name} is a {found!r} network; expected {model_type!r}")


def missing_judge(name: str, error: Exception) -> str:
    """The message of a judge that cannot be loaded because of `error`."""
    # transformers explains itself in many lines; the first says what is wrong.
    reason = str(error).partition("\n")[0]
    return (
        f"the judge {name} cannot be loaded ({reason}): expected a local folder with config.json, "
        "model.safetensors, preprocessor_config.json and, for CLIP, its tokenizer, or a name that is in the "
        "local Hugging Face cache"
    )


def _published_file(name: str, *files: str) -> Path:
    """The first of `files` that the published network has; from the cache if there is no folder `name`, as in
    transformers.

    Raises:
        OSError: There is none of them.
        ValueError: `name` is neither a folder nor the name of a model on the hub.
    """
    if Path(name).is_dir():
        paths = [Path(name) / file for file in files]
    else:
        # Imported here: it takes a fifth of a second, and only names need it.
        from huggingface_hub import try_to_load_from_cache

        cached = [try_to_load_from_cache(name, file) for file in files]
        paths = [Path(path) for path in cached if isinstance(path, str)]

    # A folder may lack the file, and a link of the cache may lead nowhere.
    for path in paths:
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no {files[0]}")


def _check_address(address: str) -> None:
    """Refuse an address with a secret in it, since settings are saved and shown.

    Raises:
        UserError: It is no plain http(s) address. The message does not repeat a secret.
    """
    # All four places may hold a key or a password.
    parts = urlsplit(address)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(
            "JudgesConfig.endpoint holds a user, a query or a fragment; expected http(s)://host:port/v1, "
            "with the key in UNICHAR_ENDPOINT_KEY"
        )

    # Only after no secret is left in it may the message show the address.
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"JudgesConfig.endpoint is {address!r}; expected http(s)://host:port/v1")
