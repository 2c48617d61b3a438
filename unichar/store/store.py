"""Where every output lies and how it is published. No other module builds a path under `runs/`.

    runs/<character>/<n>_<noun>/<fingerprint>/   config.json, summary.json, the product, manifest.json
    runs/<character>/<n>_<noun>/CURRENT.json     which of them is in use
    runs/<character>/CHAMPION.json               which release was promoted last

A folder without `manifest.json` does not exist for readers. An output is written to a temporary folder,
flushed and renamed, so that a kill at any time leaves the old output or the new one. With
`UNICHAR_STORE=s3://bucket/prefix` every output is also kept there (`unichar.store.remote`), and the pointers
there take precedence over the local ones. No torch.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unichar.errors import UserError
from unichar.stages import stage_of
from unichar.store.files import HashMemory, json_bytes, sha256_file, sync_folder, write_atomic
from unichar.store.fingerprint import fingerprint
from unichar.store.manifest import MANIFEST, BrokenOutput, read_json, write_manifest
from unichar.store.remote import Remote

_LOG = logging.getLogger(__name__)


class MissingOutput(UserError):
    """An output that a stage needs was never made."""

    exit_code = 1


class StoreError(UserError):
    """The disk refused: full, read-only, no permission."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Output:
    """One published output of a stage."""

    character: str
    noun: str
    folder: Path
    fingerprint: str
    summary: dict[str, Any]
    """The stage's numbers, and `seconds`."""
    manifest: dict[str, Any]
    fresh: bool = False
    """Whether the call that returned it has just made it."""

    @property
    def version(self) -> str:
        """What later stages depend on: the fingerprint of a trained product, else the content hash."""
        return self.manifest["version"]


class Store:
    """The outputs of all characters on this machine, and their copies on S3 when there is a `remote`.

    Example: `Store.from_env().current("mochi", "interactions").folder / "train.jsonl"`
    """

    def __init__(
        self, home: Path, data: Path, remote: Remote | None = None, *, kits: Path | None = None
    ) -> None:
        self.home = home
        self.data = data
        self.remote = remote
        self.kits = kits or home / "kits"

    @classmethod
    def from_env(cls) -> "Store":
        """The store that the environment describes.

        UNICHAR_HOME holds `runs/` and `kits/` (default: the current folder). UNICHAR_KITS is the folder of
        the users' kits (`<UNICHAR_HOME>/kits`), UNICHAR_DATA the folder of versioned inputs (`./data`),
        UNICHAR_STORE is `s3://bucket/prefix` or unset.

        Raises:
            UserError: UNICHAR_STORE is not an S3 address.
        """
        # An empty variable counts as unset, as in most shells' scripts.
        home = Path(os.environ.get("UNICHAR_HOME") or Path.cwd())
        data = Path(os.environ.get("UNICHAR_DATA") or Path.cwd() / "data")
        kits = Path(os.environ.get("UNICHAR_KITS") or home / "kits")
        address = os.environ.get("UNICHAR_STORE")
        remote = Remote(address) if address else None

        return cls(home.resolve(), data.resolve(), remote, kits=kits.resolve())

    @property
    def runs(self) -> Path:
        """`<home>/runs`."""
        return self.home / "runs"

    @cached_property
    def hashes(self) -> HashMemory:
        """Remembered checksums of large files."""
        return HashMemory(self.runs / ".sha256.json")

    @property
    def starters(self) -> Path:
        """`<data>/characters`: kits that are versioned with the repository."""
        return self.data / "characters"

    def kit(self, character: str) -> Path:
        """The folder of a character's kit, which may not exist.

        A user's kit comes first: `<kits>/<id>` if it has a kit.yaml, else `<data>/characters/<id>` if that is
        a folder, else `<kits>/<id>`.
        """
        # A folder without kit.yaml is no kit and hides no starter character.
        own, starter = self.kits / character, self.starters / character
        return starter if starter.is_dir() and not (own / "kit.yaml").is_file() else own

    def base(self, family: str) -> Path:
        """The base model of a family: one file for nano; for BAGEL a folder, UNICHAR_BAGEL or
        `data/models/bagel`.
        """
        # The user downloads BAGEL, and may keep it anywhere.
        if family == "nano":
            return self.data / "models" / "nano" / "base.safetensors"
        return Path(os.environ.get("UNICHAR_BAGEL") or self.data / "models" / "bagel")

    def stage_folder(self, character: str, noun: str) -> Path:
        """`runs/<character>/<n>_<noun>`."""
        return self.runs / character / stage_of(noun).folder

    def scratch_folder(self, character: str, noun: str, key: str) -> Path:
        """Where a stage keeps what it resumes from; it survives kills and is removed after publishing."""
        return self.stage_folder(character, noun) / f".scratch-{key}"

    def lock_file(self, character: str, noun: str, key: str) -> Path:
        """Locked by the process that makes this output."""
        return self.stage_folder(character, noun) / f".lock-{key}"

    def current(self, character: str, noun: str) -> Output:
        """The output in use: the one that S3 points to, if there is a remote, else the one that CURRENT.json
        points to.

        Raises:
            MissingOutput: It was never made; the message names the command that makes it.
            BrokenOutput: The manifest is not the published one.
        """
        stage = stage_of(noun)

        # A pointer to an output that exists nowhere counts as none.
        pointer = self._pointer(f"{character}/{stage.folder}/CURRENT.json")
        output = self.find(character, noun, pointer["fingerprint"]) if pointer else None
        if pointer is None or output is None:
            command = f"python -m unichar {stage.verb} --character {character}"
            raise MissingOutput(f"{character} has no {noun} yet: run `{command}` first")

        # The pointer names the manifest's checksum, so that one fingerprint cannot mean two outputs.
        if pointer["manifest_sha256"] == sha256_file(output.folder / MANIFEST):
            return output
        if not self.remote:
            raise BrokenOutput(
                f"{output.folder / MANIFEST} is not the one that was published; {_make_again(output)}"
            )

        # Another machine has replaced this output on S3 since it was fetched.
        return self._fetch(character, noun, output.fingerprint, replace=True)

    def find(self, character: str, noun: str, key: str) -> Output | None:
        """A published output by its fingerprint, fetched from S3 if it is only there; None if it exists
        nowhere.
        """
        # A folder without a manifest is what a kill left, and no output.
        if (self.stage_folder(character, noun) / key / MANIFEST).exists():
            return self._open(character, noun, key)
        if self.remote and self.remote.manifest(f"{character}/{stage_of(noun).folder}/{key}"):
            return self._fetch(character, noun, key)
        return None

    def verify(self, output: Output, *, again: bool = False) -> None:
        """Check every file of an output against its manifest.

        Args:
            output: A published output.
            again: Read every file, also those whose checksums are remembered.

        Raises:
            BrokenOutput: A file is missing, or is not the one that was published.
        """
        # Files that the manifest does not name are not read by anybody and not checked.
        for entry in output.manifest["files"]:
            path = output.folder / entry["path"]
            if not path.exists():
                raise BrokenOutput(f"{path} is missing; {_make_again(output)}")

            digest = sha256_file(path) if again else self.hashes.sha256(path)
            if digest != entry["sha256"]:
                raise BrokenOutput(
                    f"{path} was changed or damaged (its sha256 is not the published one); "
                    f"{_make_again(output)}"
                )

    @contextlib.contextmanager
    def staging(self, character: str, noun: str, key: str) -> Iterator[Path]:
        """An empty folder beside the outputs, on their file system; removed at the end unless it was
        published.

        Raises:
            StoreError: The disk refused.
        """
        # Beside its final place, because a rename is atomic only within one file system.
        parent = self.stage_folder(character, noun)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(dir=parent, prefix=f".tmp-{key}-"))

            # mkdtemp creates with mode 0700, but outputs are for the whole team.
            staged.chmod(0o755)
        except OSError as error:
            raise _refused(parent, error) from error

        try:
            # After `publish` the folder has another name, and there is nothing left to remove.
            yield staged
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def publish(self, staged: Path, manifest: dict[str, Any], *, force: bool = False) -> Output:
        """Make a staged folder (config.json, summary.json and the product) the current output of its stage.

        Args:
            staged: A folder from `staging`.
            manifest: At least `character`, `noun` and `recipe`, the JSON value that the fingerprint is made
                of; files, version and time are added.
            force: Replace an output with the same fingerprint. Otherwise the staged one is dropped.

        Raises:
            StoreError: The disk refused. Readers still see what they saw before.
            RemoteError: S3 refused. The output is published on this machine; the next run of the stage
                uploads it.
        """
        # The place follows from the recipe alone.
        character, noun, key = manifest["character"], manifest["noun"], fingerprint(manifest["recipe"])
        folder = self.stage_folder(character, noun) / key

        # A forced output has the old fingerprint but other weights. Its version is its content, so that later
        # stages run again.
        by_content = force or not stage_of(noun).own_process

        try:
            # In this order a kill leaves the old output, or the new one with the old pointer.
            made = write_manifest(staged, manifest | {"fingerprint": key}, by_content=by_content)
            _move(staged, folder, replace=force)
            output = self.use(self._open(character, noun, key), force=force)
            if output.version != made["version"]:
                _LOG.info(
                    "%s of %s: another run published %s first, with other files; those are used",
                    noun,
                    character,
                    key,
                )

            # Only now: until the output is published, a killed run resumes from its scratch folder.
            shutil.rmtree(self.scratch_folder(character, noun, key), ignore_errors=True)
        except OSError as error:
            raise _refused(folder, error) from error

        return dataclasses.replace(output, fresh=True)

    def use(self, output: Output, *, force: bool = False) -> Output:
        """Make a published output the current one of its stage, here and on S3, and return it.

        When another machine has published the same fingerprint first, S3 keeps that one and it replaces ours,
        so that a fingerprint means the same bytes everywhere. `force` replaces the one on S3 instead.
        """
        where = f"{output.character}/{stage_of(output.noun).folder}"

        # The files come before the pointer, so that no reader is sent to an output that is not there yet.
        if self.remote and not self.remote.upload(
            output.folder, f"{where}/{output.fingerprint}", force=force
        ):
            output = self._fetch(output.character, output.noun, output.fingerprint, replace=True)

        # The pointer moves last, here and on S3.
        digest = sha256_file(output.folder / MANIFEST)
        self._write_pointer(
            f"{where}/CURRENT.json", {"fingerprint": output.fingerprint, "manifest_sha256": digest}
        )
        return output

    def promoted(self, character: str) -> dict[str, Any] | None:
        """The release that was promoted last: `{"release": fingerprint, "grpo_checkpoint": fingerprint}`, or
        None.
        """
        return self._pointer(f"{character}/CHAMPION.json")

    def promote(self, release: Output) -> None:
        """Make a release that passed its gate the one that `talk` and `merge` use."""
        # Both fingerprints: the release says why it passed, the checkpoint is what programs load.
        pointer = {
            "release": release.fingerprint,
            "grpo_checkpoint": release.manifest["inputs"]["grpo_checkpoint"],
        }
        self._write_pointer(f"{release.character}/CHAMPION.json", pointer)

    def _pointer(self, where: str) -> dict[str, Any] | None:
        """A pointer's content; the one on S3 takes precedence, since other machines may have moved it
        meanwhile.
        """
        shared = self.remote.read_pointer(where) if self.remote else None
        path = self.runs / where
        return shared or (read_json(path) if path.exists() else None)

    def _write_pointer(self, where: str, pointer: dict[str, Any]) -> None:
        # The shared pointer first: if S3 refuses, this machine keeps seeing what the others see.
        if self.remote:
            self.remote.write_pointer(where, pointer)
        write_atomic(self.runs / where, json_bytes(pointer))

    def _open(self, character: str, noun: str, key: str) -> Output:
        folder = self.stage_folder(character, noun) / key
        manifest, summary = read_json(folder / MANIFEST), read_json(folder / "summary.json")
        return Output(
            character=character, noun=noun, folder=folder, fingerprint=key, summary=summary, manifest=manifest
        )

    def _fetch(self, character: str, noun: str, key: str, *, replace: bool = False) -> Output:
        assert self.remote is not None

        # Staged like an output of our own: an interrupted download is never seen.
        where = f"{character}/{stage_of(noun).folder}/{key}"
        with self.staging(character, noun, key) as staged:
            self.remote.download(where, staged)
            _move(staged, self.stage_folder(character, noun) / key, replace=replace)
        return self._open(character, noun, key)


def _move(staged: Path, folder: Path, *, replace: bool) -> None:
    """Rename a staged folder to `folder`. An output that is there is kept unless `replace`.

    To replace takes two renames. A kill between them leaves no output at `folder`; the old one is kept aside.
    """
    has_manifest = (folder / MANIFEST).exists()
    if folder.exists() and (replace or not has_manifest):
        # Moved, not deleted, for readers that have it open; `doctor` removes it after a day.
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".tmp-{folder.name}-replaced-"))
        folder.rename(aside / folder.name)

    # A rename on one file system is atomic: readers see no output or all of it.
    try:
        staged.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(staged)  # another process published it meanwhile
    sync_folder(folder.parent)


def _make_again(output: Output) -> str:
    command = f"python -m unichar {stage_of(output.noun).verb} --character {output.character} --force"
    return f"run `{command}` to make it again"


def _refused(path: Path, error: OSError) -> StoreError:
    # EDQUOT: the user's quota is used up, although the disk has space.
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space" if is_full else "check the disk and the permissions"
    return StoreError(
        f"could not write {path}: {error.strerror or error}; {hint}, or set UNICHAR_HOME to another folder"
    )
