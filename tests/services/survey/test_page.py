"""The pages of the ballot form: what a respondent reads, in which language, and what they can never do."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from services.survey import page
from services.survey.page import MESSAGES, Language, Sheet, ballot, message
from shared.rubric import Form, Label
from shared.rubric.model import Option, Question
from tests.services.survey.samples import CLOSES

FORM = Form(
    id="citizen-form",
    group="citizens",
    title=Label(vi="Phiếu người dân", en="Citizens' form"),
    questions=(
        Question(
            id="q1",
            text=Label(vi="Mức hài lòng", en="How content are you?"),
            options=(Option(id="a", label=Label(vi="Có", en="Yes")), Option(id="b", label=Label(vi="Không"))),
        ),
        Question(
            id="q2",
            text=Label(vi="Đúng hẹn"),
            options=(Option(id="a", label=Label(vi="Có")), Option(id="b", label=Label(vi="Không"))),
        ),
    ),
)
SHEET = Sheet(FORM, Label(vi="Cục Thuế", en="Tax Department"), CLOSES)


class Reading(HTMLParser):
    """The tags of a page in order, which are open at the end, and its text."""

    VOID = frozenset({"meta", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("language", ["vi", "en"])
def test_each_question_is_a_fieldset_with_its_legend_and_a_labelled_choice_for_each_option(language: Language) -> None:
    found = Reading(ballot(SHEET, language))
    assert found.open == []
    assert found.all("html") == [{"lang": language}]
    assert (len(found.all("fieldset")), len(found.all("legend"))) == (2, 2)
    inputs = [(each["type"], each["name"], each["value"]) for each in found.all("input")]
    assert inputs == [("radio", question, value) for question in ("q1", "q2") for value in ("a", "b", "")]
    assert len(found.all("label")) == len(inputs)
    assert found.all("form") == [{"method": "post", "action": f"?lang={language}"}]
    assert found.all("meta")[1]["content"] == "width=device-width, initial-scale=1"


def test_the_form_is_in_the_language_asked_and_vietnamese_stands_in_where_there_is_no_english() -> None:
    vietnamese, english = ballot(SHEET, "vi"), ballot(SHEET, "en")
    for text in ("Phiếu người dân", "Mức hài lòng", "Cục Thuế", "trước 00:00 ngày 01/10/2024", "Gửi phiếu"):
        assert text in vietnamese
    for text in ("Citizens&#x27; form", "How content are you?", "Tax Department", "before 00:00 on 01/10/2024"):
        assert text in english
    assert '<legend>2. <span lang="vi">Đúng hẹn</span></legend>' in english
    assert '<span><span lang="vi">Không</span></span>' in english
    assert 'lang="vi">Đúng hẹn' not in vietnamese


@pytest.mark.parametrize(("language", "other"), [("vi", "en"), ("en", "vi")])
def test_each_language_leads_to_the_other(language: Language, other: str) -> None:
    (link,) = Reading(ballot(SHEET, language)).all("a")
    assert link == {"href": f"?lang={other}", "hreflang": other, "lang": other}


@pytest.mark.parametrize("told", MESSAGES)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_what_a_page_tells_it_tells_in_both_languages_the_chosen_one_first(told: str, language: Language) -> None:
    found = Reading(message(told, language))
    assert found.open == []
    assert [each["lang"] for each in found.all("section")] == (["vi", "en"] if language == "vi" else ["en", "vi"])
    for title, text in MESSAGES[told].values():
        assert title in found.text
        assert text in found.text


def test_labels_are_text_and_never_markup() -> None:
    evil = '"><script>alert(1)</script>&'
    question = FORM.questions[0].model_copy(
        update={
            "text": Label(vi=evil),
            "options": (Option(id="a", label=Label(vi=evil, en=evil)), Option(id="b", label=Label(vi="b"))),
        }
    )
    form = FORM.model_copy(update={"title": Label(vi=evil), "questions": (question,)})
    for language in ("vi", "en"):
        found = Reading(ballot(Sheet(form, Label(vi=evil), CLOSES), language))
        assert found.all("script") == []
        assert found.text.count(evil) == 5


def test_a_fault_is_told_where_a_reader_hears_it() -> None:
    assert Reading(ballot(SHEET, "vi")).all("p")[-1].get("role") is None
    for fault in ("empty", "unfit"):
        (told,) = [each for each in Reading(ballot(SHEET, "en", fault)).all("p") if each.get("role")]
        assert told == {"class": "fault", "role": "alert"}


def test_the_policy_allows_the_pages_own_style_and_no_script() -> None:
    policy = page.HEADERS["Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", ballot(SHEET, "vi"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "script" not in policy


def _luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(2 * each for each in colour)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("front", "behind", "least"),
    [("1a1a1a", "fff", 7), ("0b3d91", "fff", 7), ("fff", "0b3d91", 7), ("1a1a1a", "fdecee", 7), ("b35900", "fff", 3)],
)
def test_text_and_focus_stand_out_from_what_is_behind_them(front: str, behind: str, least: float) -> None:
    for colour in (front, behind):
        assert f"#{colour}" in page.STYLE
    light, dark = sorted((_luminance(front), _luminance(behind)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least
