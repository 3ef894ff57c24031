"""A card for every format of annotations."""

from saltrust.core.data_cards import Card

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def card(root, kind, truth, files, pictures="images", fields=(), **annotations):
    described = {"format": kind, "files": files, "images": pictures} | annotations
    return Card(
        **{"name": "made-up", "finding": "lesion", "truth": truth, "annotations": described, "shares": SHARES}
        | {"get": {"root": str(root), "source": "nowhere"}}
        | dict(fields)
    )
