"""A judge model behind an address, against a real server that is slow, broken, rude or busy."""

import base64
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from factories_judges import completion, serving
from factories_model import make_prior_images
from PIL import Image, ImageChops

from unichar.judges.endpoint import KEY, Endpoint, EndpointError, picture, text

SECRET = "sk-very-secret"


LONG = 60.0
"""Seconds that nothing here takes unless it hangs."""


def ask(address, *words, **settings) -> list[str]:
    settings = {"timeout": LONG, "tries": 3, "sleep": lambda seconds: None} | settings
    return Endpoint(address, "a-judge", **settings).ask([[text(word)] for word in words], max_tokens=5)


def failure(address, **settings) -> str:
    with pytest.raises(EndpointError) as caught:
        ask(address, "Hello?", **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_answers_come_in_the_order_of_the_questions():
    with serving(lambda words: f" {words}! ") as (address, judge):
        words = [str(number) for number in range(20)]
        assert ask(address, *words) == [f"{word}!" for word in words]
    assert sorted(judge.texts) == sorted(words)
    body = judge.bodies[0]
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("a-judge", 0, 0, 5)
    assert {headers["path"] for headers in judge.headers} == {"/v1/chat/completions"}


def test_as_many_are_asked_at_once_as_there_are_workers():
    """Each answer waits until four questions are under way, so fewer at once would never be answered."""
    together = threading.Barrier(4, timeout=LONG)
    with serving(lambda words: "yes") as (address, judge):
        judge.hold = lambda words: together.wait()
        assert ask(address, *"abcdefgh", workers=4) == ["yes"] * 8


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
    says, waits = iter([(429, b""), "at last"]), []
    with serving(lambda words: next(says)) as (address, judge):
        judge.retry_after = "7"
        assert ask(address, "Hello?", pause=0.5, sleep=waits.append) == ["at last"]
    assert waits == [7.0]


def test_a_wait_has_an_upper_bound():
    says, waits = iter([(429, b""), "at last"]), []
    with serving(lambda words: next(says)) as (address, judge):
        judge.retry_after = "86400"
        assert ask(address, "Hello?", sleep=waits.append) == ["at last"]
    assert waits == [30.0]


def test_tries_have_an_end_and_grow_apart():
    waits = []
    with serving(lambda words: (503, b"")) as (address, judge):
        words = failure(address, tries=4, pause=0.05, sleep=waits.append)
    assert waits == [0.05, 0.1, 0.2]
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
    released, waits = threading.Event(), []
    with serving(lambda words: "yes") as (address, judge):
        judge.hold = lambda words: released.wait(LONG)  # answers only after the client has given up
        assert "nothing for 0.1 seconds, 2 times" in failure(
            address, timeout=0.1, tries=2, sleep=waits.append
        )
        released.set()
    assert len(waits) == 1


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


def test_one_failure_among_many_stops_the_rest(monkeypatch):
    """The first is refused while the others wait; they are answered after the rest has been cancelled."""
    released, shutdown = threading.Event(), ThreadPoolExecutor.shutdown

    def then_release(pool, wait=True, *, cancel_futures=False):
        shutdown(pool, wait=False, cancel_futures=cancel_futures)
        released.set()
        shutdown(pool, wait=wait)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", then_release)
    with serving(lambda words: (400, b"") if words == "0" else "yes") as (address, judge):
        judge.hold = lambda words: None if words == "0" else released.wait(LONG)
        with pytest.raises(EndpointError):
            ask(address, *(str(number) for number in range(200)), workers=4)
    assert len(judge.bodies) <= 5, "four under way, and one more by the worker that was refused"
