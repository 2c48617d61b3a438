"""validation.html: the verdict on a kit for people, one file without anything from the network."""

from html import escape

from unichar.kit.checks import CHECKS
from unichar.kit.verdict import CheckResult, Verdict

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .5rem;
border-top: 1px solid #ddd } .badge { border-radius: 1rem; padding: .1rem .7rem; color: #fff; white-space: nowrap }
.passed { background: #2e7d32 } .failed { background: #c62828 } .warning { background: #b26a00 } .skipped { background: #757575 }
code { overflow-wrap: anywhere } .hint { color: #555 } ul { margin: .3rem 0; padding-left: 1.2rem }
"""
_DESCRIPTIONS = {check.name: check.description for check in CHECKS}


def validation_html(verdict: Verdict) -> str:
    """The whole page. Everything a kit says is escaped."""
    outcome = "passed" if verdict.passed else "failed"
    title = f"Kit {escape(verdict.character)}: {outcome}"
    rows = "\n".join(_row(result) for result in verdict.results)
    counts = f"{len(verdict.failed('critical'))} failed, {len(verdict.failed('warning'))} warnings"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{_STYLE}</style></head><body>
<h1>{title}</h1>
<p>{len(verdict.results)} checks, {counts}. Content <code>{escape(verdict.kit_hash)}</code>, suite {escape(verdict.suite)}.</p>
<table><tr><th>Check</th><th>Outcome</th><th>What it found</th></tr>
{rows}
</table></body></html>
"""


def _row(result: CheckResult) -> str:
    badge = _badge(result)
    found = "".join(
        f"<li><code>{escape(row['where'])}</code>: {escape(row['says'])}</li>" for row in result.observed
    )
    unnamed = result.num_offenders - len(result.observed)
    more = f"<li>and {unnamed} more</li>" if unnamed else ""
    hint = "" if result.passed or result.skipped else f'<p class="hint">{escape(result.hint)}</p>'
    says = f"<ul>{found}{more}</ul>{hint}" if found else ""
    description = escape(_DESCRIPTIONS.get(result.name, ""))
    return (
        f"<tr><td><b>{escape(result.name)}</b><br>{description}</td>"
        f'<td><span class="badge {badge}">{badge}</span></td><td>{says}</td></tr>'
    )


def _badge(result: CheckResult) -> str:
    if result.passed:
        return "passed"
    if result.skipped:
        return "skipped"
    return "failed" if result.severity == "critical" else "warning"
