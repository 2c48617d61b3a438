"""Settings of the release gate: what a report must show before a model is promoted."""

from dataclasses import dataclass

from unichar.errors import UserError

METRICS = ("identity", "held_out_nll", "alignment", "style", "copying")
"""The metrics that the gate compares."""


@dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """Margins of the gate. A rule whose metric was not measured is skipped, and the card says so.

    Not in the paper, which stops at a checkpoint.

    Raises:
        UserError: A setting is out of range.
    """

    # Margins. Signs are those of a gain or a loss, never of a difference.
    identity_gain: float = 0.0
    """`identity` of the tuned model must exceed the base's by more than this, in -1..1."""
    alignment_loss: float = 0.1
    """`alignment` of the tuned model may fall this far below the base's, in 0..1."""
    nll_loss: float = 0.0
    """`held_out_nll` of the tuned model may exceed the base's by this many nats a token, at least 0."""
    copying_most: float = 0.5
    """`copying` of the tuned model must not exceed this, in 0..1."""
    style_loss: float = 0.0
    """`style` of the tuned model may fall this far below the base's, in 0..1."""

    # Identity and likelihood say that it draws the character and talks like it at all.
    required: tuple[str, ...] = ("identity", "held_out_nll")
    """Metrics that must have been measured for a model to be released."""

    def __post_init__(self) -> None:
        # Differences and values of metrics in 0..1 have these bounds; other settings could never matter.
        if not -1 <= self.identity_gain <= 1:
            raise UserError(f"ReleaseConfig.identity_gain must be in -1..1, not {self.identity_gain}")
        for name in ("alignment_loss", "copying_most", "style_loss"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"ReleaseConfig.{name} must be in 0..1, not {getattr(self, name)}")

        # NaN fails both comparisons.
        if not 0 <= self.nll_loss < float("inf"):
            raise UserError(f"ReleaseConfig.nll_loss must be 0 or more, not {self.nll_loss}")

        # A misspelt metric would otherwise never be measured, and nothing ever released.
        unknown = set(self.required) - set(METRICS)
        if unknown:
            raise UserError(
                f"ReleaseConfig.required names {', '.join(sorted(unknown))}, "
                f"which the gate does not compare; it compares {', '.join(METRICS)}"
            )
