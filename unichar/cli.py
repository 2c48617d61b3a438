"""The command line: `unichar <command> --character <id>`, or `python -m unichar <command>`.

It parses, calls and reports errors.

    unichar customize --character mochi --preset cpu      the whole pipeline
    unichar sft --character mochi                         one stage: validate, curate, synthesize, sft, ...
    unichar onboard ~/kits/mochi                          bring a kit in, then the whole pipeline
    unichar talk --character mochi "Fancy a swim?" --draw
    unichar plan --preset bagel                           what it will cost, before anything runs

Exit codes: 0 done; 1 rejected or failed; 2 the command itself is wrong; 130 stopped by hand; 143 ended by
SIGTERM, resumes.

Commands import what they need when they run, so that `--help` does not load torch.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unichar.errors import UserError
from unichar.kit.checks import CATEGORIES, RIGHTS_BASES
from unichar.log import set_up_logging
from unichar.pipeline.run import customize, run_stage
from unichar.pipeline.status import doctor, forecast, status_table
from unichar.presets import PRESETS
from unichar.release.checkpoint import Which
from unichar.stages import VERBS, stage_of
from unichar.store.store import Store

# Headings of the help, which lists commands by them.
STAGES = "Stages, in their order"
CHARACTERS = "Characters"
MODELS = "Models"
UPKEEP = "Upkeep"


class Commands(TyperGroup):
    """The top-level command.

    Its help lists commands by group, and errors of any command become one message.
    """

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command that was asked for; a defect keeps its traceback.

        Raises:
            typer.Exit: It was interrupted, or failed for a reason that the user can mend. One message was
                printed.
        """
        try:
            return super().invoke(ctx)
        # 130 is 128 + SIGINT, as a shell reports a program that Ctrl-C ended.
        except KeyboardInterrupt:
            print("stopped; with the same command a training goes on from its last state", file=sys.stderr)
            raise typer.Exit(130) from None
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        # The disk or the network refused; its message names the file and the reason.
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(1) from None

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write one section per group of commands."""

        # typer keeps the group of a command for its own help with frames, which is not used here.
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            group = getattr(command, "rich_help_panel", "")
            groups.setdefault(group, []).append((name, command.get_short_help_str(limit=100)))

        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl(rows)


app = typer.Typer(
    cls=Commands,
    help="Turn a folder with pictures and dialogue of a character into a model that talks and draws like it.",
    epilog="`unichar COMMAND --help` explains a command. The way from a kit to a report: docs/walkthrough.md",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=True,
    add_completion=False,
    # The same plain text for terminals, logs and pipes. A defect shows Python's own traceback.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Before anything else logs; progress goes to stderr, results to stdout.
    set_up_logging()
    try:
        app(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="unichar")
    # typer ends every command with it, and a trainer that was stopped raises it with 143.
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    return 0


def _one_of(names: Sequence[str]) -> dict[str, Any]:
    """How an option parses and shows a value that must be one of `names`."""

    # typer's own choices need an Enum; presets and categories are plain texts.
    def parse(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(names)}")
        return value

    return {"parser": parse, "metavar": f"[{'|'.join(names)}]"}


_ID = "The character's id, as mochi: the name of its kit folder."
_SCALE = "Share of the full training; 1 takes hours on two cores."

# Options that several commands have, each written once.
Character = Annotated[str, typer.Option(help=_ID)]
Preset = Annotated[str, typer.Option(**_one_of(list(PRESETS)), help="Named settings of all stages.")]
Seed = Annotated[int, typer.Option(help="Another seed makes another output.")]
Checkpoint = Annotated[Which, typer.Option(help="The one whose release passed its gate, or the newest one.")]


def _command(name: str, group: str, *examples: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command; its docstring is the help text."""
    # typer fills paragraphs; \b keeps the line breaks of the one that it begins.
    epilog = "\b\nExamples:\n" + "\n".join(f"  unichar {example}" for example in examples)
    return app.command(name, rich_help_panel=group, epilog=epilog)


def _add_stage(verb: str) -> None:
    """Register the command of one stage."""
    # One function per stage: typer reads its options from the signature.
    stage = stage_of(verb)
    example = f"{verb} --character mochi --preset cpu"

    def run(
        character: Character,
        preset: Preset = "cpu",
        seed: Seed = 0,
        force: Annotated[bool, typer.Option("--force", help="Make it again and replace it.")] = False,
    ) -> None:
        output = run_stage(verb, character, preset=preset, seed=seed, force=force)
        print(f"{'made' if output.fresh else 'already there'}: {output.folder}")

    run.__doc__ = f"Stage {stage.number}: make the {stage.noun}."
    _command(verb, STAGES, example)(run)


# First, since help lists commands in the order in which they were registered.
for _verb in VERBS:
    _add_stage(_verb)


@_command("customize", CHARACTERS, "customize --character mochi", "customize --character mochi --dry-run")
def _customize(
    character: Character,
    preset: Preset = "cpu",
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which stages would run, and why.")
    ] = False,
) -> None:
    """Run every stage for one character; what is there already is not made again."""
    # A forecast loads no model and makes no output.
    if not dry_run:
        customize(character, preset=preset, seed=seed)
        return

    for stage, prediction in forecast(character, preset=preset, seed=seed, store=Store.from_env()):
        print(f"{stage.verb:<10} -> {stage.noun:<15} {prediction}")


@_command("onboard", CHARACTERS, "onboard ~/kits/mochi --preset smoke")
def _onboard(
    kit: Annotated[Path, typer.Argument(help="The folder that holds kit.yaml.")],
    preset: Preset = "cpu",
    seed: Seed = 0,
) -> None:
    """Bring a kit folder in, then run every stage for its character."""
    from unichar.pipeline.onboarding import onboard

    customize(onboard(kit.expanduser(), preset=preset), preset=preset, seed=seed)


@_command(
    "import-rolescape",
    CHARACTERS,
    "import-rolescape RoleScape-20/train/Bo --id bo --category animal "
    '--rights-basis licensed --rights-holder "..."',
)
def _import_rolescape(
    source: Annotated[Path, typer.Argument(help="The character's folder inside train/.")],
    id: Annotated[str, typer.Option(help="The new character's id.")],
    category: Annotated[str, typer.Option(**_one_of(CATEGORIES), help="What the character is.")],
    rights_basis: Annotated[
        str, typer.Option(**_one_of(RIGHTS_BASES), help="On what right you use the data.")
    ],
    rights_holder: Annotated[str, typer.Option(help="Who holds that right.")],
    consent: Annotated[str, typer.Option(help="Who agreed to what; needed for people.")] = "",
    note: Annotated[str, typer.Option(help="Anything else worth keeping about the rights.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="The kit folder to write.", show_default="kits/<id>")
    ] = None,
) -> None:
    """Make a kit of a RoleScape-20 character."""
    from unichar.kit.rolescape import import_rolescape

    # Rights are asked for here, because the import itself cannot know them.
    target = out or Store.from_env().kits / id
    rights = {"basis": rights_basis, "holder": rights_holder, "consent": consent, "note": note}
    counts = import_rolescape(source, target, category=category, **rights)
    print(f"{target}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))


@_command("draw-toons", CHARACTERS, "draw-toons ~/kits/mochi")
def _draw_toons(
    folders: Annotated[list[Path], typer.Argument(help="Kit folders with a scenes.jsonl.")],
) -> None:
    """Draw the pictures of toon kits from the attributes in their scenes.jsonl."""
    from unichar.domains.toon.kit_pictures import render_kit

    # One folder at a time: a bad one stops those after it, and the lines say which are done.
    for folder in folders:
        print(f"{folder}: {len(render_kit(folder.expanduser()))} pictures")


@_command(
    "talk",
    CHARACTERS,
    'talk --character mochi "Fancy a swim?"',
    'talk --character mochi "Fancy a swim?" --draw --seed 3',
    'talk --character mochi "What do you see?" --image beach.jpg',
)
def _talk(
    text: Annotated[str, typer.Argument(help="What you say.")],
    character: Character,
    draw: Annotated[bool, typer.Option("--draw", help="Draw a picture of the exchange, too.")] = False,
    image: Annotated[Path | None, typer.Option(help="A picture that the text asks about.")] = None,
    checkpoint: Checkpoint = "promoted",
    seed: Seed = 0,
) -> None:
    """Say something to a trained character."""
    # A question about a picture is answered in words; a drawing belongs to an exchange.
    if draw and image:
        raise typer.BadParameter("--draw and --image cannot be used together")

    from unichar.serving.talk import talk

    talk(character, text, draw=draw, image=image, seed=seed, which=checkpoint)


@_command("show", CHARACTERS, "show --character mochi")
def _show(character: Character) -> None:
    """Print where a character's report is, and its main numbers."""
    from unichar.pipeline.display import show

    print(show(character, Store.from_env()))


@_command("base", MODELS, "base", "base --scale 0.02 --out scratch/nano")
def _base(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the weights.", show_default="data/models/nano")
    ] = None,
    scale: Annotated[float, typer.Option(help=_SCALE)] = 1.0,
    phase: Annotated[str, typer.Option(help="Train this phase and those it needs, and write no base.")] = "",
    seed: Seed = 0,
) -> None:
    """Pre-train the nano base; it goes on where it was after a kill."""
    from unichar.pretrain.build import main as build

    store = Store.from_env()

    # State and curves go under `runs/base`, from which a killed run resumes.
    target, scratch = out or store.data / "models" / "nano", store.runs / "base"
    path = build(target, scratch, first=store.base("nano"), scale=scale, seed=seed, phase=phase)
    print(f"made: {path}")


@_command("merge", MODELS, "merge --character mochi --out mochi-merged")
def _merge(
    character: Character,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    checkpoint: Checkpoint = "promoted",
) -> None:
    """Write a trained character as one model without adapters."""
    from unichar.release.merge import merge

    print(f"made: {merge(character, out, which=checkpoint)}")


@_command("plan", MODELS, "plan --preset bagel", "plan --preset cpu --character mochi --json")
def _plan(
    preset: Preset = "bagel",
    character: Annotated[
        str, typer.Option(help="Take the text lengths of this character.", show_default=False)
    ] = "",
    mfu: Annotated[float, typer.Option(help="Share of the device's peak that training reaches.")] = 0.35,
    peak: Annotated[
        float | None, typer.Option(help="The device's TFLOP/s.", show_default="H100; nano: two cores")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Estimate the cost of a preset: parameters, memory, operations, hours."""
    from unichar.cost.estimate import main as plan

    plan(preset, character=character, mfu=mfu, peak=peak, as_json=json)


@_command("status", UPKEEP, "status", "status --character mochi")
def _status(
    character: Annotated[str, typer.Option(help=_ID, show_default="all characters")] = "",
) -> None:
    """Say what is there, and what would come out different today."""
    print(status_table(Store.from_env(), only=character))


@_command("doctor", UPKEEP, "doctor")
def _doctor() -> None:
    """Remove leftovers of killed runs and check every file of every output."""
    # What was done goes to stdout, what is wrong to stderr.
    removed, problems = doctor(Store.from_env())
    for path in removed:
        print(f"removed {path}")
    for problem in problems:
        print(problem, file=sys.stderr)

    print(f"{len(removed)} leftovers removed, {len(problems)} outputs broken")

    # A script must notice broken outputs by the exit code.
    if problems:
        raise typer.Exit(1)
