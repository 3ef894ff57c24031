"""Sphinx extension: the book for teachers, and the same for students, without solutions.

`SALTRUST_EDITION=student` (`make book EDITION=student`) leaves out every `{dropdown} Solution`, what stands in

    {for-teachers}        its content, in the edition for teachers alone

and the pages that the table of contents then lacks.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from where_run import parsed

from saltrust.publishing import assemble

STUDENT = "student"
_WITHHELD = re.compile(
    r"^(?P<fence>:{3,}|`{3,})\{(dropdown\} Solution|for-teachers\})[^\n]*\n.*?^(?P=fence)$\n?", re.M | re.S
)


class ForTeachers(SphinxDirective):
    """{for-teachers}"""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return parsed(self, list(self.content))


def withhold(text: str) -> str:
    """MyST without its solutions and without what is for teachers."""
    return _WITHHELD.sub("", text)


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    if app.config.saltrust_edition == STUDENT:
        source[0] = withhold(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("saltrust_edition", assemble.edition(), "env")  # another one reads all anew
    app.add_directive("for-teachers", ForTeachers)
    app.connect("source-read", read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
