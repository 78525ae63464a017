"""What a worker can do: one module per kind, and the list of them."""

from twittomatic.job import CLAIM_ORDER
from twittomatic.kinds.analyzer import Analyzer
from twittomatic.kinds.base import Kind
from twittomatic.kinds.follower import Follower
from twittomatic.kinds.timeline import Timeline, Update

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Analyzer(), Follower(), Update(), Timeline())}
"""Every kind by its name, in the order in which jobs are claimed."""

assert tuple(KINDS) == CLAIM_ORDER
