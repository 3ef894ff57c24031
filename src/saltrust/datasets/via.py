"""Regions as the VGG Image Annotator (VIA) writes them: a line of a table for each, its shape an object of JSON."""

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.core.user_files import parsed_json
from saltrust.datasets.files import at
from saltrust.datasets.records import Shape
from saltrust.datasets.shapes import Box, Polygon, numbers

COLUMNS = ("filename", "region_shape_attributes")
REGIONS: Registry = Registry("shape of a region")


def regions(cell: str) -> list[Shape]:
    """What a cell of the column `region_shape_attributes` holds.

    Args:
        cell: an object of JSON; empty where the image was seen and nothing drawn.

    Returns:
        One shape, or none.

    Raises:
        SaltrustError: It is not JSON, or a shape that is not known or not whole.

    >>> regions('{"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}')
    [Box(x0=1.0, y0=2.0, x1=4.0, y1=6.0)]
    """
    with at(f"not a region as VIA writes it: {cell[:80]}"):
        region = parsed_json(cell)
        if not isinstance(region, dict):
            raise SaltrustError("not an object of JSON")
    if not region:
        return []
    form = REGIONS[str(region.get("name"))]
    with at(f"not a region as VIA writes it: {cell[:80]}"):
        return [form(region)]


@REGIONS.register("rect")
def _rectangle(region: dict) -> Box:
    x, y, width, height = numbers([region.get(side) for side in ("x", "y", "width", "height")], "a rectangle", 4)
    return Box(x, y, x + width, y + height)


@REGIONS.register("polygon")
def _polygon(region: dict) -> Polygon:
    x, y = (numbers(region.get(f"all_points_{axis}"), f"all_points_{axis}") for axis in "xy")
    if len(x) != len(y):
        raise SaltrustError(f"polygon of {len(x)} x and {len(y)} y")
    return Polygon((tuple(zip(x, y, strict=True)),))
