"""Which published networks judge photographs beside those that every base brings. No torch.

Reward and report each have one of these; `Preset` refuses a network that is in both (see `docs/judges.md`).
"""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class JudgesConfig:
    """Judges of photographs and replies; an empty string is off. Toons' pictures have judges of their own, whatever stands here.

    A name stands for what lies under it: other weights belong into another folder, or what they judged is taken for up to date.
    """

    clip: str = ""
    """Alignment by text and picture features: folder or hub name of a CLIP, as `openai/clip-vit-large-patch14`."""
    dino: str = ""
    """Identity, copying and diversity by its features: folder or hub name of a DINOv2, as `facebook/dinov2-base`."""
    endpoint: str = ""
    """Alignment by questions about pictures, and marks for replies: an OpenAI-compatible address, as `http://127.0.0.1:8000/v1`.
    Its key, if it wants one, is read from UNICHAR_ENDPOINT_KEY and from nowhere else."""
    endpoint_model: str = ""
    """The model there that reads texts and sees pictures."""

    def __post_init__(self) -> None:
        if bool(self.endpoint) != bool(self.endpoint_model):
            raise ValueError(
                f"JudgesConfig.endpoint is {self.endpoint!r} and endpoint_model {self.endpoint_model!r}; expected both or neither"
            )
        if self.endpoint:
            _check_address(self.endpoint)

    def shared_with(self, other: "JudgesConfig") -> list[str]:
        """The networks that both use."""
        mine, theirs = ({each.clip, each.dino, each.endpoint_model} - {""} for each in (self, other))
        return sorted(mine & theirs)


def reward_judges() -> JudgesConfig:
    """What the environment offers to rewards: UNICHAR_CLIP."""
    return JudgesConfig(clip=os.environ.get("UNICHAR_CLIP", ""))


def report_judges() -> JudgesConfig:
    """What the environment offers to reports: UNICHAR_DINO, UNICHAR_ENDPOINT and UNICHAR_ENDPOINT_MODEL."""
    return JudgesConfig(
        dino=os.environ.get("UNICHAR_DINO", ""),
        endpoint=os.environ.get("UNICHAR_ENDPOINT", ""),
        endpoint_model=os.environ.get("UNICHAR_ENDPOINT_MODEL", ""),
    )


def _check_address(address: str) -> None:
    """Settings are saved and shown, so an address may hold no secret.

    Raises:
        ValueError: It is no plain http(s) address. The message does not repeat it.
    """
    parts = urlsplit(address)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "JudgesConfig.endpoint holds a user, a query or a fragment; expected http(s)://host:port/v1, "
            "with the key in UNICHAR_ENDPOINT_KEY"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"JudgesConfig.endpoint is {address!r}; expected http(s)://host:port/v1")
