"""Curves survive kills: no step twice, a cut-off line is left out."""

from unichar.training.curves import Curve, read_curve


def test_lines_come_back_as_logged(tmp_path):
    curve = Curve(tmp_path / "deep" / "curve.jsonl")
    curve.log(0, {"loss": 0.1 + 0.2})
    curve.log(4, {"loss": 1e-30, "reward": 2.0})
    assert read_curve(curve.path) == [
        {"step": 0, "loss": 0.1 + 0.2},
        {"step": 4, "loss": 1e-30, "reward": 2.0},
    ]


def test_no_curve_has_no_rows(tmp_path):
    assert read_curve(tmp_path / "curve.jsonl") == []


def test_a_fresh_run_starts_a_fresh_curve(tmp_path):
    Curve(tmp_path / "curve.jsonl").log(0, {"loss": 1.0})
    Curve(tmp_path / "curve.jsonl")
    assert read_curve(tmp_path / "curve.jsonl") == []


def test_resuming_drops_what_will_be_logged_again_and_a_line_cut_off_by_a_kill(tmp_path):
    path = tmp_path / "curve.jsonl"
    curve = Curve(path)
    for step in range(6):
        curve.log(step, {"loss": float(step)})
    with path.open("a") as file:
        file.write('{"step": 6, "lo')
    assert [row["step"] for row in read_curve(path)] == [0, 1, 2, 3, 4, 5]
    Curve(path, resume_from=4).log(4, {"loss": 44.0})
    assert [(row["step"], row["loss"]) for row in read_curve(path)] == [
        (0, 0.0),
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
        (4, 44.0),
    ]
