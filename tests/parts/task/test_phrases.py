"""The task phrases: numerals and sentences checked by hand, by reading them back, and by what order decides."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import pytest
from pydantic import ValidationError

from paribus.parts.task import LISTABLE, Dice, Example
from paribus.parts.task.phrases import GRAMMARS, LEVELS, Spec, chinese_number, english_number

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
    small = (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen"
    ).split(" ")
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ")
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
        number = dice.below(10 ** dice.between(1, 14))
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

    def __init__(self, words: Sequence[str], *seed: object) -> None:
        super().__init__(words, *seed)
        self.words = set(words)
        self.fitting: dict[int, tuple[object, Sequence[object]]] = {}

    def pick(self, items: Sequence[T]) -> T:
        if id(items) not in self.fitting:
            self.fitting[id(items)] = (items, [item for item in items if self.fits(item)] or items)
        # Not always: rules that look for two different things would search for ever.
        return super().pick(items if self.chance(0.05) else self.fitting[id(items)][1])  # type: ignore[arg-type]

    def fits(self, item: object) -> bool:
        if isinstance(item, str):
            return bool(item) and self.words.issuperset(item.split())
        return isinstance(item, tuple | list) and any(self.fits(part) for part in item)


def guided_draws(level: str, words: Sequence[str], count: int) -> Iterator[Example]:
    spec, dice = spec_of(level), Guided(words)
    return (spec.draw(dice) for _ in range(count))


@pytest.mark.parametrize(
    ("level", "english", "chinese"),
    [
        ("simple", "i like deep learning", "我喜欢深度学习"),
        ("simple", "the cat chased the dog", "猫追了那只狗"),
        ("simple", "the dog chased the cat", "狗追了那只猫"),
        ("simple", "mary is cleverer than the teacher", "玛丽比老师聪明"),
        ("phrases", "i kept a cat and it is very cute", "我养了一只猫，它很可爱"),
        ("phrases", "anna met two girls and they are very kind", "安娜遇见了两个女孩，她们很善良"),
        ("phrases", "tom did not see that letter last week", "汤姆上周没看见那封信"),
        ("phrases", "what did she buy two days ago ?", "她两天前买了什么？"),
        ("phrases", "where did tom lose the book ?", "汤姆在哪里弄丢的那本书？"),
        ("phrases", "the teacher gave me the horse that the cat chased yesterday", "老师给了我猫昨天追的那匹马"),
        ("phrases", "yesterday the teacher gave me the horse that the cat chased", "老师昨天给了我猫追的那匹马"),
        ("phrases", "we saw the horse that chased the cat yesterday", "我们看见了昨天追那只猫的那匹马"),
        ("phrases", "he washed seven big cars in the kitchen last year", "他去年在厨房里洗了七辆大汽车"),
        ("phrases", "tom read a book because he was very tired", "因为他很累，所以汤姆读了一本书"),
        ("phrases", "tom helped mary after the dog bit the cat", "狗咬那只猫以后，汤姆帮助了玛丽"),
        ("phrases", "there are three apples under the table", "桌子下面有三个苹果"),
    ],
)
def test_sentences_are_translated_as_by_hand(level: str, english: str, chinese: str) -> None:
    source = tuple(english.split())
    found = next(example for example in guided_draws(level, source, 100_000) if example.source == source)
    assert "".join(found.target) == chinese


@pytest.mark.parametrize("level", LEVELS)
def test_no_source_has_two_targets(level: str) -> None:
    targets: dict[tuple[str, ...], tuple[str, ...]] = {}
    for example in draws(spec_of(level), 20_000):
        assert targets.setdefault(example.source, example.target) == example.target


def has_sibling(level: str, example: Example) -> bool:
    """Whether the same words in another order mean something else."""
    bag = sorted(example.source)
    others = guided_draws(level, example.source, 300)
    return any(sorted(other.source) == bag and other.target != example.target for other in others)


@pytest.mark.parametrize("level", ["simple", "phrases"])
def test_a_bag_of_words_is_not_enough(level: str) -> None:
    examples = draws(spec_of(level), 120)
    print(level, sum(has_sibling(level, example) for example in examples) / len(examples))
