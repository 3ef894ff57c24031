"""Commands on chapters: each chapter is a command whose options are the parameters that its notebook names."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from saltrust import chapters
from saltrust.chapters.chapter import Chapter, Parameter
from saltrust.core.errors import SaltrustError, unknown_name

Given = dict[str, list[str]]
"""The values that a command line gives to each parameter of a chapter."""

METAVARS = {str: "TEXT", bool: "true|false", int: "NUMBER", float: "NUMBER"}


class ChapterCommand(click.Command):
    """A chapter as a command. An option may be written as the parameter is (--n_boot), or by -p (-p n_boot=5)."""

    def __init__(self, chapter: Chapter, act: Callable[..., Any], options: Sequence[click.Option]):
        self.chapter = chapter

        def callback(pairs: tuple[tuple[str, str], ...], **values: Any) -> Any:
            given = {p.name: list(texts) for p in chapter.parameters if (texts := values.pop(p.name))}
            for name, value in pairs:
                given.setdefault(name, []).append(value)
            return act(chapter, given, **values)

        pairs = click.Option(["-p", "pairs"], multiple=True, metavar="NAME=VALUE", type=_pair, help="the same by name")
        settings = {"token_normalize_func": lambda text: text.replace("_", "-"), "help_option_names": ["-h", "--help"]}
        own = [_option(parameter) for parameter in chapter.parameters]
        super().__init__(chapter.name, settings, callback, [*own, pairs, *options], help=chapter.title)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(context, args)
        except click.NoSuchOption as error:
            name = error.option_name.lstrip("-").replace("-", "_")
            known = [parameter.name for parameter in self.chapter.parameters]
            raise unknown_name(f"parameter of chapter '{self.chapter.name}'", name, known) from error


class ChapterGroup(click.Group):
    """A command on a chapter, whose name may stand before or after the options.

    Args:
        name: of the command ("run").
        act: called with the chapter, what is given for its parameters, and the values of `options`.
        help: what the command does.
        options: besides the parameters; they take no value.
        default: the chapter that is meant where none is named, and only there; it need not be one of the notebooks.
    """

    def __init__(
        self,
        name: str,
        act: Callable[..., Any],
        help: str,
        options: Sequence[click.Option] = (),
        default: Chapter | None = None,
    ):
        super().__init__(name, help=help, subcommand_metavar="CHAPTER [OPTIONS]")
        self.act, self.options, self.default = act, options, default
        self.flags = {"-h", "--help", *(word for option in options for word in option.opts)}

    def list_commands(self, context: click.Context) -> list[str]:
        return [*([self.default.name] if self.default else []), *chapters.NAMES]

    def get_command(self, context: click.Context, name: str) -> click.Command:
        chapter = self.default if self.default and name == self.default.name else chapters.load(name)
        return ChapterCommand(chapter, self.act, self.options)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        place = self._place(args)
        if place is not None:
            args = [args[place], *args[:place], *args[place + 1 :]]
        elif self.default and not {"-h", "--help"} & {*args}:
            args = [self.default.name, *args]
        elif not self.default and not {"-h", "--help"} & {*args}:
            known = ", ".join(chapters.NAMES)
            raise SaltrustError(f"which chapter? saltrust {self.name} CHAPTER, then its parameters; known: {known}")
        return super().parse_args(context, args)

    def _place(self, words: Sequence[str]) -> int | None:
        """Where the first word stands that is neither an option nor the value of one."""
        at = 0
        while at < len(words):
            if not words[at].startswith("-"):
                return at
            at += 1 if words[at] in self.flags or "=" in words[at] else 2
        return None


def _option(parameter: Parameter) -> click.Option:
    about = f"{parameter.help} (default: {parameter.default})"
    metavar = METAVARS[type(parameter.default)]
    return click.Option([f"--{parameter.option}", parameter.name], multiple=True, metavar=metavar, help=about)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise SaltrustError(f"-p {text}: write name=value")
    return name.strip().replace("-", "_"), value.strip()
