"""A judge model behind an OpenAI-compatible address, as vLLM serves one: questions in, short answers out.

    vllm serve Qwen/Qwen2.5-VL-7B-Instruct --port 8000
    export UNICHAR_ENDPOINT=http://127.0.0.1:8000/v1 UNICHAR_ENDPOINT_MODEL=Qwen/Qwen2.5-VL-7B-Instruct

Pictures of the character and its replies go to that address and nowhere else: no proxy, no redirect. Always the likeliest
words (temperature 0). The key comes from UNICHAR_ENDPOINT_KEY and stands in no setting, message or file.
"""

import base64
import http.client
import io
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

KEY = "UNICHAR_ENDPOINT_KEY"
Content = list[dict[str, Any]]
"""Pictures and texts of one request."""
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
"""Statuses that may be gone in a moment."""
_MOST_BYTES = 4_000_000
_LONGEST_PAUSE = 30.0


class EndpointError(ValueError):
    """The judge model can not be asked, or what it says is of no use; the message is one line."""


class _Passing(Exception):
    """What may be gone in a moment, and in how many seconds if the server says so."""

    def __init__(self, words: str, pause: float = 0.0) -> None:
        super().__init__(words)
        self.pause = pause


class Endpoint:
    """Example: `Endpoint("http://127.0.0.1:8000/v1", "qwen").ask([[text("Is snow white? Answer yes or no.")]], max_tokens=4)`"""

    def __init__(
        self,
        address: str,
        model: str,
        *,
        timeout: float = 120.0,
        tries: int = 5,
        pause: float = 1.0,
        workers: int = 8,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.model = model
        self._address, self._parts = address, urlsplit(address)
        self._timeout, self._tries, self._pause, self._workers = timeout, tries, pause, workers
        self._sleep = sleep
        self._key = os.environ.get(KEY, "")

    def ask(self, requests: Sequence[Content], *, max_tokens: int) -> list[str]:
        """The answer to each request, some asked at the same time; thoughts in <think></think> are left out.

        Raises:
            EndpointError: The server refuses, or does not answer after several tries.
        """
        with ThreadPoolExecutor(self._workers) as pool:
            waiting = [pool.submit(self._answer, content, max_tokens) for content in requests]
            try:
                return [answer.result() for answer in waiting]
            except EndpointError:
                pool.shutdown(cancel_futures=True)  # what is wrong with one is wrong with all
                raise

    def _answer(self, content: Content, max_tokens: int) -> str:
        body = {"model": self.model, "messages": [{"role": "user", "content": content}]}
        data = json.dumps(body | {"max_tokens": max_tokens, "temperature": 0, "seed": 0}).encode()
        for number in range(self._tries):
            try:
                return _without_thoughts(self._post(data))
            except _Passing as trouble:
                words = str(trouble)
                if number + 1 < self._tries:
                    self._sleep(min(max(trouble.pause, self._pause * 2**number), _LONGEST_PAUSE))
        raise EndpointError(
            f"the judge at {self._address} does not answer ({words}, {self._tries} times): start it, "
            "or correct UNICHAR_ENDPOINT, or leave that empty to do without"
        )

    def _post(self, data: bytes) -> str:
        """One try."""
        secure, host = self._parts.scheme == "https", self._parts.hostname or ""
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(host, self._parts.port, timeout=self._timeout)
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self._key}"} if self._key else {}
        )
        try:
            connection.request("POST", f"{self._parts.path.rstrip('/')}/chat/completions", data, headers)
            response = connection.getresponse()
            answer = response.read(_MOST_BYTES)
        except TimeoutError as error:
            raise _Passing(f"nothing for {self._timeout:g} seconds") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(str(error) or type(error).__name__) from error
        finally:
            connection.close()
        if response.status in _AGAIN:
            raise _Passing(f"status {response.status}", _seconds(response.headers.get("Retry-After", "")))
        if response.status != 200:
            raise EndpointError(
                f"the judge at {self._address} refuses, status {response.status}: {self._shown(answer)}"
            )
        return _said(answer)

    def _shown(self, answer: bytes) -> str:
        """The beginning of what a server says, on one line, without the key that some repeat."""
        words = " ".join(answer.decode(errors="replace").split())
        return (words.replace(self._key, "***") if self._key else words)[:200]


def text(words: str) -> dict[str, Any]:
    """A part of a request."""
    return {"type": "text", "text": words}


def picture(image: Image.Image) -> dict[str, Any]:
    """A part of a request; PNG, so nothing is lost."""
    file = io.BytesIO()
    image.save(file, "png")
    return {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"},
    }


def _said(answer: bytes) -> str:
    """The message in a server's answer; empty where it has no words."""
    try:
        return json.loads(answer)["choices"][0]["message"]["content"] or ""
    except (ValueError, LookupError, TypeError) as error:
        raise _Passing("an answer that is no chat completion") from error


def _without_thoughts(words: str) -> str:
    return re.sub(r"<think>.*?(</think>|$)", "", words, flags=re.DOTALL).strip()


def _seconds(words: str) -> float:
    """Of a Retry-After; a date counts as none."""
    return float(words) if re.fullmatch(r"\d{1,6}", words) else 0.0
