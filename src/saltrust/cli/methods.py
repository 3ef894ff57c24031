"""`saltrust methods`: what explains a classifier."""

import json

import click

from saltrust.cli import tables


@click.command("methods")
@click.option("--json", "as_json", is_flag=True, help="everything that the registry knows of each")
def command(as_json: bool) -> None:
    """List the saliency methods and their parameters, by family, and which of them other libraries have."""
    from saltrust.methods.registry import FAMILIES, by_family, by_library, catalogue

    if as_json:
        print(json.dumps(catalogue(), indent=1))
        return
    rows = []
    for method in by_family():
        family = FAMILIES[method.family].lower()
        rows.append((method.name, method.abbreviation, f"{method.title} ({family})"))
        rows += [(tables.INDENT + name, repr(method.defaults[name]), note) for name, note in method.help.items()]
    for members in by_library().values():
        rows += [(member.name, member.defaults["version"] or "not installed", member.title) for member in members]
    tables.show(["method", "label or default", "meaning"], rows)
