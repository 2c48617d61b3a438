"""The whole pipeline, as a user runs it: one `dagster job execute` on a kit that Dagster has never seen.

Real stages, real processes, the real base model; the preset `smoke` makes the numbers of steps tiny.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from factories_kit import make_kit

from unichar.stages import STAGES
from unichar.store.store import Store

ROOT = Path(__file__).parents[1]
ARM_METRICS = {
    "identity",
    "alignment",
    "diversity",
    "copying",
    "held_out_nll",
    "knowledge_accuracy",
    "vqa_accuracy",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home that shares the base model and the unpacked backbone with the repository."""
    folder = tmp_path_factory.mktemp("line")
    (folder / "data" / "models").mkdir(parents=True)
    (folder / "data" / "models" / "nano").symlink_to(ROOT / "data" / "models" / "nano")
    (folder / ".dagster").mkdir()
    (folder / ".dagster" / "dagster.yaml").write_text((ROOT / ".dagster" / "dagster.yaml").read_text())
    make_kit(folder / "inbox", "pip")
    return folder


def onboard(home: Path) -> subprocess.CompletedProcess[str]:
    """`dagster job execute` of the onboarding job, in `home`."""
    from unichar.model.nano.backbone import backbone_folder

    config = home / "onboard.yaml"
    settings = {"kit": str(home / "inbox" / "pip"), "preset": "smoke", "seed": 0}
    content = {"ops": {"onboard": {"config": settings}}, "loggers": {"terminal": {}}}
    config.write_text(yaml.safe_dump(content))
    places = {"UNICHAR_HOME": home, "UNICHAR_DATA": home / "data", "DAGSTER_HOME": home / ".dagster"}
    environment = {
        **os.environ,
        **{name: str(path) for name, path in places.items()},
        "UNICHAR_BACKBONE": str(backbone_folder()),
    }
    command = [
        sys.executable,
        "-m",
        "dagster",
        "job",
        "execute",
        "-m",
        "orchestration.definitions",
        "-j",
        "onboard_character",
    ]
    return subprocess.run(
        [*command, "-c", str(config)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def check_terminal(shown: str) -> None:
    """One line a stage, few lines of progress, and the results at the end."""
    lines = [line for line in shown.splitlines() if line.strip()]
    assert len(lines) < 60, shown
    for stage in STAGES:
        assert [line for line in lines if line.startswith(f"{stage.noun} ") and " made (" in line], stage.noun
    assert any(line.startswith("kit_checks") and " of 15 passed" in line for line in lines)
    assert lines[-4].startswith("report: ") and lines[-4].endswith("report.html")
    assert all("base -> SFT -> GRPO" in line for line in lines[-3:])


@pytest.mark.e2e
def test_one_command_takes_an_unknown_kit_to_a_report_and_a_second_run_makes_nothing_again(
    home: Path,
) -> None:
    first = onboard(home)
    assert first.returncode == 0, first.stderr[-3000:]
    check_terminal(first.stderr)

    store = Store(home=home, data=home / "data", remote=None)
    outputs = {stage.noun: store.current("pip", stage.noun) for stage in STAGES[1:]}
    report = json.loads((outputs["eval_report"].folder / "report.json").read_text())
    assert report["character"] == "pip"
    assert report["preset"] == "smoke"
    assert report["arms"].keys() == {"base", "text_only", "image_only", "sft", "grpo", "oracle"}
    for arm, metrics in report["arms"].items():
        assert metrics.keys() >= (
            ARM_METRICS if arm != "oracle" else {"identity", "alignment", "diversity", "copying"}
        )
        assert all(
            value["low"] <= value["value"] <= value["high"] and value["n"] > 0 for value in metrics.values()
        )
    page = (outputs["eval_report"].folder / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    stamps = {noun: (output.folder / "manifest.json").stat().st_mtime_ns for noun, output in outputs.items()}

    second = onboard(home)
    assert second.returncode == 0, second.stderr[-3000:]
    assert second.stderr.count(" already there (") == len(STAGES) - 1
    for noun, stamp in stamps.items():
        assert store.current("pip", noun).fingerprint == outputs[noun].fingerprint
        assert (outputs[noun].folder / "manifest.json").stat().st_mtime_ns == stamp
