"""The pages of the ballot form: plain HTML in Vietnamese and English, without a script and without the token."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from shared.rubric import Form, Label
from shared.rubric.model import Question

Language = Literal["vi", "en"]
HANOI: Final = ZoneInfo("Asia/Ho_Chi_Minh")
NO_ANSWER: Final = ""
"""What a ticked "no answer" sends, so that a tick can be taken back."""

STYLE: Final = """
*{box-sizing:border-box}
body{margin:0;font:1.125rem/1.5 system-ui,"Noto Sans",sans-serif;color:#1a1a1a;background:#fff}
main{max-width:40rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}
nav{text-align:right}
nav a,nav span{display:inline-block;padding:.5rem}
a{color:#0b3d91}
fieldset{margin:1.25rem 0;padding:.75rem;border:2px solid #595959;border-radius:.5rem;min-width:0}
legend{font-weight:bold;padding:0 .25rem;overflow-wrap:anywhere}
label{display:flex;gap:.75rem;align-items:center;min-height:3rem;padding:.25rem;overflow-wrap:anywhere}
input{width:1.5rem;height:1.5rem;flex:none;margin:0}
button{width:100%;min-height:3.5rem;font:inherit;font-weight:bold;color:#fff;background:#0b3d91;border:0;border-radius:.5rem}
:focus-visible{outline:3px solid #b35900;outline-offset:2px}
.fault{border-left:.5rem solid #b00020;padding:.5rem .75rem;background:#fdecee}
section+section{border-top:1px solid #595959;margin-top:1.5rem;padding-top:.5rem}
""".strip()
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}
"""What every page is sent with: nothing runs, nothing is kept, nothing tells another site where one came from."""

_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "vi": {
        "about": "Phiếu hỏi ý kiến về cơ quan:",
        "until": "Nhận phiếu trước {time} ngày {date} (giờ Việt Nam).",
        "secret": "Phiếu không ghi tên. Hệ thống chỉ cộng số lượt chọn, không lưu phiếu của riêng ai; "
        "mỗi mã dùng một lần.",
        "one": "Mỗi câu chọn một phương án; có thể bỏ qua câu không muốn trả lời.",
        "none": "Không trả lời câu này",
        "send": "Gửi phiếu",
        "languages": "Ngôn ngữ",
        "empty": "Phiếu chưa được gửi: hãy chọn ít nhất một phương án.",
        "unfit": "Phiếu chưa được gửi: có câu trả lời không thuộc phiếu này. Hãy chọn lại.",
    },
    "en": {
        "about": "This form asks about the agency:",
        "until": "Ballots are taken before {time} on {date} (Vietnam time).",
        "secret": "The ballot bears no name. Answers are only counted, nobody's own ballot is kept; "
        "each code works once.",
        "one": "Choose one answer to each question; you may skip a question.",
        "none": "No answer to this question",
        "send": "Send the ballot",
        "languages": "Language",
        "empty": "The ballot was not sent: choose at least one answer.",
        "unfit": "The ballot was not sent: an answer is not one of this form. Please choose again.",
    },
}
_NAMES: Final[Mapping[Language, str]] = {"vi": "Tiếng Việt", "en": "English"}

MESSAGES: Final[Mapping[str, Mapping[Language, tuple[str, str]]]] = {
    "thanks": {
        "vi": ("Cảm ơn Ông/Bà", "Phiếu đã được tính. Ông/Bà có thể đóng trang này."),
        "en": ("Thank you", "Your ballot has been counted. You may close this page."),
    },
    "token-spent": {
        "vi": ("Phiếu này đã được gửi", "Mã trên phiếu mời đã được dùng; mỗi mã chỉ dùng một lần."),
        "en": ("This ballot has been cast", "The code of the invitation has been used; each code works once."),
    },
    "token-unknown": {
        "vi": ("Không có phiếu mời này", "Hãy quét lại mã QR hoặc nhập đúng mã in trên phiếu mời."),
        "en": ("There is no such invitation", "Scan the QR code again, or type the code as it is printed."),
    },
    "campaign-closed": {
        "vi": ("Đợt khảo sát đã kết thúc", "Không nhận thêm phiếu. Cảm ơn Ông/Bà đã quan tâm."),
        "en": ("The survey has closed", "No more ballots are taken. Thank you for your interest."),
    },
    "campaign-not-open": {
        "vi": ("Đợt khảo sát chưa bắt đầu", "Hãy mở lại trang này khi đợt khảo sát bắt đầu; mã vẫn còn hiệu lực."),
        "en": ("The survey has not begun", "Open this page again once the survey begins; the code stays good."),
    },
    "body-invalid": {
        "vi": ("Không đọc được phiếu", "Phiếu chưa được tính. Hãy mở lại trang bằng mã QR và gửi lại."),
        "en": ("The ballot cannot be read", "It was not counted. Open the page by the QR code and send it again."),
    },
    "ledger-unavailable": {
        "vi": (
            "Chưa ghi nhận được phiếu",
            "Hãy gửi lại sau ít phút. Nếu trang báo phiếu đã được gửi thì phiếu đã tính.",
        ),
        "en": (
            "The ballot could not be taken",
            "Send it again in a few minutes. If it is then said to be cast, it counts.",
        ),
    },
}
"""Title and text of each page that only tells something, by what it tells."""


class Sheet(NamedTuple):
    """What a respondent is asked: the form, the agency that it is about, and when its campaign closes."""

    form: Form
    agency: Label
    closes: datetime


def text_of(label: Label, language: Language) -> str:
    """The label's text as HTML; where it has no English, the Vietnamese stands in and is marked as such."""
    if language == "en" and not label.en:
        return f'<span lang="vi">{escape(label.vi)}</span>'
    return escape(label.en if language == "en" else label.vi)


def ballot(sheet: Sheet, language: Language, fault: Literal["empty", "unfit"] | None = None) -> str:
    """The form to fill in; `fault` says why it comes again."""
    words, closes = _WORDS[language], sheet.closes.astimezone(HANOI)
    until = words["until"].format(time=closes.strftime("%H:%M"), date=closes.strftime("%d/%m/%Y"))
    questions = [_question(number, each, language) for number, each in enumerate(sheet.form.questions, 1)]
    plain = sheet.form.title.en if language == "en" and sheet.form.title.en else sheet.form.title.vi
    body = [
        _languages(language),
        f"<h1>{text_of(sheet.form.title, language)}</h1>",
        f"<p>{words['about']} <strong>{text_of(sheet.agency, language)}</strong></p>",
        f"<p>{words['secret']}</p>",
        f"<p>{words['one']} {until}</p>",
        *([] if fault is None else [f'<p class="fault" role="alert">{words[fault]}</p>']),
        f'<form method="post" action="?lang={language}">',
        *questions,
        f'<button type="submit">{words["send"]}</button>',
        "</form>",
    ]
    return _page(language, plain, body)


def message(told: str, language: Language) -> str:
    """A page that tells one thing in both languages, the chosen one first."""
    known = MESSAGES[told]
    order: tuple[Language, Language] = ("en", "vi") if language == "en" else ("vi", "en")
    sections = [
        f'<section lang="{each}"><h{level}>{escape(known[each][0])}</h{level}><p>{escape(known[each][1])}</p></section>'
        for level, each in enumerate(order, 1)
    ]
    return _page(language, known[language][0], sections)


def _question(number: int, question: Question, language: Language) -> str:
    options = [_option(question.id, option.id, text_of(option.label, language)) for option in question.options] + [
        _option(question.id, NO_ANSWER, escape(_WORDS[language]["none"]))
    ]
    return f"<fieldset><legend>{number}. {text_of(question.text, language)}</legend>{''.join(options)}</fieldset>"


def _option(question: str, value: str, text: str) -> str:
    return f'<label><input type="radio" name="{escape(question)}" value="{escape(value)}"><span>{text}</span></label>'


def _languages(chosen: Language) -> str:
    links = [
        f'<span aria-current="true">{name}</span>'
        if language == chosen
        else f'<a href="?lang={language}" hreflang="{language}" lang="{language}">{name}</a>'
        for language, name in _NAMES.items()
    ]
    return f'<nav aria-label="{_WORDS[chosen]["languages"]}">{"".join(links)}</nav>'


def _page(language: Language, title: str, body: list[str]) -> str:
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="{language}">',
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>",
        "<body><main>",
        *body,
        "</main></body></html>",
    ]
    return "\n".join(lines) + "\n"
