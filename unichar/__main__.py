"""The command line: `python -m unichar <verb> --character <id>`. It parses, calls, and says in one message what went wrong.

    python -m unichar customize --character mochi --preset cpu      the whole line
    python -m unichar sft --character mochi                         one stage: validate, curate, synthesize, sft, ...
    python -m unichar onboard ~/kits/mochi                          bring a kit in, then the whole line
    python -m unichar talk --character mochi "Fancy a swim?" --draw
    python -m unichar plan --preset bagel                           what it will cost, before anything runs

Exit codes: 0 done; 1 rejected or failed; 2 the command itself is wrong; 130 stopped by hand; 143 ended from outside, resumes.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from unichar.kit.checks import CATEGORIES, RIGHTS_BASES
from unichar.kit.verdict import KitRejected
from unichar.pipeline.lineage import StaleInput
from unichar.pipeline.run import customize, run_stage
from unichar.pipeline.status import doctor, forecast, status_table
from unichar.presets import PRESETS
from unichar.stages import VERBS, stage_of
from unichar.store.manifest import BrokenOutput
from unichar.store.remote import RemoteError
from unichar.store.store import MissingOutput, Store, StoreError

Arguments = argparse.Namespace


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.call(options) or 0
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        if not _is_meant_for_users(error):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1 if _is_failure(error) else 2


def _is_meant_for_users(error: ValueError | OSError) -> bool:
    """Whether our own code raised it, or the disk did; anything else is a defect and keeps its traceback."""
    if isinstance(error, OSError):
        return True
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in (
        "unichar",
        "__main__",
    )


def _is_failure(error: Exception) -> bool:
    return isinstance(
        error, KitRejected | MissingOutput | StaleInput | BrokenOutput | StoreError | RemoteError | OSError
    )


def _stage(options: Arguments) -> None:
    output = run_stage(
        options.verb, options.character, preset=options.preset, seed=options.seed, force=options.force
    )
    print(f"{'made' if output.fresh else 'already there'}: {output.folder}")


def _customize(options: Arguments) -> None:
    if options.dry_run:
        store = Store.from_env()
        for stage, words in forecast(
            options.character, preset=options.preset, seed=options.seed, store=store
        ):
            print(f"{stage.verb:<10} -> {stage.noun:<15} {words}")
    else:
        customize(options.character, preset=options.preset, seed=options.seed)


def _onboard(options: Arguments) -> None:
    from unichar.kit.ingest import ingest

    character = ingest(options.kit.expanduser(), Store.from_env().data)
    customize(character, preset=options.preset, seed=options.seed)


def _import_rolescape(options: Arguments) -> None:
    from unichar.kit.rolescape import import_rolescape

    target = options.out or Store.from_env().kit(options.id)
    rights = {
        "basis": options.rights_basis,
        "holder": options.rights_holder,
        "consent": options.consent,
        "note": options.note,
    }
    counts = import_rolescape(options.source, target, category=options.category, **rights)
    print(f"{target}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))


def _base(options: Arguments) -> None:
    from unichar.pretrain.build import main as build

    store = Store.from_env()
    path = build(
        options.out or store.data / "models" / "nano",
        store.runs / "base",
        scale=options.scale,
        seed=options.seed,
    )
    print(f"made: {path}")


def _status(options: Arguments) -> None:
    print(status_table(Store.from_env(), only=options.character))


def _doctor(options: Arguments) -> int:
    removed, problems = doctor(Store.from_env())
    for path in removed:
        print(f"removed {path}")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(removed)} leftovers removed, {len(problems)} outputs broken")
    return 1 if problems else 0


def _talk(options: Arguments) -> None:
    from unichar.serving.talk import main as talk

    talk(
        options.character,
        options.text,
        draw=options.draw,
        image=options.image,
        seed=options.seed,
        which=options.checkpoint,
    )


def _merge(options: Arguments) -> None:
    from unichar.release.merge import main as merge

    print(f"made: {merge(options.character, options.out, which=options.checkpoint)}")


def _plan(options: Arguments) -> None:
    from unichar.cost.estimate import main as plan

    plan(
        options.preset, character=options.character, mfu=options.mfu, peak=options.peak, as_json=options.json
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m unichar", description="The production line for characters."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, call: Callable[[Arguments], int | None], words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(call=call, verb=name)
        return added

    for verb in VERBS:
        stage = command(verb, _stage, f"stage {stage_of(verb).number}: make the {stage_of(verb).noun}")
        _add_character(stage)
        _add_settings(stage)
        stage.add_argument(
            "--force", action="store_true", help="make it again although it is there, and replace it"
        )
    line = command("customize", _customize, "the whole line for one character")
    _add_character(line)
    _add_settings(line)
    line.add_argument("--dry-run", action="store_true", help="only say which stages would run, and why")
    onboard = command("onboard", _onboard, "bring a kit folder in, then the whole line")
    onboard.add_argument("kit", type=Path, help="the folder that holds kit.yaml")
    _add_settings(onboard)
    _add_import(command("import-rolescape", _import_rolescape, "make a kit of a RoleScape-20 character"))
    base = command("base", _base, "pre-train the nano base; resumes after a kill")
    base.add_argument("--out", type=Path, help="folder for the weights (data/models/nano)")
    base.add_argument(
        "--scale", type=float, default=1.0, help="share of the full training; 1 takes hours on two cores"
    )
    base.add_argument("--seed", type=int, default=0)
    plan = command("plan", _plan, "what a preset will cost: parameters, memory, operations, hours")
    plan.add_argument("--preset", default="bagel", choices=PRESETS, help="named settings (bagel)")
    _add_character(plan, required=False)
    plan.add_argument(
        "--mfu", type=float, default=0.35, help="share of the device's peak that training reaches (0.35)"
    )
    plan.add_argument(
        "--peak", type=float, help="the device's TFLOP/s instead of an H100's (nano: two cores')"
    )
    plan.add_argument("--json", action="store_true", help="the same as numbers: bytes, operations, hours")
    _add_character(
        command("status", _status, "what is there, and what would come out different today"), required=False
    )
    command("doctor", _doctor, "remove leftovers of killed runs, check every output")
    merge = command("merge", _merge, "write a trained character as one model without adapters")
    _add_character(merge)
    _add_checkpoint(merge)
    merge.add_argument("--out", type=Path, required=True, help="the folder to write")
    talk = command("talk", _talk, "say something to a trained character")
    _add_character(talk)
    talk.add_argument("text", help="what you say")
    only = talk.add_mutually_exclusive_group()
    only.add_argument("--draw", action="store_true", help="draw the moment, too")
    only.add_argument("--image", type=Path, help="a picture that the text asks about")
    _add_checkpoint(talk)
    talk.add_argument("--seed", type=int, default=0)
    return parser


def _add_character(command: argparse.ArgumentParser, *, required: bool = True) -> None:
    command.add_argument(
        "--character", required=required, default="", help="id: the name of the folder in data/characters"
    )


def _add_checkpoint(command: argparse.ArgumentParser) -> None:
    words = "the one whose release passed its gate, or the newest (promoted)"
    command.add_argument("--checkpoint", default="promoted", choices=("promoted", "current"), help=words)


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--preset", default="cpu", choices=PRESETS, help="named settings (cpu)")
    command.add_argument("--seed", type=int, default=0)


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", type=Path, help="the character's folder inside train/")
    command.add_argument("--id", required=True, help="the new character's id")
    command.add_argument("--category", required=True, choices=CATEGORIES)
    command.add_argument(
        "--rights-basis", required=True, choices=RIGHTS_BASES, help="on what right you use the data"
    )
    command.add_argument("--rights-holder", required=True, help="who holds that right")
    command.add_argument("--consent", default="", help="who agreed to what; needed for people")
    command.add_argument("--note", default="", help="anything else worth keeping about the rights")
    command.add_argument("--out", type=Path, help="the kit folder to write (data/characters/<id>)")


if __name__ == "__main__":
    sys.exit(main())
