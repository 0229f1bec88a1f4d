"""Words written with capitals: acronyms read by letters (GPS) or as words (NASA), and iPhone, ChatGPT, GitHub, CDs."""

import re

# Look pronounceable but are read by letters; the lexicon's own entries of that kind, plus modern ones.
_SPELLED_WORDS = """
    ABA ACM AGI AMA AMD AOL API APO ATI ATM BAA BYU CEA CEO CIA CIO CIT CLO DIY DUI DWI EAP EEO EMS EPA ETA FAA FAQ
    FYI HIAA HIV IDE IOT IOU IPA IPO IRA IRS ISP LGA MIT MLA NAACP NIH NSA OAS OECD ROI SEO SUV TBA UAE UAV UFO URI
    URL USA USDA USS UTI VIP
"""
_SPELLED = frozenset(_SPELLED_WORDS.split())
# Look unpronounceable but are words, above all in transcripts written in capitals.
_READ_WORDS = """
    HM HMM SH SHH PST PSST NTH GRR BRR TSK PFFT MME MLLE MR MRS MS DR ST JR SR JSON JPEG MPEG NGINX GNU
"""
_READ = frozenset(_READ_WORDS.split())
_SHORT_WORDS_WORDS = """
    ah am an as at ay be by do eh ex go ha he hi ho if in is it la lo ma me my no of oh ok on or ow ox pa pi so to um
    up us we ye yo
"""
_SHORT_WORDS = frozenset(_SHORT_WORDS_WORDS.split())
_OPENINGS_WORDS = """
    b bl br c ch chl chr cl cr d dr dw f fl fr g gh gl gn gr h j k kh kl kn kr l ll m mc n p ph phl phr pl pr ps q qu
    r rh s sc sch scr sh shr sk sl sm sn sp sph spl spr squ st str sv sw t th thr tr ts tw v vl w wh wr x y z zh
"""
_OPENINGS = frozenset(_OPENINGS_WORDS.split()) | {""}
_ENDINGS_WORDS = """
    b c ch ck ct d dd dge f ff ft g gh ght gs h k ks l ld lf lk ll lls lm lp ls lt lts m mb mp mps mph ms n nc nch nct
    nd nds ng ngs nk nks nn ns nt nth nts nx p ph pp ps pt pts q r rb rc rch rd rds rf rg rk rks rl rls rm rms rn rns
    rp rr rs rst rt rth rts s sh sk sm sp ss st sts t tch th ths ts tt tz v w wd wk wks wl wn wns ws x xt y z zz
"""
_ENDINGS = frozenset(_ENDINGS_WORDS.split()) | {""}


def cased(word: str) -> list[str]:
    """Reads one run of letters by its capitals; a letter read by name is a word of its own, the letter A being "a.".

    >>> cased("GPS"), cased("NASA"), cased("ChatGPT"), cased("iPhone"), cased("CDs"), cased("McDonald")
    (['g', 'p', 's'], ['nasa'], ['chat', 'g', 'p', 't'], ['i', 'phone'], ['c', "d's"], ['mcdonald'])
    """
    if found := re.fullmatch(r"([A-Z]{2,})'?s", word):
        *head, last = _acronym(found[1])
        return [*head, f"{last.rstrip('.')}'s"] if head else [word.lower()]
    if len(word) > 1 and word.isupper():
        return _acronym(word) if word.isalpha() else [word.lower()]
    parts = re.findall(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+", word)
    joined = len(parts) < 2 or "".join(parts) != word or re.match("Mac[A-Z][a-z]", word)
    whole_parts = all(
        len(part) > 2 or part.isupper() or (place == 0 and len(part) == 1) for place, part in enumerate(parts)
    )
    if joined or not whole_parts:
        return [word.lower()]
    return [
        piece for part in parts for piece in (_acronym(part) if part.isupper() or len(part) == 1 else [part.lower()])
    ]


def spell(letters: str) -> list[str]:
    """Names the letters one by one.

    >>> spell("AI")
    ['a.', 'i']
    """
    return ["a." if letter == "a" else letter for letter in letters.lower()]


def is_short_word(word: str) -> bool:
    """Says whether one or two letters are an English word (up, me) rather than initials (tv, ps)."""
    return word in _SHORT_WORDS


def _acronym(word: str) -> list[str]:
    """A run of capitals: by letters when known so or unpronounceable, else as a word."""
    return [word.lower()] if word in _READ or (word not in _SPELLED and _pronounceable(word.lower())) else spell(word)


def _pronounceable(word: str) -> bool:
    """Whether a word opens and ends as English words do; six letters and more with a vowel always count (NVIDIA)."""
    if len(word) < 3:
        return word in _SHORT_WORDS
    shape = re.fullmatch(r"(qu|y(?=[aeiou])|[^aeiouy]*)([aeiouy].*?)([^aeiouy]*)", word)
    if not shape:
        return False
    return len(word) > 5 or (shape[1] in _OPENINGS and (shape[3] in _ENDINGS or shape[3].removesuffix("s") in _ENDINGS))
