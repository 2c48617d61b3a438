"""Stage 7: is this model better than its base? The gate's decision, and a model card that states it. No
torch.

    python -m unichar release --character mochi

Reads `report.json`, writes `release.json` and `MODEL_CARD.md`. A model that fails the gate still gets its
card; only the promoted pointer (`CHAMPION.json`) stays where it was: `unichar.pipeline.run` moves it after
publishing. Not in the paper.
"""

import json
from pathlib import Path
from typing import Any

from unichar.errors import UserError
from unichar.kit.schema import load_kit
from unichar.release.config import METRICS
from unichar.release.model_card import model_card
from unichar.release.rules import CANDIDATE, decide
from unichar.store.files import json_bytes, write_atomic
from unichar.types import StageJob


def run(job: StageJob) -> dict[str, Any]:
    """Apply the gate to the report in `job.inputs["eval_report"]`.

    Returns: `passed`, the number of reasons against it, and those of the candidate's metrics that the gate
    compares.

    Raises:
        UserError: There is no readable report.json.
    """
    # The decision depends on the report and the settings alone.
    report = read_report(job.inputs["eval_report"])
    decision = decide(report["arms"], job.config)
    checkpoint = job.inputs["grpo_checkpoint"].name

    # For programs: the whole decision, also of a model that is held back: its author must see why.
    content = {
        "passed": decision.passed,
        "reasons": decision.reasons,
        "held": decision.held,
        "skipped": decision.skipped,
        "metrics": report["arms"],
        "grpo_checkpoint": checkpoint,
    }
    write_atomic(job.out / "release.json", json_bytes(content))

    # For people: the card, with the author's own words about rights. These stand in the raw kit only.
    sheet = load_kit(job.inputs["raw_kit"]).sheet
    card = model_card(report, decision, sheet, checkpoint=checkpoint)
    write_atomic(job.out / "MODEL_CARD.md", card.encode())

    # Dagster shows these numbers; those that are missing were named by the rules.
    candidate = report["arms"].get(CANDIDATE, {})
    numbers = {name: candidate[name]["value"] for name in METRICS if name in candidate}
    return {"passed": decision.passed, "num_reasons": len(decision.reasons), **numbers}


def read_report(folder: Path) -> dict[str, Any]:
    """`report.json` of an eval_report.

    Raises:
        UserError: It is missing or no report.
    """
    path = folder / "report.json"
    try:
        report = json.loads(path.read_bytes())

        # Every number is read here once, so that a broken report is one message and not a crash in a rule.
        for metrics in report["arms"].values():
            for estimate in metrics.values():
                float(estimate["value"])

    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no report ({error!r}): run `python -m unichar evaluate --character <id> --force`"
        ) from error
    return report
