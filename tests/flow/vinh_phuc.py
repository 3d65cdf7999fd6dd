"""The published index of 2019 of the central agencies in Vĩnh Phúc (1007/QĐ-UBND, 24-4-2020), played in the services.

The totals, their two parts and the order are the published ones. On which items an agency lost direct points was not
published: the declarations here are laid out so that their sums are the published direct points.
"""

from typing import Final

from deploy.local.stack import Stack
from shared.rubric import Agency, Label
from tests.flow.office import RUBRICS, Office, rubric

PUBLISHED: Final = """
1;Bảo hiểm xã hội tỉnh;90,05;58,50;31,55
2;Ngân hàng Nhà nước tỉnh;89,88;57,75;32,13
3;Kho bạc Nhà nước tỉnh;89,10;58,00;31,10
4;Công an tỉnh;87,34;55,00;32,34
5;Cục Thuế tỉnh;78,44;47,00;31,44
"""
"""Rank; agency; total; direct assessment; survey."""

INSURANCE, BANK, TREASURY, POLICE, TAX = ("bhxh", "nhnn", "kbnn", "ca", "ct")
NAMES: Final = {
    # not in the order of the result, which is to come out by itself
    TAX: "Cục Thuế tỉnh",
    BANK: "Ngân hàng Nhà nước tỉnh",
    POLICE: "Công an tỉnh",
    TREASURY: "Kho bạc Nhà nước tỉnh",
    INSURANCE: "Bảo hiểm xã hội tỉnh",
}
ITEMS: Final = ("1.1", "1.2", "2.1", "3.1", "3.2", "4.1", "5.1", "6.1", "7.1", "7.2", "8.1")
DECLARED: Final = {
    # 3.1 is a rate (above 95 %: 4; 80 to 95 %: 2; else 0), 7.1 a count of 0,5 each up to 2, the others are points
    INSURANCE: ("timely", "8,25", "6,5", "97,2", "7,25", "5,5", "8,25", "5,75", "4", "5,25", "3,75"),
    BANK: ("late", "8,5", "6,75", "95,01", "7", "5,75", "8,75", "5,5", "3", "5,25", "3,75"),
    TREASURY: ("timely", "9", "7", "95", "7,75", "6", "8,25", "6", "2", "5,5", "3,5"),
    POLICE: ("none", "8,75", "6,25", "80", "7,5", "5,5", "8,5", "5,75", "5", "5,25", "3,5"),
    TAX: ("late", "7", "5,5", "92,57", "6,5", "5", "7,5", "5,25", "1", "5", "3,75"),
}
"""The Tax Department declares a rate that gives 2 points too many: 49,00."""
CORRECTED: Final = (TAX, "3.1", "79,99")
"""What the council sets, below 80 %: no points, so 47,00."""
SURVEYED: Final = {INSURANCE: "31,55", BANK: "32,13", TREASURY: "31,10", POLICE: "32,34", TAX: "31,44"}


async def open_period(stack: Stack) -> Office:
    """The period of the five agencies, open."""
    agencies = [Agency(id=name, name=Label(vi=label)) for name, label in NAMES.items()]
    office = await Office.plan(stack, "vinh-phuc", ("central", rubric(RUBRICS / "vinh-phuc-2019.yaml"), agencies))
    await office.open()
    return office


async def play(office: Office) -> None:
    """From the self-assessments to the published index."""
    await office.assess_all({agency: dict(zip(ITEMS, data, strict=True)) for agency, data in DECLARED.items()})
    for agency, points in SURVEYED.items():
        await office.recognise(agency)
        await office.study(agency, {"9.1": points})
    await office.adjust(*CORRECTED)
    await office.conclude()
