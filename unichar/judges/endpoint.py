"""A judge model behind an OpenAI-compatible address, as vLLM serves one: questions in, short answers out.

    vllm serve Qwen/Qwen2.5-VL-7B-Instruct --port 8000
    export UNICHAR_ENDPOINT=http://127.0.0.1:8000/v1 UNICHAR_ENDPOINT_MODEL=Qwen/Qwen2.5-VL-7B-Instruct

Pictures of the character and its replies go to that address and nowhere else: no proxy, no redirect, no
telemetry. Sampling is greedy (temperature 0). The key comes from UNICHAR_ENDPOINT_KEY and is in no setting,
message or file.

The standard library's HTTP client is used on purpose: the `openai` package reads an organisation, a project
and a base URL from the environment and sends them, adds headers about the machine, bounds neither the size of
an answer nor its own waits as it is done here, and would save about thirty lines.
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

from unichar.errors import UserError

KEY = "UNICHAR_ENDPOINT_KEY"
Content = list[dict[str, Any]]
"""Pictures and texts of one request."""
_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
"""HTTP statuses of a server that is busy or restarts."""
_MAX_BYTES = 4_000_000
"""Of an answer that is read."""
_MAX_PAUSE = 30.0
"""Seconds between two tries."""
_SHOWN = 200
"""Characters of a refusal that are repeated in the error message."""


class EndpointError(UserError):
    """The judge model cannot be asked, or its answers are useless; the message is one line."""

    # As for a missing judge: the machine, not the command, has to be mended.
    exit_code = 1


class _Transient(Exception):
    """A failure that is worth another try, after `pause` seconds if the server says so."""

    def __init__(self, words: str, pause: float = 0.0) -> None:
        super().__init__(words)
        self.pause = pause


class Endpoint:
    """A judge model.

    Example: `Endpoint("http://127.0.0.1:8000/v1", "qwen").ask([[text("Is snow white?")]], max_tokens=4)`

    Args:
        address: As `JudgesConfig.endpoint`.
        model: Its name there.
        timeout: Seconds without an answer after which a try has failed.
        tries: Of each request.
        pause: Seconds before the second try; doubled for each further one.
        workers: Requests under way at once.
        sleep: Waits for the given seconds; tests replace it.
    """

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
        # Nothing is sent here, so that a run can be set up before the server is.
        self.model = model
        self._address, self._parts = address, urlsplit(address)
        self._timeout, self._tries, self._pause, self._workers = timeout, tries, pause, workers
        self._sleep = sleep

        # The key is read from the environment only and is in no public attribute.
        self._key = os.environ.get(KEY, "")

    def ask(self, requests: Sequence[Content], *, max_tokens: int) -> list[str]:
        """The answer to each request, in order; reasoning in <think></think> is left out.

        Raises:
            EndpointError: The server refuses, or does not answer after several tries.
        """
        with ThreadPoolExecutor(self._workers) as pool:
            # Threads, because a request only waits; the server batches what arrives together.
            futures = [pool.submit(self._answer, content, max_tokens) for content in requests]
            try:
                return [future.result() for future in futures]
            except EndpointError:
                # All requests go to the same server, so the remaining ones would fail too.
                pool.shutdown(cancel_futures=True)
                raise

    def _answer(self, content: Content, max_tokens: int) -> str:
        """One request with its retries."""
        # A seed and temperature 0 make answers as repeatable as the server can.
        body = {"model": self.model, "messages": [{"role": "user", "content": content}]}
        data = json.dumps(body | {"max_tokens": max_tokens, "temperature": 0, "seed": 0}).encode()

        # Exponential backoff. A server that says when to come back is obeyed, up to the bound.
        for number in range(self._tries):
            try:
                return _without_reasoning(self._post(data))
            except _Transient as error:
                reason = str(error)

                # No pause behind the last try.
                if number + 1 < self._tries:
                    self._sleep(min(max(error.pause, self._pause * 2**number), _MAX_PAUSE))
        raise EndpointError(
            f"the judge at {self._address} does not answer ({reason}, {self._tries} times): start it, "
            "or correct UNICHAR_ENDPOINT, or leave that empty to do without"
        )

    def _post(self, data: bytes) -> str:
        """One try of a request.

        Raises:
            _Transient: The server is busy, away or broken.
            EndpointError: It refuses.
        """
        # `http.client` uses no proxy and follows no redirect, so pictures go nowhere else.
        is_secure, host = self._parts.scheme == "https", self._parts.hostname or ""
        kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        connection = kind(host, self._parts.port, timeout=self._timeout)

        # A connection for each try: judges are slow, and a server that restarts drops the old ones.
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"

        try:
            connection.request("POST", f"{self._parts.path.rstrip('/')}/chat/completions", data, headers)
            response = connection.getresponse()

            # Bounded: a wrong address may answer without end.
            answer = response.read(_MAX_BYTES)
        except TimeoutError as error:
            raise _Transient(f"nothing for {self._timeout:g} seconds") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Transient(str(error) or type(error).__name__) from error
        finally:
            connection.close()

        # Busy servers are asked again; any other refusal would be the same next time.
        if response.status in _RETRIED:
            raise _Transient(f"status {response.status}", _seconds(response.headers.get("Retry-After", "")))
        if response.status != 200:
            raise EndpointError(
                f"the judge at {self._address} refuses, status {response.status}: {self._shown(answer)}"
            )
        return _said(answer)

    def _shown(self, answer: bytes) -> str:
        """The beginning of what a server says, on one line, without the key that some repeat."""
        # Some servers repeat the key in their refusal.
        words = " ".join(answer.decode(errors="replace").split())
        return (words.replace(self._key, "***") if self._key else words)[:_SHOWN]


def text(words: str) -> dict[str, Any]:
    """A text in a request."""
    return {"type": "text", "text": words}


def picture(image: Image.Image) -> dict[str, Any]:
    """A picture in a request, as PNG: lossless."""
    # Compression artefacts would be judged as a part of the picture.
    file = io.BytesIO()
    image.save(file, "png")
    encoded = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}


def _said(answer: bytes) -> str:
    """The message in a server's answer, which may be empty."""
    try:
        # An answer of another shape may be a passing fault, so it is tried again.
        return json.loads(answer)["choices"][0]["message"]["content"] or ""
    except (ValueError, LookupError, TypeError) as error:
        raise _Transient("an answer that is no chat completion") from error


def _without_reasoning(words: str) -> str:
    # Reasoning that was cut off has no end tag; nothing of it is an answer.
    return re.sub(r"<think>.*?(</think>|$)", "", words, flags=re.DOTALL).strip()


def _seconds(words: str) -> float:
    """The value of a Retry-After header; dates are not supported and count as 0."""
    return float(words) if re.fullmatch(r"\d{1,6}", words) else 0.0
