"""The words of the task phrases: small English and Chinese tables that its rules draw from."""

from typing import NamedTuple


class Word(NamedTuple):
    """A word or fixed phrase that is the same wherever it stands."""

    english: str
    chinese: str


class NounPhrase(NamedTuple):
    """Something that can be a subject or an object; `head` tells whether two of them speak of the same thing."""

    subject: str
    object: str
    be: str
    topic: str  # Chinese before the verb, after 比 and in places, where a bare noun is definite
    goal: str  # Chinese after the verb, where a bare noun would be read as indefinite
    head: str


class Noun(NamedTuple):
    one: str
    many: str
    chinese: str
    measure: str
    group: str  # person, animal, thing, paper or food: what adjectives and verbs go by
    traits: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.group, *self.traits)


class Verb(NamedTuple):
    base: str
    past: str
    chinese: str
    who: tuple[str, ...]  # groups of its subjects
    whom: tuple[str, ...]  # groups or traits of its objects


class Giving(NamedTuple):
    """A verb with two objects; {} is who receives."""

    base: str
    past: str
    done: str
    undone: str
    what: tuple[str, ...]


class State(NamedTuple):
    """A verb of the present."""

    base: str
    third: str
    chinese: str
    what: str  # person, or topic


class Adjective(NamedTuple):
    english: str
    comparative: str  # empty where nobody compares
    chinese: str  # as a predicate; empty where it is none
    predicate: tuple[str, ...]  # groups of which it can be said, or mood: what people are for a while
    attributive: dict[str, str]  # group or trait -> form before the noun


def _rows(table: str) -> list[list[str]]:
    return [["" if cell == "-" else cell for cell in line.split()] for line in table.strip().splitlines()]


def _list(cell: str) -> tuple[str, ...]:
    return tuple(cell.split(",")) if cell else ()


def _noun(one: str, many: str, chinese: str, measure: str, group: str, traits: str = "") -> Noun:
    return Noun(one, many, chinese, measure, group, _list(traits))


def _adjective(english: str, comparative: str, chinese: str, predicate: str, attributive: str = "") -> Adjective:
    comparative = f"more {english}" if comparative == "more" else comparative
    forms = dict(form.split("=") for form in _list(attributive))
    return Adjective(english, comparative, chinese, _list(predicate), forms)


NAMES = {"tom": "汤姆", "peter": "彼得", "jack": "杰克", "mary": "玛丽", "anna": "安娜", "lucy": "露西"}
WOMEN = ("mary", "anna", "lucy")

PRONOUNS = tuple(
    NounPhrase(subject, object_, be, chinese, chinese, subject)
    for subject, object_, be, chinese in _rows("""
        i     me    am   我
        you   you   are  你
        he    him   is   他
        she   her   is   她
        we    us    are  我们
        they  them  are  他们
    """)
)

OWNERS = tuple(
    Word(*row)
    for row in _rows("""
        my     我的
        your   你的
        his    他的
        her    她的
        our    我们的
        their  他们的
    """)
)

NOUNS = tuple(
    _noun(*row)
    for row in _rows("""
        teacher     teachers     老师    位  person  grown,related
        doctor      doctors      医生    位  person  grown,related
        neighbour   neighbours   邻居    位  person  grown,related
        student     students     学生    个  person  grown
        nurse       nurses       护士    个  person  grown
        farmer      farmers      农民    个  person  grown
        child       children     孩子    个  person
        boy         boys         男孩    个  person  male
        girl        girls        女孩    个  person  female
        cat         cats         猫      只  animal  washed
        dog         dogs         狗      只  animal  washed
        horse       horses       马      匹  animal  washed
        cow         cows         牛      头  animal
        sheep       sheep        羊      只  animal
        pig         pigs         猪      头  animal
        bird        birds        鸟      只  animal
        rabbit      rabbits      兔子    只  animal
        book        books        书      本  thing   text,small
        car         cars         汽车    辆  thing   machine,washed,ground
        bicycle     bicycles     自行车  辆  thing   machine,washed,ground
        watch       watches      手表    块  thing   machine,small
        chair       chairs       椅子    把  thing   machine,washed,ground
        table       tables       桌子    张  thing   machine,washed,ground
        umbrella    umbrellas    雨伞    把  thing   machine,opened,small
        shirt       shirts       衬衫    件  thing   washed,small
        box         boxes        盒子    个  thing   opened,ground,small
        knife       knives       刀      把  thing   washed,small
        letter      letters      信      封  paper   text,opened,written
        newspaper   newspapers   报纸    份  paper   text
        map         maps         地图    张  paper
        photograph  photographs  照片    张  paper
        apple       apples       苹果    个  food
        orange      oranges      橙子    个  food
        egg         eggs         鸡蛋    个  food
    """)
)

VERBS = tuple(
    Verb(base, past, chinese, _list(who), _list(whom))
    for base, past, chinese, who, whom in _rows("""
        see     saw       看见  person,animal  person,animal
        see     saw       看见  person         thing,paper,food
        hear    heard     听见  person,animal  person,animal
        scare   scared    吓到  person,animal  person,animal
        chase   chased    追    animal         person,animal
        bite    bit       咬    animal         person,animal
        help    helped    帮助  person         person
        thank   thanked   感谢  person         person
        meet    met       遇见  person         person
        visit   visited   看望  person         person
        invite  invited   邀请  person         person
        find    found     找到  person         person,animal,thing,paper,food
        feed    fed       喂    person         animal
        keep    kept      养    person         animal
        buy     bought    买    person         animal,thing,paper,food
        sell    sold      卖    person         animal,thing,food
        draw    drew      画    person         animal,thing,food
        lose    lost      弄丢  person         small,paper
        borrow  borrowed  借    person         thing
        read    read      读    person         text
        write   wrote     写    person         written
        wash    washed    洗    person         washed,food
        eat     ate       吃    person         food
        repair  repaired  修理  person         machine
        open    opened    打开  person         opened
    """)
)

GIVINGS = tuple(
    Giving(base, past, done, undone, _list(what))
    for base, past, done, undone, what in _rows("""
        give  gave    给了{}      没给{}      animal,thing,paper,food
        sell  sold    卖给了{}    没卖给{}    animal,thing,food
        lend  lent    借给了{}    没借给{}    thing
        send  sent    寄给了{}    没寄给{}    paper
        show  showed  给{}看了    没给{}看    animal,thing,paper
    """)
)

STATES = tuple(
    State(*row)
    for row in _rows("""
        like        likes        喜欢  person
        love        loves        爱    person
        know        knows        认识  person
        miss        misses       想念  person
        trust       trusts       信任  person
        respect     respects     尊敬  person
        like        likes        喜欢  topic
        love        loves        热爱  topic
        study       studies      学习  topic
        understand  understands  懂    topic
        teach       teaches      教    topic
    """)
)

TOPICS = (
    Word("deep learning", "深度学习"),
    Word("machine learning", "机器学习"),
    Word("music", "音乐"),
    Word("history", "历史"),
    Word("mathematics", "数学"),
    Word("english", "英语"),
    Word("chinese", "汉语"),
)

ADJECTIVES = tuple(
    _adjective(*row)
    for row in _rows("""
        young        younger   年轻  person               person=年轻的
        tall         taller    高    person
        kind         kinder    善良  person               person=善良的
        busy         busier    忙    person,mood
        tired        -         累    person,animal,mood
        hungry       -         饿    person,animal,mood
        happy        -         高兴  mood
        angry        -         生气  mood
        clever       cleverer  聪明  person,animal        person=聪明的,animal=聪明的
        lazy         lazier    懒    person,animal        person=懒惰的,animal=懒
        cute         cuter     可爱  animal               animal=可爱的
        fast         faster    快    animal
        big          bigger    大    animal,thing,food    animal=大,thing=大,food=大
        small        smaller   小    animal,thing,food    animal=小,thing=小,food=小
        black        -         -     -                    animal=黑,thing=黑色的
        white        -         -     -                    animal=白,thing=白色的
        red          -         -     -                    thing=红色的
        old          older     旧    thing,paper          grown=年老的,animal=老,thing=旧,paper=旧
        new          newer     新    thing                thing=新
        heavy        heavier   重    thing
        beautiful    more      漂亮  thing                thing=漂亮的
        expensive    more      贵    thing,food           thing=昂贵的
        cheap        cheaper   便宜  thing,food           thing=便宜的,food=便宜的
        fresh        fresher   新鲜  food                 food=新鲜的
        interesting  -         -     -                    paper=有趣的
        important    more      重要  paper                paper=重要的
    """)
)

# In sentences two is 两, as before every measure word; the level numbers writes 二.
COUNTS = tuple(
    Word(*row)
    for row in _rows("""
        two    两
        three  三
        four   四
        five   五
        six    六
        seven  七
        eight  八
        nine   九
    """)
)

DAYS = (
    Word("yesterday", "昨天"),
    Word("last night", "昨天晚上"),
    Word("this morning", "今天早上"),
    Word("last week", "上周"),
    Word("last month", "上个月"),
    Word("last year", "去年"),
)
AGES = (Word("days", "天"), Word("weeks", "周"), Word("months", "个月"), Word("years", "年"))

PLACES = (
    Word("at home", "在家里"),
    Word("at school", "在学校"),
    Word("at the station", "在车站"),
    Word("at the market", "在市场"),
    Word("in the garden", "在花园里"),
    Word("in the park", "在公园里"),
    Word("in the kitchen", "在厨房里"),
    Word("in the street", "在街上"),
)

# Where one thing can be of another, and where a small thing can lie.
BESIDE = (Word("behind", "后面"), Word("in front of", "前面"), Word("next to", "旁边"))
BELOW = (Word("under", "下面"), Word("on", "上面"))
