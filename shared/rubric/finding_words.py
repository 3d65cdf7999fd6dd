"""The findings of `check` in Vietnamese: one line for each English one; `{}` is a word, `{#}` a figure."""

import re
from typing import Final

WORDS: Final = {
    "its items' maxima sum to {#}, its printed maximum is {#}": "tổng điểm tối đa các mục là {}, văn bản ghi {}",
    "the rubric has neither an appraisal nor a survey part": "bộ tiêu chí không có phần thẩm định lẫn phần điều tra",
    "the parts' maxima sum to {#}, the scale is {#}": "tổng điểm tối đa các phần là {}, thang điểm là {}",
    "a total under the last band's lower end has no band": "tổng điểm dưới mức xếp loại cuối không được xếp loại nào",
    "the last band needs more than its total: some results have no band": "mức cuối đòi hỏi thêm điều kiện: "
    "có kết quả không được xếp loại nào",
    "there is no lowest band: the rubric has no bands": "không có mức thấp nhất: bộ tiêu chí không có xếp loại",
    "no respondent group has the id {}": "không có nhóm người trả lời mang mã {}",
    "no item with a maximum belongs to this part": "không có mục nào có điểm tối đa thuộc phần này",
    "the items' maxima sum to {#}, the part's maximum is {#}": "tổng điểm tối đa các mục là {}, "
    "điểm tối đa của phần là {}",
    "the rubric has no part {} to be inside of": "bộ tiêu chí không có phần {} để cộng, trừ vào",
    "the items' maxima sum to {#}, under the cap": "tổng điểm tối đa các mục là {}, thấp hơn mức trần",
    "bands are written from best to lowest; this one does not begin under the one before": "các mức xếp loại viết từ "
    "cao xuống thấp; mức này không bắt đầu thấp hơn mức trước",
    "only the lowest band may be without a lower end": "chỉ mức thấp nhất được không có ngưỡng dưới",
    "the rubric has no item {}": "bộ tiêu chí không có mục {}",
    "the rubric has no band {}": "bộ tiêu chí không có mức xếp loại {}",
    "takes {} bytes; an entry has room for {}": "chiếm {} byte; một bản ghi chỉ chứa được {}",
    "the rubric has no part {}": "bộ tiêu chí không có phần {}",
    "blank is the word for unanswered and cannot be an option": "blank là từ chỉ việc bỏ trống, "
    "không thể là một phương án",
    "no item of the rubric reads this question": "không mục nào của bộ tiêu chí dùng câu hỏi này",
    "its text names {}, which the rubric does not have": "nội dung nhắc đến {}, bộ tiêu chí không có mục đó",
    "a rule of kind {} starts from the maximum, which the item does not have": "quy tắc loại {} tính từ điểm tối đa, "
    "mục này không có điểm tối đa",
    "beyond holds after last_day, which is not stated": "beyond áp dụng sau last_day, nhưng last_day không được nêu",
    "no datum reaches the maximum {#}: the rule gives at most {#}": "không số liệu nào đạt điểm tối đa {}: "
    "quy tắc cho nhiều nhất {}",
    "the rule gives up to {#}, which the maximum {#} cuts": "quy tắc cho đến {}, bị điểm tối đa {} cắt bớt",
    "no step covers 0: the first begins at {#}": "không bậc nào chứa 0: bậc đầu bắt đầu từ {}",
    "no step covers what lies after {#}": "không bậc nào chứa khoảng sau {}",
    "it hangs on item {}, which the rubric does not have": "phụ thuộc mục {}, bộ tiêu chí không có mục đó",
    "its branch comes back to the item itself": "nhánh phụ thuộc quay về chính mục này",
    "it hangs on item {}, which has neither levels nor yes and no": "phụ thuộc mục {}, mục đó không có mức, "
    "cũng không là Có/Không",
    "item {} has no answer {}": "mục {} không có câu trả lời {}",
    "two cases hold for {}": "hai trường hợp cùng áp dụng cho {}",
    "{} has no option {}": "{} không có phương án {}",
    "{}: option {} has a share and is outside the base": "{}: phương án {} vừa có tỷ lệ vừa bị loại khỏi mẫu số",
    "the group {} has two weights": "nhóm {} có hai trọng số",
    "the level {} occurs twice": "mức {} xuất hiện hai lần",
    "its rounding takes points to {#}, above {#}": "làm tròn đưa điểm lên {}, vượt {}",
    "the step from {#} holds no value": "bậc từ {} không chứa giá trị nào",
    "two steps overlap": "hai bậc chồng lên nhau",
    "two steps overlap at {#}": "hai bậc chồng lên nhau tại {}",
    "no case holds while item {} is {}": "không trường hợp nào áp dụng khi mục {} là {}",
    "{} is put to {}, not to {}": "{} hỏi nhóm {}, không hỏi nhóm {}",
    "{}: option {} has no share and counts 0": "{}: phương án {} không có tỷ lệ, tính là 0",
    "{}: the best share is {#}, not 100": "{}: tỷ lệ cao nhất là {}, không phải 100",
    "{}: a share is above 100": "{}: có tỷ lệ trên 100",
    "pooled answers have no group weights": "gộp chung câu trả lời thì không có trọng số nhóm",
    "the group {} has no weight": "nhóm {} không có trọng số",
    "the group {} has a weight and no question": "nhóm {} có trọng số mà không có câu hỏi",
    "the groups' weights sum to {#}, not to 100": "tổng trọng số các nhóm là {}, không phải 100",
    "the weights of {}'s questions sum to {#}, not to 100": "tổng trọng số các câu hỏi của {} là {}, không phải 100",
    "{#} points is not a multiple of the step {#}": "{} điểm không phải bội của bước {}",
    "the pooled question {} has two weights": "câu hỏi gộp {} có hai trọng số",
    "{} {} occurs twice": "{} {} xuất hiện hai lần",
    "{} occurs twice": "{} xuất hiện hai lần",
    "the rubric has no {}": "bộ tiêu chí không có {}",
}
_THINGS: Final = {
    "the code": "mã",
    "the reason": "lý do",
    "the gate": "điều kiện khống chế",
    "the respondent group": "nhóm người trả lời",
    "the form": "phiếu",
    "the question": "câu hỏi",
    "the option": "phương án",
    "the band": "mức xếp loại",
}
_QUESTION: Final = re.compile(r"form (\S+), question (\S+)")


def in_vietnamese(message: str) -> str:
    """The finding in Vietnamese; a message that is not in the table stays as it is."""
    for english, words in WORDS.items():
        parts = re.split(r"(\{#?\})", english)
        pattern = "".join({"{}": "(.+)", "{#}": "(-?[0-9./]+)"}.get(part) or re.escape(part) for part in parts)
        if match := re.fullmatch(pattern, message):
            kinds = [part for part in parts if part in {"{}", "{#}"}]
            return words.format(*(_word(kind, text) for kind, text in zip(kinds, match.groups(), strict=True)))
    return message


def _word(kind: str, text: str) -> str:
    if kind == "{#}":
        return text.replace(".", ",")
    return _QUESTION.sub(r"phiếu \1, câu hỏi \2", _THINGS.get(text, text))
