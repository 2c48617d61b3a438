"""What an asset shows: small pictures of curves, the main numbers, where the full pages lie."""

import json
from pathlib import Path

from PIL import Image

from orchestration import evidence
from unichar.store.store import Output


def output(folder: Path) -> Output:
    return Output(character="pip", noun="any", folder=folder, fingerprint="f", summary={}, manifest={})


def test_loss_and_reward_curves_are_drawn_and_fit_in_place(tmp_path: Path) -> None:
    rows = [{"step": step, "loss": 3 / (step + 1), "reward": step, "lr_factor": 0.1} for step in range(200)]
    (tmp_path / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = evidence.curves(output(tmp_path))
    assert set(shown) == {"curve_loss", "curve_reward"}
    assert all(str(value.value).startswith("![") and len(str(value.value)) < 1000 for value in shown.values())


def test_a_training_shows_its_tasks_what_was_held_out_and_the_last_sheet(tmp_path: Path) -> None:
    rows = [
        {"step": step, "loss": 1.0, "ce_role_play": 2.0, "mse_prior": 0.1, "lr_und": 1e-3}
        for step in range(5)
    ]
    rows[2] |= {"held_out_nll": 3.0}
    (tmp_path / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "validation").mkdir()
    for step in (2, 5):
        Image.new("RGB", (200, 100), "teal").save(tmp_path / "validation" / f"step-{step:05d}.png")
    shown = evidence.curves(output(tmp_path))
    assert set(shown) == {
        "curve_loss",
        "curve_held_out_nll",
        "curve_ce_role_play",
        "curve_mse_prior",
        "last_sheet",
    }
    assert str(shown["last_sheet"].value).startswith("![step-00005](data:image/jpeg;base64,")


def test_a_training_without_a_logged_step_shows_no_curve(tmp_path: Path) -> None:
    assert evidence.curves(output(tmp_path)) == {}


def test_a_report_shows_numbers_pictures_and_where_the_page_is(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"arms": {"base": {"identity": {"value": 0.5}}}}))
    Image.new("RGB", (2000, 3000), "teal").save(tmp_path / "contact_sheet.png")
    shown = evidence.report(output(tmp_path))
    assert shown["report"].value == str(tmp_path / "report.html")
    assert "| Identity | 0.50 | - | - |" in str(shown["main_numbers"].value)
    assert str(shown["contact_sheet"].value).startswith("![contact_sheet](data:image/jpeg;base64,")
