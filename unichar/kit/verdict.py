"""The verdict on a kit, stored as a file, and the gate that every later stage passes again. Light to import.

    gate(read_verdict(folder / "validation.json"), kit_hash(kit), kit)    # raises KitRejected with every
    reason

A blocking check guards only the run it belongs to. The gate also guards a training that starts a week later
or on another machine.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unichar.errors import UserError
from unichar.kit.checks import CHECKS, SUITE_VERSION, Severity
from unichar.store.manifest import BrokenOutput

MAX_OBSERVED = 5
"""Offenders that a result names; `num_offenders` counts all."""


class KitRejected(UserError):
    """A kit must not be used; the message names its folder and every reason."""

    exit_code: ClassVar[int] = 1

    def __init__(self, reasons: list[str], folder: Path) -> None:
        # All reasons at once, one a line, so that one round of editing can mend them.
        lines = "\n".join(f"- {reason}" for reason in reasons)
        super().__init__(
            f"the kit was rejected; edit its files in {folder}, then run the same command again:\n{lines}"
        )
        self.reasons = tuple(reasons)
        self.folder = folder


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The outcome of one check.

    Example: `CheckResult(name="pictures_usable", passed=False, severity="critical", num_offenders=1,
    hint="Save the ...", observed=({"where": "images/03.png", "says": "is damaged or cut off"},))`
    """

    name: str
    passed: bool
    severity: Severity
    observed: tuple[dict[str, str], ...]
    """The first offenders: `where` and `says`."""
    num_offenders: int
    hint: str
    skipped: bool = False
    """It was not judged, because a file it needs cannot be read. It has not passed then, but
    `kit_readable` says why."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of all checks on one state of a kit."""

    character: str
    """Name of the kit's folder."""
    kit_hash: str
    """See `unichar.kit.content`."""
    suite: str
    """`SUITE_VERSION` of the checks that judged."""
    results: tuple[CheckResult, ...]
    """In the order of `CHECKS`."""

    @property
    def passed(self) -> bool:
        """Whether no critical check failed."""
        return not self.failed("critical")

    def failed(self, severity: Severity) -> tuple[CheckResult, ...]:
        """The checks of one severity that did not pass, skipped ones included."""
        return tuple(result for result in self.results if result.severity == severity and not result.passed)

    def to_json(self) -> str:
        """The text of validation.json: the same kit gives the same bytes."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Verdict":
        """The verdict of a validation.json.

        Raises:
            ValueError: The text is no verdict.
        """
        try:
            # The inverse of `to_json`: JSON has lists where the records have tuples.
            raw = json.loads(text)
            results = []
            for row in raw.pop("results"):
                results.append(CheckResult(**row | {"observed": tuple(row["observed"])}))

            return cls(**raw, results=tuple(results))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"this is no verdict on a kit ({error})") from error


def read_verdict(path: Path) -> Verdict | None:
    """The verdict in a validation.json, or None where there is no such file.

    Raises:
        BrokenOutput: The file is damaged.
    """
    # No file is no damage: the gate reports a kit that was never validated.
    if not path.is_file():
        return None

    try:
        return Verdict.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenOutput(f"{path} cannot be read: {error}; validate the kit again") from error


def gate(verdict: Verdict | None, kit_hash: str, folder: Path) -> None:
    """Let a kit pass only with evidence that this very kit passed these very checks.

    Args:
        verdict: The evidence; None where there is none.
        kit_hash: Content of the kit as it is now.
        folder: What the author edits, for the message.

    Raises:
        KitRejected: A critical check failed or is missing, or the verdict belongs to another state of the
            kit or to other checks, or there is none.
    """
    if verdict is None:
        raise KitRejected(["it was never validated; run `validate` first"], folder)

    # Collect every reason before raising.
    reasons = _outdated(verdict, kit_hash) + _failures(verdict)
    if not reasons and not verdict.passed:
        # Skipped checks are excused by a failed `kit_readable`; without one the file was edited or is wrong.
        reasons.append("checks were skipped although its files could be read; validate it again")
    if reasons:
        raise KitRejected(reasons, folder)


def _outdated(verdict: Verdict, kit_hash: str) -> list[str]:
    """Why a verdict does not belong to the kit and the checks of today."""
    # Evidence counts for one state of the files only.
    reasons = []
    if verdict.kit_hash != kit_hash:
        reasons.append(
            f"its files changed since validation ({verdict.kit_hash} then, {kit_hash} now); validate it again"
        )

    # Checks of an older suite may have let pass what today's refuse.
    if verdict.suite != SUITE_VERSION:
        reasons.append(
            f"it was validated by suite {verdict.suite}, the checks are {SUITE_VERSION} now; validate it "
            "again"
        )
    return reasons


def _failures(verdict: Verdict) -> list[str]:
    """The reasons of every critical check that failed or is missing. A skipped check is no reason of its
    own."""
    # Today's checks decide, not those that the file lists: a check that is absent has not passed.
    reasons = []
    results = {result.name: result for result in verdict.results}
    for check in CHECKS:
        if check.severity != "critical":
            continue

        result = results.get(check.name)
        if result is None:
            reasons.append(f"{check.name}: was not checked; validate it again")
        elif not result.passed and not result.skipped:
            reasons += _reasons(result)
    return reasons


def _reasons(result: CheckResult) -> list[str]:
    """Every offender of a failed check in one line each; the hint closes the last line."""
    # A failure without offenders still needs a line of its own.
    if not result.observed:
        return [f"{result.name}: failed; to fix it: {result.hint}"]

    lines = [f"{result.name}: {row['where']}: {row['says']}" for row in result.observed]

    # What the verdict does not name is at least counted.
    unnamed = result.num_offenders - len(result.observed)
    if unnamed > 0:
        lines.append(f"{result.name}: and {unnamed} more")

    # Once per check: the hint is the same for all its offenders.
    lines[-1] += f"; to fix it: {result.hint}"
    return lines
