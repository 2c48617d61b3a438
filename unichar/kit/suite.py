"""What each check measures: the Great Expectations suite over the tables of a kit, run in one pass.

A check consists of one or more expectations. They carry its name in `meta["check"]`, because results come
back in another order. The sentence in `meta["says"]` is filled in with the columns of the offending row.
"""

from typing import TYPE_CHECKING, Any

from unichar.kit.checks import CATEGORIES, CHECKS, RIGHTS_BASES
from unichar.kit.config import KitConfig
from unichar.kit.schema import KEY

if TYPE_CHECKING:
    import pandas as pd

CONTROL_TOKEN = r"<\|[^|<>]*\|>|</?(?:think|gen|image|s)>|<(?:start|end)_of_turn>"
"""Texts that tokenizers turn into control tokens."""

_MOST_SAID = 300
"""Characters of a sentence: a kit may hold texts of any length."""

Offender = dict[str, str]
"""`{"where": "images/03.png", "says": "the shorter side has 40 pixels, 64 are needed"}`"""


def run_suite(frames: dict[str, "pd.DataFrame"], config: KitConfig) -> dict[str, list[Offender]]:
    """Name of each check -> what violates it, in the order of the tables; an empty list where it passes."""
    # Takes three to five seconds and loads 2,400 modules.
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # Ephemeral: no project folder, nothing written to disk.
    context = gx.get_context(mode="ephemeral")

    # Progress bars would hide the log.
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("kit")

    # COMPLETE lists every offending row with its `where`; the other formats stop at 20.
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": ["where"]}

    # Every check has an entry, also one that finds nothing.
    found: dict[str, list[Offender]] = {check.name: [] for check in CHECKS}
    for name, expectations in _expectations(config).items():
        # One batch per table: the expectations over it run together.
        definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        batch = definition.get_batch({"dataframe": frames[name]})
        suite = gx.ExpectationSuite(name, expectations=expectations)
        for result in batch.validate(suite, result_format=result_format).results:
            check, offenders = _read(result)
            found[check] += offenders
    return found


def _read(result: Any) -> tuple[str, list[Offender]]:
    """The check that one result belongs to, and the offending rows, each with its sentence."""
    meta = result.expectation_config.meta
    rows = result.to_json_dict()["result"].get("unexpected_index_list")

    # An error inside Great Expectations, as a missing column, comes back as a failure without offending rows.
    assert rows is not None and result.success == (not rows), result.exception_info

    offenders = []
    for row in rows:
        offenders.append({"where": str(row["where"]), "says": meta["says"].format(**row)[:_MOST_SAID]})
    return meta["check"], offenders


def _expectations(config: KitConfig) -> dict[str, list[Any]]:
    """Table -> the expectations over it."""
    # The name of a table is that of its frame in `unichar.kit.frames`.
    return {
        "files": [_no_problem("kit_readable", "problem")],
        "kit": _of_kit(config),
        "texts": _of_texts(),
        "pictures": _of_pictures(config),
        "scenes": [
            _no_problem("scenes_complete", "picture_problem"),
            _no_problem("attributes_known", "attribute_problem"),
            _no_problem("look_constant", "identity_problem"),
            _no_problem("held_out_unseen", "leak_problem", "the same is said in {leak_problem}"),
        ],
        "facts": _of_facts(),
    }


def _of_kit(config: KitConfig) -> list[Any]:
    import great_expectations.expectations as gxe

    # Two expectations of one check: the key itself, and that the folder has the same name.
    bad_key = _as("key_valid", "the id {id!r} is no valid key")
    other_name = _as("key_valid", "the id is {id!r}, but the folder is called {folder!r}")
    pictures = "distinct usable pictures with a scene line"
    return [
        # `\Z`, because `$` would accept a line break at the end.
        gxe.ExpectColumnValuesToMatchRegex(column="id", regex=rf"^{KEY.pattern}\Z", **bad_key),
        gxe.ExpectColumnPairValuesToBeEqual(column_A="id", column_B="folder", **other_name),
        _in_set("rights_stated", "basis", RIGHTS_BASES, "rights: basis"),
        _filled("rights_stated", "holder", "rights: holder is empty"),
        _filled("rights_stated", "consent", "rights: consent is empty"),
        _in_set("texts_filled", "category", CATEGORIES, "category"),
        _counted("picture_count", "num_pictures", pictures, config.min_pictures, config.max_pictures),
        _counted(
            "picture_count", "num_train", "pictures to train on after holding some out", config.min_train
        ),
        _counted("picture_count", "num_held_out", "held-out pictures that are not in training too", 1),
        _counted("facts_complete", "num_facts", "facts", config.min_facts),
    ]


def _of_texts() -> list[Any]:
    import great_expectations.expectations as gxe

    # `:.0f`, because a column with missing values is read as floating point.
    too_long = _as("texts_fit_prompts", "has {length:.0f} characters, {most:.0f} fit")
    controlled = _as("texts_fit_prompts", "contains a control token of the models")
    return [
        _filled("texts_filled", "required", "is empty"),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="most", column_B="length", or_equal=True, **too_long
        ),
        gxe.ExpectColumnValuesToNotMatchRegex(column="text", regex=CONTROL_TOKEN, **controlled),
    ]


def _of_pictures(config: KitConfig) -> list[Any]:
    import great_expectations.expectations as gxe

    # The sentences, then the expectations that use them.
    side, least = "the shorter side has {short_side:.0f} pixels", config.min_side
    small = _as("pictures_usable", f"{side}, {least} are needed")
    blurred = _as("pictures_suit_model", f"{side} and is enlarged to {config.size}")
    long = _as("pictures_suit_model", "is {ratio:g} times as long as wide, so it gets bars")
    unpaired = _as("scenes_complete", "has {num_lines} lines in scenes.jsonl instead of one")
    return [
        _no_problem("pictures_usable", "problem"),
        gxe.ExpectColumnValuesToBeBetween(column="short_side", min_value=least, **small),
        # The same column twice: too small is an error, smaller than the prepared size a warning.
        gxe.ExpectColumnValuesToBeBetween(column="short_side", min_value=config.size, **blurred),
        gxe.ExpectColumnValuesToBeBetween(column="ratio", max_value=config.max_ratio, **long),
        _no_problem("pictures_distinct", "same_as", "shows the same as {same_as}"),
        gxe.ExpectColumnValuesToBeInSet(column="num_lines", value_set=[1], **unpaired),
    ]


def _of_facts() -> list[Any]:
    import great_expectations.expectations as gxe

    # Missing questions are None and are not compared.
    twice = _as("facts_complete", "the question is asked more than once: {question}")
    return [
        _no_problem("facts_complete", "missing", "no {missing}"),
        gxe.ExpectColumnValuesToBeUnique(column="question", **twice),
        _no_problem("facts_complete", "paraphrase_problem"),
        _no_problem("facts_in_profile", "evidence_problem"),
    ]


def _no_problem(check: str, column: str, says: str = "") -> Any:
    """The column holds no sentence; by default that sentence is what is said."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeNull(column=column, **_as(check, says or f"{{{column}}}"))


def _filled(check: str, column: str, says: str) -> Any:
    """The text in the column is not empty; None stands for a text that is not required."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValueLengthsToBeBetween(column=column, min_value=1, **_as(check, says))


def _in_set(check: str, column: str, values: tuple[str, ...], what: str) -> Any:
    """The column holds one of `values`."""
    import great_expectations.expectations as gxe

    says = f"{what} is {{{column}!r}}, not one of {', '.join(values)}"
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), **_as(check, says))


def _counted(check: str, column: str, what: str, least: int, most: int | None = None) -> Any:
    """The number in the column is between `least` and `most`."""
    import great_expectations.expectations as gxe

    needed = f"{least} to {most}" if most else f"{least} or more"
    says = f"{{{column}}} {what}; {needed} are needed"
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=least, max_value=most, **_as(check, says)
    )


def _as(check: str, says: str) -> dict[str, Any]:
    """The arguments that tie an expectation to its check."""
    # Stated once, in `CHECKS`; Great Expectations shows it too.
    severity = next(spec.severity for spec in CHECKS if spec.name == check)
    return {"severity": severity, "meta": {"check": check, "says": says}}
