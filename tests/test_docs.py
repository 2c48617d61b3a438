"""The documentation names files, commands and settings that exist."""

import re
import subprocess
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from unichar.cli import app
from unichar.evaluation.config import EvaluationConfig
from unichar.grpo.config import GrpoConfig
from unichar.interactions.config import InteractionsConfig
from unichar.judges.config import JudgesConfig
from unichar.kit.config import KitConfig
from unichar.release.config import ReleaseConfig
from unichar.sft.config import SftConfig

ROOT = Path(__file__).parents[1]

TOP_FOLDERS = ("benchmarks", "configs", "docs", "orchestration", "requirements", "tests", "tools", "unichar")
"""A path in the text counts as one of this repository if it begins with one of these."""
GENERATED = ("docs/messages.md",)
"""Pages that `docs/hooks.py` makes while the site is built."""
NO_PATHS = ("unichar/process",)
"""Names that only read like paths: a tag of Dagster runs."""

SETTINGS = (
    EvaluationConfig,
    GrpoConfig,
    InteractionsConfig,
    JudgesConfig,
    KitConfig,
    ReleaseConfig,
    SftConfig,
)
REMOVED = (
    "accumulate",
    "old_decay",
    "photo_beta",
    "text_leash",
    "text_rounds",
    "watch_every",
    "watch_prompts",
    "python -m unichar.",
)
"""Settings that were renamed, and commands as they were before there was one `unichar` command."""
HISTORY = ("docs/decisions/", "docs/log/", "docs/glossary.md", "CHANGELOG.md")
"""Pages that tell what things were called before."""


def pages() -> list[str]:
    """Every tracked Markdown file that is there, as a path from the root."""
    tracked = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # A file that is being renamed is tracked under its old name until the commit.
    return [name for name in tracked.stdout.split() if (ROOT / name).exists()]


def code_in(text: str) -> list[str]:
    """The contents of code spans and of code blocks."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", prose)


def paths_in(text: str) -> set[str]:
    """Paths of this repository in code; patterns and placeholders (`tests/<package>/...`) are left out."""
    found = set()
    for code in code_in(text):
        for path in re.findall(rf"(?<![\w./-])(?:{'|'.join(TOP_FOLDERS)})/[^\s`'\",;:()]*", code):
            if path not in NO_PATHS and not re.search(r"[<>*{}…$]|\.\.\.", path):
                found.add(path.rstrip(".").split("::")[0])
    return found


def links_in(text: str) -> set[str]:
    """Targets of links to other files, without their anchors."""
    targets = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)}
    return {target for target in targets if target and not re.match(r"\w+:", target)}


def missing_setting(settings: type, path: str) -> str:
    """The first part of a dotted path that is no field, or empty if all are."""
    kind: Any = settings
    for name in path.split("."):
        # Below the fields of settings there are values, as the keys of a dict.
        if not is_dataclass(kind):
            return ""
        known = {field.name: field for field in fields(kind)}
        if name not in known:
            return name
        factory = known[name].default_factory
        kind = factory if isinstance(factory, type) else None
    return ""


@pytest.mark.parametrize("page", pages())
def test_paths_in_code_exist(page: str) -> None:
    paths = paths_in((ROOT / page).read_text(encoding="utf-8"))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", pages())
def test_links_lead_to_files(page: str) -> None:
    folder = (ROOT / page).parent
    targets = [(folder / target).resolve() for target in links_in((ROOT / page).read_text(encoding="utf-8"))]
    generated = {ROOT / name for name in GENERATED}
    assert [str(target) for target in targets if target not in generated and not target.exists()] == []


@pytest.mark.parametrize("page", pages())
def test_commands_exist(page: str) -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for code in code_in((ROOT / page).read_text(encoding="utf-8")):
        # Only where a command begins: after a prompt, `-m`, a folder of programs, or variables.
        commands = re.findall(r"(?:^|-m |bin/|[A-Z]=\S+ )unichar ([a-z][a-z-]*)", code, re.MULTILINE)
        assert [command for command in commands if command not in known] == [], code


@pytest.mark.parametrize("page", pages())
def test_settings_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")

    for settings in SETTINGS:
        named = re.findall(rf"\b{settings.__name__}\.([a-z_.]*[a-z_])", text)
        assert [path for path in named if missing_setting(settings, path)] == []

    # `rollout.prompts` and the like, without the name of the settings in front; `nft.py` is a file.
    groups = [field.name for field in fields(GrpoConfig) if is_dataclass(field.default_factory)]
    for path in re.findall(rf"`((?:{'|'.join(groups)})\.(?!py`|html`|json`)[a-z_]+)`", text):
        candidates = [missing_setting(settings, path) for settings in (GrpoConfig, SftConfig)]
        assert "" in candidates, path


@pytest.mark.parametrize("page", [page for page in pages() if not page.startswith(HISTORY)])
def test_nothing_that_was_removed_is_named(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [name for name in REMOVED if re.search(rf"(?<!\w){re.escape(name)}(?!\w_)", text)] == []


def test_the_checks_find_what_they_look_for() -> None:
    text = "See `unichar/nowhere.py` and [it](../gone.md#here).\n```\npython -m unichar shine\n```\n"
    assert paths_in(text) == {"unichar/nowhere.py"}
    assert links_in(text) == {"../gone.md"}
    assert code_in(text) == ["python -m unichar shine\n", "unichar/nowhere.py"]
    assert missing_setting(GrpoConfig, "nft.gamma") == "gamma"
    assert missing_setting(GrpoConfig, "nft.beta") == ""
