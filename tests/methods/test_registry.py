import pytest

import saltrust.methods
from saltrust.errors import SaltrustError
from saltrust.methods.registry import METHODS

NAMES = {"grad", "smoothgrad", "ig", "smooth_ig", "gradcam", "xrai", "guided_backprop", "guided_gradcam"}


def test_the_eight_methods_of_the_paper_are_registered():
    assert saltrust.methods.__all__
    assert set(METHODS) == NAMES
    assert {m.abbreviation for m in METHODS.values()} == {"GRAD", "SG", "IG", "SIG", "GCAM", "XRAI", "GBP", "GGCAM"}
    assert all(name == m.name and m.title and m.family and m.cite and m.formula for name, m in METHODS.items())


@pytest.mark.parametrize(
    ("name", "parameters", "passes"),
    [
        ("grad", {}, 1),
        ("smoothgrad", {"samples": 7}, 7),
        ("ig", {}, 25),
        ("smooth_ig", {"samples": 3, "steps": 5}, 15),
        ("gradcam", {}, 1),
        ("guided_backprop", {}, 1),
        ("xrai", {}, 50),
        ("guided_gradcam", {}, 2),
    ],
)
def test_passes_count_what_runs_through_the_model(name, parameters, passes):
    assert METHODS[name].passes(parameters) == passes


def test_only_relevance_maps_are_signed():
    assert {name for name, m in METHODS.items() if not m.signed} == {"gradcam", "xrai"}


def test_only_xrai_needs_segments():
    assert [name for name, m in METHODS.items() if m.segments] == ["xrai"]


def test_parameters_are_the_defaults_overridden():
    assert METHODS["ig"].complete({"steps": 10}) == {"steps": 10, "baseline": "black", "quadrature": "gauss_legendre"}


def test_an_unknown_parameter_or_method_is_refused_with_a_suggestion():
    with pytest.raises(SaltrustError, match=r"unknown parameter of method 'ig' 'step';.*did you mean 'steps'"):
        METHODS["ig"].passes({"step": 10})
    with pytest.raises(SaltrustError, match=r"did you mean 'grad'"):
        METHODS["grd"]


def test_compositions_name_their_parts_so_that_passes_are_shared():
    xrai = METHODS["xrai"].parts({"steps": 9, "baselines": ("black", "white")})
    assert xrai == {
        "ig_black": ("ig", {"steps": 9, "quadrature": "gauss_legendre", "baseline": "black"}),
        "ig_white": ("ig", {"steps": 9, "quadrature": "gauss_legendre", "baseline": "white"}),
    }
    assert METHODS["guided_gradcam"].parts({"layer": "top"}) == {
        "gradcam": ("gradcam", {"layer": "top"}),
        "guided_backprop": ("guided_backprop", {}),
    }
    for method in METHODS.values():
        assert method.is_composition == bool(method.parts())
        for part, parameters in method.parts().values():
            METHODS[part].complete(parameters)
