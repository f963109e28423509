import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    (r"$\mathrm{H_2O}$", "H2O"),
    (r"\ce{H2O}", "H2O"),
    ("NaCl", "$NaCl$"),
    ("Fe^{3+}", "Fe³⁺"),
    ("Fe3+", "Fe^{3+}"),
    ("SO4^2-", r"\mathrm{SO_4^{2-}}"),
    ("SO4 2-", "SO₄²⁻"),
    ("MnO4^-", "MnO_4^-"),
    ("Ca2+", "Ca²⁺"),
    ("Ca^2+", "Ca^{2+}"),
    ("Na+", "Na⁺"),
    ("Cl-", "Cl⁻"),
    ("CaCO3", "CaCO₃"),
    ("Ca(OH)2", "Ca(OH)₂"),
    ("CuSO4·5H2O", "CuSO₄·5H₂O"),
    ("C6H12O6", "C₆H₁₂O₆"),
    ("CH3CH2OH", "CH₃CH₂OH"),
    ("[Ar] 3d5 4s1", "[Ar]3d⁵4s¹"),
    ("1s2 2s2 2p6", "1s²2s²2p⁶"),
    ("1s^2 2s^2 2p^6", "1s²2s²2p⁶"),
    ("2H2 + O2 → 2H2O", "2H₂ + O₂ -> 2H₂O"),
    ("2H2 + O2 -> 2H2O", r"2H_2 + O_2 \rightarrow 2H_2O"),
    ("^{14}C", "carbon-14"),
    ("C-14", "carbon-14"),
    ("¹⁴C", "C-14"),
    ("U-235", "uranium-235"),
    ("nan", "NaN"),
    ("U.S.", "US"),
    ("H₂SO₄", "H2SO4"),
)
DIFFERENT = (
    ("Fe2+", "Fe3+"),
    ("NO2", "NO2-"),
    ("SO4^2-", "SO3^2-"),
    ("C6H12O6", "C6H6"),
    ("1s2 2s2", "1s2 2s1"),
    ("2H2 + O2 -> 2H2O", "H2 + O2 -> H2O"),
    ("Ca(OH)2", "CaOH2"),
    ("U-235", "U-238"),
    ("US", "us all"),
    ("CH4 + O2 → CO2 + H2O", "CH4 + 2 O2 → CO2 + 2 H2O"),
    ("C-14", "N-14"),
    ("1s2 2s2", "1s2 2p2"),
    ("MnO4^-", "MnO4^{2-}"),
    ("Fe^{2+}", "Fe^{3+}"),
    ("CO3^2-", "CO3"),
    ("Ni", "NI"),
    ("H2SO4", "H2SO3"),
    ("Everest", "K2"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
