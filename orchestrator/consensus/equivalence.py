"""Which claims mean the same: clusters that grow as branches arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.forms import Form, Method, canonical, comparable, compare, contradicts, read_form

__all__ = [
    "Cluster",
    "Clusters",
    "Costly",
    "Form",
    "Method",
    "Pair",
    "Verdict",
    "canonical",
    "compare",
    "read_form",
]

Costly = Literal["symbolic", "semantic"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two claims that only a costly method can compare, in alphabetical order: a pair has one name."""

    left: str
    right: str
    method: Costly

    @classmethod
    def of(cls, a: str, b: str, method: Costly) -> Pair:
        """The pair of two texts in either order."""
        return cls(min(a, b), max(a, b), method)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a method said about two claims.

    ``open`` means that no method was asked or could tell, so the claims count as different.
    """

    left: str
    right: str
    method: Method
    same: bool


@dataclass(slots=True)
class Cluster:
    """Claims that mean the same. ``forms`` are their distinct wordings; the first is the representative."""

    index: int
    forms: list[Form]
    branches: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The representative's text."""
        return self.forms[0].text


def _preference(cluster: Cluster) -> tuple[int, int]:
    """Which of several clusters takes a claim: the one with the most branches, then the oldest."""
    return -len(cluster.branches), cluster.index


class Clusters:
    """The equivalence classes of the claims so far.

    A new claim is compared with every cluster, not only until the first match, because equivalence as it is
    judged is not transitive; of several matches, the cluster with the most branches takes it, then the
    oldest. Clusters never merge, so an index once given stays valid.

    Costly methods do not run here. The caller asks :meth:`open_pairs` what they would have to judge, has it
    judged, and hands the verdicts to :meth:`add`. ``costly`` names the methods that the caller can run; a
    pair left open counts as different. Every verdict is kept in ``verdicts``.
    """

    def __init__(self, *, choices: Sequence[str] = (), costly: Sequence[Costly] = ()) -> None:
        self.members: list[Cluster] = []
        self.verdicts: list[Verdict] = []
        self._choices = bool(choices)
        self._costly = frozenset(costly)
        self._by_text: dict[str, Cluster] = {}
        self._forms: dict[str, Form] = {}
        self._judged: dict[Pair, bool] = {}

    def __len__(self) -> int:
        return len(self.members)

    def counts(self) -> tuple[int, ...]:
        """The number of branches in each cluster, by cluster index."""
        return tuple(len(cluster.branches) for cluster in self.members)

    def open_pairs(self, claim: Claim) -> tuple[Pair, ...]:
        """The pairs that decide where ``claim`` belongs and that only a costly method can judge.

        There are none if a cheap method already finds the claim a cluster; pairs judged before are left out.
        The cluster that would take the claim first comes first: once one matches, the rest decide nothing.
        """
        if claim.text in self._by_text:
            return ()
        form = self._form(claim)
        pairs: list[tuple[Cluster, Pair]] = []
        for cluster in self.members:
            outcome = self._cheaply(form, cluster)
            if outcome is None:
                pair = self._pair(form, cluster)
                if pair is not None and pair not in self._judged:
                    pairs.append((cluster, pair))
            elif outcome[1]:
                return ()
        return tuple(pair for _, pair in sorted(pairs, key=lambda each: _preference(each[0])))

    def add(self, branch: int | None, claim: Claim, verdicts: Mapping[Pair, bool] | None = None) -> int:
        """Put the claim of ``branch`` into a cluster and return the cluster's index.

        If ``branch`` is None, the claim does not vote, as when an unfinished branch was made to give it.
        """
        cluster = self._find(claim, verdicts or {})
        if branch is not None:
            cluster.branches.append(branch)
        return cluster.index

    def _find(self, claim: Claim, verdicts: Mapping[Pair, bool]) -> Cluster:
        self._judged.update(verdicts)
        known = self._by_text.get(claim.text)
        if known is not None:
            return known
        form = self._form(claim)
        matches = [cluster for cluster in self.members if self._same(form, cluster)]
        if matches:
            cluster = min(matches, key=_preference)
            cluster.forms.append(form)
        else:
            cluster = Cluster(len(self.members), [form])
            self.members.append(cluster)
        self._by_text[claim.text] = cluster
        return cluster

    def _form(self, claim: Claim) -> Form:
        form = self._forms.get(claim.text)
        if form is None:
            program = claim.outputs is not None
            form = Form(claim.text, outputs=claim.outputs) if program else read_form(claim.text)
            self._forms[claim.text] = form
        return form

    def _cheaply(self, form: Form, cluster: Cluster) -> tuple[Method, bool] | None:
        """What the cheap methods say: of the first wording that is the same, otherwise of the representative.

        A quantity does not match a wording if another wording of the cluster contradicts its unit or value:
        otherwise "5 km" would be "5 miles" by way of "5".
        """
        first = compare(form, cluster.forms[0], choices=self._choices)
        found = first if first is not None and first[1] else None
        for member in cluster.forms[1:]:
            if found is None:
                outcome = compare(form, member, choices=self._choices)
                found = outcome if outcome is not None and outcome[1] else None
        if (
            found is not None
            and found[0] == "numeric"
            and any(contradicts(form, each) for each in cluster.forms)
        ):
            return "numeric", False
        return found or first

    def _pair(self, form: Form, cluster: Cluster) -> Pair | None:
        other = cluster.forms[0]
        symbolic = form.mathematical or other.mathematical or (form.quantity and other.quantity)
        costly: Costly = "symbolic" if symbolic else "semantic"
        if costly not in self._costly or (symbolic and not comparable(form, other)):
            return None
        return Pair.of(form.text, other.text, costly)

    def _same(self, form: Form, cluster: Cluster) -> bool:
        method, same = self._cheaply(form, cluster) or self._judgement(self._pair(form, cluster))
        self.verdicts.append(Verdict(form.text, cluster.text, method, same))
        return same

    def _judgement(self, pair: Pair | None) -> tuple[Method, bool]:
        if pair is None or pair not in self._judged:
            return "open", False
        return pair.method, self._judged[pair]
