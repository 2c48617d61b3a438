"""A model playing one character: replies, answers about pictures, reasoning texts and pictures.

Evaluation and the command line both use it. Prompts are those of training (`unichar.interactions.prompts`); a
picture passed to `reply` is added to the prompt and replaces nothing.
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
"""Visual question answering is trained on answers of one to three words."""


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
    """Of text; 0 is greedy decoding."""
    max_reply_tokens: int = 60
    max_reasoning_tokens: int = 100
    """Of the thinking and the instruction before a picture."""


class Character:
    """A model with the prompts of one character.

    Example: `Character(model, kit, GenerationConfig()).role_play("Fancy a swim?",
    seed=1).picture.save("swim.png")`
    """

    def __init__(self, model: UnifiedModel, kit: CuratedKit, generation: GenerationConfig) -> None:
        self.model, self.kit, self.generation = model, kit, generation

    def _system(self) -> Turn:
        card = character_card(name=self.kit.name, description=self.kit.description, opening=self.kit.opening)
        return Turn(role="system", text=card)

    def reply(self, history: Sequence[Turn], *, image: Image.Image | None = None, seed: int = 0) -> str:
        """The character's next message.

        Args:
            history: Ends with the user's message.
            image: A picture the user shows with that message.
            seed: Of sampling, at a temperature above 0.

        Raises:
            UnusablePicture: `image` is too small or too large.
            ValueError: The conversation is longer than the model's context.
        """
        shown = [_image_turn(image)] if image is not None else []
        return self.replies([[*history[:-1], *shown, history[-1]]], seed=seed)[0]

    def replies(self, histories: Sequence[Sequence[Turn]], *, seed: int = 0) -> list[str]:
        """`reply` to several conversations at once: the same texts, in much less time."""
        conversations = [[self._system(), *history] for history in histories]
        return self._generate(conversations, self.generation.max_reply_tokens, seed)

    def answer(self, image: Image.Image, question: str) -> str:
        """A short answer about a picture, without the character card, as visual question answering is
        trained.

        Raises:
            UnusablePicture: `image` is too small or too large.
        """
        conversation = [_image_turn(image), Turn(role="user", text=question)]
        return self._generate([conversation], _ANSWER_TOKENS, 0)[0]

    def reasoning(self, user: str, reply: str, *, seed: int = 0) -> tuple[str, str]:
        """(thinking, instruction) for a picture of an exchange; both empty if the model's text has no
        instruction.
        """
        return self.reasonings([(user, reply)], seed=seed)[0]

    def reasonings(self, exchanges: Sequence[tuple[str, str]], *, seed: int = 0) -> list[tuple[str, str]]:
        """`reasoning` for several (user, reply) at once."""
        conversations = []
        for user, reply in exchanges:
            exchange = [
                Turn(role="user", text=user),
                Turn(role="assistant", text=reply),
                Turn(role="user", text=REASONING_REQUEST),
            ]
            conversations.append([self._system(), *exchange])

        texts = self._generate(conversations, self.generation.max_reasoning_tokens, seed)
        return [_reasoning_or_empty(text) for text in texts]

    def draw(
        self,
        prompt: str,
        *,
        count: int = 1,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> list[Image.Image]:
        """`count` pictures of one prompt; picture i is the same for any `count`.

        `steps` and `guidance` default to those of the generation config.
        """
        generation = self.generation
        latents = self.model.sample_latents(
            self.model.prompt_context([prompt]),
            [derive(seed, "draw", prompt, i) for i in range(count)],
            steps=generation.steps if steps is None else steps,
            guidance=generation.guidance if guidance is None else guidance,
            shift=generation.shift,
        )
        return to_images(self.model.decode_latents(latents))

    def scene_prompt(self, user: str, reply: str, thinking: str = "", instruction: str = "") -> str:
        """The prompt for a picture of an exchange."""
        return scene_prompt(
            name=self.kit.name,
            description=self.kit.description,
            user=user,
            reply=reply,
            thinking=thinking,
            instruction=instruction,
        )

    def role_play(
        self, user: str, *, history: Sequence[Turn] = (), think: bool = True, seed: int = 0
    ) -> RolePlay:
        """Generate a multimodal turn: the reply, the reasoning text (if `think`), then the picture."""
        reply = self.reply([*history, Turn(role="user", text=user)], seed=seed)
        thinking, instruction = self.reasoning(user, reply, seed=seed) if think else ("", "")
        picture = self.draw(self.scene_prompt(user, reply, thinking, instruction), seed=seed)[0]
        return RolePlay(reply=reply, thinking=thinking, instruction=instruction, picture=picture)

    def _generate(self, conversations: Sequence[Sequence[Turn]], max_tokens: int, seed: int) -> list[str]:
        return self.model.reply(
            conversations, max_tokens=max_tokens, temperature=self.generation.temperature, seed=seed
        )


def _image_turn(image: Image.Image) -> Turn:
    check_size(image)
    return Turn(role="user", image=image)


def _reasoning_or_empty(text: str) -> tuple[str, str]:
    try:
        return parse_reasoning(text)
    except ValueError:
        return "", ""
