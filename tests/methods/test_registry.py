import json

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import FAMILIES, METHODS, by_family, catalogue


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_says_what_it_is(name):
    method = METHODS[name]
    assert method.name == name
    assert method.title
    assert method.formula
    assert method.family in FAMILIES
    assert method.cite or method.family == "control"
    assert method.function.__doc__
    assert set(method.help) == set(method.defaults)
    assert all(method.help.values())
    json.dumps(method.defaults)


def test_abbreviations_are_distinct():
    assert len({m.abbreviation for m in METHODS.values()}) == len(METHODS)


def test_the_catalogue_goes_by_family():
    families = [method["family"] for method in catalogue()]
    assert list(dict.fromkeys(families)) == list(FAMILIES)
    assert len(families) == sum(not method.library for method in METHODS.values())
    ig = next(method for method in catalogue() if method["name"] == "ig")
    assert ig["passes"] == 25
    assert ig["parameters"]["baseline"]["default"] == "black"


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
        "guided_backprop": ("guided_backprop", {"rectifiers": "refuse"}),
    }
    for method in METHODS.values():
        assert method.is_composition == (bool(method.parts()) or method.family == "control")
        for part, parameters in method.parts().values():
            METHODS[part].complete(parameters)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
@pytest.mark.parametrize("name", [method.name for method in by_family()])
def test_what_a_protocol_decides_is_a_parameter_of_the_method(name, protocol):
    found = METHODS[name].from_protocol(PROTOCOLS[protocol], PROFILES["quick"])
    assert set(found) <= set(METHODS[name].complete(found))
    decided = {"noise", "spread", "power", "steps", "quadrature"} & set(METHODS[name].defaults)
    assert decided <= set(found)


def test_the_profile_cuts_what_the_protocol_wants():
    assert METHODS["xrai"].from_protocol(PROTOCOLS["published"], PROFILES["full"]) == {
        "steps": 100,
        "quadrature": "riemann",
        "baselines": ("black", "white"),
        "channels": "max",
    }
    assert METHODS["smooth_ig"].from_protocol(PROTOCOLS["as_run"], PROFILES["quick"]) == {
        **{"samples": 5, "noise": 0.15, "spread": "image", "power": 2},
        **{"steps": 4, "baseline": "black", "quadrature": "riemann"},
    }
