"""Where everything lies in the arena, in bytes: the kernel's structs, as numbers.

Owns offsets and codes, and nothing else. References between records are offsets from the arena's
start (elements) or within their region (items, requests, sessions), never addresses: so an arena
can be copied anywhere. Must never import numba.
"""

from __future__ import annotations

NEVER = 1 << 62  # nanoseconds
NONE = -1

# Header: one word each.
(
    NOW,
    SEQUENCE,
    HASH,
    HAPPENED,
    CANCELLED,
    SERIALS,
    ROOT,
    ROUNDS,
    STATUS,  # DONE; GROW when a lane overflowed into the heap; BROKEN
    ITEMS,
    ITEM_SIZE,
    ITEM_COUNT,
    ITEM_FREE,
    ITEM_UNUSED,  # records never used yet start here: the free list needs no filling
    ITEM_ROOM,  # records that are free
    REQUESTS,
    REQUEST_COUNT,
    REQUEST_FREE,
    REQUEST_UNUSED,
    REQUEST_ROOM,
    SESSIONS,
    SESSION_COUNT,
    SESSION_FREE,
    SESSION_UNUSED,
    SESSION_ROOM,
    HEAP,
    HEAP_COUNT,
    HEAP_SIZE,
    HEAP_ROOM,  # entries that fit still
    SOURCES,
    SOURCE_COUNT,
    LANES,
    LANE_COUNT,
    STACK,
    STACK_TOP,
    STACK_SIZE,
    ELEMENTS,
    CLIENT_COUNT,
    STATION_COUNT,
    CONTROLLER_COUNT,
    SAMPLE_NEXT,
    SAMPLE_PERIOD,
    SAMPLE_COUNT,
    SAMPLE_ROOM,  # rows that fit still in the buffer, which lies outside of the arena
    SAMPLE_AT,  # address of the next row
    SAMPLE_STOP,  # 1: return to Python after each sample (conditions are looked at there)
    COLUMNS,
    COLUMN_COUNT,
    VIEW,
    GATES,  # regions of offsets of elements: gates, pools, choices with a policy
    POOLS,
    CHOICES,
    RANDOM_FROM,
    CALENDAR,
    CALENDAR_ON,
    CALENDAR_COUNT,
    CALENDAR_MASK,
    CALENDAR_SHIFT,
    CALENDAR_DAY,
    CALENDAR_SIZE,
    CALENDAR_FREE,
    HEAP_NEED,  # entries that one event may need at most
) = range(0, 62 * 8, 8)
HEADER_SIZE = 64 * 8

MARGIN = 72  # items and requests that an event must find room for: a round (at most 64), and some
WAYS = 4  # choices with a policy, at most

# Status: why the kernel returned.
DONE, ENOUGH, GROW, ACTION, SAMPLED, BROKEN = range(6)

# Kinds of events.
(
    ARRIVAL,
    SERVED,
    SHARED,
    QUANTUM,
    DELAYED,
    TIMEOUT,
    HEDGE,
    RETRY,
    THINK,
    TICK,
    ACT,
    UNDO,
    PROFILE,
) = range(13)

# An entry of the pending set: time, sequence, kind << 48 | element << 32 | reference, serial.
ENTRY_SEQUENCE, ENTRY_CODE, ENTRY_SERIAL, ENTRY_SIZE = 8, 16, 24, 32
# A source's head is such an entry. Source 0 is the heap, then the lanes, then the slots.
# A lane's record: where its ring lies, mask, first, count, time of the last.
LANE_RING, LANE_MASK, LANE_FIRST, LANE_HELD, LANE_LAST, LANE_SIZE = 0, 8, 16, 24, 32, 40

# An item.
I_SERIAL, I_WORLD = 0, 8
I_REQUEST, I_CLIENT, I_PLACE = 16, 20, 24  # 32 bits each
I_STATE, I_WAITED, I_HELD_COUNT = 28, 29, 30  # 8 bits each
I_B, I_KEY = 32, 36  # 32 bits each: 4096 * attempt + visit
I_SINCE = 40
I_NEXT, I_PREVIOUS = 48, 52  # 32 bits each
I_DEMAND, I_REST = 56, 64  # floats; inside a Sharing, REST is the virtual time of its end
I_POSITION, I_STAY = 72, 76  # 32 bits each: place in an element's own heap; stays in a Sharing
I_BORN, I_PATIENCE, I_DEADLINE = 80, 88, 96
I_HELD = 104  # 8 bytes: pools whose tickets it holds, in order
I_GATES, I_TOOK = 112, 116  # 32 bits each: masks of gates passed, of pools whose ticket it took
I_WAYS = 120  # 4 bytes: way taken by each Choice with a policy, from 1
I_TICKETS = 124  # 32 bits: tickets taken so far, of all pools
I_NUMBER = 128  # of its request, for those who look
I_SIZE = 136  # then 4 bytes for each pool with the order `fewest`: acquisitions
MOVING, WAITING, SERVING, KEPT = range(4)

# A request.
R_NUMBER, R_WORLD, R_START, R_DEMAND, R_DEADLINE = 0, 8, 16, 24, 32
R_CLIENT, R_ATTEMPT, R_ITEM, R_TWIN = 40, 44, 48, 52  # 32 bits each
R_USER, R_ROUND, R_KEY, R_NEXT = 56, 60, 64, 68  # 32 bits each
R_DELAY = 72  # nanoseconds before the last attempt
R_SIZE = 80

# A session of agents.
S_NUMBER, S_WORLD, S_CLIENT, S_ROUND, S_STEP, S_OPEN = 0, 8, 16, 24, 32, 40
S_STARTED, S_KEY, S_KEPT, S_NEXT, S_OVER = 48, 56, 64, 72, 80  # KEPT: a line, head and tail
S_SIZE = 88

# A law: kind, a, b, table, last index. A purpose: the number of its name, draws so far.
LAW_A, LAW_B, LAW_TABLE, LAW_LAST, LAW_SIZE = 8, 16, 24, 32, 40

# Elements. What all have:
E_TYPE, E_NUMBER, E_TO = 0, 8, 16
E_ENTERED, E_LEFT, E_REFUSED, E_DROPPED = 24, 32, 40, 48
E_INSIDE, E_WAITING, E_SERVING = 56, 64, 72
E_RELEASES, E_COMPLETIONS, E_WAITS = 80, 88, 96
E_AREA, E_BUSY, E_LAST, E_CLOCKS, E_PEAK = 104, 112, 120, 128, 136
E_OWN = 144  # what a type has of its own starts here
ELEMENT_SIZE = 768

(
    T_OPEN,
    T_CLOSED,
    T_AGENTIC,
    T_QUEUE,
    T_SHARING,
    T_DELAY,
    T_POOL,
    T_RELEASE,
    T_CACHE,
    T_FILL,
    T_GATE,
    T_CHOICE,
    T_CONTROLLER,
) = range(13)
REPLY, REJECT, STOP = -1, -2, -3  # in the place of an element's offset
# Tasks on the stack of a cascade, in the place of a destination.
ADMIT, ROUND, GO_ON, START = -4, -5, -6, -7

# A client. Counters first; the common ones have no meaning for it, except TO.
(
    C_REQUESTS,
    C_ATTEMPTS,
    C_SUCCEEDED,
    C_FAILED,
    C_TIMED_OUT,
    C_REJECTED,
    C_RETRIES,
    C_WASTED,
    C_OPEN,
    C_ORBIT,
    C_LATENCY,
    C_AWAITED,
    C_NUMBER_NAME,  # the number of its name, for worlds
    C_SLOT,  # its source of arrivals
    C_EVEN,
    C_RATE,
    C_REST,  # of a parked arrival, in nanoseconds at rate 1; negative: none
    C_INTERVAL,  # purpose
    C_INTERVAL_COUNT,
    C_SESSIONS,  # numbers given to sessions
    C_TIMEOUT,
    C_TIMEOUT_LANE,
    C_HEDGE,
    C_HEDGE_LANE,
    C_DEADLINE,
    C_CANCELS,
    C_BAND,
    C_GROUP,
    C_MUTATION,
    C_MUTATION_NAME,
    C_DEMAND_NAME,
    C_KEY_NAME,
    C_KEYS,
    C_KEY_COUNT,
    C_RETRY_ON,  # 0 none, 1 built in, 2 a policy
    C_MOST,
    C_FACTOR,
    C_LONGEST,
    C_BUDGET,  # negative: none
    C_DEPOSIT,
    C_TOKENS,
    C_BACKOFF_NAME,
    C_RETRY_HOOK,
    C_OBSERVE_HOOK,
    C_OBSERVE,  # purpose
    C_OBSERVE_COUNT,
    C_STATE,
    C_PARAMETERS,
    C_THINK_NAME,
    C_USERS,
    C_FIRST,  # purpose
    C_FIRST_COUNT,
    C_PARALLEL,
    C_STEPS,
    C_FIRST_WINS,
    C_HOLDS,
    C_HOLDS_NAME,
    C_ROLLBACK,
    C_ROLLBACK_NAME,
    C_DISTINCT,
    C_DISTINCT_NAME,
    C_PROFILE,
    C_PROFILE_COUNT,
    C_PROFILE_SLOT,
    C_MUTED,
    C_PEAK,
) = range(24, 24 + 66 * 8, 8)
C_DEMAND, C_BACKOFF, C_THINK = range(552, 552 + 3 * LAW_SIZE, LAW_SIZE)

# A Queue. Bands: head and tail of each line, 32 bits each, and a mask of those not empty.
(
    Q_SERVERS,
    Q_CAPACITY,
    Q_SPEED,
    Q_DISCIPLINE,  # 0 fifo, 1 lifo, 2 a policy
    Q_EXPIRED,  # drop those that nobody waits for
    Q_SERVICE_NAME,
    Q_SLOT,  # the source of its completion, while it has one server; else NONE
    Q_SLOT_TAKEN,
    Q_EMPTY_AT,  # when the line was last empty
    Q_DEQUEUE_HOOK,
    Q_DEQUEUE,  # purpose
    Q_DEQUEUE_COUNT,
    Q_STATE,
    Q_PARAMETERS,
    Q_SLOWDOWN_HOOK,
    Q_SLOWDOWN_STATE,
    Q_SLOWDOWN_PARAMETERS,
    Q_BANDS,
) = range(E_OWN, E_OWN + 18 * 8, 8)
Q_SERVICE = E_OWN + 18 * 8
Q_LINES = Q_SERVICE + LAW_SIZE
BANDS = 16

# A Sharing.
(
    P_CORES,
    P_OVERHEAD,
    P_SPEED,
    P_VIRTUAL,
    P_PACE,  # of virtual time: c(n) / n
    P_SINCE,
    P_SLOT,
    P_QUANTUM,  # nanoseconds; negative: none
    P_QUANTUM_LANE,
    P_YIELD_TO,
    P_HEAP,  # of references, by (virtual end, serial)
) = range(E_OWN, E_OWN + 11 * 8, 8)

# A Delay.
D_FACTOR, D_TIME_NAME, D_LANE = range(E_OWN, E_OWN + 3 * 8, 8)
D_TIME = E_OWN + 3 * 8

# A Pool. KEYS is a region of (used, waiting, head, tail) for each key; one, unless keyed.
(
    L_TICKETS,
    L_MOST_WAITING,
    L_ORDER,
    L_BIT,  # its place among the pools
    L_KEYED,
    L_KEYS,
    L_KEY_COUNT,
    L_COUNTS,  # offset in an item of its acquisitions of this pool; 0: not counted
    L_HEAP,  # `fewest`, not keyed: of references, by (acquisitions, arrival); else 0
    L_ARRIVALS,
) = range(E_OWN, E_OWN + 10 * 8, 8)
FIFO, BARGING, FEWEST = range(3)
KEY_USED, KEY_WAITING, KEY_HEAD, KEY_TAIL, KEY_SIZE = 0, 8, 16, 20, 24

# Nodes.
N_POOL = E_OWN  # of a Release; of a Fill its cache
(
    K_ENTRIES,
    K_STORED,
    K_KEYS,
    K_KEY_COUNT,
    K_FIRST,
    K_LAST,
    K_HITS,
    K_MISSES,
    K_MISS_TO,
) = range(E_OWN, E_OWN + 9 * 8, 8)
# A key of a cache: previous and next, 32 bits each, in the order of use; -2: not stored.
CACHED_PREVIOUS, CACHED_NEXT, CACHED_SIZE, ABSENT = 0, 4, 8, -2
(
    G_ADMITTED,
    G_REFUSED,
    G_INFLIGHT,
    G_AWAITED,
    G_BIT,
    G_WATCH,
    G_ADMIT_NAME,
    G_ADMIT_HOOK,
    G_OBSERVE_HOOK,
    G_OBSERVE,  # purpose
    G_OBSERVE_COUNT,
    G_STATE,
    G_PARAMETERS,
    G_OPEN,
) = range(E_OWN, E_OWN + 14 * 8, 8)
(
    X_COUNT,
    X_TARGETS,  # region of (offset of the target, inflight, sum of weights as a float)
    X_MODE,  # 0 weights, 1 group, 2 a policy
    X_NAME,
    X_BYTE,  # which byte of an item's ways is its own
    X_HOOK,
    X_STATE,
    X_PARAMETERS,
) = range(E_OWN, E_OWN + 8 * 8, 8)
TARGET_INFLIGHT, TARGET_SUM, TARGET_SIZE = 8, 16, 24
(
    O_PERIOD,
    O_SLOT,
    O_HOOK,
    O_TICK,  # purpose
    O_TICK_COUNT,
    O_STATE,
    O_PARAMETERS,
    O_FROZEN,
    O_WATCHED,
    O_WATCH,  # eight offsets of elements
) = range(E_OWN, E_OWN + 10 * 8, 8)
O_WISHES = O_WATCH + 8 * 8  # eight limits, copied before they are set
LIMITS = 8  # of a controller's state: what its elements' limits shall be

POLICY_STATE = 64  # numbers of a policy's own
VIEW_SIZE = 128  # numbers
