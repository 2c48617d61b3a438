"""A judge model behind an address, against a real server that is slow, broken, rude or busy."""

import base64
import io
import time

import pytest
from factories_judges import completion, serving
from factories_model import make_prior_images
from PIL import Image, ImageChops

from unichar.judges.endpoint import KEY, Endpoint, EndpointError, picture, text

SECRET = "sk-very-secret"


def ask(address, *words, **settings) -> list[str]:
    settings = {"timeout": 2.0, "tries": 3, "pause": 0.01} | settings
    return Endpoint(address, "a-judge", **settings).ask([[text(word)] for word in words], max_tokens=5)


def failure(address, **settings) -> str:
    with pytest.raises(EndpointError) as caught:
        ask(address, "Hello?", **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_answers_come_in_the_order_of_the_questions():
    with serving(lambda words: f" {words}! ") as (address, judge):
        judge.delay = 0.02
        words = [str(number) for number in range(20)]
        began = time.monotonic()
        assert ask(address, *words) == [f"{word}!" for word in words]
        assert time.monotonic() - began < 20 * 0.02 + 0.5
    assert sorted(judge.texts) == sorted(words)
    body = judge.bodies[0]
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("a-judge", 0, 0, 5)
    assert {headers["path"] for headers in judge.headers} == {"/v1/chat/completions"}


def test_nothing_to_ask_is_no_request():
    assert ask("http://127.0.0.1:9/v1") == []


def test_pictures_arrive_to_the_last_bit():
    image = make_prior_images(1)[0]
    with serving(lambda words: "yes") as (address, judge):
        Endpoint(address, "a-judge").ask([[picture(image), text("Is it?")]], max_tokens=1)
    seen = judge.bodies[0]["messages"][0]["content"]
    assert [part["type"] for part in seen] == ["image_url", "text"]
    kind, data = seen[0]["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    arrived = Image.open(io.BytesIO(base64.b64decode(data)))
    assert ImageChops.difference(arrived, image).getbbox() is None


def test_thoughts_are_left_out():
    says = iter(["<think>B? No.</think>\n\nA", "<think>I could think on", "C"])
    with serving(lambda words: next(says)) as (address, _):
        assert [ask(address, "?")[0] for _ in range(3)] == ["A", "", "C"]


def test_the_key_is_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    with serving(lambda words: "yes") as (address, judge):
        assert ask(address, "Hello?") == ["yes"]
        judge.reply = lambda words: (401, f'{{"error": "Incorrect\nkey: {SECRET}"}}'.encode())
        words = failure(address)
    assert judge.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert "refuses, status 401" in words and "Incorrect key: ***" in words and SECRET not in words
    assert SECRET not in repr(vars(Endpoint(address, "a-judge")).get("_address"))


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    with serving(lambda words: "yes") as (address, judge):
        ask(address, "Hello?")
    assert "Authorization" not in judge.headers[0]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_be_gone_in_a_moment_is_tried_again(status):
    says = iter([(status, b"busy"), (status, b"busy"), "at last"])
    with serving(lambda words: next(says)) as (address, judge):
        assert ask(address, "Hello?") == ["at last"]
    assert len(judge.bodies) == 3


def test_a_busy_server_says_how_long_to_wait():
    says = iter([(429, b""), "at last"])
    with serving(lambda words: next(says)) as (address, judge):
        judge.retry_after = "1"
        began = time.monotonic()
        assert ask(address, "Hello?") == ["at last"]
        assert 1 <= time.monotonic() - began < 2.5


def test_tries_have_an_end_and_grow_apart():
    with serving(lambda words: (503, b"")) as (address, judge):
        began = time.monotonic()
        words = failure(address, tries=4, pause=0.05)
        assert time.monotonic() - began >= 0.05 + 0.1 + 0.2
    assert len(judge.bodies) == 4
    assert f"the judge at {address} does not answer (status 503, 4 times): start it" in words


def test_a_refusal_is_not_tried_again():
    with serving(lambda words: (404, b'{"error": "no model a-judge"}')) as (address, judge):
        assert 'refuses, status 404: {"error": "no model a-judge"}' in failure(address)
    assert len(judge.bodies) == 1


def test_a_redirect_is_a_refusal(monkeypatch):
    """The key goes nowhere else."""
    monkeypatch.setenv(KEY, SECRET)
    with serving(lambda words: (307, b"")) as (address, judge):
        assert "refuses, status 307" in failure(address)
    assert len(judge.bodies) == 1


def test_a_slow_server_is_given_up():
    with serving(lambda words: "yes") as (address, judge):
        judge.delay = 0.5
        began = time.monotonic()
        assert "nothing for 0.1 seconds, 2 times" in failure(address, timeout=0.1, tries=2)
        assert time.monotonic() - began < 0.45


def test_nobody_there():
    with serving(lambda words: "yes") as (address, _):
        pass
    assert "Connection refused" in failure(address)


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"", b"[]", b'{"choices": []}', b'{"choices": [{"message": "A"}]}']
)
def test_what_is_no_completion_is_no_answer(body):
    with serving(lambda words: (200, body)) as (address, judge):
        assert "an answer that is no chat completion, 3 times" in failure(address)
    assert len(judge.bodies) == 3


def test_a_message_without_words_is_an_empty_answer():
    with serving(lambda words: (200, completion(None))) as (address, _):
        assert ask(address, "Hello?") == [""]


def test_one_failure_among_many_stops_the_rest():
    with serving(lambda words: (400, b"") if words == "0" else "yes") as (address, judge):
        judge.delay = 0.05
        with pytest.raises(EndpointError):
            ask(address, *(str(number) for number in range(200)))
        assert len(judge.bodies) < 100
