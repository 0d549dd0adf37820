"""What is line protocol and what is not."""

import pytest

from monitor.sinks.lines import fault

GOOD = [
    b"incubator co2=5 7",
    b'incubator,equipment=incubator-07,site=a\\ b co2=5.1,scan=7i,mode="a, b=\\"c\\"",door=t -7',
    b"m a=1e-3,b=.5,c=5.,d=18446744073709551615u,e=False 1769860800000",
    'bioreactor n="µ°" 1'.encode(),
]
BAD = [
    (b"", "begin with a measurement"),
    (b"# 3 of 9 points dropped", "begin with a measurement"),
    (b"incubator", "come the fields"),
    (b"incubator co2= 7", "come the fields"),
    (b"incubator co2=NaN 7", "come the fields"),
    (b"incubator,equipment= co2=5 7", "come the fields"),
    (b'incubator mode="run 7', "come the fields"),
    (b"incubator co2=5", "end with its time"),
    (b"incubator co2=5 ", "end with its time"),
    (b"incubator co2=5 7\nincubator co2=6 8", "end with its time"),
    (b"incubator co2=5,5 7", "end with its time"),
    (b"incubator co2=5 7.5", "end with its time"),
]


@pytest.mark.parametrize("line", GOOD)
def test_what_is_line_protocol_has_no_fault(line: bytes) -> None:
    assert fault(line) == ""


@pytest.mark.parametrize(("line", "said"), BAD)
def test_what_is_none_is_told_where(line: bytes, said: str) -> None:
    assert said in fault(line)
