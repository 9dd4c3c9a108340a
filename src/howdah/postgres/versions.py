"""What differs between the supported versions, as data.

Owns the one vocabulary for wait events and SLRU caches: the names of PostgreSQL 17 and later. Must
never decide anything; the names of columns and views are the business of the named SQL blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from howdah.query import NEWEST_MAJOR, OLDEST_MAJOR

SUPPORTED = tuple(range(OLDEST_MAJOR, NEWEST_MAJOR + 1))
"""The majors that Howdah promises to work on; newer ones are treated like the newest."""


class Wait(NamedTuple):
    """A wait event with its class, in the spelling of 17: prints as `IO:WalWrite`."""

    type: str
    event: str

    def __str__(self) -> str:
        return f"{self.type}:{self.event}"


# 17 generates its names from one list, which changed the case of those below. The old spellings
# differ in nothing else, so they are found by comparing without case, inside one class: LWLock
# WALWrite kept its name and is not IO WalWrite. Source: the names in the server programs of 14, 15
# and 16 against the view pg_wait_events of 17.
_RESPELLED: Mapping[str, str] = {
    "Activity": "AutovacuumMain BgwriterHibernate BgwriterMain SysloggerMain",
    "Client": "GssOpenServer LibpqwalreceiverConnect LibpqwalreceiverReceive SslOpenServer"
    " WalSenderWaitForWal",
    "IO": "BasebackupRead BasebackupSync BasebackupWrite BuffileRead BuffileTruncate BuffileWrite"
    " DsmAllocate DsmFillZeroWrite LockFileAddtodatadirRead LockFileAddtodatadirSync"
    " LockFileAddtodatadirWrite LockFileRecheckdatadirRead SlruFlushSync SlruRead SlruSync"
    " SlruWrite WalBootstrapSync WalBootstrapWrite WalCopyRead WalCopySync WalCopyWrite"
    " WalInitSync WalInitWrite WalRead WalSync WalSyncMethodAssign WalWrite"
    " WalsenderTimelineHistoryRead",
    "IPC": "BgworkerShutdown BgworkerStartup BufferIo ProcarrayGroupUpdate",
}

RESPELLED_WAITS = tuple(
    Wait(kind, event) for kind, events in _RESPELLED.items() for event in events.split()
)
"""The wait events whose case changed in 17, as they are spelled since."""

# 19 renames the class and moves the waits for a buffer's content lock into it. Source: the
# documentation of the development version, table "Wait Events of Type Buffer".
_FOLDED = {
    Wait("buffer", "buffercleanup"): Wait("BufferPin", "BufferPin"),
    Wait("buffer", "buffershared"): Wait("LWLock", "BufferContent"),
    Wait("buffer", "buffershareexclusive"): Wait("LWLock", "BufferContent"),
    Wait("buffer", "bufferexclusive"): Wait("LWLock", "BufferContent"),
}

_NORMAL = _FOLDED | {Wait(wait.type.lower(), wait.event.lower()): wait for wait in RESPELLED_WAITS}


def normal_wait(type_name: str, event: str) -> Wait:
    """The wait in the one vocabulary, whatever the server's version.

    Names that never changed, and those that an extension made up, come back as they are.

    >>> print(normal_wait("IO", "WALWrite"), normal_wait("LWLock", "WALWrite"))
    IO:WalWrite LWLock:WALWrite
    >>> print(normal_wait("Buffer", "BufferExclusive"))
    LWLock:BufferContent
    """
    return _NORMAL.get(Wait(type_name.lower(), event.lower()), Wait(type_name, event))


# Source: the view pg_stat_slru of 14 to 16 on the left, of 17 and 18 on the right.
SLRU_NAMES: Mapping[str, str] = {
    "CommitTs": "commit_timestamp",
    "MultiXactMember": "multixact_member",
    "MultiXactOffset": "multixact_offset",
    "Notify": "notify",
    "Serial": "serializable",
    "Subtrans": "subtransaction",
    "Xact": "transaction",
    "other": "other",
}


def normal_slru(name: str) -> str:
    """The name of an SLRU cache in the one vocabulary; unknown names come back as they are.

    >>> normal_slru("MultiXactMember"), normal_slru("multixact_member")
    ('multixact_member', 'multixact_member')
    """
    return SLRU_NAMES.get(name, name)
