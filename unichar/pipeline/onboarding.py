"""Onboarding: a kit folder from anywhere on this machine is checked and becomes a character. No torch.

    onboard(Path("~/kits/mochi").expanduser(), preset="cpu")

What follows, from curation to release, is `unichar.pipeline.run.customize`. Not in the paper.
"""

import logging
from pathlib import Path

from unichar.kit.ingest import ingest
from unichar.pipeline.kit_gate import check_kit
from unichar.presets import get_preset
from unichar.store.store import Store

_LOG = logging.getLogger(__name__)


def onboard(source: Path, *, preset: str = "cpu", store: Store | None = None) -> str:
    """Check the kit in `source`, copy it to `kits/<id>/`, log what changed, and return its id.

    Raises:
        UserError: There is no such preset, or the folder cannot be brought in.
        KitRejected: The kit failed its checks and was not copied; the message names `source` and every
            reason.
    """
    store, config = store or Store.from_env(), get_preset(preset).kit

    # Checked and copied as one step, so that what was checked is what is used.
    kit = ingest(source, store, config)

    if kit.verdict:
        # On record, so that the stage `validate` does not check the same content again.
        check_kit(kit.character, preset=preset, store=store, verdict=kit.verdict)
        _LOG.info("%s: copied to %s, which is what the pipeline reads", kit.character, kit.folder)
    if kit.replaced:
        _LOG.info("%s: the version before is kept in %s", kit.character, kit.replaced)

    # Two kits with one id are allowed, but easily overlooked.
    starter = store.starters / kit.character
    if starter.is_dir() and kit.folder != starter:
        _LOG.info(
            "%s: %s is used, not %s, which has the same id; move the first away to use the second",
            kit.character,
            kit.folder,
            starter,
        )
    return kit.character
