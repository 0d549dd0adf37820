"""Whether a line is line protocol, with a time in milliseconds, as this gateway writes it. Pure.

https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

import re

_NAME = rb"(?:[^,= \\\r\n]|\\.)+"
_NUMBER = rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_STRING = rb'"(?:[^"\\\r\n]|\\.)*"'
_BOOLEAN = rb"[tT]rue|TRUE|[fF]alse|FALSE|[tTfF]"
_VALUE = rb"(?:%b|[+-]?\d+i|\d+u|%b|%b)" % (_STRING, _NUMBER, _BOOLEAN)
_HEAD = re.compile(
    rb"(?:[^, \\\r\n#]|\\.)(?:[^, \\\r\n]|\\.)*(?:," + _NAME + rb"=" + _NAME + rb")*"
)
_FIELDS = re.compile(rb" " + _NAME + rb"=" + _VALUE + rb"(?:," + _NAME + rb"=" + _VALUE + rb")*")
_TIME = re.compile(rb" -?\d{1,19}")


def fault(line: bytes) -> str:
    """Return what is wrong with the form of a line; empty for a line that has none."""
    if not (head := _HEAD.match(line)):
        return "it should begin with a measurement and its tags: incubator,equipment=incubator-07"
    if not (fields := _FIELDS.match(line, head.end())):
        return 'after the tags come the fields, each with a value: co2=5.1,scan=7i,mode="run"'
    if not _TIME.fullmatch(line, fields.end()):
        return "it should end with its time, in milliseconds since 1970"
    return ""
