"""Every key of the crawl state: its name, its type, who writes it and how long it lives."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twittomatic.errors import SettingsError

BANDS = 16
"""Bands of the priority traversal, 15 is served first."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names of one crawl in one namespace. The braces keep every key in one slot of a Cluster.

    Of the deployment, under ``tw:{<namespace>:0}:`` (written by the functions in brackets):

    =============================  ======  ==============================================================  ==========
    key                            type    content                                                         lifetime
    =============================  ======  ==============================================================  ==========
    ``rl:<endpoint>:<cred>``       hash    limit, left, reset, out, prev per window [claim take settle]    forever
    ``rl:*:<cred>``                hash    why a credential is out everywhere [stop lift]                  forever
    ``rlz:<endpoint>``             zset    credentials worth trying, by reset [claim take settle give]     forever
    ``rlx:<endpoint>``             zset    the others, by when to try again [claim take settle give stop]  forever
    ``rle``                        set     endpoints that have books [take settle stop]                    forever
    ``led:<UTC day>``              hash    ``crawl|kind|endpoint|cred|what`` to a number [settle]          forever
    ``wk``                         zset    worker by last sign of life [register beat leave tick]          a day
    ``w:<worker>``                 hash    instance, info, jobs, beat [register beat leave tick]           as wk
    ``n:<worker>:<slot>``          hash    last nonce and reply of a thread [all that change]              120 s
    ``clock``                      string  the time, in the test flavor only [tests]                       tests
    =============================  ======  ==============================================================  ==========

    Of the crawl, under ``c:<crawl>:`` behind it:

    =============================  ======  ==============================================================  ==========
    key                            type    content                                                         lifetime
    =============================  ======  ==============================================================  ==========
    ``cfg``                        hash    what the crawl is, its state and iteration [configure tick      forever
                                           iterate begin]
    ``epoch``                      string  counter of leaderships [lead]                                   forever
    ``lead``                       hash    master, epoch, until, info of the leader [lead resign]          10 s
    ``paused``, ``drain``          string  hand out nothing / begin nothing [pause resume]                 until resume
    ``load``                       string  position in the seeds while loading [admit]                     the load
    ``fence``                      string  counter of claims [claim]                                       forever
    ``q:<kind>``                   list    users never started; `` =`` behind the id of one of whom no     until empty
                                           earlier job had anything to do [admit commit finish claim]
    ``q:<kind>:<0..15>``           list    the same by band, priority traversal [commit claim]             until empty
    ``r:<kind>``                   list    users to resume, served first [finish tick retry claim]         until empty
    ``j:<kind>:<id>``              hash    a claimed, parked, delayed or dead job [claim commit seal       the job
                                           finish tick retry]
    ``lease``, ``delay``           zset    ``kind:id`` by expiry / due [claim beat finish tick]            until empty
    ``now``                        hash    ``lease:<kind>``, ``delay:<kind>``: how many are in it [as      forever
                                           lease, delay]
    ``dead``                       zset    ``kind:id`` by time of death [finish tick retry]                until retry
    ``s:<bucket>``                 intset  ids ever admitted or discarded [admit commit]                   forever
    ``let:<iteration>:<bucket>``   intset  ids let in, where ``max_users`` is set [admit commit]           an iteration
    ``front``                      list    found for the next iteration [admit commit iterate]             iteration
    ``cnt``                        hash    ``<iteration>|<name>`` to a total; ``seen`` [all]               forever
    ``why``                        list    the last 1,000 reasons [finish tick]                            bounded
    ``wake:<kind>``                list    tokens for idle workers, at most 64 [all that queue]            1 h
    ``ev``                         stream  the journal, about 100,000 entries [commit finish tick]         bounded
    =============================  ======  ==============================================================  ==========

    Times are unix milliseconds by the server's clock. Nothing that holds work expires.
    """

    namespace: str
    crawl: str

    def __post_init__(self) -> None:
        for what, name in (("namespace", self.namespace), ("crawl name", self.crawl)):
            if not _NAME.fullmatch(name):
                mend = "use 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
                raise SettingsError(f"impossible {what} {name!r}", mend)

    @property
    def deployment(self) -> str:
        """Prefix of the deployment's keys and of its pub/sub channels."""
        return f"tw:{{{self.namespace}:0}}:"

    @property
    def prefix(self) -> str:
        """Prefix of the crawl's keys."""
        return f"{self.deployment}c:{self.crawl}:"

    @property
    def settings(self) -> str:
        return self.prefix + "cfg"

    @property
    def leader(self) -> str:
        return self.prefix + "lead"

    @property
    def paused(self) -> str:
        return self.prefix + "paused"

    @property
    def draining(self) -> str:
        return self.prefix + "drain"

    @property
    def load(self) -> str:
        return self.prefix + "load"

    @property
    def leases(self) -> str:
        return self.prefix + "lease"

    @property
    def delayed(self) -> str:
        return self.prefix + "delay"

    @property
    def held(self) -> str:
        """How many jobs of a kind are leased and delayed."""
        return self.prefix + "now"

    @property
    def dead(self) -> str:
        return self.prefix + "dead"

    @property
    def frontier(self) -> str:
        return self.prefix + "front"

    @property
    def counters(self) -> str:
        return self.prefix + "cnt"

    @property
    def reasons(self) -> str:
        return self.prefix + "why"

    @property
    def journal(self) -> str:
        return self.prefix + "ev"

    @property
    def clock(self) -> str:
        """The time in milliseconds for the test flavor of the functions; the production flavor never reads it."""
        return self.deployment + "clock"

    def queue(self, kind: str, band: int | None = None) -> str:
        return f"{self.prefix}q:{kind}" + ("" if band is None else f":{band}")

    def resume(self, kind: str) -> str:
        return f"{self.prefix}r:{kind}"

    def job(self, kind: str, user: str) -> str:
        return f"{self.prefix}j:{kind}:{user}"

    def seen(self, bucket: int) -> str:
        return f"{self.prefix}s:{bucket}"

    def wake(self, kind: str) -> str:
        return f"{self.prefix}wake:{kind}"

    def ledger(self, day: str) -> str:
        """``day``: YYYY-MM-DD, UTC."""
        return f"{self.deployment}led:{day}"
