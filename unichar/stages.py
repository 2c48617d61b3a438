"""The table of stages. Commands, modules, Dagster assets and folders take their names from it.

The store names folders by it and the pipeline runs by it, so it lies below both. No torch.
"""

from dataclasses import dataclass

from unichar.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the pipeline: its verb is the command, its noun is the product.

    Example: `Stage(number=4, verb="sft", noun="sft_checkpoint", module="unichar.sft.train", ...)`
    """

    number: int
    """Position; part of folder names, so a new stage is added at the end."""
    noun: str
    """Name of the product: Dagster asset and folder."""
    verb: str = ""
    """Name of the command; empty for the kit, which the user provides."""
    module: str = ""
    """Module with `run(job: StageJob) -> dict[str, number]`."""
    own_process: bool = False
    """Whether it loads the model: it then needs a validated kit, and gets its own process under Dagster."""
    needs: tuple[str, ...] = ()
    """Nouns of the outputs that it reads."""
    packages: tuple[str, ...] = ()
    """Packages (own files, data files) and modules that make its code version, besides the model family."""
    config: str = ""
    """Field of `Preset` that holds its settings."""

    @property
    def folder(self) -> str:
        """As `4_sft_checkpoint`."""
        return f"{self.number}_{self.noun}"


# Packages that many stages use. A change in one of them makes all of these stages run again.
# The domains decide what interactions, rewards and metrics are; the records are what stages exchange.
_GROUND = ("unichar.domains", "unichar.domains.toon", "unichar.types")
_KIT = ("unichar.kit", *_GROUND)

# What both trainers and the report run: the loop, the model, prompts and picture loading.
_LEARN = (
    "unichar.training",
    "unichar.model",
    "unichar.interactions.prompts",
    "unichar.kit.images",
    *_GROUND,
)

# In the order in which they run: `needs` names only nouns of earlier rows.
STAGES: tuple[Stage, ...] = (
    # The user's kit: nothing makes it, and its version is its content hash.
    Stage(number=0, noun="raw_kit"),
    Stage(
        number=1,
        noun="validated_kit",
        verb="validate",
        module="unichar.kit.validate",
        needs=("raw_kit",),
        # The pages too, since this stage writes validation.html.
        packages=(*_KIT, "unichar.pages"),
        config="kit",
    ),
    Stage(
        number=2,
        noun="curated_kit",
        verb="curate",
        module="unichar.kit.curate",
        # The pictures come from the raw kit; the verdict only permits the stage.
        needs=("raw_kit", "validated_kit"),
        packages=_KIT,
        config="kit",
    ),
    Stage(
        number=3,
        noun="interactions",
        verb="synthesize",
        module="unichar.interactions.synthesize",
        needs=("curated_kit",),
        packages=("unichar.interactions", *_GROUND),
        config="interactions",
    ),
    Stage(
        number=4,
        noun="sft_checkpoint",
        verb="sft",
        module="unichar.sft.train",
        own_process=True,
        # Trainers need the verdict themselves: it may have been reached long ago.
        needs=("validated_kit", "curated_kit", "interactions"),
        packages=("unichar.sft", *_LEARN),
        config="sft",
    ),
    Stage(
        number=5,
        noun="grpo_checkpoint",
        verb="grpo",
        module="unichar.grpo.train",
        own_process=True,
        needs=("validated_kit", "curated_kit", "interactions", "sft_checkpoint"),
        packages=("unichar.grpo", "unichar.judges", *_LEARN),
        config="grpo",
    ),
    Stage(
        number=6,
        noun="eval_report",
        verb="evaluate",
        module="unichar.evaluation.evaluate",
        own_process=True,
        # Both checkpoints, since the report compares base, SFT and GRPO. The raw kit tells the cast apart.
        needs=("raw_kit", "curated_kit", "interactions", "sft_checkpoint", "grpo_checkpoint"),
        packages=(
            "unichar.evaluation",
            "unichar.pages",
            "unichar.judges",
            "unichar.grpo.prompts",
            "unichar.kit.schema",
            *_LEARN,
        ),
        config="evaluation",
    ),
    Stage(
        number=7,
        noun="release",
        verb="release",
        module="unichar.release.gate",
        needs=("raw_kit", "eval_report", "grpo_checkpoint"),
        # No model is loaded here: the report has all numbers.
        packages=("unichar.release", "unichar.pages", "unichar.kit.schema", "unichar.types"),
        config="release",
    ),
)

# The commands, in the order of the stages.
VERBS: tuple[str, ...] = tuple(stage.verb for stage in STAGES if stage.verb)


def stage_of(name: str) -> Stage:
    """The stage with this verb or noun.

    Raises:
        UserError: There is none.
    """
    # The kit has no verb, so an empty name must not match it.
    for stage in STAGES:
        if name and name in (stage.verb, stage.noun):
            return stage

    raise UserError(f"there is no stage {name!r}; the stages are {', '.join(VERBS)}")
