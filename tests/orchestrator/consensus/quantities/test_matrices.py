import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}"),
    ("[[1, 2], [3, 4]]", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    ("A = [[1, 2], [3, 4]]", r"\begin{pmatrix}1 & 2\\ 3 & 4\end{pmatrix}"),
    (r"\begin{pmatrix}5\\4\end{pmatrix}", "(5, 4)"),
)
DIFFERENT = (
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
    ("[[1,2],[3,4]]", "[[1,2],[4,3]]"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", "(2, 1)"),
    ("[[1, 2]]", "[1, 2, 3]"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)
