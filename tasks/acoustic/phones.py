"""What synthesizers call their sounds, in the phonetic alphabet. Called by `tasks.acoustic.voices`."""

# ruff: noqa: RUF001 - the letters of the phonetic alphabet look like others on purpose
from __future__ import annotations

from models.puppet.phonetics import SILENCE

__all__ = ["ALPHABETS", "ipa"]


def _table(text: str) -> dict[str, str]:
    pairs = text.split()
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


_ARPABET = _table(
    "aa ɑ ae æ ah ʌ ao ɔ aw aʊ ax ə axr ɚ ay aɪ ch tʃ dh ð dx ɾ eh ɛ el əl em m en n er ɝ ey eɪ hh h "
    "hv h ih ɪ iy i jh dʒ ng ŋ nx n ow oʊ oy ɔɪ sh ʃ th θ uh ʊ uw u y j zh ʒ r ɹ g ɡ"
)
_SAMPA = _table(
    "ax ə a a a1 a e e e1 e E ɛ E1 ɛ i i i1 i o o o1 o O ɔ O1 ɔ u u u1 u J ɲ L ʎ rr r r r S ʃ Z ʒ tS "
    "tʃ dZ dʒ ng ŋ nf ɱ g ɡ"
)
_CZECH = _table(
    "c ts c~ tʃ ch x d~ ɟ dz dz dz~ dʒ h ɦ n* ŋ n~ ɲ r~ rʒ r~* rʃ s~ ʃ t~ c z~ ʒ e ɛ e: ɛː i ɪ i: iː g ɡ"
)
_FINNISH = _table("@ æ @: æː 7 ø 7: øː & ə a ɑ a: ɑː N ŋ N: ŋː S ʃ T θ v ʋ v: ʋː g ɡ")
_RUSSIAN = _table(
    "ii i yy ɨ uu u ee ɛ oo o aa a a ɐ e ɪ i ɪ y ɨ u ʊ ae ə ay ə ur ʊ pp pʲ bb bʲ tt tʲ dd dʲ kk kʲ "
    "gg ɡʲ c ts ch tɕ ff fʲ vv vʲ ss sʲ zz zʲ sh ʂ sch ɕː zh ʐ h x hh xʲ mm mʲ nn nʲ ll lʲ l ɫ rr rʲ "
    "g ɡ"
)
ALPHABETS = {
    "arpabet": _ARPABET,
    "sampa": _SAMPA,
    "czech": _CZECH,
    "finnish": _FINNISH,
    "russian": _RUSSIAN,
}
_SILENT = ("pau", "h#", "#", "##", "_", "brth", "sil", "ssil", "")


def ipa(alphabet: str, phone: str) -> str:
    """A sound's IPA symbol; letters that mean the same in both are left out of the tables."""
    return SILENCE if phone in _SILENT else ALPHABETS[alphabet].get(phone, phone)
