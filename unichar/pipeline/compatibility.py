"""What a preset and a kit need from each other, checked before the first stage makes anything.

Every rule that would otherwise fail a later stage belongs here: a toon kit under a model that cannot read
toons fails at `validate`, not at `grpo` after the hours of `sft`. No torch: nothing is loaded.
"""

from pathlib import Path

from unichar.domains.base import Domain
from unichar.domains.lookup import check_model, inferred_domain
from unichar.judges.config import judges_file
from unichar.kit.schema import read_kit
from unichar.presets import Preset
from unichar.stages import Stage
from unichar.store.store import Store


def check_compatible(stage: Stage, preset: Preset, character: str, store: Store) -> None:
    """Refuse a kit that the preset cannot take through all stages, and judges that a later stage would not
    find.

    Judges are looked for when `stage` is one that trains or measures: kits may be prepared on a machine
    without them.

    Raises:
        UserError: The model or a reward of the preset does not support the kit's pictures, or a judge is
            missing.
    """
    # From the user's folder, since nothing has been curated yet when the first stage asks.
    domain = kit_domain(store.kit(character))
    check_model(domain, preset.model, character=character)
    preset.grpo.for_domain(domain)

    # Only stages that load a model use judges.
    if stage.own_process:
        _check_judges(preset, domain, store.base(preset.model))


def kit_domain(folder: Path) -> Domain:
    """The domain that curation will give a user's kit."""
    # Problems of the kit are ignored here: `validate` reports them all.
    kit, _ = read_kit(folder)
    return inferred_domain(scene.attributes for scene in kit.scenes.values())


def _check_judges(preset: Preset, domain: Domain, base: Path) -> None:
    """Look for the published networks of reward and report, and for the file of the packed encoders."""
    # Attributes are read by the packed encoders, so toons need no published network.
    if not domain.reads_attributes:
        preset.grpo.reward.judges.check_files()
        preset.evaluation.judges.check_files()

    # A missing base is reported by the stage itself, with how to get it.
    if base.exists():
        judges_file(base)
