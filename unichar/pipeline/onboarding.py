"""Onboarding: a kit folder from anywhere on this machine is checked and becomes a character of the project.
No torch.

    onboard(Path("~/kits/mochi").expanduser(), preset="cpu")

What follows, from curation to release, is `unichar.pipeline.run.customize`. Not in the paper.
"""

from pathlib import Path

from unichar.kit.ingest import ingest
from unichar.pipeline.kit_gate import check_kit
from unichar.presets import get_preset
from unichar.store.store import Store


def onboard(source: Path, *, preset: str = "cpu", store: Store | None = None) -> str:
    """Check the kit in `source`, copy it to `kits/<id>/`, print what changed, and return its id.

    Raises: UserError: There is no such preset, or the folder cannot be brought in. KitRejected: The kit
    failed its checks. Nothing was copied; the message names `source` and every reason.
    """
    store, config = store or Store.from_env(), get_preset(preset).kit
    kit = ingest(source, store, config)

    if kit.verdict:
        # On record, so that the stage `validate` does not check the same content again.
        check_kit(kit.character, preset=preset, store=store, verdict=kit.verdict)
        print(f"{kit.character}: copied to {kit.folder}, which is what the pipeline reads", flush=True)
    if kit.replaced:
        print(f"{kit.character}: the version before is kept in {kit.replaced}", flush=True)

    starter = store.starters / kit.character
    if starter.is_dir() and kit.folder != starter:
        print(
            f"{kit.character}: {kit.folder} is used, not {starter}, which has the same id; "
            "move the first away to use the second",
            flush=True,
        )
    return kit.character
