import dataclasses
import json
from pathlib import Path

import pytest

from unichar.kit.checks import CHECKS, SUITE_VERSION
from unichar.kit.verdict import CheckResult, KitRejected, Verdict, gate, read_verdict
from unichar.store.manifest import BrokenOutput

FOLDER = Path("/home/me/pip")
"""What the author edits."""


def make_verdict(*, failed: tuple[str, ...] = (), **overrides: object) -> Verdict:
    results = tuple(
        CheckResult(
            name=check.name,
            passed=check.name not in failed,
            severity=check.severity,
            observed=({"where": "here", "says": f"{check.name} is wrong"},) if check.name in failed else (),
            num_offenders=int(check.name in failed),
            hint=check.hint,
        )
        for check in CHECKS
    )
    values = {
        "character": "pip",
        "kit_hash": "abc.dir",
        "suite": SUITE_VERSION,
        "results": results,
    } | overrides
    return Verdict(**values)


def reasons(verdict: Verdict | None, kit_hash: str = "abc.dir") -> str:
    with pytest.raises(KitRejected) as caught:
        gate(verdict, kit_hash, FOLDER)
    assert str(FOLDER) in str(caught.value) and caught.value.folder == FOLDER
    assert all(reason in str(caught.value) for reason in caught.value.reasons)
    return str(caught.value)


def test_a_good_verdict_on_this_kit_passes() -> None:
    gate(make_verdict(), "abc.dir", FOLDER)


def test_warnings_do_not_block() -> None:
    warnings = tuple(check.name for check in CHECKS if check.severity == "warning")
    assert warnings
    gate(make_verdict(failed=warnings), "abc.dir", FOLDER)


def test_no_evidence_is_no_pass() -> None:
    assert "never validated" in reasons(None)


def test_evidence_for_another_state_of_the_kit_is_refused() -> None:
    assert "files changed" in reasons(make_verdict(), "other.dir")


def test_evidence_of_other_checks_is_refused() -> None:
    assert "suite 0" in reasons(make_verdict(suite="0"))


@pytest.mark.parametrize("name", [check.name for check in CHECKS if check.severity == "critical"])
def test_a_severe_check_that_is_missing_blocks(name: str) -> None:
    kept = tuple(result for result in make_verdict().results if result.name != name)
    assert f"{name}: was not checked" in reasons(make_verdict(results=kept))


def test_all_reasons_come_at_once() -> None:
    message = reasons(make_verdict(failed=("rights_stated", "pictures_usable")), "other.dir")
    for part in ("rights_stated is wrong", "pictures_usable is wrong", "files changed", "Fill in `rights`"):
        assert part in message


def test_offenders_that_are_not_named_are_counted() -> None:
    verdict = make_verdict(failed=("texts_filled",))
    results = tuple(dataclasses.replace(r, num_offenders=9) if not r.passed else r for r in verdict.results)
    assert "and 8 more" in reasons(make_verdict(results=results))


def test_skipped_checks_alone_do_not_pass() -> None:
    verdict = make_verdict(failed=("texts_filled",))
    results = tuple(dataclasses.replace(r, skipped=not r.passed) for r in verdict.results)
    assert "skipped" in reasons(make_verdict(results=results))


def test_a_verdict_survives_its_file(tmp_path: Path) -> None:
    verdict = make_verdict(failed=("texts_filled",))
    (tmp_path / "validation.json").write_text(verdict.to_json())
    assert read_verdict(tmp_path / "validation.json") == verdict
    assert read_verdict(tmp_path / "none.json") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": 3}', json.dumps({"results": [{"name": "a"}]})])
def test_a_damaged_file_is_a_reason_not_a_crash(tmp_path: Path, text: str) -> None:
    (tmp_path / "validation.json").write_text(text)
    with pytest.raises(BrokenOutput, match="validate the kit again"):
        read_verdict(tmp_path / "validation.json")
