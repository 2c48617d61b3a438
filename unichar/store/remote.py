"""Copies of outputs on S3, or any compatible store with conditional writes, for more than one machine.

    <prefix>/<character>/<n>_<noun>/<fingerprint>/manifest.json     the commit point, never overwritten
    <prefix>/<character>/<n>_<noun>/<fingerprint>/<sha256>/<file>   the files, each under its own checksum
    <prefix>/<character>/<n>_<noun>/CURRENT.json                    the pointer, moved by compare-and-swap

Since files lie under their checksum, two machines that train the same fingerprint never overwrite each
other's weights, and an interrupted upload resumes where it stopped. A folder without a manifest does not
exist for readers. Every file is checked after download. The endpoint and the credentials come from the usual
AWS variables and are never printed.
"""

import json
import re
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from unichar.errors import UserError
from unichar.store.files import json_bytes, sha256_file

T = TypeVar("T")

# Codes by which S3, compatible stores and botocore name what went wrong.
_CONDITION_FAILED = ("PreconditionFailed", "412")
_BUSY = ("ConditionalRequestConflict", "409")
_ABSENT = ("NoSuchKey", "404", "NotFound")
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound")
_WRONG_CREDENTIALS = ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
_UNREACHABLE = (
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "ProxyConnectionError",
)

# Of a call that S3 was too busy for, and of a pointer that others keep moving.
_TRIES = 5


class RemoteError(UserError):
    """S3 refused, cannot be reached, or holds something damaged."""

    exit_code = 1


class Remote:
    """Outputs under one S3 address.

    Example: `Remote("s3://team-models/unichar")`

    Raises:
        UserError: The address is not `s3://bucket` or `s3://bucket/prefix`.
    """

    def __init__(self, address: str) -> None:
        match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9._=-]+)*)/?", address)
        if not match:
            # The message does not repeat the address, which may hold a password.
            raise UserError(
                "UNICHAR_STORE must read s3://bucket or s3://bucket/prefix, as s3://team-models/unichar"
            )
        self.bucket = match.group(1)
        self.prefix = match.group(2).strip("/")

    @cached_property
    def _client(self) -> Any:
        # Imported here because it takes 0.3 s and only teams with S3 need it.
        import boto3
        from botocore.config import Config

        # Five seconds find out that an endpoint is away; large files need the minute.
        retries: Any = {"mode": "standard", "max_attempts": 5}
        return boto3.client("s3", config=Config(retries=retries, connect_timeout=5, read_timeout=60))

    def manifest(self, where: str) -> bytes | None:
        """The manifest of `<character>/<n>_<noun>/<fingerprint>`; None if it was never committed."""
        found = self._get(f"{where}/manifest.json")
        return found[0] if found else None

    def upload(self, folder: Path, where: str, *, force: bool = False) -> bool:
        """Copy a published local folder to S3.

        Args:
            folder: The local output.
            where: `<character>/<n>_<noun>/<fingerprint>`.
            force: Replace what another machine has committed.

        Returns:
            False when another machine has committed other files under this fingerprint first.
        """
        # The manifest is compared as bytes: it names every file by its checksum.
        ours = (folder / "manifest.json").read_bytes()
        theirs = self._get(f"{where}/manifest.json")
        if theirs and (theirs[0] == ours or not force):
            return theirs[0] == ours

        # The files first. Those that an interrupted upload has sent are not sent again.
        for entry in json.loads(ours)["files"]:
            self._put_file(folder / entry["path"], _file_key(where, entry), entry)

        # The manifest last and by compare-and-swap: it commits the output.
        if self._put(f"{where}/manifest.json", ours, replaces=theirs[1] if theirs else None):
            return True

        # Another machine was faster; it may have committed the same bytes.
        return self.manifest(where) == ours

    def download(self, where: str, folder: Path) -> None:
        """Copy a committed output into an empty local folder, its manifest last.

        Raises:
            RemoteError: It was never committed, or a file is not the one that the manifest names.
        """
        manifest = self.manifest(where)
        if manifest is None:
            raise RemoteError(f"{self._name(where)} has no manifest: it was never published, or deleted")

        for entry in self._parse(where, manifest)["files"]:
            path = folder / entry["path"]

            # A manifest comes from a shared bucket and could name `../../.bashrc`.
            if not path.resolve().is_relative_to(folder.resolve()):
                raise RemoteError(
                    f"{self._name(where)} names a file outside its folder ({entry['path']!r}); "
                    "do not trust it"
                )

            path.parent.mkdir(parents=True, exist_ok=True)
            key = _file_key(where, entry)
            self._get_file(key, path)
            if sha256_file(path) != entry["sha256"]:
                raise RemoteError(
                    f"{self._name(key)} is damaged (its sha256 is not the published one); "
                    "publish it with --force"
                )

        # Only now do readers of the folder see an output.
        (folder / "manifest.json").write_bytes(manifest)

    def read_pointer(self, where: str) -> dict[str, Any] | None:
        """A pointer, as `mochi/4_sft_checkpoint/CURRENT.json`; None before the first."""
        # Each try starts from the pointer as it is now.
        found = self._get(where)
        return self._parse(where, found[0]) if found else None

    def write_pointer(self, where: str, pointer: dict[str, Any]) -> None:
        """Move a pointer by compare-and-swap; when another machine moves it meanwhile, try again from there.

        Raises:
            RemoteError: Others moved it at every try.
        """
        # Equal pointers have equal bytes, so a pointer that is there already is recognised.
        data = json_bytes(pointer)

        for _ in range(_TRIES):
            found = self._get(where)
            if found and found[0] == data:
                return
            if self._put(where, data, replaces=found[1] if found else None):
                return
        raise RemoteError(
            f"{self._name(where)} was moved by others {_TRIES} times while we moved it: run the stage again"
        )

    def _put_file(self, path: Path, where: str, entry: dict[str, Any]) -> None:
        """Upload a file unless S3 has it already with this size and checksum."""

        def is_there() -> bool:
            # Size and our own checksum: an ETag is not always a hash of the content.
            head = self._client.head_object(Bucket=self.bucket, Key=self._key(where))
            return (
                head["ContentLength"] == entry["size"] and head["Metadata"].get("sha256") == entry["sha256"]
            )

        if not self._ask(where, is_there, absent=lambda: False):
            extra = {"Metadata": {"sha256": entry["sha256"]}}
            self._ask(
                where,
                lambda: self._client.upload_file(str(path), self.bucket, self._key(where), ExtraArgs=extra),
            )

    def _get_file(self, where: str, path: Path) -> None:
        self._ask(where, lambda: self._client.download_file(self.bucket, self._key(where), str(path)))

    def _get(self, where: str) -> tuple[bytes, str] | None:
        """(content, ETag) of a small object; None if it does not exist."""

        def get() -> tuple[bytes, str] | None:
            answer = self._client.get_object(Bucket=self.bucket, Key=self._key(where))
            return answer["Body"].read(), answer["ETag"]

        return self._ask(where, get, absent=lambda: None)

    def _put(self, where: str, data: bytes, *, replaces: str | None) -> bool:
        """Write a small object if there is none, or if it still has the ETag `replaces`; whether it was
        written.
        """
        # Without a condition, two machines would overwrite each other's object unnoticed.
        condition = {"IfMatch": replaces} if replaces else {"IfNoneMatch": "*"}

        def put() -> bool:
            self._client.put_object(Bucket=self.bucket, Key=self._key(where), Body=data, **condition)
            return True

        return self._ask(where, put, taken=lambda: False)

    def _ask(
        self,
        where: str,
        call: Callable[[], T],
        *,
        absent: Callable[[], T] | None = None,
        taken: Callable[[], T] | None = None,
    ) -> T:
        """Call S3 and translate its refusals.

        Returns: What `call` returns; what `absent` returns if the object does not exist; what `taken` returns
        if the condition of a write does not hold.

        Raises:
            RemoteError: Any other refusal, or S3 was busy at every try.
        """
        # Imported here for the same reason as the client.
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        for attempt in range(_TRIES):
            try:
                return call()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if absent and code in _ABSENT:
                    return absent()
                if taken and code in _CONDITION_FAILED:
                    return taken()

                # Another write to the same object is under way: wait, twice as long each time.
                if code not in _BUSY:
                    raise RemoteError(f"{self._name(where)}: {_explain(code)}") from None
                time.sleep(0.1 * 2**attempt)
            except (BotoCoreError, Boto3Error) as error:
                # Only the error's name: the text of some holds the endpoint with its password.
                raise RemoteError(f"{self._name(where)}: {_explain(type(error).__name__)}") from None
        raise RemoteError(f"{self._name(where)}: S3 was busy {_TRIES} times; run the stage again")

    def _parse(self, where: str, data: bytes) -> dict[str, Any]:
        try:
            return json.loads(data)
        except ValueError:
            raise RemoteError(f"{self._name(where)} is damaged (no JSON); publish it with --force") from None

    def _key(self, where: str) -> str:
        return f"{self.prefix}/{where}" if self.prefix else where

    def _name(self, where: str) -> str:
        return f"s3://{self.bucket}/{self._key(where)}"


def _file_key(where: str, entry: dict[str, Any]) -> str:
    # Under its checksum, so that another file of the same name never overwrites it.
    return f"{where}/{entry['sha256']}/{Path(entry['path']).name}"


def _explain(code: str) -> str:
    """What a code of S3 or the name of a botocore error means, and how to mend it."""
    # What users meet, each with its cure; the rest keeps its code.
    if code in _NO_CREDENTIALS:
        return (
            f"no credentials for S3 ({code}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    if code in _WRONG_CREDENTIALS:
        return (
            f"S3 refused these credentials ({code}): they need GetObject, PutObject and ListBucket "
            "on this address"
        )

    if code == "NoSuchBucket":
        return "there is no such bucket: make it, or correct UNICHAR_STORE"

    if code in ("NotImplemented", "501"):
        return (
            "this store has no conditional writes, which publishing needs: use one that has, "
            "or unset UNICHAR_STORE"
        )

    if code in _UNREACHABLE:
        return f"S3 can not be reached ({code}): check the network and AWS_ENDPOINT_URL_S3"
    return f"S3 refused ({code})"
