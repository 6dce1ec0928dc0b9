from paribus.parts.task import Vocabulary
from paribus.training.asking import tokens


def test_a_text_is_cut_into_the_words_of_a_vocabulary() -> None:
    english, chinese = Vocabulary(["three", "thousand"]), Vocabulary(["玛丽", "比", "老师", "聪明", "玛"])
    assert tokens("Three  thousand", english) == ("three", "thousand")
    assert tokens("玛丽比老师聪明", chinese) == ("玛丽", "比", "老师", "聪明")
    assert tokens("玛丽 x", chinese) == ("玛丽", "x")
    assert tokens("玛丽xx", chinese) == ("玛丽xx",)
