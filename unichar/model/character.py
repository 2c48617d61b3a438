"""A model playing one character: the four things one can ask of it. Evaluation and the command line both go through here.

The prompts are those of training (`unichar.interactions.prompts`); a picture given to `reply` is added to the prompt, never put
in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from unichar.interactions.prompts import REASONING_REQUEST, character_card, parse_reasoning, scene_prompt
from unichar.kit.images import check_size
from unichar.model.pixels import to_images
from unichar.model.protocol import RolePlay, Turn, UnifiedModel
from unichar.training.seeds import derive
from unichar.types import CuratedKit

_ANSWER_TOKENS = 12


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How answers and pictures are sampled."""

    steps: int = 16
    """Sampling steps of a picture."""
    guidance: float = 2.0
    """Classifier-free guidance; 1 is none."""
    shift: float = 2.0
    """Timestep shift of sampling."""
    temperature: float = 0.0
    """0 takes the likeliest word."""
    max_reply_tokens: int = 60
    max_plan_tokens: int = 100


class Character:
    """Example: `Character(model, kit, Manner()).role_play("Fancy a swim?", seed=1).picture.save("swim.png")`"""

    def __init__(self, model: UnifiedModel, kit: CuratedKit, manner: GenerationConfig) -> None:
        self.model, self.kit, self.manner = model, kit, manner

    def _system(self) -> Turn:
        card = character_card(name=self.kit.name, description=self.kit.description, opening=self.kit.opening)
        return Turn(role="system", text=card)

    def reply(self, history: Sequence[Turn], *, image: Image.Image | None = None, seed: int = 0) -> str:
        """The character's next message. `history` ends with what the user said; `image` is what the user shows with it.

        Raises:
            UnusablePicture: `image` is too small or too large to be read.
            ValueError: The conversation is longer than the model's context.
        """
        shown = [_shown(image)] if image is not None else []
        return self.replies([[*history[:-1], *shown, history[-1]]], seed=seed)[0]

    def replies(self, histories: Sequence[Sequence[Turn]], *, seed: int = 0) -> list[str]:
        """`reply` to several conversations at once, with the same words and in much less time."""
        return self._write(
            [[self._system(), *history] for history in histories], self.manner.max_reply_tokens, seed
        )

    def answer(self, image: Image.Image, question: str) -> str:
        """A short answer about a picture, without the character card: what visual question answering trains.

        Raises:
            UnusablePicture: `image` is too small or too large to be read.
        """
        return self._write([[_shown(image), Turn(role="user", text=question)]], _ANSWER_TOKENS, 0)[0]

    def plan(self, user: str, reply: str, *, seed: int = 0) -> tuple[str, str]:
        """(thinking, instruction) for a picture of the moment; both empty when the model writes no usable plan."""
        return self.plans([(user, reply)], seed=seed)[0]

    def plans(self, exchanges: Sequence[tuple[str, str]], *, seed: int = 0) -> list[tuple[str, str]]:
        """`plan` for several (user, reply) at once."""
        conversations = [
            [
                self._system(),
                Turn(role="user", text=user),
                Turn(role="assistant", text=reply),
                Turn(role="user", text=REASONING_REQUEST),
            ]
            for user, reply in exchanges
        ]
        return [_plan_or_none(text) for text in self._write(conversations, self.manner.max_plan_tokens, seed)]

    def draw(
        self,
        prompt: str,
        *,
        count: int = 1,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> list[Image.Image]:
        """`count` pictures of one prompt; picture i is the same whatever `count` is. `None` takes the manner's value."""
        manner = self.manner
        latents = self.model.sample_latents(
            self.model.prompt_context([prompt]),
            [derive(seed, "draw", prompt, i) for i in range(count)],
            steps=manner.steps if steps is None else steps,
            guidance=manner.guidance if guidance is None else guidance,
            shift=manner.shift,
        )
        return to_images(self.model.decode_latents(latents))

    def moment(self, user: str, reply: str, thinking: str = "", instruction: str = "") -> str:
        """The prompt that asks for a picture of an exchange."""
        looks = self.kit.description
        return scene_prompt(
            name=self.kit.name,
            description=looks,
            user=user,
            reply=reply,
            thinking=thinking,
            instruction=instruction,
        )

    def role_play(
        self, user: str, *, history: Sequence[Turn] = (), think: bool = True, seed: int = 0
    ) -> RolePlay:
        """Reply, then plan (if `think`), then draw the moment."""
        reply = self.reply([*history, Turn(role="user", text=user)], seed=seed)
        thinking, instruction = self.plan(user, reply, seed=seed) if think else ("", "")
        picture = self.draw(self.moment(user, reply, thinking, instruction), seed=seed)[0]
        return RolePlay(reply=reply, thinking=thinking, instruction=instruction, picture=picture)

    def _write(self, conversations: Sequence[Sequence[Turn]], max_tokens: int, seed: int) -> list[str]:
        return self.model.reply(
            conversations, max_tokens=max_tokens, temperature=self.manner.temperature, seed=seed
        )


def _shown(image: Image.Image) -> Turn:
    check_size(image)
    return Turn(role="user", image=image)


def _plan_or_none(text: str) -> tuple[str, str]:
    try:
        return parse_reasoning(text)
    except ValueError:
        return "", ""
