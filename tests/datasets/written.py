"""Files in the exact formats of the published data sets, small or empty images in them."""

import importlib
import io
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image
from pydicom import FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

from saltrust.core.data_cards import Card
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.records import Record

SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


def card(loader: str, root: Path, truth: str = "mask", **fields) -> Card:
    """A card for files under `root`; fields: of the card, such as parameters, shares or counts."""
    get = {"root": str(root), "source": "its owner"}
    return Card(name="made-up", finding="finding", loader=loader, truth=truth, get=get, **fields)


def by_id(card: Card) -> dict[str, Record]:
    """The records that its loader finds for a card, by what they are called."""
    return {record.id: record for record in LOADERS[card.loader].records(card)}


def torchxrayvision() -> ModuleType:
    """torchxrayvision's data sets, with nothing remembered of earlier files; torchvision must be importable first."""
    importlib.import_module("saltrust.models.torchvision_compat")
    theirs = importlib.import_module("torchxrayvision.datasets")
    theirs._cache_dict.clear()
    return theirs


def dicom(file: Path, pixels: np.ndarray, patient: str = "", jpeg: bool = True, **elements) -> None:
    """A DICOM file of grey pixels (h, w), uint8 or uint16, as SIIM and RSNA have them (JPEG Baseline) or uncompressed.

    elements: further elements by keyword, or those to overwrite (PhotometricInterpretation, …).
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    bits = pixels.dtype.itemsize * 8
    data = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientID, data.Modality, data.ViewPosition = patient, "CR", "PA"
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    for name, value in elements.items():
        setattr(data, name, value)
    if jpeg:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=95)
        data.PixelData = encapsulate([stream.getvalue()])
        data["PixelData"].VR = "OB"
    else:
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OB" if bits == 8 else "OW"
    file.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(file)


def picture(file: Path, pixels: np.ndarray) -> None:
    """A PNG or JPEG file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def text(file: Path, *lines: str, end: str = "\n") -> None:
    """A table or list, line by line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("".join(line + end for line in lines).encode())


def replace(file: Path, old: str, new: str) -> None:
    """Change a table; the old text must be there."""
    content = file.read_text()
    assert old in content, f"{old!r} is not in {file}"
    file.write_text(content.replace(old, new))


def relative_runs(mask: np.ndarray) -> str:
    """SIIM's code of a mask (h, w): down the columns, the gap before every run and its length."""
    changes = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0, append=0))
    return " ".join(map(str, np.diff(changes, prepend=0)))


def boxed(height: int, width: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A mask (height, width) with boxes x0, y0, x1, y1 at whole pixels."""
    mask = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def drawn(record, height: int, width: int) -> np.ndarray:
    """All of a record's truth as one mask (height, width)."""
    return np.any([shape.drawn(width, height) for shape in record.truth], axis=0)
