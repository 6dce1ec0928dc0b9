"""A synchronous grammar of English and Chinese: each rule gives a sentence in both at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from paribus.parts.task import Dice, Example
from paribus.parts.task._english_chinese import (
    ADJECTIVES,
    AGES,
    BELOW,
    BESIDE,
    COUNTS,
    DAYS,
    GIVINGS,
    NAMES,
    NOUNS,
    OWNERS,
    PLACES,
    PRONOUNS,
    STATES,
    TOPICS,
    VERBS,
    WOMEN,
    Adjective,
    Giving,
    Noun,
    NounPhrase,
    State,
    Verb,
    Word,
)


def different(tokens: Iterable[str]) -> tuple[str, ...]:
    """Each token once, in the order of their first appearance."""
    return tuple(dict.fromkeys(tokens))


# Noun phrases

EVERYONE = ("person", "animal")
NOTHING = Word("", "")


def _same(english: str, be: str, chinese: str, head: str) -> NounPhrase:
    return NounPhrase(english, english, be, chinese, chinese, head)


def _the(noun: Noun) -> NounPhrase:
    """Alone a Chinese noun is definite before the verb; after it only a person known by a role is, so no child."""
    goal = noun.chinese if "grown" in noun.traits else f"那{noun.measure}{noun.chinese}"
    return NounPhrase(f"the {noun.one}", f"the {noun.one}", "is", noun.chinese, goal, noun.chinese)


def _that(noun: Noun, description: Word, before: str = "") -> NounPhrase:
    """`before` is the Chinese relative clause; the English one is for the caller to append."""
    chinese = f"{before}那{noun.measure}{description.chinese}{noun.chinese}"
    return _same(f"the {description.english} {noun.one}", "is", chinese, noun.chinese)


def _owned(owner: Word, noun: Noun) -> NounPhrase:
    return _same(f"{owner.english} {noun.one}", "is", owner.chinese + noun.chinese, noun.chinese)


def _a(noun: Noun, description: Word) -> NounPhrase:
    english = f"{description.english} {noun.one}".strip()
    article = "an" if english[0] in "aeiou" else "a"
    return _same(f"{article} {english}", "is", f"一{noun.measure}{description.chinese}{noun.chinese}", noun.chinese)


def _several(count: Word, noun: Noun, description: Word) -> NounPhrase:
    chinese = f"{count.chinese}{noun.measure}{description.chinese}{noun.chinese}"
    return _same(f"{count.english} {description.english} {noun.many}", "are", chinese, noun.chinese)


def _clash(one: NounPhrase, other: NounPhrase) -> bool:
    """Whether two phrases speak of the same thing, as in `tom washed tom 's car`."""
    return one.head in other.topic or other.head in one.topic or {one.head, other.head} <= PRONOUN_HEADS


def _nouns(kinds: Sequence[str]) -> list[Noun]:
    return [noun for noun in NOUNS if not set(kinds).isdisjoint(noun.kinds)]


DESCRIPTIONS = {
    noun: [
        Word(adjective.english, form)
        for adjective in ADJECTIVES
        for kind, form in adjective.attributive.items()
        if kind in noun.kinds
    ]
    for noun in NOUNS
}


def _definite(noun: Noun) -> list[NounPhrase]:
    """Twice without an adjective, so that short sentences are frequent."""
    return [_the(noun), _the(noun), *(_that(noun, description) for description in DESCRIPTIONS[noun])]


PRONOUN_HEADS = {pronoun.head for pronoun in PRONOUNS}
NAMED = [_same(english, "is", chinese, chinese) for english, chinese in NAMES.items()]
ALL_OWNERS = [*OWNERS, *(Word(f"{english} 's", f"{chinese}的") for english, chinese in NAMES.items())]
OWNED = {noun: [_owned(owner, noun) for owner in ALL_OWNERS] for noun in NOUNS}
DEFINITE = {
    group: [phrase for noun in _nouns([group]) for phrase in _definite(noun)]
    for group in ("person", "animal", "thing", "paper", "food", "ground")
}
PEOPLE = [*NAMED, *NAMED, *DEFINITE["person"]]
AMONG = {("person",): PEOPLE, ("animal",): DEFINITE["animal"], EVERYONE: [*PEOPLE, *DEFINITE["animal"]]}


# Level simple: in nearly every sentence two phrases could change places

MUTUAL = [verb for verb in VERBS if set(verb.who) <= set(verb.whom)]
LIKINGS = [state for state in STATES if state.what == "person"]
STUDIES = [state for state in STATES if state.what == "topic"]
COMPARED = {
    group: [adjective for adjective in ADJECTIVES if adjective.comparative and group in adjective.predicate]
    for group in ("person", "animal", "thing")
}


def _two(dice: Dice, phrases: Sequence[NounPhrase]) -> tuple[NounPhrase, NounPhrase]:
    first, second = dice.pick(phrases), dice.pick(phrases)
    while first.head == second.head:
        second = dice.pick(phrases)
    return first, second


def _two_people(dice: Dice) -> tuple[NounPhrase, NounPhrase]:
    """Sometimes one of them is a pronoun; never both, which spares us `i like me`."""
    first, second = _two(dice, PEOPLE)
    if dice.chance(0.3):
        pronoun = dice.pick(PRONOUNS)
        return (pronoun, second) if dice.chance(0.5) else (first, pronoun)
    return first, second


def _present(dice: Dice, subject: NounPhrase, state: State, english: str, chinese: str) -> Word:
    negative = dice.chance(0.25)
    single = subject.be == "is"
    verb = state.third if single else state.base
    if negative:
        verb = f"{'does' if single else 'do'} not {state.base}"
    chinese = f"{'不' if negative else ''}{state.chinese}{chinese}"
    return Word(f"{subject.subject} {verb} {english}", subject.topic + chinese)


def _act(dice: Dice) -> Word:
    verb = dice.pick(MUTUAL)
    agent, patient = _two(dice, AMONG[verb.who])
    return Word(f"{agent.subject} {verb.past} {patient.object}", f"{agent.topic}{verb.chinese}了{patient.goal}")


def _liking(dice: Dice) -> Word:
    one, other = _two_people(dice)
    return _present(dice, one, dice.pick(LIKINGS), other.object, other.goal)


def _study(dice: Dice) -> Word:
    person, topic = dice.pick(dice.pick((PRONOUNS, PEOPLE))), dice.pick(TOPICS)
    return _present(dice, person, dice.pick(STUDIES), topic.english, topic.chinese)


def _contrast(dice: Dice) -> Word:
    one, other = _two_people(dice)
    topic, another = dice.pick(TOPICS), dice.pick(TOPICS)
    first = _present(dice, one, dice.pick(STUDIES), topic.english, topic.chinese)
    second = _present(dice, other, dice.pick(STUDIES), another.english, another.chinese)
    return (_and if dice.chance(0.5) else _but)(first, second)


def _and(one: Word, other: Word) -> Word:
    return Word(f"{one.english} and {other.english}", f"{one.chinese}，{other.chinese}")


def _but(one: Word, other: Word) -> Word:
    return Word(f"{one.english} but {other.english}", f"{one.chinese}，但是{other.chinese}")


def _comparison(dice: Dice) -> Word:
    group = dice.pick(("person", "animal", "thing"))
    one, other = _two_people(dice) if group == "person" else _two(dice, DEFINITE[group])
    return _compared(dice, one, other, dice.pick(COMPARED[group]))


def _compared(dice: Dice, one: NounPhrase, other: NounPhrase, adjective: Adjective) -> Word:
    a, b, quality = one.topic, other.topic, adjective.chinese
    english, chinese = dice.pick(
        (
            (f"{adjective.comparative} than", f"{a}比{b}{quality}"),
            (f"much {adjective.comparative} than", f"{a}比{b}{quality}得多"),
            (f"not as {adjective.english} as", f"{a}没有{b}{quality}"),
        )
    )
    return Word(f"{one.subject} {one.be} {english} {other.object}", chinese)


def _beside(dice: Dice) -> Word:
    side = dice.pick(BESIDE)
    one, other = _two(dice, dice.pick((AMONG[EVERYONE], DEFINITE["ground"])))
    english = f"{one.subject} {one.be} {side.english} {other.object}"
    return Word(english, f"{one.topic}在{other.topic}{side.chinese}")


def _present_of(dice: Dice) -> Word:
    giver, receiver = _two_people(dice)
    giving = dice.pick(GIVINGS)
    item = dice.pick(DEFINITE[dice.pick(giving.what)])
    english = f"{giver.subject} {giving.past} {receiver.object} {item.object}"
    return Word(english, giver.topic + giving.done.format(receiver.goal) + item.goal)


# Level phrases: what English says after the verb or the noun, Chinese says before it

AGENTS = {
    "person": (
        PRONOUNS,
        NAMED,
        [_the(n) for n in _nouns(["person"])],
        [p for n in _nouns(["related"]) for p in OWNED[n]],
    ),
    "animal": ([_the(n) for n in _nouns(["animal"])], [p for n in _nouns(["animal"]) for p in OWNED[n]]),
}
PATIENTS = {verb: _nouns(verb.whom) for verb in VERBS}
TAKING = {noun: [verb for verb in VERBS if noun in PATIENTS[verb]] for noun in NOUNS}
DOING = {group: [verb for verb in VERBS if group in verb.who] for group in EVERYONE}
GIFTS = {giving: _nouns(giving.what) for giving in GIVINGS}
ACTORS = {group: _nouns([group]) for group in EVERYONE}
TIMES = [
    *(day for day in DAYS for _ in range(4)),  # in about two of five sentences the time is one of the few days
    *(
        Word(f"{count.english} {age.english} ago", f"{count.chinese}{age.chinese}前")
        for count in COUNTS
        for age in AGES
    ),
]
QUALITIES = {
    group: [adjective for adjective in ADJECTIVES if group in adjective.predicate]
    for group in ("person", "animal", "thing", "paper", "food", "mood")
}
GETTING = [verb for verb in VERBS if verb.base in ("keep", "buy", "find", "meet", "draw", "see", "borrow")]
MOODS = QUALITIES["mood"]
COMPARABLE = _nouns(["animal", "thing"])
SMALL, GROUND = _nouns(["small", "paper", "food"]), _nouns(["ground"])
PLAIN_GROUND = {noun: _definite(noun) for noun in GROUND}


class Event(NamedTuple):
    """Who did, or did not do, what, where and when."""

    agent: NounPhrase
    verb: Verb
    patient: NounPhrase
    negative: bool
    where: Word
    when: Word

    @property
    def past(self) -> str:
        return f"did not {self.verb.base}" if self.negative else self.verb.past

    @property
    def around(self) -> str:
        return f"{self.where.english} {self.when.english}"

    @property
    def bare(self) -> str:
        """When, where and the verb in a Chinese clause before a noun, where 了 is left out."""
        return f"{self.when.chinese}{'没' if self.negative else ''}{self.where.chinese}{self.verb.chinese}"

    @property
    def done(self) -> str:
        return self.bare if self.negative else f"{self.bare}了"

    def told(self) -> Word:
        english = f"{self.agent.subject} {self.past} {self.patient.object} {self.around}"
        return Word(english, f"{self.agent.topic}{self.done}{self.patient.goal}")


def _maybe(dice: Dice, words: Sequence[Word], probability: float) -> Word:
    return dice.pick(words) if dice.chance(probability) else NOTHING


def _agent(dice: Dice, groups: Sequence[str]) -> NounPhrase:
    return dice.pick(dice.pick(AGENTS[dice.pick(groups)]))


def _patient(dice: Dice, noun: Noun, definite: bool) -> NounPhrase:
    """A noun with one of many determiners; a definite one where Chinese cannot count what did not happen."""
    if noun.group == "person" and dice.chance(0.4):
        return dice.pick(NAMED)
    description = _maybe(dice, DESCRIPTIONS[noun], 0.3)
    form = dice.below(4 if definite else 8)
    if form == 1 and (noun.group != "person" or "related" in noun.traits):
        return dice.pick(OWNED[noun])
    if form in (0, 1):
        return _that(noun, description) if description.english else _the(noun)
    if form in (2, 3):
        return _pointed(dice, noun, description, several=form == 3)
    if form in (4, 5):
        return _a(noun, description)
    if form == 6:
        return _several(dice.pick(COUNTS), noun, description)
    english = f"many {description.english} {noun.many}"
    return _same(english, "are", f"很多{description.chinese}{noun.chinese}", noun.chinese)


def _pointed(dice: Dice, noun: Noun, description: Word, several: bool) -> NounPhrase:
    near = dice.chance(0.5)
    chinese = f"{'这' if near else '那'}{'些' if several else noun.measure}{description.chinese}{noun.chinese}"
    if several:
        return _same(f"{'these' if near else 'those'} {description.english} {noun.many}", "are", chinese, noun.chinese)
    return _same(f"{'this' if near else 'that'} {description.english} {noun.one}", "is", chinese, noun.chinese)


def _event(dice: Dice, where: float, when: float, definite: bool = False, negative: float = 0.25) -> Event:
    """A random event; `where`, `when` and `negative` are probabilities."""
    verb = dice.pick(VERBS)
    undone = dice.chance(negative)
    agent = _agent(dice, verb.who)
    patient = _patient(dice, dice.pick(PATIENTS[verb]), definite or undone)
    while _clash(agent, patient):
        patient = _patient(dice, dice.pick(PATIENTS[verb]), definite or undone)
    return Event(agent, verb, patient, undone, _maybe(dice, PLACES, where), _maybe(dice, TIMES, when))


def _happening(dice: Dice) -> Word:
    placed = dice.chance(0.5)
    return _event(dice, 1.0 if placed else 0.3, 0.6 if placed else 1.0).told()


def _relative(dice: Dice, noun: Noun, main: str) -> NounPhrase:
    """A noun with a clause whose verb is not `main`; a place and a time at its end are the clause's own."""
    description = _maybe(dice, DESCRIPTIONS[noun], 0.25)
    english, chinese = (_did if noun.group in EVERYONE and dice.chance(0.4) else _underwent)(dice, noun, main)
    phrase = _that(noun, description, before=f"{chinese}的")
    english = f"{phrase.object} {'who' if noun.group == 'person' else 'that'} {english}"
    return phrase._replace(subject=english, object=english)


def _other_than(dice: Dice, base: str, verbs: Sequence[Verb]) -> Verb:
    verb = dice.pick(verbs)
    while verb.base == base:
        verb = dice.pick(verbs)
    return verb


def _did(dice: Dice, noun: Noun, main: str) -> Word:
    """(the horse that) chased the cat: the noun is who did it."""
    itself, verb, negative = _the(noun), _other_than(dice, main, DOING[noun.group]), dice.chance(0.2)
    patient = _patient(dice, dice.pick(PATIENTS[verb]), definite=True)
    while _clash(itself, patient):
        patient = _patient(dice, dice.pick(PATIENTS[verb]), definite=True)
    event = Event(itself, verb, patient, negative, _maybe(dice, PLACES, 0.2), _maybe(dice, TIMES, 0.4))
    return Word(f"{event.past} {patient.object} {event.around}", f"{event.bare}{patient.goal}")


def _underwent(dice: Dice, noun: Noun, main: str) -> Word:
    """(the horse that) the cat chased: the noun is what it was done to."""
    itself, verb, negative = _the(noun), _other_than(dice, main, TAKING[noun]), dice.chance(0.2)
    agent = _agent(dice, verb.who)
    while _clash(agent, itself):
        agent = _agent(dice, verb.who)
    event = Event(agent, verb, itself, negative, _maybe(dice, PLACES, 0.2), _maybe(dice, TIMES, 0.4))
    return Word(f"{agent.subject} {event.past} {event.around}", f"{agent.topic}{event.bare}")


def _relative_patient(dice: Dice) -> Word:
    """The time of the main clause stands in front: at the end it would belong to the relative clause."""
    verb, when, negative = dice.pick(VERBS), _maybe(dice, TIMES, 0.4), dice.chance(0.2)
    agent = _agent(dice, verb.who)
    patient = _relative(dice, dice.pick(PATIENTS[verb]), verb.base)
    while _clash(agent, patient):
        patient = _relative(dice, dice.pick(PATIENTS[verb]), verb.base)
    event = Event(agent, verb, patient, negative, NOTHING, when)
    english = f"{when.english} {agent.subject} {event.past} {patient.object}"
    return Word(english, f"{agent.topic}{event.done}{patient.goal}")


def _relative_agent(dice: Dice) -> Word:
    event = _event(dice, 0.2, 0.4, definite=True)
    actors = ACTORS[dice.pick(event.verb.who)]
    agent = _relative(dice, dice.pick(actors), event.verb.base)
    while _clash(agent, event.patient):
        agent = _relative(dice, dice.pick(actors), event.verb.base)
    return event._replace(agent=agent).told()


def _gift(dice: Dice) -> Word:
    giver, receiver = dice.pick(dice.pick(AGENTS["person"])), dice.pick(dice.pick((PRONOUNS, PEOPLE)))
    while _clash(giver, receiver):
        receiver = dice.pick(dice.pick((PRONOUNS, PEOPLE)))
    giving, negative, related = dice.pick(GIVINGS), dice.chance(0.2), dice.chance(0.3)
    item = _item(dice, giving, definite=negative, related=related)
    while _clash(item, giver) or _clash(item, receiver):
        item = _item(dice, giving, definite=negative, related=related)
    when = _maybe(dice, TIMES, 0.7)
    verb = f"did not {giving.base}" if negative else giving.past
    given = f"{giver.subject} {verb} {receiver.object} {item.object}"
    chinese = (giving.undone if negative else giving.done).format(receiver.goal)
    english = f"{when.english} {given}" if related else f"{given} {when.english}"
    return Word(english, f"{giver.topic}{when.chinese}{chinese}{item.goal}")


def _item(dice: Dice, giving: Giving, definite: bool, related: bool) -> NounPhrase:
    noun = dice.pick(GIFTS[giving])
    return _relative(dice, noun, giving.base) if related else _patient(dice, noun, definite)


def _because(dice: Dice) -> Word:
    deed = _event(dice, 0.3, 0.0)
    reason = _mood(dice) if dice.chance(0.4) else _other_deed(dice, deed).told()
    return _because_of(deed.told(), reason)


def _because_of(one: Word, other: Word) -> Word:
    return Word(f"{one.english} because {other.english}", f"因为{other.chinese}，所以{one.chinese}")


def _mood(dice: Dice) -> Word:
    person, mood = _agent(dice, ("person",)), dice.pick(MOODS)
    english, chinese = dice.pick((("very", "很"), ("too", "太"), ("not", "不")))
    english = f"{person.subject} {_was(person.be)} {english} {mood.english}"
    return Word(english, person.topic + chinese + mood.chinese)


def _other_deed(dice: Dice, deed: Event) -> Event:
    other = _event(dice, 0.2, 0.4)
    while other.verb == deed.verb:
        other = _event(dice, 0.2, 0.4)
    return other


def _before_or_after(dice: Dice) -> Word:
    first, second = _event(dice, 0.3, 0.0), _event(dice, 0.0, 0.0, definite=True, negative=0.0)
    while first.verb == second.verb:
        second = _event(dice, 0.0, 0.0, definite=True, negative=0.0)
    english, chinese = dice.pick((("before", "以前"), ("after", "以后")))
    clause = f"{second.agent.topic}{second.bare}{second.patient.goal}{chinese}"
    return Word(f"{first.told().english} {english} {second.told().english}", f"{clause}，{first.told().chinese}")


def _question(dice: Dice) -> Word:
    return dice.pick((_what, _what, _who, _where_or_when, _whether, _how_many))(dice)


def _what(dice: Dice) -> Word:
    event = _event(dice, 0.3, 0.7, negative=0.0)
    people = event.verb.whom == ("person",) or ("person" in event.verb.whom and dice.chance(0.5))
    wanted = Word("who", "谁") if people else Word("what", "什么")
    english = f"{wanted.english} did {event.agent.subject} {event.verb.base} {event.around} ?"
    return Word(english, f"{event.agent.topic}{event.done}{wanted.chinese}？")


def _who(dice: Dice) -> Word:
    event = _event(dice, 0.3, 0.5, definite=True)
    while "person" not in event.verb.who:
        event = _event(dice, 0.3, 0.5, definite=True)
    told = event._replace(agent=_same("who", "is", "谁", "谁")).told()
    return Word(f"{told.english} ?", f"{told.chinese}？")


def _where_or_when(dice: Dice) -> Word:
    """Asked about what is known to have happened, so 的 in place of 了."""
    event = _event(dice, 0.4, 0.6, definite=True, negative=0.0)
    asked = f"did {event.agent.subject} {event.verb.base} {event.patient.object}"
    if dice.chance(0.5):
        setting, english = f"{event.when.chinese}在哪里", f"where {asked} {event.when.english}"
    else:
        setting, english = f"什么时候{event.where.chinese}", f"when {asked} {event.where.english}"
    return Word(f"{english} ?", f"{event.agent.topic}{setting}{event.verb.chinese}的{event.patient.goal}？")


def _whether(dice: Dice) -> Word:
    event = _event(dice, 0.4, 0.6, definite=True, negative=0.0)
    english = f"did {event.agent.subject} {event.verb.base} {event.patient.object} {event.around} ?"
    return Word(english, f"{event.told().chinese}吗？")


def _how_many(dice: Dice) -> Word:
    event = _event(dice, 0.2, 0.6, negative=0.0)
    noun = dice.pick(PATIENTS[event.verb])
    asked, counted = dice.pick(((f"how many {noun.many}", "几"), (f"which {noun.one}", "哪")))
    english = f"{asked} did {event.agent.subject} {event.verb.base} {event.around} ?"
    return Word(english, f"{event.agent.topic}{event.done}{counted}{noun.measure}{noun.chinese}？")


def _pronoun(dice: Dice) -> Word:
    """I kept a cat and it is very cute: whom the pronoun means decides its character."""
    verb = dice.pick(GETTING)
    noun, agent = dice.pick(PATIENTS[verb]), dice.pick(dice.pick((PRONOUNS[:2], NAMED)))
    item = _a(noun, NOTHING) if dice.chance(0.5) else _several(dice.pick(COUNTS), noun, NOTHING)
    if noun.group != "person" and dice.chance(0.25):
        pronoun, be, quality = _pronoun_of_agent(agent), agent.be, dice.pick(MOODS)
    else:
        pronoun, be = _pronoun_of_noun(dice, noun, many=item.be == "are"), item.be
        quality = dice.pick(QUALITIES[noun.group])
    happened = Event(agent, verb, item, False, NOTHING, _maybe(dice, TIMES, 0.3))
    be = _was(be) if happened.when.english else be
    english, chinese = dice.pick((("very", "很"), ("not", "不")))
    remark = Word(f"{pronoun.english} {be} {english} {quality.english}", pronoun.chinese + chinese + quality.chinese)
    return _and(happened.told(), remark)


def _was(be: str) -> str:
    return "were" if be == "are" else "was"


def _pronoun_of_agent(agent: NounPhrase) -> Word:
    if agent.subject not in NAMES:
        return Word(agent.subject, agent.topic)
    return Word("she", "她") if agent.subject in WOMEN else Word("he", "他")


def _pronoun_of_noun(dice: Dice, noun: Noun, many: bool) -> Word:
    if noun.group != "person":
        return Word("they", "它们") if many else Word("it", "它")
    if many:
        return Word("they", "她们" if "female" in noun.traits else "他们")
    female = "female" in noun.traits or ("male" not in noun.traits and dice.chance(0.5))
    return Word("she", "她") if female else Word("he", "他")


def _owned_comparison(dice: Dice) -> Word:
    noun, other = dice.pick(COMPARABLE), dice.pick(COMPARABLE)
    while noun.group != other.group:
        other = dice.pick(COMPARABLE)
    one, another = dice.pick(OWNED[noun]), dice.pick(OWNED[other])
    while one.topic == another.topic:
        another = dice.pick(OWNED[other])
    return _compared(dice, one, another, dice.pick(COMPARED[noun.group]))


def _existence(dice: Dice) -> Word:
    noun, ground, side = dice.pick(SMALL), dice.pick(GROUND), dice.pick(BELOW)
    description, count = _maybe(dice, DESCRIPTIONS[noun], 0.5), dice.pick(COUNTS)
    while noun == ground:
        ground = dice.pick(GROUND)
    place = dice.pick(dice.pick((OWNED[ground], PLAIN_GROUND[ground])))
    thing = _a(noun, description) if dice.chance(0.4) else _several(count, noun, description)
    english = f"there {thing.be} {thing.object} {side.english} {place.object}"
    return Word(english, f"{place.topic}{side.chinese}有{thing.goal}")


# Grammars

Rule = Callable[[Dice], Word]
Join = Callable[[Word, Word], Word]


@dataclass(frozen=True)
class Grammar:
    """Rules for sentences of at most `longest` words, and how two of some kinds are joined to a longer one."""

    weights: dict[Rule, int]
    longest: int
    joinable: tuple[Rule, ...]
    joins: tuple[Join, ...]
    space: int  # a lower bound: the sentences of one rule alone
    alphabets: tuple[tuple[str, ...], tuple[str, ...]]

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return tuple(rule for rule, weight in self.weights.items() for _ in range(weight))

    def draw(self, dice: Dice) -> Example:
        while True:
            example = _example(dice.pick(self._rules)(dice))
            if len(example.source) <= self.longest:
                return example

    def draw_longer(self, dice: Dice, than: int) -> Example:
        while True:
            join, one, other = dice.pick(self.joins), dice.pick(self.joinable), dice.pick(self.joinable)
            example = _example(join(one(dice), other(dice)))
            if len(example.source) > than:
                return example


def _example(sentence: Word) -> Example:
    return Example(tuple(sentence.english.split()), tuple(sentence.chinese))


def _alphabets(words: Iterable[Word]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    words = list(words)
    source = different(token for word in words for token in word.english.split())
    return source, different(letter for word in words for letter in word.chinese)


def _spoken(phrases: Iterable[NounPhrase]) -> Iterator[Word]:
    for phrase in phrases:
        yield Word(f"{phrase.subject} {phrase.object} {phrase.be}", phrase.topic + phrase.goal)


def _compared_words(groups: Iterable[str]) -> Iterator[Word]:
    for adjective in (adjective for group in groups for adjective in COMPARED[group]):
        yield Word(f"{adjective.english} {adjective.comparative}", adjective.chinese)
    yield Word("much than not as", "比得多没有")


def _giving_words() -> Iterator[Word]:
    return (Word(giving.past, giving.done.format("")) for giving in GIVINGS)


def _simple_words() -> Iterator[Word]:
    yield from _spoken(PRONOUNS)
    for group in ("person", "animal", "thing", "paper", "food"):
        yield from _spoken(DEFINITE[group])
    yield from _spoken(NAMED)
    yield from (Word(verb.past, verb.chinese) for verb in MUTUAL)
    yield from (Word(f"{state.base} {state.third}", state.chinese) for state in STATES)
    yield from _giving_words()
    yield from _compared_words(COMPARED)
    yield from (*TOPICS, *BESIDE, Word("do does not and but", "不了在，但是"))


def _phrases_words() -> Iterator[Word]:
    yield from _spoken(PRONOUNS)
    yield from _spoken(NAMED)
    for noun in NOUNS:
        yield from _spoken(_definite(noun))
        yield Word(noun.many, noun.measure)
    yield from (*ALL_OWNERS, *COUNTS, *DAYS, *AGES, *PLACES, *BELOW)
    yield from (Word(f"{verb.base} {verb.past}", verb.chinese) for verb in VERBS)
    yield from _giving_words()
    yield from (Word(giving.base, giving.undone.format("")) for giving in GIVINGS)
    yield from _compared_words(("animal", "thing"))
    yield from (Word(adjective.english, adjective.chinese) for group in QUALITIES.values() for adjective in group)
    yield Word("a an this that these those many ago who there because before after and", "一这那些很多前，因为所以以后")
    yield Word("they", "它们她们")
    yield Word("did not was were very too is are it ? what where when how which", "没了的不太有谁什么时候哪里几吗？")


def _gifts_in_simple() -> int:
    """Two people who differ, a verb and a thing each make another sentence."""
    people = set(PEOPLE)
    pairs = sum(one.head != other.head for one in people for other in people)
    return pairs * sum(len(set(DEFINITE[group])) for giving in GIVINGS for group in giving.what)


def _reasons_in_phrases() -> int:
    """`tom saw the cat because she bought the car at home yesterday`: any two verbs, place and time."""
    deeds = [len((*PRONOUNS, *NAMED)) * len([n for n in PATIENTS[v] if n.group != "person"]) for v in DOING["person"]]
    pairs = sum(deeds) ** 2 - sum(deed**2 for deed in deeds)
    return pairs * len(PLACES) * len(set(TIMES))


SIMPLE = Grammar(
    weights={_act: 6, _liking: 4, _study: 1, _contrast: 2, _comparison: 4, _beside: 2, _present_of: 3},
    longest=14,
    joinable=(_act, _liking, _study, _comparison, _beside, _present_of),
    joins=(_and, _but),
    space=_gifts_in_simple(),
    alphabets=_alphabets(_simple_words()),
)
PHRASES = Grammar(
    weights={
        _happening: 5,
        _relative_patient: 5,
        _relative_agent: 3,
        _gift: 4,
        _because: 3,
        _before_or_after: 2,
        _question: 5,
        _pronoun: 3,
        _owned_comparison: 1,
        _existence: 1,
    },
    longest=22,
    joinable=(_happening, _relative_patient, _relative_agent, _gift),
    joins=(_and, _because_of),
    space=_reasons_in_phrases(),
    alphabets=_alphabets(_phrases_words()),
)
GRAMMARS: dict[str, Grammar] = {"simple": SIMPLE, "phrases": PHRASES}
