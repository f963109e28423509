"""Whether a question asks for a list of independent points, and for how many, as far as its words show."""

# ruff: noqa: RUF001 (questions are written in these characters)

from __future__ import annotations

import re
from typing import Final

from orchestrator.runtime.values import Question

MOST_ASKED: Final = 64
"""A larger number of points than this is not taken from a question."""

LOOKED_AT: Final = 1000
"""Characters at the beginning and at the end of a text that are looked at."""

LONG: Final = 300
"""Characters from which only the sentences of a text that end with a question mark are looked at."""

_LISTED: Final = (
    # English
    r"tips|ways|pros and cons|(?:dis)?advantages|benefits|drawbacks|reasons|ideas|suggestions|strategies"
    r"|factors|recommendations|arguments|precautions|challenges|criteria|characteristics|methods|techniques"
    r"|examples|facts|things|causes|effects|features|differences|aspects|points|rules|habits|mistakes"
    # German, French
    r"|tipps|möglichkeiten|vor- und nachteile|vorteile|nachteile|gründe|ideen|vorschläge|faktoren|beispiele"
    r"|ratschläge|methoden|argumente|ursachen|conseils|façons|avantages|inconvénients|raisons|idées|exemples"
    r"|astuces|facteurs|moyens"
    # Spanish, Portuguese, Italian
    r"|consejos|maneras|formas|ventajas|desventajas|razones|ejemplos|factores|trucos|dicas|maneiras|vantagens"
    r"|desvantagens|razões|ideias|exemplos|fatores|consigli|modi|vantaggi|svantaggi|ragioni|motivi|idee|esempi"
    # Russian
    r"|советов|советы|способов|способы|преимущества|недостатки|причин|причины|идей|идеи|примеров|примеры"
)
_OPEN: Final = (
    r"skills|qualities|questions|measures|steps|problems|risks|consequences|options|alternatives|activities"
    r"|topics|issues|hobbies|signs|symptoms|uses|opportunities|impacts|implications|concerns|objections"
    r"|considerations|properties|differences|similarities|eigenschaften|folgen|unterschiede|risiken|maßnahmen"
    r"|conséquences|risques|différences|consecuencias|riesgos|diferencias|conseguenze|rischi|differenze"
)
"""Further words for points, in a question for several of them."""
_LISTED_CJK: Final = (
    "建议|建議|方法|理由|原因|优点|優點|缺点|缺點|好处|好處|技巧|例子|想法|办法|アイデア|コツ|メリット|デメリット|方法"
    "|팁|방법|이유|장점|단점|조언|아이디어|예시"
)
_STEPS: Final = (
    r"make|create|build|construct|assemble|cook|bake|boil|fry|draw|fold|peel|sew|knit|tie|install|find"
    r"|calculate|determine|measure|solve|change|set up|open|unlock|download|connect|sort|plot|convert|say"
    r"|spell|pronounce|write|use|do|cut|call|send|add|delete|remove|run|turn|disable|enable|format|read|print|fix"
    r"|repair|replace"
)
_STEPS_ELSEWHERE: Final = (
    r"faire|cuire|préparer|installer|calculer|dire|écrire|ouvrir|hacer|cocinar|preparar|instalar|calcular|decir"
    r"|escribir|abrir|fare|cuocere|preparare|installare|calcolare|scrivere|aprire|fazer|cozinhar|dizer|escrever"
)
"""Verbs for what is done in steps that follow each other."""
_IMPROVE: Final = (
    r"deal with|cope|improve|avoid|become|prepare|handle|manage|motivate|stay|save|overcome|reduce|increase"
    r"|boost|get (?:better|over)|protect|prevent|encourage|support|learn|lose weight|survive"
)
"""Verbs for what there are many ways to do."""
_MOST: Final = (
    "main|major|primary|key|different|various|most|best|common|possible|potential|typical|important"
)

_WORDS: Final = {
    word: value
    for words in (
        "two three four five six seven eight nine ten eleven twelve",
        "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "deux trois quatre cinq six sept huit neuf dix onze douze",
        "dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "dois três quatro cinco seis sete oito nove dez onze doze",
        "due tre quattro cinque sei sette otto nove dieci undici dodici",
        "два три четыре пять шесть семь восемь девять десять",
    )
    for value, word in enumerate(words.split(), start=2)
} | {"fifteen": 15, "twenty": 20, "a dozen": 12}
_CJK: Final = {digit: value for value, digit in enumerate("二三四五六七八九十", start=2)} | {"两": 2, "兩": 2}
_NUMBER: Final = rf"(?<![\d.,$€£])(?P<n>\d{{1,3}}(?![\d.,]*\d)|\b(?:{'|'.join(_WORDS)})\b)"

_FORMS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Of what kind the points are. In other places these words often tell of something else.
        r"\b(?:tips|pros|cons|(?:dis)?advantages|benefits|drawbacks|suggestions|strategies|factors"
        r"|recommendations|precautions|challenges|criteria|characteristics|ways (?:to|of|in)"
        r"|reasons (?:for|why|to)|ideas (?:for|to|para|per)|idées pour|ideen für|overview of"
        r"|arguments (?:for|against)|tipps|vor- und nachteile"
        r"|vorteile|nachteile|gründe|vorschläge|ratschläge|conseils|avantages|inconvénients|astuces"
        r"|consejos|ventajas|desventajas|dicas|vantagens|desvantagens|consigli|vantaggi|svantaggi"
        r"|советы|преимущества|недостатки)\b",
        rf"(?:{_LISTED_CJK})",
        rf"^(?:the )?top[ -]{_NUMBER}",
        r"^(?:suggest|recommend|brainstorm|propose|schlage?|proposez?|sugiere|suggerisci|sugira) "
        r"(?!(?:an?|one|the)\b)",
        # Questions for several things at once.
        rf"\b(?:what|which) (?:are|were) (?:some|(?:the )?(?:{_MOST}|types|kinds))\b",
        rf"\b(?:what|which) (?:are |were )?(?:(?:the|some) )?(?:\w+ ){{0,2}}?(?:{_LISTED}|{_OPEN})\b",
        rf"\b(?:was sind|welche|quel(?:le)?s|cuáles son|qué|quais são|quali sono|quali|какие) "
        rf"(?:\w+ ){{0,3}}?(?:{_LISTED}|{_OPEN})\b",
        # Advice.
        rf"^(?:how to|how (?:can|do|should|could) (?:i|we|you|one)(?= (?:{_IMPROVE}))) (?!(?:{_STEPS})\b)",
        rf"^\s*(?:cómo|como|comment|come|как) (?!(?:{_STEPS_ELSEWHERE})\b)"
        r"(?:\w+(?:ar|er|ir|re|rse|ть|ться|arsi))\b",
        r"\b(?:what should (?:i|we|you|one|people) \w+|what (?:can|could) (?:i|we|you|one|people) do"
        r"|best ways?)\b",
        r"\b(?:was (?:kann|könnte|soll|sollte) (?:ich|man|wir)|que (?:puis-je|dois-je|peut-on)"
        r"|qué (?:puedo|debo|debería)|(?:che )?cosa (?:posso|dovrei)|o que (?:posso|devo))\b",
        # Two or more things held side by side, and what follows from something.
        r"\b(?:differences? between|compare|contrast|unterschiede? zwischen|différences? entre"
        r"|diferencias? entre|diferenças? entre|differenz[ae] tra)\b",
        r"^\s*what if\b|\bhow (?:has|have|do|does|did|would|might|could|is|are)\b.{3,80}?"
        r"\b(?:affect|impact|influenc|chang|benefit|help|be different)\w*",
    )
)
_OTHER: Final = (
    r"words?|characters?|sentences?|paragraphs?|lines?|pages?|letters?|seconds?|minutes?|hours?|days?|weeks?"
    r"|months?|years?|times?|people|persons?|percent|dollars?|euros?|wörter|sätze|minuten|tage|mots|phrases"
    r"|jours|palabras|frases|días|palavras|dias|parole|frasi|giorni"
)
"""What a number of says how long something is, not how many points it has."""

_ASKED: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_NUMBER}[ -](?!(?:{_OTHER})\b)(?:(?!(?:on|in|of|for|and|with|to|the)\b)[^\W\d_]+[ -]){{0,3}}?"
        rf"(?:{_LISTED})\b",
        rf"\btop[ -]{_NUMBER}",
        r"\b(?:list|name|suggest|recommend|mention|describe|outline|share|provide"
        r"|(?:give|tell|show)(?: me| us)?|nenne|gib(?: mir)?|cite|citez|donne[sz]?(?:-moi)?|nombra|dame"
        r"|menciona|liste|cita|elenca|dimmi) (?:(?:the|at least|up to|about|exactly|only|just|top) )*"
        rf"{_NUMBER}[ -](?!(?:{_OTHER})\b)[^\W\d_]",
        rf"(?P<n>\d{{1,2}}|[{''.join(_CJK)}])(?:个|個|条|點|点|种|種|项|つ|가지)"
        rf"[^\s，。、？?]{{0,8}}?(?:{_LISTED_CJK})",
        rf"(?:{_LISTED_CJK})[^\s，。、？?]{{0,3}} ?(?P<n>\d{{1,2}})(?:つ|個|가지|개)",
    )
)  # fmt: skip


def list_words(text: str) -> str:
    """The words by which a text asks for a list of independent points; empty if there are none."""
    found = (pattern.search(text) for pattern in _FORMS)
    return next((match.group().strip() for match in found if match), "")


def number_asked(question: Question) -> int | None:
    """How many points the question asks for, as in "6 tips" or "top ten"; None if it says no number.

    Numbers from 2 to ``MOST_ASKED`` count; a larger one counts as that.
    """
    text = looked_at(question)
    for pattern in _ASKED:
        if match := pattern.search(text):
            said = match["n"].casefold()
            value = _WORDS.get(said) or _CJK.get(said) or (int(said) if said.isdecimal() else 0)
            if value >= 2:
                return min(value, MOST_ASKED)
    return None


def looked_at(question: Question) -> str:
    """The text of a question; of a very long one, its beginning and its end."""
    text = question.text
    return text if len(text) <= 2 * LOOKED_AT else f"{text[:LOOKED_AT]}\n{text[-LOOKED_AT:]}"
