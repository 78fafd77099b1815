"""Content that a text quotes: JSON, a printed object, a query string, also inside an error message or a stack trace.

Content is recognized by its key (`metrics.events.content_names`), which has one of these forms:

    "messages": […    'content': '…    \\"prompt\\": \\"…    "prompt"=>"…    in quotes, in any language
    content='…    prompt=…&n=1    prompt = "…    [prompt] => …             before an equals sign
    {prompt: "…    {Content:…     { Content = …                            in an object of JavaScript, Go or C#
    "key": "gen_ai.prompt", "value": …    [["prompt", "…                   the name of a value that follows
    Authorization: …    ?key=…                                             a header, a key in Google's URLs

Prose is not searched for content: in `Invalid prompt: too long`, nothing is quoted.
Each expression reads a character a limited number of times, also in texts that are made to be slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from metrics.events.content_names import NAMING_WORDS, SPEAKER_WORDS, SPEAKERS, VALUE_WORDS

CUT_OUT = "[content dropped]"
MAX_KEY = 200  # characters
MAX_SPACES = 8  # between a key and its value
WORD = r"[\w.\-\[\]%$@]"
QUOTED = r"""["']([^"'\\]{1,200})\\*["']"""
VALUE_BEGINS = r"""(?=[bfru]{0,2}(?:\\*["'`]|[\[{]))"""
NAMING, VALUE, SPEAKER, SPEAKS = map("|".join, map(sorted, (NAMING_WORDS, VALUE_WORDS, SPEAKER_WORDS, SPEAKERS)))
BESIDE_VALUE = rf"""
    (?=[^"']{{0,40}}(?:["'][^"']{{0,40}}){{0,8}}["']\w{{0,40}}?(?i:{VALUE})\w{{0,40}}\\*["']\s*+:)"""
# The forms of a key, each with signs of which a text has at least one. The key is the name of the group that matched,
# or its text.
FORMS = tuple(
    (re.compile(form, re.VERBOSE | re.MULTILINE), signs)
    for form, signs in (
        (rf"{QUOTED}\s*+(?::|=>?(?!=))", "\"'"),
        (
            rf"""["']\w{{0,40}}?(?i:{NAMING})\\*["']\s*+:\s*+\\*{QUOTED}{BESIDE_VALUE}""",
            "\"'",
        ),
        (
            rf"""["'](?:{SPEAKER})\\*["']\s*+:\s*+\\*["'](?P<messages>(?i:{SPEAKS}))\\*["']{BESIDE_VALUE}""",
            ("role", "from", "speaker", "author"),
        ),
        (
            rf"[\[(,]\s*+[\[(]\s*+\\*{QUOTED}\s*+,",
            ('["', "['", '("', "('", '[\\"', "[\n", "[ "),
        ),
        (rf"(?<!{WORD})({WORD}++)(?:=(?!=)|[ ]{{1,4}}=>|[ ]{{1,4}}=[ ]{{0,4}}{VALUE_BEGINS})", "="),
        (r"[{,(]\s*+([\w.\-]++)[ ]{1,4}=(?!=)", "="),
        (rf"(?:^[ \t]*+|[{{,(\[]\s*+)([\w.\-]++)[ \t]*+:\s{{0,4}}{VALUE_BEGINS}", "\"'`[{"),
        (r"(?:\{|(?<=[\s{])(?=[A-Z]))(\w++):(?=[^\s/:])", "{"),
        (r"(?<!\w)([Aa]uthorization|[Aa][Pp][Ii]-[Kk]ey|[Cc]ookie):", ("uthorization:", "-key:", "-Key:", "ookie:")),
        (r"(?<=[?&])(?P<api_key>key)=", ("?key=", "&key=")),
        (
            r"(?P<prompt><\|(?:im_start|start_header_id|user|system)\|>|\[INST\]|<start_of_turn>)",
            ("<|", "[INST]", "<s"),
        ),
    )
)
# After content, a text continues with what pydantic writes after an invalid value; a stack trace also with the next
# frame or exception. In other texts, such a line may be a part of the content.
CONTINUES = re.compile(r", input_type=\w")
TRACE_CONTINUES = re.compile(
    r"""
    \n[ \t]*+(?:File[ ]"|at[ ]|\#\d+[ ]|Traceback[ ]|Caused[ ]by|goroutine[ ]\d|[\w<>-]*+[./\\][\w./\\<>-]*+:\d)
    | \n(?:During[ ]handling[ ]of|The[ ]above[ ]exception|[\w.]*(?:Error|Exception|Timeout|Interrupt|Exit)\b)
    | ,[ ]input_type=\w
    """,
    re.VERBOSE,
)
# Escapes of JSON, of URLs and of HTML. Halves of a character stay escaped, because no database can hold them.
ESCAPED = re.compile(
    r"(?<!\\)\\++u(?![dD][89a-fA-F])([0-9a-fA-F]{4})|%([2-7][0-9a-fA-F])|&(?:(quot)|#x?(?:39|34|22|27));"
)
COUNT = re.compile(r"\s{0,8}(?:-?\d[\d.]{0,20}|true|false|null|None|True|False)(?=\s{0,8}(?:[,;)}\]&]|$))")


class Follows(Enum):
    """What follows a key."""

    COUNT = 1
    OBJECT = 2
    TEXT = 3


Drops = Callable[[str, Follows], bool]  # whether the value of a key is dropped


def may_quote(text: str) -> bool:
    """Whether a text has a sign that every form of a key needs. It is a fast test for short texts."""
    return ":" in text or "=" in text or "," in text or "%" in text


def quotes_content(text: str, drops: Drops) -> bool:
    """Whether a text quotes content."""
    return may_quote(text) and bool(_places(_plain(text), drops))


def without_content(text: str, drops: Drops, is_trace: bool = False) -> str:
    """The text without the content that it quotes; the same object if it quotes none. is_trace: it is a stack trace."""
    if not may_quote(text):
        return text
    plain = _plain(text)
    kept, start = [], 0
    continuing = TRACE_CONTINUES if is_trace else CONTINUES
    for place in _places(plain, drops):
        if place >= start:
            kept.append(plain[start:place])
            continues = continuing.search(plain, place)
            start = continues.start() if continues else len(plain)
    return CUT_OUT.join([*kept, plain[start:]]) if kept else text


def _plain(text: str) -> str:
    return ESCAPED.sub(_character, text) if "\\u" in text or "%" in text or "&" in text else text


def _character(escaped: re.Match[str]) -> str:
    code = escaped[1] or escaped[2]
    return chr(int(code, 16)) if code else '"'


def _places(text: str, drops: Drops) -> list[int]:
    """The indexes at which content begins, in order."""
    return sorted(
        match.end()
        for form, signs in FORMS
        if any(map(text.__contains__, signs))
        for match in form.finditer(text)
        if drops(match.lastgroup or match[match.lastindex or 0][-MAX_KEY:], _follows(text, match.end()))
    )


def _follows(text: str, end: int) -> Follows:
    if text[end : end + MAX_SPACES].lstrip()[:1] in ("[", "{"):
        return Follows.OBJECT
    return Follows.COUNT if COUNT.match(text, end) else Follows.TEXT
