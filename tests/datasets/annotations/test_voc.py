"""Pascal VOC against boxes by hand; what is wrong in a file is named."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets import folder
from saltrust.datasets.shapes import Box
from tests.datasets.annotations.cards import card

VOC = """<annotation><filename>a.png</filename><size><width>40</width><height>20</height><depth>1</depth></size>
<object><name>lesion</name><bndbox><xmin>3</xmin><ymin>1</ymin><xmax>12</xmax><ymax>7.5</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>
<object><name>scar</name><bndbox><xmax>40</xmax><xmin>40</xmin><ymin>20</ymin><ymax>20</ymax></bndbox></object>
</annotation>"""


def write_voc(root, text=VOC):
    (root / "xml").mkdir(exist_ok=True)
    (root / "xml" / "a.xml").write_text(text)
    (root / "xml" / "b.xml").write_text("<annotation><filename>b.png</filename></annotation>")


def test_voc_counts_pixels_from_one_and_includes_the_last(pictures):
    write_voc(pictures)
    a, b, c = folder.records(card(pictures, "voc", "box", "xml"))
    assert (c.id, c.label, c.truth) == ("images/c.png", 0, ())  # no file speaks of it
    assert a.truth == (Box(2, 0, 12, 7.5), Box(39, 19, 40, 20))
    assert (a.id, a.label, b.label) == ("images/a.png", 1, 0)
    a, *_ = folder.records(card(pictures, "voc", "box", "xml", positive=["scar"]))
    np.testing.assert_array_equal(np.argwhere(a.truth[0].drawn(40, 20)), [[19, 39]])


ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(10))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.xml: not XML: no element found"),
        (VOC[:-20], "a.xml: not XML: "),
        (f"<!DOCTYPE a [{ENTITIES}]>{VOC.replace('scar', '&e9;')}", "has a document type"),
        (f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>{VOC.replace("scar", "&x;")}', "has a document type"),
        (VOC.replace("scar", "&x;"), "a.xml: not XML: undefined entity"),
        (VOC.replace("<filename>a.png</filename>", ""), "a.xml: <annotation> has no <filename>"),
        (VOC.replace("<name>scar</name>", ""), "a.xml: <object> has no <name>"),
        (VOC.replace("<xmin>40</xmin>", ""), "a.xml: <object> has no <bndbox/xmin>"),
        (VOC.replace("<xmin>40", "<xmin>forty"), "a.xml: <bndbox/xmin>: 'forty' is not a number"),
        (VOC.replace("<xmin>40", "<xmin>nan"), "a.xml: <bndbox/xmin>: 'nan' is not a number"),
        (VOC.replace("<xmax>12", "<xmax>1"), "a.xml: box with edges 2, 0, 1, 7.5: its width and height must not"),
        (VOC.replace("<width>40", "<width>20"), r"a.xml: the size stated of .*a\.png is 20 x 20, its image 40 x 20"),
        (VOC.replace("a.png", "../../a.png"), r"a.xml: '\.\./a\.png' leaves the data folder"),
    ],
)
def test_wrong_voc_files_are_refused(pictures, text, message):
    write_voc(pictures, text)
    with pytest.raises(SaltrustError, match=message):
        folder.records(card(pictures, "voc", "box", "xml"))


def test_voc_needs_files_and_boxes(pictures):
    (pictures / "xml").mkdir()
    with pytest.raises(SaltrustError, match="xml: no XML files"):
        folder.records(card(pictures, "voc", "box", "xml"))
    with pytest.raises(SaltrustError, match="'made-up': annotations of format 'voc' are boxes, its truth is 'mask'"):
        folder.records(card(pictures, "voc", "mask", "xml"))
