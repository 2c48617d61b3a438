"""Two machines and one S3: one reads what the other published, whole and checked, after any interruption."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from factories_store import make_output, make_store
from moto.server import ThreadedMotoServer

from unichar.store.remote import Remote, RemoteError
from unichar.store.store import MissingOutput, Output, Store

SECRET = "a-very-secret-key"
BUCKET = "team-models"
STAGE = "unichar/pip/4_sft_checkpoint"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server in this process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of that server, with an empty bucket; the environment points there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


def machine(folder: Path, name: str) -> Store:
    """One of several machines that share the bucket."""
    return make_store(folder / name, Remote(f"s3://{BUCKET}/unichar"))


def keys(s3: Any) -> list[str]:
    """The keys in the bucket."""
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def text_of(output: Output) -> str:
    return (output.folder / "a.txt").read_text()


def test_what_one_machine_publishes_another_reads(s3: Any, tmp_path: Path) -> None:
    made = make_output(machine(tmp_path, "here"), files={"a.txt": "a", "adapters/b.txt": "b"})
    there = machine(tmp_path, "there")
    found = there.current("pip", "sft_checkpoint")
    assert found.manifest == made.manifest
    assert (found.folder / "adapters" / "b.txt").read_text() == "b"
    there.verify(found, again=True)
    assert f"{STAGE}/CURRENT.json" in keys(s3) and f"{STAGE}/{made.fingerprint}/manifest.json" in keys(s3)


def test_an_output_that_was_never_published_is_missing(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingOutput, match="run `python -m unichar sft"):
        machine(tmp_path, "here").current("pip", "sft_checkpoint")


def test_the_shared_pointer_takes_precedence_over_the_local_one(s3: Any, tmp_path: Path) -> None:
    here, there = machine(tmp_path, "here"), machine(tmp_path, "there")
    make_output(here, seed=1)
    newer = make_output(there, seed=2)
    assert here.current("pip", "sft_checkpoint").fingerprint == newer.fingerprint


def test_a_damaged_copy_is_refused_and_not_kept(s3: Any, tmp_path: Path) -> None:
    make_output(machine(tmp_path, "here"), files={"a.txt": "weights"})
    [key] = [key for key in keys(s3) if key.endswith("a.txt")]
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"weight5")
    there = machine(tmp_path, "there")
    with pytest.raises(RemoteError, match=r"s3://team-models/.*/a\.txt is damaged .*--force"):
        there.current("pip", "sft_checkpoint")
    assert [path for path in there.runs.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("key", ["CURRENT.json", "manifest.json"])
def test_a_damaged_pointer_or_manifest_is_refused(s3: Any, tmp_path: Path, key: str) -> None:
    make_output(machine(tmp_path, "here"))
    [found] = [name for name in keys(s3) if name.endswith(key)]
    s3.put_object(Bucket=BUCKET, Key=found, Body=b"{")
    with pytest.raises(RemoteError, match="is damaged"):
        machine(tmp_path, "there").current("pip", "sft_checkpoint")


def test_a_manifest_can_not_write_outside_its_folder(s3: Any, tmp_path: Path) -> None:
    make_output(machine(tmp_path, "here"), files={"a.txt": "a"})
    [key] = [name for name in keys(s3) if name.endswith("manifest.json")]
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    manifest["files"][0]["path"] = "../../../../escaped.txt"
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(manifest).encode())
    with pytest.raises(RemoteError, match="names a file outside its folder"):
        machine(tmp_path, "there").current("pip", "sft_checkpoint")
    assert not list(tmp_path.rglob("escaped.txt"))


def test_an_interrupted_upload_is_invisible_and_goes_on(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machine(tmp_path, "here"), machine(tmp_path, "there")
    put_file = Remote._put_file

    def cut_off(self: Remote, path: Path, where: str, entry: dict) -> None:
        if path.name == "z.txt":
            raise KeyboardInterrupt
        put_file(self, path, where, entry)

    with monkeypatch.context() as broken:
        broken.setattr(Remote, "_put_file", cut_off)
        with pytest.raises(KeyboardInterrupt):
            make_output(here, files={"a.txt": "a", "z.txt": "z"})
    assert any(key.endswith("a.txt") for key in keys(s3))
    with pytest.raises(MissingOutput):
        there.current("pip", "sft_checkpoint")
    before = {key: s3.head_object(Bucket=BUCKET, Key=key)["ETag"] for key in keys(s3)}
    made = make_output(here, files={"a.txt": "a", "z.txt": "z"})
    assert before.items() <= {key: s3.head_object(Bucket=BUCKET, Key=key)["ETag"] for key in keys(s3)}.items()
    assert there.current("pip", "sft_checkpoint").manifest == made.manifest


def test_two_machines_that_make_the_same_fingerprint_end_with_the_same_bytes(s3: Any, tmp_path: Path) -> None:
    here, there = machine(tmp_path, "here"), machine(tmp_path, "there")
    first = make_output(here, files={"a.txt": "made here"})
    second = make_output(there, files={"a.txt": "made there"})
    assert first.fingerprint == second.fingerprint
    assert text_of(second) == text_of(there.current("pip", "sft_checkpoint")) == "made here"
    there.verify(second, again=True)


def test_machines_that_publish_at_the_same_moment_agree(s3: Any, tmp_path: Path) -> None:
    stores = [machine(tmp_path, str(number)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda pair: make_output(pair[1], files={"a.txt": f"made by {pair[0]}"}), enumerate(stores)
            )
        )
    outputs = [store.current("pip", "sft_checkpoint") for store in [*stores, machine(tmp_path, "reader")]]
    assert len({text_of(output) for output in outputs}) == 1
    for store, output in zip(stores, outputs, strict=False):
        store.verify(output, again=True)


def test_force_replaces_the_shared_output_for_all_machines(s3: Any, tmp_path: Path) -> None:
    here, there = machine(tmp_path, "here"), machine(tmp_path, "there")
    make_output(here, files={"a.txt": "old"})
    assert text_of(there.current("pip", "sft_checkpoint")) == "old"
    make_output(there, files={"a.txt": "new"}, force=True)
    assert text_of(here.current("pip", "sft_checkpoint")) == "new"


def test_pointers_moved_at_the_same_moment_are_one_of_them(s3: Any) -> None:
    remote = Remote(f"s3://{BUCKET}/unichar")
    with ThreadPoolExecutor(3) as pool:
        list(
            pool.map(lambda number: remote.write_pointer("pip/CHAMPION.json", {"release": number}), range(3))
        )
    assert remote.read_pointer("pip/CHAMPION.json") in [{"release": number} for number in range(3)]


def test_the_promoted_release_is_shared(s3: Any, tmp_path: Path) -> None:
    here = machine(tmp_path, "here")
    here.promote(make_output(here, "release", inputs={"grpo_checkpoint": "v"}))
    assert machine(tmp_path, "there").promoted("pip") == here.promoted("pip") is not None


def test_an_output_from_before_there_was_s3_is_uploaded_when_it_is_used(s3: Any, tmp_path: Path) -> None:
    alone = make_store(tmp_path / "here")
    output = make_output(alone)
    here = machine(tmp_path, "here")
    assert here.current("pip", "sft_checkpoint").fingerprint == output.fingerprint
    here.use(output)
    assert machine(tmp_path, "there").current("pip", "sft_checkpoint").manifest == output.manifest


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("UNICHAR_STORE", "s3://no-such-bucket", "there is no such bucket"),
        ("AWS_ENDPOINT_URL", "http://user:hunter2@127.0.0.1:9", "can not be reached"),
        ("AWS_PROFILE", "nobody", "no credentials for S3"),
    ],
)
def test_refusals_are_one_message_without_secrets(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, setting: str, value: str, says: str
) -> None:
    monkeypatch.setenv("UNICHAR_STORE", f"s3://{BUCKET}/unichar")
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path))
    monkeypatch.setenv(setting, value)
    with pytest.raises(RemoteError, match=says) as caught:
        Store.from_env().current("pip", "sft_checkpoint")
    for secret in (SECRET, "hunter2"):
        assert secret not in str(caught.value) and secret not in caplog.text
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "address",
    ["s3://", "s3://B", "team-models/unichar", "s3://key:secret@team-models/x", "https://x/y", "s3://ab/.."],
)
def test_a_wrong_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match="UNICHAR_STORE must read s3://bucket") as caught:
        Remote(address)
    assert "secret" not in str(caught.value)
