"""`validation.html`: the verdict on a kit for people, one file that loads nothing.

Text of the kit is escaped. No torch.
"""

from collections.abc import Sequence
from typing import NamedTuple

from unichar.kit.checks import CHECKS
from unichar.kit.verdict import CheckResult, Verdict
from unichar.pages.render import render_html

_DESCRIPTIONS = {check.name: check.description for check in CHECKS}
_BADGES = ("failed", "warning", "skipped", "passed")
"""Outcomes of a check, in the order of the page: what must be mended stands first."""


class CheckRow(NamedTuple):
    """One row of the page's table."""

    name: str
    description: str
    badge: str
    """One of `_BADGES`."""
    observed: Sequence[dict[str, str]]
    """The first offenders, each with `where` and `says`."""
    num_unnamed: int
    """Offenders beyond `observed`."""
    hint: str
    """How to mend it; empty for a check that passed or was skipped."""


def validation_html(verdict: Verdict) -> str:
    """The whole page."""
    # A stable sort, so that checks of one outcome stay in the order of `CHECKS`.
    rows = sorted((_row(result) for result in verdict.results), key=lambda row: _BADGES.index(row.badge))

    # Skipped checks count as not passed in both.
    failed, warnings = len(verdict.failed("critical")), len(verdict.failed("warning"))

    # Jinja2 escapes what the kit's author wrote.
    page = render_html(
        "kit/templates/validation.html.j2",
        verdict=verdict,
        outcome="passed" if verdict.passed else "failed",
        summary=f"{len(verdict.results)} checks: {failed} failed, {warnings} warnings.",
        rows=rows,
    )
    return str(page)


def _row(result: CheckResult) -> CheckRow:
    return CheckRow(
        name=result.name,
        # Empty for a check that today's suite no longer has.
        description=_DESCRIPTIONS.get(result.name, ""),
        badge=_badge(result),
        observed=result.observed,
        num_unnamed=result.num_offenders - len(result.observed),
        hint="" if result.passed or result.skipped else result.hint,
    )


def _badge(result: CheckResult) -> str:
    if result.passed:
        return "passed"

    # Skipped: a file it needs cannot be read, which another check reports.
    if result.skipped:
        return "skipped"
    return "failed" if result.severity == "critical" else "warning"
