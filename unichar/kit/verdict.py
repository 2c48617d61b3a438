"""The verdict on a kit, kept as a file, and the gate that every later stage asks again. Light to import.

    gate(read_verdict(folder / "validation.json"), kit_hash(kit))    # raises KitRejected with every reason

A check that blocks guards only the run it belongs to; the gate also guards whoever trains a week later on another machine.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from unichar.kit.checks import CHECKS, SUITE_VERSION, Severity

MAX_OBSERVED = 5
"""Offenders a result names; `num_offenders` counts all."""


class KitRejected(ValueError):
    """A kit must not be used; the message names every reason."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("the kit was rejected:\n" + "\n".join(f"- {reason}" for reason in reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The outcome of one check.

    Example: `CheckResult(name="pictures_usable", passed=False, severity="critical", num_offenders=1, hint="Save the ...",
    observed=({"where": "images/03.png", "says": "is damaged or cut off"},))`
    """

    name: str
    passed: bool
    severity: Severity
    observed: tuple[dict[str, str], ...]
    """The first offenders: `where` and `says`."""
    num_offenders: int
    hint: str
    skipped: bool = False
    """It could not be judged, because a file it needs cannot be read; then it has not passed, but `kit_readable` says why."""


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
        """Whether nothing critical failed."""
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
            ValueError: The text is none.
        """
        try:
            raw = json.loads(text)
            results = [
                CheckResult(**row | {"observed": tuple(row["observed"])}) for row in raw.pop("results")
            ]
            return cls(**raw, results=tuple(results))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"this is no verdict on a kit ({error})") from error


def read_verdict(path: Path) -> Verdict | None:
    """The verdict in a validation.json, or None where there is no such file.

    Raises:
        KitRejected: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        return Verdict.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise KitRejected(
            [f"its validation in {path} cannot be read: {error}; validate the kit again"]
        ) from error


def gate(verdict: Verdict | None, kit_hash: str) -> None:
    """Let a kit pass only with evidence that this very kit passed these very checks.

    Raises:
        KitRejected: A critical check failed or is missing, or the verdict belongs to another state of the kit or to other
            checks, or there is none.
    """
    if verdict is None:
        raise KitRejected(["it was never validated; run `validate` first"])
    reasons = []
    if verdict.kit_hash != kit_hash:
        reasons.append(
            f"its files changed since validation ({verdict.kit_hash} then, {kit_hash} now); validate it again"
        )
    if verdict.suite != SUITE_VERSION:
        reasons.append(
            f"it was validated by suite {verdict.suite}, the checks are {SUITE_VERSION} now; validate it again"
        )
    results = {result.name: result for result in verdict.results}
    for check in CHECKS:
        result = results.get(check.name)
        if result is None and check.severity == "critical":
            reasons.append(f"{check.name}: was not checked; validate it again")
        elif result is not None and check.severity == "critical" and not result.passed and not result.skipped:
            reasons += _reasons(result)
    if not reasons and not verdict.passed:
        reasons.append("checks were skipped although its files could be read; validate it again")
    if reasons:
        raise KitRejected(reasons)


def _reasons(result: CheckResult) -> list[str]:
    """Every offender of a failed check in a line; the hint closes the last one."""
    if not result.observed:
        return [f"{result.name}: failed; to fix it: {result.hint}"]
    lines = [f"{result.name}: {row['where']}: {row['says']}" for row in result.observed]
    unnamed = result.num_offenders - len(result.observed)
    if unnamed > 0:
        lines.append(f"{result.name}: and {unnamed} more")
    return [*lines[:-1], f"{lines[-1]}; to fix it: {result.hint}"]
