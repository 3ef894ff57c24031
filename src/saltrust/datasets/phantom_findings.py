"""The phantom with several findings, as a data card describes it (see `phantom.several`, which draws it)."""

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.datasets.loaders import LOADERS, Loader
from saltrust.datasets.phantom.several import NAMES, SeveralParameters, load


def _from_card(card: Card, split: str, count: int | None, size: int, seed: int) -> Split:
    """One split as the card describes it. count: None for all of them."""
    if card.findings != NAMES:
        raise SaltrustError(f"card '{card.name}': the loader 'phantom_findings' draws the findings {', '.join(NAMES)}")
    if card.truth != "mask":
        raise SaltrustError(f"card '{card.name}': the loader 'phantom_findings' has truth 'mask', not '{card.truth}'")
    parameters = SeveralParameters.of(**card.parameters)
    for name, counted in card.counts.items():
        if counted.positive != (expected := parameters.expected(name, counted.images)):
            raise SaltrustError(
                f"card '{card.name}': counts: of {counted.images} images of split '{name}', {expected} are expected to "
                f"have a finding with these parameters, not {counted.positive}"
            )
    return load(parameters, split, count or card.counts[split].images, size, seed)


# Generated images have no files: the code that draws them is their version.
LOADERS.register("phantom_findings")(Loader(_from_card, lambda card: "generated"))
