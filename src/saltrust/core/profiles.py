"""Profiles: the size of a run. What is computed is the protocol's; how much of it, the profile's."""

from dataclasses import dataclass, replace
from math import ceil

from saltrust.core.registry import Registry


@dataclass(frozen=True)
class Training:
    """How long one network trains.

    epochs: at most so many; patience: epochs without a better validation score; steps: batches in an epoch, None for
    as many as the training images fill.
    """

    epochs: int
    patience: int
    steps: int | None
    batch_size: int

    def at_most(self, images: int) -> "Training":
        """The same training with no more batches in an epoch than so many images fill.

        >>> Training(epochs=5, patience=5, steps=60, batch_size=16).at_most(100).steps
        7
        """
        return replace(self, steps=min(self.steps or images, ceil(images / self.batch_size)))


@dataclass(frozen=True)
class Branching:
    """The networks of a data set with several classes: one base model each, and branches from it.

    sizes: side of each network's images in pixels. shards: how many each split has, of the loader's size.
    branches: of each base model. judged: test images that get heat maps, None for all. depths: convolutions added in
    the test of depth; deep_branches: branches of each network that has them.
    """

    sizes: dict[str, int]
    shards: dict[str, int]
    branches: int
    judged: int | None
    depths: tuple[int, ...]
    deep_branches: int


@dataclass(frozen=True)
class Multilabel:
    """The network of a data set with several findings, and its images.

    size: side of the images in pixels. train, val, test: images of each split; None for all that the data card counts.
    training: of the network. members: networks trained alike from other starts, itself counted in. copies: changed
    copies of each image, whose outputs tell how sure it is. resamples: drawn again from the test images, with
    thresholds chosen anew from validation images that are drawn again. shifted: test images that are shown after each
    shift, None for all.
    """

    size: int
    train: int | None
    val: int | None
    test: int | None
    training: Training
    members: int
    copies: int
    resamples: int
    shifted: int | None


@dataclass(frozen=True)
class Contrast:
    """The small networks of a data set two of whose classes are contrasted, and what is tried on them.

    train: images that a network learns from, and in weak those of a worse one. training: of both. members: networks of
    each kind, trained alike from other starts; those of one number begin with the same weights. explained: test images
    of any class whose coalitions are all run. contrasted: those of the first class, None for all. samples: of
    coalitions, as many as KernelSHAP is given; repeats: draws of each number. chances: random choices of pixels for
    each image.
    """

    train: int
    weak: int
    training: Training
    members: int
    explained: int
    contrasted: int | None
    samples: tuple[int, ...]
    repeats: int
    chances: int


@dataclass(frozen=True)
class Profile:
    name: str
    size: int  # side of the square images in pixels
    train: int | None  # images of each split; None for all that the data card counts
    val: int | None
    test: int | None
    architectures: dict[str, Training]
    localizers: dict[str, Training]
    localizer_width: str  # "narrow" or "paper"
    pretrained: bool  # start from ImageNet weights, where a file or the network provides them
    explained: int | None  # positive test images that get maps, None for all
    compared: int | None  # of these, drawn at random, those whose maps are compared with other maps; None for all
    cascaded: int | None  # of these, how many are followed through the cascade of randomization
    replicates: int  # networks of the main architecture whose weights are drawn anew, each with a cascade of its own
    surrogates: int  # of each map, to learn what an SSIM is worth without agreement
    samples: int  # caps on the protocol's noisy copies, the steps of a path, and those of a path to each noisy copy
    steps: int
    copy_steps: int
    perturbations: int  # perturbed copies of an image for LIME and KernelSHAP
    channels: int | None  # most active channels of each layer that Poly-CAM tries, None for all
    shares: tuple[float, ...]  # of the training images, from which further networks learn that are set beside readers
    branching: Branching
    multilabel: Multilabel
    contrast: Contrast


NETWORKS = ("alexnet", "vgg16", "resnet34")  # of Tjoa & Guan

_QUICK = Profile(
    name="quick",
    size=128,
    train=1400,
    val=300,
    test=400,
    architectures={
        "inception_v3": Training(epochs=5, patience=5, steps=60, batch_size=16),
        "densenet121": Training(epochs=4, patience=4, steps=45, batch_size=16),
        "densenet169": Training(epochs=4, patience=4, steps=45, batch_size=16),
    },
    localizers={
        "unet": Training(epochs=5, patience=5, steps=24, batch_size=16),
        "retinanet": Training(epochs=6, patience=6, steps=24, batch_size=16),
    },
    localizer_width="narrow",
    pretrained=True,
    explained=30,
    compared=None,
    cascaded=10,
    replicates=1,
    surrogates=2,
    samples=5,
    steps=10,  # at 5, IG missed a third of what it should add up to
    copy_steps=4,
    perturbations=300,
    channels=32,
    shares=(0.1,),
    branching=Branching(
        sizes={"alexnet": 128, "vgg16": 64, "resnet34": 136},  # ResNet34's the largest, as in the paper
        shards={"train": 32, "val": 2, "test": 3},
        branches=2,
        judged=30,
        depths=(1, 2, 3, 4, 5, 6, 7, 8),
        deep_branches=1,
    ),
    multilabel=Multilabel(
        size=96,
        train=2400,
        val=200,
        test=300,
        training=Training(epochs=3, patience=3, steps=None, batch_size=16),
        members=3,
        copies=8,
        resamples=300,
        shifted=100,
    ),
    contrast=Contrast(
        train=300,
        weak=70,
        training=Training(epochs=30, patience=30, steps=None, batch_size=32),
        members=4,
        explained=40,
        contrasted=None,
        samples=(15, 32, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384),
        repeats=10,
        chances=30,
    ),
)

_SMOKE = replace(
    _QUICK,
    name="smoke",
    size=80,
    train=48,
    val=24,
    test=32,
    architectures=dict.fromkeys(_QUICK.architectures, Training(epochs=1, patience=1, steps=3, batch_size=12)),
    localizers={
        "unet": Training(epochs=1, patience=1, steps=3, batch_size=8),
        "retinanet": Training(epochs=1, patience=1, steps=2, batch_size=4),
    },
    pretrained=False,
    explained=4,
    cascaded=2,
    surrogates=1,
    samples=2,
    steps=2,
    copy_steps=2,
    perturbations=20,
    channels=4,
    branching=replace(
        _QUICK.branching,
        sizes=dict.fromkeys(NETWORKS, 64),
        shards=dict.fromkeys(("train", "val", "test"), 1),
        judged=8,
        depths=(1, 2),
    ),
    multilabel=Multilabel(
        size=48,
        train=64,
        val=40,
        test=40,
        training=Training(epochs=1, patience=1, steps=3, batch_size=16),
        members=2,
        copies=2,
        resamples=20,
        shifted=8,
    ),
    contrast=replace(
        _QUICK.contrast,
        training=Training(epochs=3, patience=3, steps=None, batch_size=32),
        members=2,
        explained=6,
        contrasted=6,
        samples=(15, 48, 64, 1024, 4096),
        repeats=3,
        chances=5,
    ),
)

_FULL = replace(  # the sizes of Arun et al., Methods, as far as they give them: see models/training_choices.py
    _QUICK,
    name="full",
    size=320,
    train=None,
    val=None,
    test=None,
    architectures={
        "inception_v3": Training(epochs=20, patience=4, steps=None, batch_size=32),
        "densenet121": Training(epochs=30, patience=5, steps=None, batch_size=32),
        "densenet169": Training(epochs=75, patience=75, steps=None, batch_size=64),  # Venkatesh et al. [code]
    },
    localizers=dict.fromkeys(_QUICK.localizers, Training(epochs=75, patience=15, steps=None, batch_size=4)),
    localizer_width="paper",
    explained=None,
    compared=100,  # as their code says; utility takes all
    cascaded=100,
    replicates=3,
    surrogates=5,
    samples=25,
    steps=100,
    copy_steps=100,
    perturbations=1000,
    channels=None,
    shares=(0.5, 0.1, 0.01),
    branching=replace(  # Tjoa & Guan, sec. III and Table I
        _QUICK.branching,
        sizes={"resnet34": 512, "alexnet": 224, "vgg16": 224},
        shards={"train": 32, "val": 8, "test": 8},
        branches=5,
        judged=None,
        deep_branches=5,
    ),
    multilabel=Multilabel(  # Shu et al., Methods
        size=320,
        train=None,
        val=None,
        test=None,
        training=Training(epochs=3, patience=3, steps=None, batch_size=16),
        members=5,
        copies=20,
        resamples=1000,
        shifted=None,
    ),
    contrast=replace(_QUICK.contrast, members=5, explained=100, repeats=30, chances=100),
)

PROFILES: Registry[Profile] = Registry("profile")
for _profile in (_SMOKE, _QUICK, _FULL):
    PROFILES.register(_profile.name)(_profile)
