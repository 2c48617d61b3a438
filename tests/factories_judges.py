"""Judges of toy size: published networks with random weights, and a judge model behind a real server in a
thread."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, Dinov2Config, Dinov2Model
from transformers.convert_slow_tokenizer import bytes_to_unicode

CLIP_PROCESSOR = {
    "feature_extractor_type": "CLIPFeatureExtractor",
    "size": 32,
    "crop_size": 32,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "resample": 3,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
"""As CLIP ViT-L/14 is published, but for its size."""
DINO_PROCESSOR = {
    **{name: value for name, value in CLIP_PROCESSOR.items() if name != "feature_extractor_type"},
    "image_processor_type": "BitImageProcessor",
    "do_rescale": True,
    "do_convert_rgb": True,
    "size": {"shortest_edge": 64},
    "crop_size": {"height": 56, "width": 56},
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
"""As DINOv2-base is published, but for its size."""

Reply = str | tuple[int, bytes]
"""What a judge model says, or a status with a body."""


def make_clip(folder: Path) -> Path:
    """A CLIP of 32 pixels and 77 tokens that reads letter by letter."""
    torch.manual_seed(0)
    letters = list(bytes_to_unicode().values())
    last_letters = [f"{letter}</w>" for letter in letters]
    words = [*letters, *last_letters, "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(words), "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    vision = {**sizes, "image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    return _with_processor(folder, CLIP_PROCESSOR)


def make_dino(folder: Path) -> Path:
    """A DINOv2 that sees the middle 56 of 64 pixels in 16 patches."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_ratio": 2}
    Dinov2Model(Dinov2Config(**sizes, image_size=56, patch_size=14)).save_pretrained(folder)
    return _with_processor(folder, DINO_PROCESSOR)


def _with_processor(folder: Path, processor: dict[str, Any]) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


class JudgeServer:
    """Answers every chat request with `reply(text)`; remembers requests and their headers."""

    def __init__(self, reply: Callable[[str], Reply]) -> None:
        self.reply, self.bodies, self.headers = reply, [], []
        self.hold: Callable[[str], None] = lambda words: None
        """Called with each text before it is answered; it may wait."""
        self.retry_after = ""
        self.model = "a-judge"

    @property
    def texts(self) -> list[str]:
        """The words of every request."""
        return [body["messages"][0]["content"][-1]["text"] for body in self.bodies]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.bodies.append(body)
        self.headers.append(dict(handler.headers) | {"path": handler.path})
        words = body["messages"][0]["content"][-1]["text"]
        self.hold(words)
        said = self.reply(words)
        status, data = said if isinstance(said, tuple) else (200, completion(said))
        handler.send_response(status)
        if self.retry_after:
            handler.send_header("Retry-After", self.retry_after)
        handler.send_header("Location", "/elsewhere")
        handler.end_headers()
        handler.wfile.write(data)


def completion(words: str | None) -> bytes:
    """A server's answer."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": words}}]}).encode()


@contextmanager
def serving(reply: Callable[[str], Reply]) -> Iterator[tuple[str, JudgeServer]]:
    """(address, server) of a judge model on this machine."""
    judge = JudgeServer(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            judge.answer(self)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # who stops waiting closes the connection
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", judge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sensible(words: str) -> str:
    """A judge model that writes two questions per text, answers both rightly, and scores replies 6."""
    if "Answer with JSON" in words:
        target = words.split("\n\n")[1]
        return json.dumps(
            [
                {
                    "question": f"Where is it ({target[:40]})?",
                    "choices": ["pier", "roof", target[-20:]],
                    "answer": target[-20:],
                },
                {"question": f"Is there anybody ({target[:40]})?", "choices": ["yes", "no"], "answer": "yes"},
            ]
        )
    if "from 1 to 7" in words:
        return "6"
    lines = [line for line in words.splitlines() if line[1:3] == ") "]
    right = [line for line in lines if line[3:] not in ("pier", "roof", "no")]
    return right[0][0]
