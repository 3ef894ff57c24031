"""A split of a data set in memory: images, and what is known of each: label, truth, findings, and what readers drew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from saltrust.core.errors import SaltrustError, unknown_name


def packed(masks: np.ndarray) -> np.ndarray:
    """Masks (..., h, w) bool as bits (..., h, ceil(w / 8)) uint8."""
    return np.packbits(masks, axis=-1)


def unpacked(bits: np.ndarray, width: int) -> np.ndarray:
    """The masks (..., h, w) bool that were packed.

    >>> unpacked(packed(np.array([[True, False, True]])), 3)
    array([[ True, False,  True]])
    """
    return np.unpackbits(bits, axis=-1, count=width).astype(bool)


@dataclass(frozen=True)
class Findings:
    """Independent findings (multi-label): each of n images has, or has not, each of k findings.

    Attributes:
        names: k names.
        present: (n, k) bool, whether the image has the finding.
        bits: (k, n, h, ceil(w / 8)) uint8, the truth of each finding as packed bits; None where only labels are known.
        width: w, in pixels.
    """

    names: tuple[str, ...]
    present: np.ndarray
    bits: np.ndarray | None
    width: int

    def truth(self, name: str) -> np.ndarray:
        """Where one finding lies.

        Args:
            name: of the finding.

        Returns:
            (n, h, w) bool, True inside the finding.

        Raises:
            SaltrustError: For an unknown finding, and where only labels are known.
        """
        position = _position("finding", name, self.names)
        if self.bits is None:
            raise SaltrustError(f"the images have labels of '{name}', but nobody says where it lies")
        return unpacked(self.bits[position], self.width)


@dataclass(frozen=True)
class Readers:
    """What each of r readers drew in n images, apart from the truth that follows from all of them.

    A reader who read an image and drew nothing has an empty mask; one who did not read it has none, so that seventeen
    readers who share the work take no more space than the three who read each image.

    Attributes:
        names: r names.
        read: (r, n) bool, whether the reader read the image.
        bits: (read.sum(), h, ceil(w / 8)) uint8, the masks as packed bits, reader by reader, of the images in order.
        width: w, in pixels.
    """

    names: tuple[str, ...]
    read: np.ndarray
    bits: np.ndarray
    width: int

    def drawn(self, name: str) -> np.ndarray:
        """What one reader drew.

        Args:
            name: of the reader.

        Returns:
            (n, h, w) bool, True where the reader marked the pixel; all False in images that the reader did not read.

        Raises:
            SaltrustError: For an unknown reader.
        """
        read = self.read[_position("reader", name, self.names)]
        masks = np.zeros((len(read), self.bits.shape[1], self.width), dtype=bool)
        masks[read] = unpacked(self.bits_of(name), self.width)
        return masks

    def bits_of(self, name: str) -> np.ndarray:
        """The packed masks of the images that one reader read, in their order."""
        position = _position("reader", name, self.names)
        end = int(self.read[: position + 1].sum())
        return self.bits[end - int(self.read[position].sum()) : end]


def _position(kind: str, name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise unknown_name(kind, name, names)
    return names.index(name)


@dataclass(frozen=True)
class Split:
    """n images with labels and pixel truth; checked when made, so that nothing downstream need ask.

    Attributes:
        pixels: (n, h, w) or (n, h, w, 3) uint8.
        labels: (n,) int64, positions in `classes`.
        truth: (n, h, w) bool, True inside the finding (box truth: inside any box); of several independent findings,
            inside any of them. None where only labels are known.
        boxes: (m, 5) float32 rows image index, x0, y0, x1, y1 in pixels, half-open; m = 0 where the truth is masks.
        ids: (n,) str, unique.
        classes: their names.
        absent: the label of an image without the finding, None where every image has one.
        grades: (n, h, w) uint8 where the truth is graded, else None: 0 outside, 1 on the body of the finding, 2 on the
            features that tell its class; above 0 where the truth is True.
        findings: independent findings of the images, None where there is one; with those that the labels leave out,
            such as a chest tube that is drawn on purpose.
        readers: what each of several readers drew, None where the files do not say.

    Raises:
        SaltrustError: Where an array has another shape, type or range.
    """

    pixels: np.ndarray
    labels: np.ndarray
    truth: np.ndarray | None
    boxes: np.ndarray
    ids: np.ndarray
    classes: tuple[str, ...] = ("without", "with")
    absent: int | None = 0
    grades: np.ndarray | None = None
    findings: Findings | None = None
    readers: Readers | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.pixels)
        grey_or_colour = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        _require(grey_or_colour, "pixels", "(n, h, w) or (n, h, w, 3)", f"shape {shape}")
        _check("pixels", self.pixels, np.uint8, shape)
        _check("labels", self.labels, np.int64, shape[:1])
        if self.truth is not None:
            _check("truth", self.truth, np.bool_, shape[:3])
        _check("boxes", self.boxes, np.float32, (len(self.boxes), 5))
        _check("ids", self.ids, np.str_, shape[:1])
        _require(bool(self.classes), "classes", "one or more", "none")
        known = range(len(self.classes))
        _require(np.isin(self.labels, known).all(), "labels", f"0 to {known[-1]}", f"values {np.unique(self.labels)}")
        _require(self.absent is None or self.absent in known, "absent", f"0 to {known[-1]} or None", f"{self.absent}")
        _require(len(np.unique(self.ids)) == len(self.ids), "ids", "unique", "a repeated id")
        self._check_boxes()
        if self.grades is not None:
            _check("grades", self.grades, np.uint8, shape[:3])
            _require((self.grades <= 2).all(), "grades", "0, 1 or 2", f"values up to {self.grades.max()}")
            same = self.truth is not None and np.array_equal(self.grades > 0, self.truth)
            _require(same, "grades", "above 0 where the truth is True, and only there", "other pixels")
        self._check_findings_and_readers()

    def _check_boxes(self) -> None:
        image, x0, y0, x1, y1 = self.boxes.T
        height, width = self.pixels.shape[1:3]
        inside = (image >= 0) & (image < len(self.labels)) & (x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height)
        valid = inside & (x0 < x1) & (y0 < y1)
        _require(valid.all(), "boxes", "inside an image of the split, x0 < x1, y0 < y1", f"{self.boxes[~valid][:1]}")

    def _check_findings_and_readers(self) -> None:
        count, height, width = self.pixels.shape[:3]
        row = (height, -(-width // 8))
        if (findings := self.findings) is not None:
            _check("findings.present", findings.present, np.bool_, (count, len(findings.names)))
            _require(findings.width == width, "findings.width", f"{width}", f"{findings.width}")
            if findings.bits is not None:
                _check("findings.bits", findings.bits, np.uint8, (len(findings.names), count, *row))
        if (readers := self.readers) is not None:
            _check("readers.read", readers.read, np.bool_, (len(readers.names), count))
            _require(readers.width == width, "readers.width", f"{width}", f"{readers.width}")
            _check("readers.bits", readers.bits, np.uint8, (int(readers.read.sum()), *row))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def present(self) -> np.ndarray:
        """Whether each image has the finding (n,)."""
        return np.ones(len(self), dtype=bool) if self.absent is None else self.labels != self.absent

    def require_truth(self) -> np.ndarray:
        """The truth (n, h, w). Raises SaltrustError where only labels are known."""
        if self.truth is None:
            raise SaltrustError("these images have labels alone: nobody says where in them the finding lies")
        return self.truth

    def positives(self) -> np.ndarray:
        """Indices of the images that have the finding, ascending."""
        return np.flatnonzero(self.present)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that the split holds as named arrays, masks packed, to be stored; `from_arrays` takes them back."""
        arrays = {name: np.asarray(getattr(self, name)) for name in ("pixels", "labels", "boxes", "ids", "classes")}
        if self.absent is not None:
            arrays["absent"] = np.asarray(self.absent)
        if self.grades is not None:
            arrays["grades"] = self.grades
        elif self.truth is not None:
            arrays["truth"] = packed(self.truth)
        for name in ("findings", "readers"):
            if (held := getattr(self, name)) is not None:
                parts = {part: value for part, value in vars(held).items() if part != "width" and value is not None}
                arrays |= {f"{name}.{part}": np.asarray(value) for part, value in parts.items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Split":
        """The split that gave these arrays."""
        width = arrays["pixels"].shape[2]
        grades = arrays.get("grades")
        truth = unpacked(arrays["truth"], width) if "truth" in arrays else None
        findings = readers = None
        if "findings.names" in arrays:
            names = tuple(arrays["findings.names"].tolist())
            findings = Findings(names, arrays["findings.present"], arrays.get("findings.bits"), width)
        if "readers.names" in arrays:
            names = tuple(arrays["readers.names"].tolist())
            readers = Readers(names, arrays["readers.read"], arrays["readers.bits"], width)
        return cls(
            pixels=arrays["pixels"],
            labels=arrays["labels"],
            truth=truth if grades is None else grades > 0,
            boxes=arrays["boxes"],
            ids=arrays["ids"],
            classes=tuple(arrays["classes"].tolist()),
            absent=int(arrays["absent"]) if "absent" in arrays else None,
            grades=grades,
            findings=findings,
            readers=readers,
        )


def joined(splits: Sequence[Split]) -> Split:
    """Splits of the same kind, one after the other.

    Args:
        splits: with the same classes, findings and readers; ids must differ between them.

    Returns:
        All their images, in that order.

    Raises:
        SaltrustError: For an id that is there twice, and for splits of other findings or readers.
    """
    offsets = np.cumsum([0, *(len(split) for split in splits[:-1])])
    boxes = [
        split.boxes + np.array([offset, 0, 0, 0, 0], np.float32) for split, offset in zip(splits, offsets, strict=True)
    ]
    arrays = {name: np.concatenate([getattr(split, name) for split in splits]) for name in ("pixels", "labels", "ids")}
    arrays |= {name: _joined(splits, name, np.concatenate) for name in ("truth", "grades")}
    return replace(
        splits[0],
        boxes=np.concatenate(boxes),
        findings=_joined(splits, "findings", _joined_findings),
        readers=_joined(splits, "readers", _joined_readers),
        **arrays,
    )


def _joined(splits: Sequence[Split], name: str, join: Callable) -> np.ndarray | Findings | Readers | None:
    """A field that all splits have, or none has."""
    parts = [getattr(split, name) for split in splits]
    missing = [part is None for part in parts]
    if all(missing):
        return None
    alike = not any(missing) and len({getattr(part, "names", ()) for part in parts}) == 1
    _require(alike, name, "the same in all splits that are joined", "others, or none, in some of them")
    return join(parts)


def _joined_findings(parts: Sequence[Findings]) -> Findings:
    bits = [part.bits for part in parts]
    located = all(part is not None for part in bits)
    _require(located or not any(part is not None for part in bits), "findings", "with or without truth", "both")
    present = np.concatenate([part.present for part in parts])
    return replace(parts[0], present=present, bits=np.concatenate(bits, axis=1) if located else None)


def _joined_readers(parts: Sequence[Readers]) -> Readers:
    read = np.concatenate([part.read for part in parts], axis=1)
    bits = [part.bits_of(name) for name in parts[0].names for part in parts]
    return replace(parts[0], read=read, bits=np.concatenate(bits))


def _check(name: str, array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> None:
    array = np.asarray(array)
    expected = f"{dtype.__name__.rstrip('_')} of shape {shape}"
    _require(np.issubdtype(array.dtype, dtype) and array.shape == shape, name, expected, f"{array.dtype} {array.shape}")


def _require(holds: bool, name: str, expected: str, found: str) -> None:
    if not holds:
        raise SaltrustError(f"split: {name} must be {expected}, found {found}")
