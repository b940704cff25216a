"""Common words of the everyday tasks. Each is one token, with a blank before it, in the vocabulary of SmolLM2."""

from __future__ import annotations

NAMES = tuple(
    "Anna Ben Tom Mia Sam Lucy Emma Jack Kate Leo Max Paul Lily Ella Adam Rosa Dan Eva Tim Omar Ruth Jane Mark Amy Luke Alice Peter Maria "
    "David Sarah".split()
)
ROOMS = tuple("kitchen garden garage attic office library hall bedroom bathroom barn shop park school museum station basement".split())
THINGS = tuple(
    "lamp key book cup ball map hat coat clock pen camera phone ring coin drum rope knife spoon plate letter ticket guitar candle mirror "
    "blanket hammer brush bell".split()
)
GOODS = tuple(
    "apples books coins cards pens eggs shells stamps pears buttons beads tickets balls cups flowers stones nuts cakes cookies oranges "
    "bananas pencils toys shirts keys bottles marbles stickers".split()
)
"""Things that people count."""
CONTAINERS = tuple("bags boxes packs baskets jars trays".split())
SHORT_WORDS = tuple(
    "apple bread cloud dream eagle flame grape house island jungle knight lemon money night ocean paper queen river stone table "
    "uncle valley water yellow zebra banana butter castle dinner forest ginger hammer insect jacket kettle ladder mirror needle "
    "orange pepper rabbit silver ticket violin winter moon fish lamp rain door tree bird cake snow frog shoe wolf leaf ship star "
    "anchor basket candle desert engine finger garden honey iron jewel kitten letter market number office pencil rocket school "
    "tunnel village window arrow bridge carpet danger elbow flower guitar harbor idea juice kitchen lion motor nature onion planet "
    "quarter ribbon spider tiger umbrella vase whale yard beach chair drum earth field glass horse ice joke king lake mouse nest "
    "oven piano road sand train unit voice wheel year ball coin desk farm gate hill kite milk nose park rope salt tower wave "
    "autumn bottle copper doctor eleven famous golden hollow injury lovely mother narrow oyster puzzle rotten summer turtle "
    "useful velvet wooden".split()
)
"""Words whose letters code is about."""
LETTERS = "aeilnorst"
"""Common letters."""
