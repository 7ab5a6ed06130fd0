"""Which language a text is in, by its script and its most frequent words.

A library that knows a hundred languages would bring a model of megabytes. Here it is enough to notice that an answer
is in another language than the cloud's, so a text whose language isn't clear has none, and isn't compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

_MOST = 2000
"""Characters that are looked at."""
_LEAST_LETTERS = 20
_LEAST_WORDS = 3
"""Frequent words of a language that a text must have."""
_AHEAD = 1.5
"""Times as many as of the next language."""
_SCRIPTS = {
    "CYRILLIC": "cyrillic",
    "GREEK": "el",
    "ARABIC": "arabic",
    "HEBREW": "he",
    "DEVANAGARI": "devanagari",
    "THAI": "th",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
}
"""First word of a letter's Unicode name → language, or the script if several languages use it."""
_WORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "en": "the and of to is in that it for you with are this be as on have not can will from your by or",
        "de": "der die das und ist nicht ein eine zu den mit von sie für auf es im dem wird auch sich werden kann",
        "fr": "le la les et des est une que pour dans vous pas sur avec qui au ce du nous être sont plus cette ne",
        "es": "el los las una que es por con para del se no su como más está son al lo pero sus este muy hay",
        "it": "il che di è non per una sono con del della gli le si più come anche questo nel alla dei ma ha può",
        "pt": "não uma que os as para com é em do da no na por mais como você são ao dos foi seu sua isso",
        "nl": "het een van en is niet dat op te voor zijn met je aan ook er maar deze als bij wordt kan naar worden",
        "pl": "nie jest się na że do to jak i w z o ale czy tak dla od po być są może tego który przez",
        "sv": "och att det är som en på för med inte av till den har kan om ett du eller vi från så var ska",
        "tr": "bir ve bu için ile da de çok daha olarak olan gibi ne var değil kadar sonra ama en veya olduğu her",
    }.items()
}


def language_of(text: str) -> str | None:
    """Return the language, like "en", or the script, like "cyrillic"; None: it isn't clear."""
    beginning = text[:_MOST]
    letters = [letter for letter in beginning if letter.isalpha()]
    if len(letters) < _LEAST_LETTERS:
        return None
    foreign = Counter(filter(None, map(_script, filter(lambda letter: ord(letter) > 0x24F, letters))))
    if foreign and foreign.total() > len(letters) / 3:
        # Japanese also has Chinese characters, but no Chinese text has Japanese ones.
        return "ja" if foreign["ja"] > foreign.total() / 10 else foreign.most_common(1)[0][0]
    return _by_words(beginning.lower())


def _script(letter: str) -> str | None:
    return _SCRIPTS.get(unicodedata.name(letter, "").partition(" ")[0])


def _by_words(text: str) -> str | None:
    words = Counter(re.findall(r"[^\W\d_]+", text))
    found = {name: sum(words[word] for word in frequent) for name, frequent in _WORDS.items()}
    (first, most), (_, next_most) = sorted(found.items(), key=lambda one: (-one[1], one[0]))[:2]
    return first if most >= max(_LEAST_WORDS, next_most * _AHEAD) else None
