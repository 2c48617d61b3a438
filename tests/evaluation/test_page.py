"""The page is complete, shows pictures first and describes them, and is harmless whatever kits say."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
from factories_evaluation import make_report_input
from PIL import Image

from unichar.evaluation.content import ChatSample, PictureSample, RolePlaySample, ThinkThenDraw
from unichar.evaluation.page import report_html
from unichar.evaluation.report import headline, write_report
from unichar.evaluation.statistics import Estimate

HOSTILE = (
    "\"'><script>alert(1)</script></style></title><img src=http://evil.example/x onerror=alert(2)>\ud800\x00"
    "{{ 7*7 }}{% raw %}{# gone #}"
)


class Page(HTMLParser):
    """Reads a page, checks that tags are balanced, and remembers what it met."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(report_html(make_report_input()))


def test_the_page_loads_nothing_and_runs_nothing(page):
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not {"script", "link", "iframe", "object", "form", "base", "a"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not any(
            name.startswith("on") or name in ("href", "srcset", "xlink:href") for name in attributes
        )
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
    style = re.search("<style>(.*)</style>", report_html(make_report_input()), re.DOTALL)
    assert style and not re.search(r"url\(|@import|http", style[1])


def test_the_page_shows_every_part_from_top_to_bottom(page):
    parts = [
        "Mochi",
        "Pictures",
        "Main results",
        "Identity",
        "Held-out NLL",
        "Alignment",
        "Notes",
        "Role play",
    ]
    parts += ["Conversation", "All metrics", "Training", "Cost and data", "Provenance"]
    body = page.text[page.text.index("Character report") :]
    positions = [body.index(f"\n{part}\n") for part in parts]
    assert positions == sorted(positions)
    for words in (
        "Rain? On MY roof?",
        "Thinking",
        "2 min 19 s",
        "9f2c" * 16,
        "Red smears",
        "2.1 × 10¹⁴",
        "1.3 million",
    ):
        assert words in page.text
    samples = 4 * (1 + 3 * 2)
    assert page.count("img") == 4 + samples + 3, (
        "references, samples of each prompt, one role play by three arms"
    )


def test_pictures_and_drawings_are_described(page):
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")


def test_every_sample_says_whose_it_is_and_of_which_prompt(page):
    prompt = "Mochi, sad, holding a book, at night."
    shown = [
        attributes["alt"] for tag, attributes in page.tags if tag == "img" and prompt in attributes["alt"]
    ]
    assert shown == [f"{arm}: {prompt}" for arm in ("Oracle", "Base", "Base", "SFT", "SFT", "GRPO", "GRPO")]
    assert prompt in page.text


def test_an_arm_without_a_picture_keeps_its_column():
    black = Image.new("RGB", (8, 8))
    samples = [PictureSample(prompt="p", arms={"oracle": [], "base": [black], "sft": [black, black]})]
    page = Page(report_html(make_report_input(pictures=samples, references=[], role_plays=[])))
    assert page.count("img") == 3
    assert [a["style"] for tag, a in page.tags if a.get("class") == "tiles"] == [
        "--tiles:1",
        "--tiles:1",
        "--tiles:2",
    ]
    assert sum(a.get("class") == "blank" for _, a in page.tags) == 1


def test_losses_have_charts_of_their_own_and_rewards_share_one(page):
    charts = [
        str(attributes["aria-label"]) for tag, attributes in page.tags if attributes.get("class") == "chart"
    ]
    titles = [chart.split(":")[0] + ":" + chart.split(":")[1] for chart in charts]
    assert titles == ["SFT: text loss", "SFT: image loss", "GRPO: reward", "SFT: learning rate", "GRPO: kl"]
    assert "alignment from" in charts[2] and "identity from" in charts[2] and "realism from" in charts[2]


def test_the_first_cards_say_what_is_better_and_what_is_not_clear(page):
    text = page.text
    card = text[text.index("\nHeld-out NLL\n") : text.index("\nAlignment\n")]
    assert "Base → SFT: −1.71, \nbetter" in card
    assert "SFT → GRPO: −0.03, \nintervals overlap" in card


def test_worse_is_called_worse():
    sft = {
        "held_out_nll": Estimate(value=5.0, low=4.9, high=5.1, n=9),
        "identity": Estimate(value=0.2, low=0.1, high=0.25, n=9),
    }
    base = {
        "held_out_nll": Estimate(value=3.0, low=2.9, high=3.1, n=9),
        "identity": Estimate(value=0.4, low=0.3, high=0.5, n=9),
    }
    text = Page(report_html(make_report_input(arms={"base": base, "sft": sft}))).text
    assert text.count("\nworse") == 2 and "\nbetter" not in text


def test_words_of_kits_and_models_stay_words(tmp_path):
    image = Image.new("RGB", (8, 8))
    turn = ThinkThenDraw(HOSTILE, HOSTILE, HOSTILE, None)
    drawn = ThinkThenDraw(HOSTILE, HOSTILE, HOSTILE, image)
    report = make_report_input(
        name=HOSTILE,
        description=HOSTILE,
        preset=HOSTILE,
        base_name=HOSTILE,
        base_sha256="0" * 64,
        notes=[HOSTILE],
        chats=[ChatSample(user=HOSTILE, replies={HOSTILE: HOSTILE}, reference=HOSTILE)],
        role_plays=[RolePlaySample(user=HOSTILE, arms={HOSTILE: turn, "sft": drawn})],
        pictures=[PictureSample(prompt=HOSTILE, arms={HOSTILE: [image]})],
        curves={HOSTILE: [{"step": 0, "loss" + HOSTILE: 1.0, "reward" + HOSTILE: 1.0, HOSTILE: 2.0}]},
        arms={HOSTILE: {"identity": Estimate(value=0.5, low=0.4, high=0.6, n=3)}},
    )
    text = report_html(report)
    page = Page(text)
    assert page.count("script") == 0 and page.count("style") == 1 and page.count("title") == 1
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert page.text.count("<script>alert(1)</script>") >= 20
    assert page.text.count("{{ 7*7 }}{% raw %}{# gone #}") == page.text.count("<script>alert(1)</script>")
    assert not any(
        str(value).startswith("http") for _, attributes in page.tags for value in attributes.values()
    )
    text.encode("utf-8")


@pytest.mark.parametrize(
    "missing",
    [
        {"arms": {}},
        {"arms": {"sft": {"style": Estimate(value=1.0, low=1.0, high=1.0, n=1)}}},
        {"arms": {"base": {"held_out_nll": Estimate(value=0.0, low=0.0, high=0.0, n=1)}}},
        {"curves": {}},
        {"curves": {"sft": [], "grpo": [{"step": 0, "reward": float("nan"), "note": "text"}]}},
        {"pictures": [], "references": []},
        {"chats": [], "role_plays": [], "notes": [], "preset": ""},
        {"cost": {"seconds": {}, "tokens": None, "images": None, "flops": None, "peak_rss_mb": None}},
        {"data": {"images": 0, "interactions": {}, "held_out": {}}},
    ],
)
def test_what_was_not_measured_may_be_missing(tmp_path, missing):
    write_report(make_report_input(**missing), tmp_path)
    Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(headline(json.loads((tmp_path / "report.json").read_text()))) == 3


def test_faultless_pictures_are_shown_and_win_no_row():
    report = make_report_input()
    perfect = Estimate(value=1.0, low=1.0, high=1.0, n=8)
    page = report_html(dataclasses.replace(report, arms=report.arms | {"oracle": {"identity": perfect}}))
    row = page[page.index("<h3>Identity</h3>", page.index("<tbody")) :]
    cells = row[: row.index("</tr>")].split("<td")[1:]
    assert "Oracle" in page and len(cells) == len(report.arms) + 1
    assert (
        "tone-oracle" in cells[-1] and "best" not in cells[-1] and any("best" in cell for cell in cells[:-1])
    )
