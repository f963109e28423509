"""The words around a figure: what it counts, what bounds it, what leads to it, what follows in vain.

A table is a text of words; ``_`` stands for the space of an expression. :func:`either` makes a pattern of it.
"""

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

from __future__ import annotations


def either(words: str) -> str:
    """An alternation of the expressions in a table, the longest first."""
    return "|".join(word.replace("_", r"\s+") for word in sorted(words.split(), key=len, reverse=True))


def table(words: str) -> frozenset[str]:
    """A table as a set."""
    return frozenset(words.split())


SCALES = "hundred thousand million billion trillion quadrillion dozen lakh lakhs crore crores score mn bn"
"""What multiplies the number before it."""

STOPS = table(
    """
    이므로 이고 이며 이다 입니다
    of in on at for from with by to into onto over under below above after before during until till since
    within without among between against about around through across along out off up down per and or but
    nor so because as if when while where unless than then that which who whose whom although though whereas
    versus vs plus minus times divided modulo mod last next like a an the this these those his her its their
    our my your it he she they we you i him them us there here cost costs need needs take takes sell sells
    buy buys weigh weighs contain contains run runs earn earns pay pays eat eats get gets use uses sold is
    are was were be been being has have had do does did do does did can could will would shall should may
    might must equals makes make gives give means mean remain remains exist exists works work total
    altogether overall now today yesterday tomorrow already only also too again just still left remaining
    each respectively approximately therefore thus hence not however rather instead exactly long tall high
    wide
    deep old thick away apart heavy large big far fast longer taller higher wider deeper older und uhr oder
    bis von im mit für pro ist sind et ou de la le les du des dans pour est sont y e o en el los las un una
    que por para con es son da do na os as é são il lo gli di che sono del della и или в на для с из
    """
)
"""Words at which what a number counts or measures ends, unless a unit of that spelling is meant."""

COMPARED = table("less more fewer greater higher lower")
"""Words that are counted ("5 more"), but not before "than"."""

PRONOUNS = table("them it these those this that us you each all both which his her its their our my the")
"""What "of" refers to without naming it."""

SUBSTANCE_UNITS = table(
    """
    mol mole moles mmol g kg mg gram grams kilogram kilograms l ml litre litres liter liters millilitres
    milliliters cup cups tablespoon tablespoons teaspoon teaspoons ton tons tonne tonnes ounce ounces oz
    pound pounds lb lbs gallon gallons pint pints quart quarts
    """
)
"""Units of an amount of something."""

NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|hundred|thousand"
    "|million|billion|trillion"
)
"""What a share is of, in words."""

NO_NAMES = table(
    """
    it's it’s that's that’s
    answer total sum result value number count solution conclusion option choice only just exactly about
    roughly approximately nearly almost over under around equals is are was were yes no step case part
    final output input score cost price length area volume width height weight age amount difference product
    quotient remainder average mean median mode perimeter distance speed time probability days hours
    minutes years dollars january february march april may june july august september october november
    december jan feb mar apr jun jul aug sep sept oct nov dec x y z n monday tuesday wednesday thursday friday
    saturday sunday
    """
)
"""Words that make no name with a number after them, even if they are capitalised."""

BOUNDS = r"""
    all_but every once_every
    not isn['’]?t aren['’]?t wasn['’]?t weren['’]?t never no_longer anything_but neither cannot_be
    can['’]?t_be at_least at_most more_than less_than fewer_than greater_than larger_than smaller_than
    higher_than lower_than bigger_than no_more_than no_less_than no_fewer_than not_more_than not_less_than
    up_to as_many_as over under above below beneath exceeding beyond exceeds? surpass(?:es)?
    (?:(?:must|does|do|can|may|should|will|shall)_not|cannot|never|can['’]t|doesn['’]t)_exceeds?
    (?:square|cube)_roots?_of (?:square|cube|factorial|reciprocal|logarithm)_of
    log(?:arithm)?(?:_to)?(?:_the)?_base
    a_minimum_of a_maximum_of minimum_of
    maximum_of strictly greater_than_or_equal_to less_than_or_equal_to more_than_or_equal_to not_equal_to
    twice thrice double triple half half_of a_third_of a_quarter_of maximum minimum early late mid
    about approximately approx\.? roughly around nearly almost circa close_to some just_over just_under from
    between either both minus negative plus
"""
"""What stands before a figure and belongs to its value."""

DESIGNATORS = r"""
    version release build revision port python java room flight route model section chapter page article
    type phase stage grade level channel track windows ubuntu bus gate number version_is release_is
"""
"""Words before a figure that is a name: 1.10 is another version than 1.1."""

JOINTS = "and or to through till until by nor plus minus times versus vs but und et y e i и ou oder"
"""Words between two figures that are one answer."""

GOVERNORS = """
    of in on at for from with by over under below above after before during until since within among between
    per against than less out_of every each modulo mod when if where while because divisible_by up_to
    the_first about
"""
"""Words before a figure that only says under what circumstances another one holds."""

AMOUNTS = """
    total sum average mean product value price cost probability maximum minimum speed length area amount
    rate profit distance rise fall drop increase decrease gain loss decline reduction saving difference
    take takes number rest remainder result root age weight height score
"""
"""Words that, with a preposition, lead to the figure that is meant: "a total of 5"."""

LEADING = """
    evaluates_to evaluate_to returns return prints print outputs output reads shows displays
    it['’]s that['’]s
    equal equals equal_to is are was were be become becomes give gives get make makes yield yields total
    totals totalling therefore so thus hence then altogether in_total comes_to leave leaves obtain remain
    remains remaining
"""
"""Words between two figures that lead from the first to the second."""

SPENDING = " cost costs spend spends paid pay pays earn earns need needs"
"""The same, unless the first figure is what spends: "5 workers need 10 days" is an answer of both."""

CONDITIONS = "if when unless provided whenever as_long only_if except whereas while"
"""Words after which a figure holds only sometimes."""

CONCLUDING = """
    so thus therefore hence then which_gives which_makes which_produces which_leads_to which_results_in
    which_rounds_to which_means which_equals which_is giving making meaning for_a_total leaving that_is
    donc ainsi quindi dunque portanto por_lo_tanto por_tanto entonces daher somit folglich demnach
    поэтому значит
    следовательно откуда итак
    we_get we_have we_find we_get_that we_have_that we_find_that
"""
"""Words inside a sentence after which it says what it comes to."""

OPENINGS = """
    and so hence thus therefore then finally consequently accordingly overall in_conclusion in_summary
    to_conclude to_summari[sz]e as_a_result ultimately also that_means this_means it_follows we_conclude
    without_(?:a|any)_doubt without_question no_doubt undoubtedly certainly clearly obviously
    we_find we_see we_get we_have_that maybe perhaps probably i_think i_believe i_guess
"""
"""Words that open a conclusion and say nothing of it."""

NEGATIONS = r"""
    nicht kein\w* não non_(?:è|sono|ha|ci) no_(?:es|son|hay|fue|era|tiene|cuesta|hubo) n['’]\w+ ne pas не
    sank sinkt fiel fällt gesunken gefallen schuldet verlor verliert verloren baiss\w+ diminu\w+ perd
    perdu doit bajó
    disminuyó cayó perdió debe caiu diminuiu perdeu deve scende sceso perso перде\w+ упал\w* снизил\w*
    уменьшил\w*
    потерял\w* должен должна
    of_no moins_de plus_de menos_de más_de mais_de meno_di più_di
    hardly scarcely barely seldom rarely
    not never no_longer neither cannot except excluding other_than apart_from without lost lose loses
    loss debt deficit owe owes north south east
    west upwards? downwards? backwards? clockwise anticlockwise counterclockwise
"""
"""Words somewhere before a figure that turn it into another answer."""

DECREASES = """
    fell fall falls drop drops dropped declined decline declines sank sinks decreased decrease decreases
    reduced shrank
"""
"""The same, before "by", "to" and the like."""

INCREASES = "rose rises rise risen increased increases increase grew grows grow grown climbed climbs raised"
"""Words that say the contrary."""

COMPARATIVES = (
    r"more less fewer (?!(?:aft|und|ov|oth|anoth|togeth|howev|eith|ev|nev|wat|pap|numb|p)er\b)\w{2,}er"
    " sooner ahead behind late early"
)
"""Words after a figure that say in which direction something differs by it."""

WEIGHTY = """
    if when unless but except not than before after until ago above below more less fewer modulo mod or nor
    without excluding plus minus times per every respectively only no never off short under is are was were
    morning afternoon evening night
"""
"""Words after a figure on which its value may depend."""

IDLE = r"""
    in_total in_all in_length in_height in_width in_weight in_value in_size in_area in_volume in_sum
    in_the_end in_general all_together altogether overall total of_them of_it of_these of_those of_that
    of_this of_all of_us left left_over remaining more_in_total long tall high wide deep old thick away
    apart heavy large big now today so_far here as_well too times(?!\s+(?:as|more|less|\w+er\b|\d)) time
    exactly again just only respectively local_time uhr sind_es en_total au_total in_totale no_total
    en_tout insgesamt всего restantes rimanenti
    restants übrig ab an geboren lang hoch breit tief alt groß schwer
"""
"""What may follow a figure without any bearing on its value."""

ASIDES = r"""
    of for in at on by with during from to so that which who there here as over among through because since
    within \w{3,}ing
"""
"""Words that begin what has no bearing on the figure before, as long as there is no weighty word in it."""

COPULAS = """
    is are was were becomes remains would_be must_be should_be will_be has_to_be turns_out_to_be happens_to_be
    ist sind war lautet heißt est sont était es son era é são foi è sono fu
"""
"""Verbs that join a subject with what it is, in the languages with articles."""

YIELDING = """
    returns return prints print outputs output gives yields evaluates_to evaluate_to equals results_in raises
    throws displays produces shows becomes returned printed reads
"""
"""Verbs that join a program or an expression with its result."""

JOINING = "therefore thus then also simply just indeed clearly actually hence called named already always"
"""Words that may follow such a verb."""

PROPERTIES = """
    statement claim assertion conjecture proposition
    colou?r shape animal name word title language mood season direction weekday month profession job material
    element country continent planet organ instrument sport currency genre method complexity
"""
"""Nouns whose value is a common word: "the colour is blue"."""

NO_SUBJECTS = """
    not never no none neither nor if unless when except but only first second third fourth fifth last
    former latter
    other another left right than either or what which whether both false wrong incorrect next previous
    previously
    originally once formerly thought larger smaller greater lesser bigger taller shorter older younger
    higher lower
    longer faster slower heavier lighter more less most least
"""
"""Words on which what a sentence says depends, so that it is not said by its value alone."""

NO_LABELS = r"""
    twice thrice double half_as \w+_times_as
    note notes check checking verification verify remark hint warning source sources reason explanation
    why because
    step example for_example given where proof recall reference references see case caution tip however
    assumption
    assume disclaimer https? confidence calculation formula and so but thus then check
"""
"""What stands before a colon with a remark behind it."""

PREDICATING = """
    has have had need needs takes took costs cost saves save gets get got earns earned weighs weighed
    makes made
    contains holds pays spends spent gives travels walks runs leaves wins won starts begins ends arrives
    sells sold
"""
"""Verbs by which a sentence that is stated as the answer gives a figure."""

PARTICIPLES = """
    left sold made lost built spent won paid read bought eaten over given taken drawn drunk written known
    seen sent
    kept held met told found lent born shown worn chosen driven flown grown thrown
"""
"""What, after "are", tells what became of what a figure counts, beside participles in -ed."""

OCCURRING = """
    remain remains remained wear wears ride attend attended came come live lives fit fits use play plays
    like likes
    went work works participate participated speak own owns joined visited
"""
"""Verbs that say only what is counted by the figure before them."""

TURNING = """
    failed rejected wasted missed unanswered excluded removed false true broken damaged spoiled lost
    absent missing fail fails pass passes survive survived die died
    unused unsold refused cancelled wrong correct incorrect dead alive passed accepted
"""
"""Words that have an opposite, so that what is counted depends on them."""

SECONDARY = """
    out_of against compared up_from down_from found obtained computed calculated rounded namely anything
    everything otherwise never note while_the_other
"""
"""Words after a comma that begin what only accompanies the answer."""

TIMES = table(
    """
    mal fois veces vezes volte раз раза fach mehr weniger plus moins más menos mais più meno больше меньше bis
    """
)
"""Words after a number, in other languages, that are no noun that it counts."""
