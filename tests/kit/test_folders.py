from pathlib import Path

import pytest

from unichar.kit.folders import new_folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "pip") as part:
        assert part.name == "pip"
        (part / "a").write_text("ours")
        assert not (tmp_path / "deep" / "pip").exists()
    assert names(tmp_path) == {"deep", "deep/pip", "deep/pip/a"}


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "pip") as part:
        (part / "a").write_text("ours")
        raise RuntimeError
    assert names(tmp_path) == set()


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "pip"
    with pytest.raises(OSError), new_folder(target) as part:
        (part / "a").write_text("ours")
        target.mkdir()
        (target / "b").write_text("theirs")
    assert names(tmp_path) == {"pip", "pip/b"}


def test_a_folder_is_set_aside_whole_with_its_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / ".notes").write_text("the user's")
    with new_folder(tmp_path / "pip", set_aside=tmp_path / "old" / "pip-1") as part:
        (part / "a").write_text("ours")
    assert names(tmp_path) == {"pip", "pip/a", "old", "old/pip-1", "old/pip-1/.notes"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    target = tmp_path / "pip"
    target.mkdir()
    (target / "b").write_text("the user's")
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if ".tmp-" in str(path):
            raise error
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with (
        pytest.raises(type(error)),
        new_folder(target, set_aside=tmp_path / "old") as part,
    ):
        (part / "a").write_text("ours")
    assert names(tmp_path) == {"pip", "pip/b"}
