"""`saltrust assess`: judge models that a user has trained."""

import click

from saltrust.cli import options

ANSWERS = ("localization", "alarm", "report_card")  # chapters whose result is told in the end


@click.command("assess", params=[options.verbose])
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    help="file.py:function, a TorchScript, torch.export or weights file, timm:NAME, xrv:WEIGHTS or a YAML",
)
@options.dataset
@options.profile
@click.option("--protocol", default="corrected", show_default=True, help="corrected, published or as_run")
@click.option("--methods", default="paper", show_default=True, help="names or groups of methods, comma-separated")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="of everything that is drawn at random",
)
def command(models: tuple[str, ...], dataset: str, profile: str, protocol: str, methods: str, seed: int) -> None:
    """Judge the saliency maps of your own models.

    Of several (--model for each) the first is judged, and the others are compared with it. On data with several
    findings one model is asked whether its maps can raise an alarm.
    """
    from saltrust.chapters.assess import assess, card_of
    from saltrust.chapters.notes import DocumentNote
    from saltrust.chapters.results_folder import published
    from saltrust.publishing import html

    card = card_of(dataset, models)
    last = assess(card, profile, protocol, methods, seed, tell=click.echo)
    for chapter in ANSWERS:
        if answer := published(profile, card.name, chapter).answer():
            print(answer)
    if last.chapter == "report_card":
        print(f"Report card: {last.file(DocumentNote(name='report_card', chapter=last.chapter))}")
    else:
        html.write(last)
        print(f"Page: {last.page}")
    print(f"Chapters, figures, tables: {last.folder}; `saltrust book --profile {profile}` shows them as pages")
