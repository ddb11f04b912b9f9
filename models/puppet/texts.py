"""Texts for puppets to say, written for this project: every English phoneme many times, in everyday words.

Training, tests and the demonstration read them; lengths are for a voice of about 155 words a minute.
"""

# ruff: noqa: RUF001 - Chinese sentences have Chinese commas
from __future__ import annotations

__all__ = ["ENGLISH_40_S", "ENGLISH_60_S", "ENGLISH_SENTENCES", "OTHER_LANGUAGES", "language_text"]

ENGLISH_40_S = (
    "Good morning, and welcome to the old boat house by the river. "
    "My brother Paul bought five blue buckets, a brush, and far too much white paint. "
    "We moved the heavy chairs outside, because the weather was fair and warm. "
    "Which of you would choose to push a wooden wagon up a muddy hill? "
    "Maybe nobody, but we all shared the work, and everyone laughed. "
    "The youngest boy found a pair of very shiny shoes under the stairs. "
    "He asked his father whether he might keep them, and his father thought it over. "
    "Judge Young joined us on Thursday with three thick logs for the fire. "
    "In the evening we ate fresh bread, cheese, and a huge bowl of mushroom soup."
)

ENGLISH_60_S = (
    "A few years ago, I began to walk to my office instead of taking the bus. "
    "At first it felt like a waste of time, but slowly my view of the city changed. "
    "I saw the baker open his shop before five, with flour up to his elbows. "
    "I heard a woman practise the violin above the pharmacy, always the same four bars. "
    "Once, a grey fox stood in the middle of the road and watched me with great calm. "
    "Perhaps you wonder why I am telling you this. "
    "The reason is simple: we move so fast that most of what is good passes us by. "
    "Measure your day by what you notice, not by how much you finish. "
    "Put the phone away, choose a path through the park, and allow yourself to be bored. "
    "Boredom, I believe, is where a thought has room to grow. "
    "You may meet a neighbour, you may remember a tune, or you may solve a puzzle. "
    "Nothing here is hard, and none of it costs you a single penny. "
    "And if nothing happens at all, you have still had half an hour of fresh air, and that is enough."
)

ENGLISH_SENTENCES: tuple[str, ...] = (
    "Bob and Pam make purple pumpkin pie on the first Monday of the month.",
    "Every vivid leaf fell off the fig tree after the very first frost.",
    "Who would move two blue canoes through the pool at noon?",
    "She should wash the dishes, and he should fetch the chairs from the porch.",
    "Those three brothers breathe through their teeth when they think.",
    "Zoe chose a cosy zebra rug, as usual, for the garage.",
    "The young king sang a long song about the gong that hung in the hall.",
    "Are all calm fathers as far from anger as ours?",
    "I see three green peas; he needs these cheap sheets, please.",
    "Oh no, the old boat broke, so we rode home over the cold snow.",
    "Our loud crowd found a brown cow outside the town house.",
    "The boy enjoys the noise of toys, and spoils the quiet joy of oysters.",
    "Early birds and nervous nurses work in the thirsty desert.",
    "Look, the good cook put sugar in the wooden bowl.",
    "Happy Hannah had a habit of hiding hats behind the hedge.",
    "We went west with a wise widow and watched the whales.",
)

OTHER_LANGUAGES: dict[str, tuple[str, ...]] = {
    "fr": (
        "Bonjour, je m'appelle Paul, et je vous emmène au bord de la mer.",
        "Un bon vin blanc, un peu de pain frais, et nous voilà heureux.",
        "Ma petite sœur a vu une lune immense au-dessus du vieux moulin.",
        "Pourquoi faut-il toujours choisir entre le jour et la nuit ?",
    ),
    "de": (
        "Guten Morgen, heute fährt unser Boot über den ruhigen See.",
        "Meine Mutter bäckt Pflaumenkuchen, und wir pflegen dabei zu pfeifen.",
        "Fünf müde Bären suchten im Wald nach süßem Honig.",
        "Ob das schöne Wetter wohl bis morgen früh bleibt?",
    ),
    "cmn": (
        "你好，欢迎来到我们的家。",
        "今天天气很好，我们去公园走走吧。",
        "妈妈买了苹果、面包和牛奶。",
        "你为什么总是那么晚才回家？",
    ),
    "es": ("Buenos días, vamos a beber un vaso de agua fresca bajo el árbol.",),
    "ru": ("Доброе утро, мама купила свежий хлеб и молоко.",),
}


def language_text(language: str) -> str:
    """A paragraph in `language` (or its family, as in `en-us`), for whoever just needs something said."""
    family = language.split("-")[0]
    if family == "en":
        return ENGLISH_40_S
    if family not in OTHER_LANGUAGES:
        raise ValueError(f"no text in {language!r}: there is en, {', '.join(OTHER_LANGUAGES)}")
    return " ".join(OTHER_LANGUAGES[family])
