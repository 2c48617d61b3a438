"""Stage 1, `validate`: one Great Expectations pass over a kit; a kit that fails goes no further.

    python -m unichar validate --character mochi
    inspect(Path("data/characters/mochi"), KitConfig()).passed

`inspect` never raises for a bad kit: its verdict lists everything that is wrong. `run` is the stage; it
raises.
"""

from pathlib import Path
from typing import Any

from unichar.errors import UserError
from unichar.kit.checks import CHECKS, SUITE_VERSION, CheckSpec
from unichar.kit.config import KitConfig
from unichar.kit.content import kit_hash
from unichar.kit.frames import make_frames
from unichar.kit.report import validation_html
from unichar.kit.schema import Problem, read_kit
from unichar.kit.suite import Offender, run_suite
from unichar.kit.verdict import MAX_OBSERVED, CheckResult, KitRejected, Verdict, gate, read_verdict
from unichar.store.files import write_atomic
from unichar.types import StageJob

__all__ = [
    "CHECKS",
    "CheckResult",
    "CheckSpec",
    "KitRejected",
    "Verdict",
    "gate",
    "inspect",
    "read_verdict",
    "run",
]


def run(job: StageJob) -> dict[str, Any]:
    """Write `validation.json` and `validation.html` of a good kit.

    Reads the input `raw_kit`, and `validation` where it is given: a validation.json written by an earlier
    check. It counts as evidence for exactly this state of the kit, so that nothing is checked twice.

    Raises:
        KitRejected: The kit is bad; the message names every reason.
    """
    # A verdict that is given is trusted only if the gate finds that it fits this state of the kit.
    folder = job.inputs["raw_kit"]
    evidence = job.inputs.get("validation")
    verdict = read_verdict(evidence) if evidence else inspect(folder, job.config)
    gate(verdict, kit_hash(folder), folder)

    # The gate raises for None.
    assert verdict is not None
    write_atomic(job.out / "validation.json", verdict.to_json().encode())
    write_atomic(job.out / "validation.html", validation_html(verdict).encode())
    return {
        "num_checks": len(verdict.results),
        "num_failed": len(verdict.failed("critical")),
        "num_warnings": len(verdict.failed("warning")),
        "kit_hash": verdict.kit_hash,
    }


def inspect(folder: Path, config: KitConfig) -> Verdict:
    """The verdict on the kit in `folder`; a folder that is missing or cannot be read fails `kit_readable`."""
    kit, problems = read_kit(folder)

    # An empty hash equals that of no kit, so that no gate lets this verdict pass.
    try:
        state = kit_hash(folder)
    except UserError as error:
        state = ""
        problems.append(Problem(file="images", text=str(error)))

    # The hash was taken first: a file saved during the checks makes the gate refuse the verdict.
    found = run_suite(make_frames(kit, problems, config), config)
    unread = {problem.file for problem in problems}
    results = tuple(_result(check, found[check.name], unread) for check in CHECKS)
    return Verdict(character=folder.absolute().name, kit_hash=state, suite=SUITE_VERSION, results=results)


def _result(check: CheckSpec, offenders: list[Offender], unread: set[str]) -> CheckResult:
    """The outcome of one check. Whatever it found is void if a file it needs could not be read."""
    # An unreadable file counts as empty, so its checks would report consequences instead of the cause.
    missing = [file for file in check.needs if file in unread]
    if missing:
        offenders = [{"where": file, "says": "not judged, because this cannot be read"} for file in missing]

    # A kit can break a rule a thousand times; the file names the first few and the number.
    return CheckResult(
        name=check.name,
        passed=not offenders,
        severity=check.severity,
        observed=tuple(offenders[:MAX_OBSERVED]),
        num_offenders=len(offenders),
        hint=check.hint,
        skipped=bool(missing),
    )
