"""Words of the gym's writing task: topics with words that belong to them, and what its own example texts are put together from."""

from __future__ import annotations

TOPICS: dict[str, tuple[str, ...]] = {
    topic: tuple(words.split())
    for topic, words in {
        "airport": "pilot luggage runway ticket passport gate flight cabin",
        "attic": "trunk dust photo ladder cobweb blanket toy lamp",
        "autumn": "leaf harvest fog scarf acorn breeze apple bonfire",
        "bakery": "bread oven flour baker cake dough crust sugar",
        "beach": "sand towel shell wave crab castle sunset dune",
        "bicycle": "wheel pedal helmet chain brake bell saddle trail",
        "bridge": "river stone arch cable ferry tower railing boat",
        "castle": "king queen knight moat tower banner dungeon crown",
        "cat": "kitten whisker mouse purr basket paw nap milk",
        "circus": "clown tent juggler acrobat ring drum lion balloon",
        "city": "street tram crowd market square taxi neon museum",
        "clock": "hour minute pendulum hand alarm tick tower spring",
        "desert": "camel sand oasis cactus dune lizard heat caravan",
        "doctor": "nurse clinic patient fever needle bandage cough medicine",
        "dog": "puppy leash bone park collar tail stick ball",
        "farm": "barn cow tractor hay fence field rooster plough",
        "forest": "tree moss fox owl path pine fern deer",
        "garden": "rose spade seed fence bee lawn tulip hedge",
        "harbor": "ship anchor sailor rope gull dock crane net",
        "island": "palm shore lagoon coconut raft reef parrot storm",
        "kitchen": "spoon kettle stove soup plate knife pepper apron",
        "library": "book shelf page reader desk novel map lamp",
        "lighthouse": "keeper lamp cliff ship storm stair beam rock",
        "market": "fruit stall basket fish coin cheese crowd spice",
        "moon": "crater night rocket orbit shadow tide silver star",
        "mountain": "peak snow climber goat rope valley glacier cabin",
        "museum": "statue painting guide ticket mummy hall coin guard",
        "music": "violin piano song drum choir concert note singer",
        "night": "star owl lamp dream moon silence shadow bat",
        "orchard": "apple pear ladder blossom bee basket cider branch",
        "rain": "cloud umbrella puddle thunder boot roof drop gutter",
        "river": "boat bridge trout reed mill stone otter current",
        "robot": "metal wire battery sensor engine button circuit arm",
        "school": "teacher pupil chalk lesson desk pencil bell exam",
        "snow": "sled glove frost icicle scarf boot flake plough",
        "storm": "thunder cloud wind roof flood candle rain sail",
        "theater": "actor stage curtain ticket costume drama applause mask",
        "train": "station ticket track tunnel whistle engine platform wagon",
        "village": "church well farmer bakery lane goat mill fair",
        "winter": "snow ice stove skate coat sled frost candle",
    }.items()
}
"""Forty topics, each one word, with eight words that a text on them is likely to use."""

STARTERS: dict[str, tuple[str, ...]] = {
    words[0]: tuple(words.split())
    for words in (
        "again alone also",
        "boldly below bravely",
        "calmly clearly",
        "daily dimly deep",
        "early easily even",
        "finally far freely",
        "gently gladly",
        "here high how",
        "indoors inside",
        "keenly kindly",
        "lately later long",
        "maybe meanwhile merrily",
        "nearby never now",
        "often once outside",
        "perhaps proudly",
        "quietly quickly",
        "rarely right",
        "slowly sometimes still",
        "there today tonight",
        "up under",
        "very",
        "warmly whenever",
        "yesterday yet",
    )
}
"""Words to begin a line with, by letter."""

ADJECTIVES = tuple(
    "old quiet small tall bright cold warm strange grey golden tired happy lonely empty heavy gentle brave clever hidden busy lucky "
    "soft round dark green plain proud honest modest".split()
)
NOUNS = tuple(
    "door window road corner hill wall table chair letter story stranger friend child neighbor morning evening sound voice secret "
    "light garden bench house visitor shop cup bird hat clock kind coat idea memory sister uncle box yard room cat dog".split()
)
VERBS = tuple(
    "waits sleeps rests shines stands hides sings smiles moves turns sits grows falls appears remains stays dances hums drifts "
    "listens returns works stops walks lies".split()
)
PREPOSITIONS = tuple("near beside behind under above by before past inside beyond over across at on for with".split())
DETERMINERS = tuple("the the the that this one every his her our my their".split())

ENDINGS = tuple(
    tuple(phrase.split())
    for phrase in (
        "and that is all",
        "and so it goes",
        "and nobody knows why",
        "once and for all",
        "until the very end",
        "as it always has",
        "for one more day",
        "in its own time",
        "and we were home",
        "day after day",
        "and then it was over",
        "just like before",
    )
)

ACROSTICS = tuple("ace aged arch band bird bold calm care cat dawn dog fish gold hand hope ice kind land lion mind moon rain sand ship "
                  "song star sun time tree wind".split())  # fmt: skip

EVERYDAY = frozenset(
    (
        "a about above across after again all also although always am among an and another any are around as at away back be "
        "because been before behind being below beside between beyond both but by came can come could did do does down each even "
        "ever every few for from get go goes had has have he her here him his how i if in inside into is it its just like made "
        "make many me more most much must my near never new no nor not now of off often on once one only or other our out over "
        "own past she should since so some still such than that the their them then there these they this those though through "
        "time to too toward under until up upon us very was we well were what when where which while who whose why will with "
        "within without would yet you your "
    ).split()
)
"""The commonest English words: of ordinary prose they make up about half, of a list of words hardly any."""
