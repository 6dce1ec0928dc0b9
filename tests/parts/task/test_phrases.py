"""The task phrases: numerals and sentences checked by hand, by reading them back, and by what order decides."""

import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import TypeVar

import pytest
from pydantic import ValidationError

from paribus.parts.task import LISTABLE, Dice, Example
from paribus.parts.task._numerals import chinese_number, english_number
from paribus.parts.task._sentences import GRAMMARS, Grammar
from paribus.parts.task.phrases import LEVELS, Spec

T = TypeVar("T")

MIXTURE: dict[str, float] = {"numbers": 1, "simple": 1, "phrases": 3}


def draws(spec: Spec, count: int) -> list[Example]:
    dice = Dice("test")
    return [spec.draw(dice) for _ in range(count)]


def spec_of(level: object, **fields: int) -> Spec:
    return Spec.model_validate({"level": level, **fields})


# Numbers


@pytest.mark.parametrize(
    ("number", "english", "chinese"),
    [
        (0, "zero", "零"),
        (2, "two", "二"),
        (10, "ten", "十"),
        (11, "eleven", "十一"),
        (20, "twenty", "二十"),
        (100, "one hundred", "一百"),
        (101, "one hundred and one", "一百零一"),
        (110, "one hundred and ten", "一百一十"),
        (1001, "one thousand and one", "一千零一"),
        (1010, "one thousand and ten", "一千零一十"),
        (10_000, "ten thousand", "一万"),
        (10_101, "ten thousand one hundred and one", "一万零一百零一"),
        (100_100, "one hundred thousand one hundred", "十万零一百"),
        (101_000, "one hundred and one thousand", "十万一千"),
        (160_816, "one hundred and sixty thousand eight hundred and sixteen", "十六万零八百一十六"),
        (2_000_002, "two million and two", "二百万零二"),
        (
            81_924_865,
            "eighty one million nine hundred and twenty four thousand eight hundred and sixty five",
            "八千一百九十二万四千八百六十五",
        ),
        (100_000_000, "one hundred million", "一亿"),
        (1_000_100_000, "one billion one hundred thousand", "十亿零一十万"),
        (1_000_000_000_000, "one trillion", "一万亿"),
    ],
)
def test_numbers_are_written_as_by_hand(number: int, english: str, chinese: str) -> None:
    assert " ".join(english_number(number)) == english
    assert chinese_number(number) == chinese


def read_chinese(numeral: str) -> int:
    for sign, size in (("亿", 10**8), ("万", 10**4)):
        if sign in numeral:
            high, low = numeral.split(sign)
            return read_chinese(high) * size + read_chinese(low)
    total, digit = 0, 0
    for letter in numeral.removeprefix("零"):
        if letter in "千百十":
            total += (digit or 1) * {"千": 1000, "百": 100, "十": 10}[letter]
            digit = 0
        else:
            digit = "零一二三四五六七八九".index(letter)
    return total + digit


def read_english(words: Sequence[str]) -> int:
    to_twelve = "zero one two three four five six seven eight nine ten eleven twelve"
    small = [*to_twelve.split(), *(f"{stem}teen" for stem in ("thir", "four", "fif", "six", "seven", "eigh", "nine"))]
    tens = [f"{stem}ty" for stem in ("twen", "thir", "for", "fif", "six", "seven", "eigh", "nine")]
    scales = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    total, group = 0, 0
    for word in words:
        if word in scales:
            total, group = total + group * scales[word], 0
        elif word == "hundred":
            group *= 100
        elif word != "and":
            group += small.index(word) if word in small else 10 * tens.index(word) + 20
    return total + group


def skipped_places(number: int) -> int:
    """Runs of zeros between other digits, but for short ones that end where a group of four begins."""
    digits = str(number)
    runs = list(re.finditer("0+(?=[1-9])", digits))
    return sum((len(digits) - run.end()) % 4 != 0 or len(run[0]) >= 4 for run in runs)


def test_random_numbers_read_back_to_themselves() -> None:
    dice = Dice("numbers")
    for _ in range(4000):
        number = dice.below(10 ** dice.between(1, 12))
        if dice.chance(0.5):  # many zeros
            number = int("".join(digit if dice.chance(0.4) else "0" for digit in str(number)))
        assert read_english(english_number(number)) == number
        numeral = chinese_number(number)
        assert read_chinese(numeral) == number
        assert number == 0 or numeral.count("零") == skipped_places(number)


def test_numbers_up_to_a_small_maximum_are_all_listed() -> None:
    spec = spec_of("numbers", maximum=2_345)
    listed = list(spec.everything())
    assert spec.space() == len(listed) == len({example.source for example in listed}) == 2_346
    assert [read_english(example.source) for example in listed] == list(range(2_346))


def test_each_number_of_digits_is_about_as_frequent_and_none_is_above_the_maximum() -> None:
    numbers = [read_english(example.source) for example in draws(spec_of("numbers", maximum=2_345), 4_000)]
    assert max(numbers) <= 2_345
    assert all(850 < count < 1_150 for count in Counter(len(str(number)) for number in numbers).values())


@pytest.mark.parametrize("maximum", [9, 99, 1_000_000, 9_999_999, 99_999_999_999])
def test_longer_numbers_have_more_digits_and_more_words(maximum: int) -> None:
    spec, dice = spec_of("numbers", maximum=maximum), Dice("longer")
    longest = max(len(example.source) for example in draws(spec, 500))
    for _ in range(300):
        example = spec.draw_longer(dice)
        assert len(example.source) > longest
        assert 1 <= len(str(read_english(example.source))) - len(str(maximum)) <= 3


# Sentences


class Guided(Dice):
    """Picks what can be said with the given words wherever such a thing is on offer."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(words)
        self.words = set(words)
        self.known: dict[str, bool] = {}

    def pick(self, items: Sequence[T]) -> T:
        # Not always: rules that look for two different things would search for ever.
        return super().pick(items if self.chance(0.05) else [item for item in items if self.fits(item)] or items)

    def fits(self, item: object) -> bool:
        if isinstance(item, str):
            if item not in self.known:
                self.known[item] = bool(item) and self.words.issuperset(item.split())
            return self.known[item]
        return isinstance(item, tuple | list) and any(map(self.fits, item))


RULES = {rule.__name__: rule for grammar in GRAMMARS.values() for rule in grammar.weights}


@pytest.mark.parametrize(
    ("rule", "english", "chinese"),
    [
        ("_study", "i like deep learning", "我喜欢深度学习"),
        ("_act", "the cat chased the dog", "猫追了那只狗"),
        ("_act", "the dog chased the cat", "狗追了那只猫"),
        ("_act", "the small cat bit the white dog", "那只小猫咬了那只白狗"),
        ("_liking", "tom does not know me", "汤姆不认识我"),
        ("_comparison", "mary is cleverer than the teacher", "玛丽比老师聪明"),
        ("_pronoun", "i kept a cat and it is very cute", "我养了一只猫，它很可爱"),
        ("_pronoun", "tom kept a cat and he is very happy", "汤姆养了一只猫，他很高兴"),
        ("_pronoun", "mary found two watches and they are not expensive", "玛丽找到了两块手表，它们不贵"),
        ("_pronoun", "anna met two girls and they are very kind", "安娜遇见了两个女孩，她们很善良"),
        ("_happening", "tom did not see that letter last week", "汤姆上周没看见那封信"),
        ("_happening", "he washed seven big cars yesterday", "他昨天洗了七辆大汽车"),
        ("_question", "what did she buy two days ago ?", "她两天前买了什么？"),
        ("_question", "where did tom lose the book ?", "汤姆在哪里弄丢的那本书？"),
        ("_gift", "the teacher gave me the horse that the cat chased yesterday", "老师给了我猫昨天追的那匹马"),
        ("_gift", "yesterday the doctor gave me the horse that the cat chased", "医生昨天给了我猫追的那匹马"),
        ("_relative_patient", "we found the horse that chased the cat", "我们找到了追那只猫的那匹马"),
        ("_because", "tom ate an egg because he was very tired", "因为他很累，所以汤姆吃了一个鸡蛋"),
        ("_before_or_after", "tom helped mary after the dog bit the cat", "狗咬那只猫以后，汤姆帮助了玛丽"),
        ("_existence", "there are three apples under the table", "桌子下面有三个苹果"),
    ],
)
def test_sentences_are_translated_as_by_hand(rule: str, english: str, chinese: str) -> None:
    dice = Guided(english.split())
    drawn = (RULES[rule](dice) for _ in range(100_000))
    found = next(sentence for sentence in drawn if sentence.english.split() == english.split())
    assert found.chinese == chinese


@pytest.mark.parametrize("level", [*LEVELS, MIXTURE])
def test_no_source_has_two_targets(level: object) -> None:
    targets: dict[tuple[str, ...], tuple[str, ...]] = {}
    for example in draws(spec_of(level), 20_000):
        assert targets.setdefault(example.source, example.target) == example.target


class Recorder(Dice):
    """Dice that write down what they showed: a number below a limit, or with limit 0 whether a chance came true."""

    def __init__(self, *seed: object) -> None:
        super().__init__(*seed)
        self.shown: list[tuple[int, int]] = []

    def below(self, limit: int) -> int:
        self.shown.append((limit, super().below(limit)))
        return self.shown[-1][1]

    def chance(self, probability: float) -> bool:
        self.shown.append((0, super().chance(probability)))
        return bool(self.shown[-1][1])


class Impossible(Exception):
    """A replay that does not fit the choices of the grammar."""


class Replay(Dice):
    """Dice that show what is written down, as long as it is possible."""

    def __init__(self, shown: Sequence[tuple[int, int]]) -> None:
        self.left = list(shown[::-1])

    def below(self, limit: int) -> int:
        recorded, value = self.left.pop() if self.left else (0, 0)
        if recorded == 0 or value >= limit:
            raise Impossible
        return value

    def chance(self, probability: float) -> bool:
        recorded, value = self.left.pop() if self.left else (1, 0)
        if recorded != 0:
            raise Impossible
        return bool(value)


def exchanged(shown: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """The same choices with two runs of one or two of them exchanged."""
    for first, second in combinations(range(len(shown)), 2):
        for size, other in product((1, 2), repeat=2):
            a, b = shown[first : first + size], shown[second : second + other]
            if first + size <= second and a != b:
                yield [*shown[:first], *b, *shown[first + size : second], *a, *shown[second + other :]]


def has_sibling(spec: Spec, seed: int) -> bool:
    """Whether an exchange of choices, say who chased whom, gives the same words with another target."""
    recorder = Recorder(seed)
    source, target = spec.draw(recorder)
    for shown in exchanged(recorder.shown):
        with contextlib.suppress(Impossible):
            other = spec.draw(Replay(shown))
            if other.target != target and sorted(other.source) == sorted(source):
                return True
    return False


@pytest.mark.parametrize(("level", "share"), [("simple", 0.75), ("phrases", 0.4)])
def test_a_bag_of_words_is_not_enough(level: str, share: float) -> None:
    """Lower bounds: only siblings that one exchange reaches are counted."""
    spec = spec_of(level)
    assert sum(has_sibling(spec, seed) for seed in range(150)) >= share * 150


# What every level must hold


def longer_draws(spec: Spec, count: int) -> list[Example]:
    dice = Dice("longer")
    return [spec.draw_longer(dice) for _ in range(count)]


@pytest.mark.parametrize("level", [*LEVELS, MIXTURE, {"simple": 1, "phrases": 1}])
def test_longer_sources_are_longer_than_any_draw(level: object) -> None:
    spec = spec_of(level)
    longest = max(len(example.source) for example in draws(spec, 2_000))
    assert min(len(example.source) for example in longer_draws(spec, 50)) > longest


@pytest.mark.parametrize("grammar", GRAMMARS.values(), ids=GRAMMARS.keys())
def test_no_draw_is_longer_than_its_grammar_says(grammar: Grammar) -> None:
    dice = Dice("longest")
    assert max(len(grammar.draw(dice).source) for _ in range(5_000)) <= grammar.longest


@pytest.mark.parametrize("level", LEVELS)
def test_the_alphabets_are_the_tokens_that_occur(level: str) -> None:
    spec = spec_of(level)
    examples = [*draws(spec, 12_000), *longer_draws(spec, 500)]
    for side, alphabet in enumerate(spec.alphabets()):
        assert len(alphabet) == len(set(alphabet))
        assert set(alphabet) == {token for example in examples for token in example[side]}


def test_the_alphabets_of_a_mixture_are_those_of_its_levels_less_the_words_of_longer_numbers() -> None:
    mixed = spec_of(MIXTURE).alphabets()
    each = [spec_of(level).alphabets() for level in LEVELS]
    for side, longer in enumerate(({"billion"}, {"亿"})):
        assert len(mixed[side]) == len(set(mixed[side]))
        assert set(mixed[side]) == {token for alphabets in each for token in alphabets[side]} - longer


@pytest.mark.parametrize("level", [*LEVELS, MIXTURE])
def test_the_splits_are_disjoint_and_of_their_sizes(level: object) -> None:
    sizes = {"training_examples": 600, "validation_examples": 50, "test_examples": 50}
    task = spec_of(level, **sizes).build()
    parts = [{e.source for e in task.examples(split)} for split in ("training", "validation", "test", "test_longer")]
    assert [len(part) for part in parts] == [600, 50, 50, 50]
    assert len(set.union(*parts)) == 750


def test_chinese_is_written_without_spaces() -> None:
    task = Spec().build()
    assert task.target_text(("十", "万", "零", "一", "百")) == "十万零一百"
    assert task.source_text(("one", "hundred")) == "one hundred"


def test_sentences_are_too_many_to_list() -> None:
    simple, phrases = (spec_of(level).space() for level in ("simple", "phrases"))
    assert LISTABLE < simple < phrases == spec_of({"numbers": 2, "phrases": 1}).space()


def test_a_mixture_keeps_its_weights_in_whatever_order_they_are_written() -> None:
    spec = spec_of(MIXTURE)
    drawn = draws(spec, 5_000)
    words = set(spec_of("numbers").alphabets()[0])
    share = sum(words.issuperset(example.source) for example in drawn) / len(drawn)
    assert 0.18 < share < 0.22
    assert drawn == draws(spec_of(dict(reversed(MIXTURE.items()))), 5_000)


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ("hard", "no level is called 'hard'; known: numbers, simple, phrases"),
        (3, "got 3, needs one of numbers, simple, phrases, or weights such as {numbers: 1, phrases: 3}"),
        ({"numbers": 1, "hard": 1}, "no level is called 'hard'; known: numbers, simple, phrases"),
        ({"numbers": 0}, "got the weight 0 for numbers, needs a number above 0"),
        ({"simple": "much"}, "got the weight 'much' for simple, needs a number above 0"),
        ({"simple": True}, "got the weight True for simple, needs a number above 0"),
        ({}, "needs the weight of at least one level; known: numbers, simple, phrases"),
    ],
)
def test_a_wrong_level_is_refused_with_what_would_be_right(level: object, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        spec_of(level)
    assert [error["msg"] for error in raised.value.errors()] == [message]


@pytest.mark.parametrize("maximum", [8, 100_000_000_000])
def test_a_maximum_out_of_range_is_refused(maximum: int) -> None:
    with pytest.raises(ValidationError, match="maximum"):
        spec_of("numbers", maximum=maximum)


GOLDEN = {
    "numbers": "e6c5388d123264d45a590fa43d60671f0a3e626139657eeca4ada33ec087119b",
    "simple": "3699f11ef3f463b5874cf350c23bc2efb50af961329c947fd1f05ade0aead3d0",
    "phrases": "68ae1042dbf69eec4b5fa8d0a41408a9b7e23867d74ca744dcd66a3614142b20",
}


@pytest.mark.parametrize("level", LEVELS)
def test_the_first_thousand_examples_are_those_of_this_version(level: str) -> None:
    digest = hashlib.sha256(repr([tuple(example) for example in draws(spec_of(level), 1_000)]).encode()).hexdigest()
    assert digest == GOLDEN[level], "other examples than before: raise `version` in phrases.Spec and pin them anew"
