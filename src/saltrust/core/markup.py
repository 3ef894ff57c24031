"""Text as text: what a data card, a file's name or a user says, written where it would else be read as markup.

No text of a card is markup, whoever wrote the card. Each medium has one way to write it:

- MyST, of the book's pages and of captions: `myst` within prose, `code` and `fenced` for what stands as it was typed;
- HTML: `html.escape` of the standard library;
- figures read no markup at all, formulas between dollars included (`plots.style`);
- tables (CSV) and JSON: their own writers.
"""

import re

# Every sign but those that mean nothing in MyST wherever they stand, a hyphen within a word among them.
_MARKUP = re.compile(r"_|(?<!\w)-|-(?!\w)|[^\w\s.,;?!/@-]")
_NUMBERED = re.compile(r"^(\d+)\.")  # it would begin a list


def myst(text: str) -> str:
    r"""A text as MyST that reads as the text, on one line: every sign that may be markup is escaped.

    Args:
        text: any.

    >>> print(myst("{include} /etc/passwd, <b>*x*</b>"))
    \{include\} /etc/passwd, \<b\>\*x\*\</b\>
    """
    line = " ".join(text.split())
    return _NUMBERED.sub(r"\1\\.", _MARKUP.sub(_escaped, line))


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match[0].isascii() else match[0]


def unescaped(text: str) -> str:
    r"""MyST without what `myst` put into it.

    Args:
        text: MyST.

    >>> unescaped(myst("a*b* _c_"))
    'a*b* _c_'
    """
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def code(text: str) -> str:
    """A text as code within a line of MyST, whatever backticks it holds.

    Args:
        text: any but "".

    >>> print(code("a"), code("a `b`"))
    `a` `` a `b` ``
    """
    line = " ".join(text.split())
    mark = "`" * (_longest(line, "`") + 1)
    edge = " " if "`" in (line[:1], line[-1:]) else ""
    return f"{mark}{edge}{line}{edge}{mark}"


def fenced(text: str, kind: str, sign: str = "`", least: int = 3) -> str:
    """A block of MyST between fences that nothing in it can end.

    Args:
        text: of the block, as it is.
        kind: what follows the first fence: a language, or a directive in braces and its argument.
        sign: of which the fences are made, "`" or ":".
        least: signs of a fence.

    >>> print(fenced("a", "text"))
    ```text
    a
    ```
    """
    fence = sign * max(least, _longest(text, sign) + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _longest(text: str, sign: str) -> int:
    """Length of the longest run of a sign."""
    return max(map(len, re.findall(f"{re.escape(sign)}+", text)), default=0)
