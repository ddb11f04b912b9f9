"""Sentences without end in many languages: common words, and made-up ones of each language's own sounds.

The labels come from the synthesizer, so a sentence need not mean anything; what counts is that every sound
meets every other. Words and syllables were written for this project. Called by `tasks.acoustic.takes`.
"""

# ruff: noqa: RUF001 - letters of many alphabets
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.puppet.texts import ENGLISH_SENTENCES, OTHER_LANGUAGES

__all__ = ["SPELLINGS", "Spelling", "sentence"]


@dataclass(frozen=True)
class Spelling:
    """How a language writes syllables, and some of its words; `codas` may be none."""

    onsets: str
    vowels: str
    codas: str = "- - -"
    words: str = ""
    joined: str = " "


_LATIN = "b c d f g l m n p r s t v p m b pr tr fl gr"
SPELLINGS: dict[str, Spelling] = {
    "en": Spelling(
        "b c d f g h j k l m n p r s t v w y z sh ch th wh br pl st tr sw qu",
        "a e i o u ee oo ea ou ow ai oy ar er or ir au igh",
        "- - - t n m p b s sh ll ck ng nd st mp th f v dge",
        "the of and a to in is you that it he was for on are with as his they be at one have this "
        "from by hot word but what some we can out other were all there when up use your how said an "
        "each she which do their time if will way about many then them would write like so these her "
        "long make thing see him two has look more day could go come did number sound no most people "
        "my over know water than call first who may down side been now find any new work part take "
        "get place made live where after back little only round man year came show every good me give "
        "our under name very through just form much great think say help low line before turn cause "
        "same mean differ move right boy old too does tell sentence three want air well also play "
        "small end put home read hand port large spell add even land here must big high such follow "
        "act why ask men change went light kind off need house picture try us again animal point "
        "mother world near build self earth father head stand own page should country found answer "
        "school grow study still learn plant cover food sun four thought let keep eye never last door "
        "between city tree cross since hard start might story saw far sea draw left late run while "
        "press close night real life few stop open seem together next white children begin got walk "
        "example ease paper often always music those both mark book letter until mile river car feet "
        "care second group carry took rain eat room friend began idea fish mountain north once base "
        "hear horse cut sure watch colour face wood main president government american economy people "
        "families million health business because",
    ),
    "fr": Spelling(
        "b c d f g j l m n p qu r s t v z ch gn br pl tr bl fl gr",
        "a e é è i o u ou eu oi au an on in un ai ui œu",
        "- - - - r l t s che que ve me be pe ne",
        "le la de un une et est pour que dans avec sur ne pas vous nous je tu il elle mais ou bien "
        "tout plus faire dire pouvoir aller voir vouloir venir devoir jour temps homme femme monde "
        "vie main chose petit grand autre même bon beau peu deux jamais toujours peut-être beaucoup "
        "maison enfant pays ville lune pomme bouche bleu peur feuille brun pain vin bonbon champ "
        "moment aujourd'hui parce",
    ),
    "de": Spelling(
        "b d f g h j k l m n p r s t w z sch st sp pf br fl kn schw",
        "a e i o u ä ö ü au ei eu ie ee ah oh uh",
        "- - - n m t r s ch cht nd ng rt ben gen tel mpf",
        "der die das und ist in zu den nicht von sie es mit sich auf für ich wir ein eine aber auch "
        "als an noch wie über haben werden können müssen sagen geben kommen wollen gehen Mann Frau "
        "Kind Haus Jahr Zeit Leben Wasser Mund Baum Buch schön grün müde böse früh groß klein gut "
        "immer viel vielleicht Apfel Pflaume Möbel Brücke Übung heute morgen abends zwischen "
        "pünktlich",
    ),
    "cmn": Spelling(
        " ".join(
            "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么"
            "心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现"
            "分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位"
            "因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师"
            "书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果亲界及"
            "今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结"
            "六功指思非流每青管夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完革深区"
            "即求品士转量空甚众技轻程告江语英基派满式李息写呢识极令黄德收脸钱党倒未持取设始版双历越史商千片容研像找友"
            "孩站广改议形委早房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志飞观争究包组造落视济喜离虽坏杯怕破胖跑"
            "票牌泡爬盘妈妹猫米梦买卖磨木墨摸抹扑佛伏粉芬饭肥鱼雨云园约绿旅吕玉局居举须徐"
        ),
        "-",
        "-",
        joined="",
    ),
    "es": Spelling(
        "b c d f g j l m n p r s t v ll ñ ch br pl tr",
        "a e i o u ie ue ai",
        "- - - n s r l",
        "el la que no es en un por con para como más pero sus me hasta hay donde quien agua mundo "
        "vida hombre bueno pueblo tiempo siempre también mañana",
    ),
    "it": Spelling(
        "b c d f g l m n p r s t v gn ch gi sc br pr z",
        "a e i o u ie uo ai",
        "- - - - n r",
        "il che di non per una sono con mi ho ma cosa bene tutto come questo anche tempo uomo donna "
        "vita mondo buono bello prima sempre perché",
    ),
    "pt-br": Spelling(
        _LATIN + " nh lh ch",
        "a e i o u ão ei ou em ui",
        "- - - s r m",
        "o que não de um para com você mas bem tempo homem vida mundo bom",
    ),
    "nl": Spelling(
        "b d f g h k l m n p r s t v w z sch st",
        "a e i o u aa ee oo uu ij ui oe eu",
        "- - n t r k ng m p",
        "de het een en van ik je dat niet op zijn maar goed mens leven vrouw huis boom",
    ),
    "sv": Spelling(
        "b d f g h j k l m n p r s t v sj br st",
        "a e i o u å ä ö y",
        "- n t r k ng m p",
        "och att det som en på är av för med till den har inte om",
    ),
    "pl": Spelling(
        "b c d f g j k l ł m n p r s t w z cz sz rz dz",
        "a e i o u y ą ę ie",
        "- - n m ć k w",
        "nie to się w na że z do jak ale tak co tylko dobrze czas życie",
    ),
    "cs": Spelling(
        "b c d f g h j k l m n p r s t v z č š ž ř",
        "a e i o u á é í ou ů",
        "- - n m k l v",
        "a je v na že to se není jak ale tak už jsem dobrý čas život voda máma být",
    ),
    "ru": Spelling(
        "б в г д ж з к л м н п р с т ф х ц ч ш бр пл",
        "а е и о у ы я ё ю э",
        "- - - н м т к л в",
        "и в не на что он с как это по но мы ты она вы дом вода мама время жизнь человек",
    ),
    "tr": Spelling(
        "b c ç d f g h k l m n p r s ş t v y z",
        "a e ı i o ö u ü",
        "- - n m k l r t",
        "bir ve bu için ben o ne var ama gibi daha çok iyi zaman",
    ),
    "fi": Spelling(
        "h j k l m n p r s t v",
        "a e i o u y ä ö aa ii uu ää uo ie yö",
        "- - n s t",
        "ja on ei se että hän olen minä sinä mutta hyvää päivää talo vesi",
    ),
    "hu": Spelling(
        "b c d f g h j k l m n p r s t v z sz zs cs gy",
        "a á e é i o ö ő u ü ű",
        "- n m k l t",
        "a az és nem hogy is egy van de jó nap ember",
    ),
    "ro": Spelling(
        _LATIN + " ș ț", "a e i o u ă â oa ea", "- - n m t s", "și de la în nu cu este pe mai bun"
    ),
    "ca": Spelling(
        "b c d f g j l m n p r s t v x ll ny br pl",
        "a e i o u ai ou ei",
        "- - n s t r m p",
        "el la de que i no en un per amb com més però bon dia mare pare casa aigua món vida poble temps",
    ),
    "id": Spelling("b c d g h j k l m n p r s t w y ny ng", "a e i o u ai au", "- - n m ng k t p"),
    "sw": Spelling("b ch d f g h j k l m n p r s t v w y z mb nd ng", "a e i o u"),
    "vi": Spelling(
        "b c d đ g h kh l m n ng nh ph s t th tr v", "a ă â e ê i o ô ơ u ư à á ả", "- n m ng t p c"
    ),
    "el": Spelling("β γ δ ζ θ κ λ μ ν π ρ σ τ φ χ μπ ντ", "α ε η ι ο υ ω ου αι", "- - ν ς"),
    "hi": Spelling("ब प म भ फ त द न क ग स श र ल व ह ज च य ट ड", "ा ि ी ु ू े ै ो ौ", "- न म त क ल"),
    "ar": Spelling("ب ت م ن ف ك ل ر س ش د ج ه ق ع", "ا و ي َ ُ ِ", "- ن م ب"),
    "ko": Spelling(
        "가 나 다 라 마 바 사 자 하 보 무 미 피 푸 오 우 어 으 이 애 게",
        "는 를 고 서 요 다 만 밤 봄 집 입",
        "-",
    ),
    "ja": Spelling(
        "か き く さ し す た つ な に の は ふ ま み む も や ゆ よ ら り ぱ ぶ び ば",
        "ん い う お え あ",
        "-",
    ),
}


def sentence(language: str, draw: np.random.Generator) -> str:
    """Four to twelve words of a language of SPELLINGS, real and made up; now and then a real "
    "sentence."""
    real = _real(language)
    if real and draw.random() < 0.12:
        return str(draw.choice(real))
    spelling = SPELLINGS[language]
    words = spelling.words.split()
    count = int(draw.integers(4, 13))
    said = [
        str(draw.choice(words)) if words and draw.random() < 0.65 else _word(spelling, draw)
        for _ in range(count)
    ]
    marks = np.where(draw.random(count) < 0.12, ",", "")
    joined = spelling.joined.join(word + mark for word, mark in zip(said[:-1], marks[:-1], strict=True))
    return f"{joined} {said[-1]}{draw.choice(['.', '.', '.', '?', '!'])}"


def _real(language: str) -> tuple[str, ...]:
    return ENGLISH_SENTENCES if language == "en" else OTHER_LANGUAGES.get(language, ())


def _word(spelling: Spelling, draw: np.random.Generator) -> str:
    parts = [part.split() for part in (spelling.onsets, spelling.vowels, spelling.codas)]
    syllables = int(draw.choice([1, 2, 2, 3]))
    return "".join(str(draw.choice(part)) for _ in range(syllables) for part in parts).replace("-", "")
