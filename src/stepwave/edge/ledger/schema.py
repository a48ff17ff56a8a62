"""What the ledger looks like, and how an older one becomes a newer one.

Rule 1  A version that has been released is never changed: what is new is another script at the end of `VERSIONS`.
Rule 2  A row of `steps`, `attempts` or `events` has one number for its place: `runs.no << 32 | n`, with n counting up
        within the run. All rows of a run lie side by side, without an index that every commit would have to write.
        Deleting a run deletes them through a trigger, which needs no `PRAGMA foreign_keys`.
Rule 3  A success is in `steps` before a dependent starts.
Rule 4  No environment is recorded: neither the caller's nor that of a step.
"""

APPLICATION_ID = 0x73747077
"""`stpw`, at byte 68 of the file (https://www.sqlite.org/fileformat.html): tells a ledger from other databases."""

PLACE_BITS = 32

_runs = """
CREATE TABLE runs (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    name TEXT NOT NULL,
    file TEXT NOT NULL,           -- absolute; '' for a workflow that came from no file
    origin TEXT NOT NULL,         -- JSON: how it was asked for, see Origin
    definitions BLOB,             -- zlib-compressed JSON: {step id: {part: value}}
    resumed_from TEXT,            -- id of the run that it continues
    version TEXT NOT NULL,        -- of stepwave
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    steps INTEGER NOT NULL,       -- that the plan has
    started_at REAL NOT NULL,     -- seconds since the epoch
    ended_s REAL,                 -- seconds after started_at; NULL: it runs, or has died
    status TEXT,
    exit_code INTEGER,
    reason TEXT
);
CREATE INDEX runs_by_file ON runs (file, no);
"""

# One row when a step has its outcome. Times are seconds after runs.started_at.
_steps = """
CREATE TABLE steps (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    exit_code INTEGER,
    signal INTEGER,
    reason TEXT,
    tolerated INTEGER NOT NULL,
    started_s REAL,               -- of the last attempt; NULL: never started
    ended_s REAL NOT NULL,
    duration_s REAL NOT NULL,
    queued_s REAL NOT NULL,
    pid INTEGER,
    user_s REAL,
    system_s REAL,
    peak_rss_bytes INTEGER,
    log TEXT,                     -- of the last attempt, relative to the run's folder; made with its first byte
    log_bytes INTEGER NOT NULL,
    stdout_bytes INTEGER NOT NULL,
    apart INTEGER NOT NULL,       -- stdout was kept apart: in `.out` beside `.log`
    taken_from TEXT,              -- id of the run whose success stands for it
    decision TEXT,                -- JSON [result, [chosen, ...], error], of a condition
    added TEXT,                   -- JSON [id, ...]: the steps that it became, of a forEach
    turn TEXT                     -- as events.entries: what else happened in the turn, if it is there
);
"""

# One row for each attempt that another one followed; the last one is in `steps`.
_attempts = """
CREATE TABLE attempts (
    place INTEGER PRIMARY KEY,
    step TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    started_s REAL NOT NULL,
    ended_s REAL NOT NULL,
    reason TEXT,
    exit_code INTEGER,
    signal INTEGER,
    user_s REAL,
    system_s REAL,
    peak_rss_bytes INTEGER,
    log TEXT,
    apart INTEGER NOT NULL
);
"""

# What happened in one turn of the loop: JSON [[seq, elapsed_s, kind, [fields]], ...], in the place of its first event.
# It stands in `steps.turn` when a step has ended in the turn, so that a turn is mostly one row. The end of a step
# (StepFinished) is itself the row of `steps` in the place of its number.
_events = """
CREATE TABLE events (
    place INTEGER PRIMARY KEY,
    entries TEXT NOT NULL
);
CREATE VIEW turns AS
    SELECT place, entries FROM events UNION ALL SELECT place, turn AS entries FROM steps WHERE turn IS NOT NULL;
CREATE TRIGGER runs_deleted AFTER DELETE ON runs BEGIN
    DELETE FROM steps WHERE place >= old.no << 32 AND place < (old.no + 1) << 32;
    DELETE FROM attempts WHERE place >= old.no << 32 AND place < (old.no + 1) << 32;
    DELETE FROM events WHERE place >= old.no << 32 AND place < (old.no + 1) << 32;
END;
"""

# What is known of earlier successes (edge/ledger/memory.py) and of files (edge/ledger/hashes.py).
_memory = """
CREATE TABLE hashes (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    device INTEGER NOT NULL,
    digest TEXT NOT NULL          -- BLAKE2b, 16 bytes, in hexadecimal digits
) WITHOUT ROWID;

-- The last success of each step that says what files it reads or makes.
CREATE TABLE successes (
    file TEXT NOT NULL,           -- of the workflow, absolute
    step TEXT NOT NULL,
    run TEXT NOT NULL,
    finished_at REAL NOT NULL,    -- seconds since the epoch
    fingerprint TEXT NOT NULL,    -- of its command, environment and inputs, with everything filled in
    outputs TEXT NOT NULL,        -- digest of all of them; '' where one was not made
    exit_code INTEGER,
    details TEXT NOT NULL,        -- JSON: see Details
    PRIMARY KEY (file, step)
) WITHOUT ROWID;

-- Attempts that were begun, of steps that make files; gone with their end.
CREATE TABLE underway (
    file TEXT NOT NULL,
    step TEXT NOT NULL,
    run TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    before TEXT NOT NULL,         -- JSON {path: stat}: how its outputs lay there
    PRIMARY KEY (file, step, run)
) WITHOUT ROWID;

-- What the parts of a forEach were; of all other steps it stands in runs.definitions.
CREATE TABLE parts (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    definition TEXT NOT NULL,     -- JSON {part: value}
    PRIMARY KEY (run, step)
) WITHOUT ROWID;
CREATE TRIGGER runs_forgotten AFTER DELETE ON runs BEGIN
    DELETE FROM parts WHERE run = old.id;
    DELETE FROM underway WHERE run = old.id;
END;

CREATE TABLE seal (key BLOB NOT NULL);
INSERT INTO seal VALUES (randomblob(32));
"""

# What it takes to draw and to tell a run: core/telling/sketch.py. NULL for the runs of version 1.
_sketches = "ALTER TABLE runs ADD COLUMN sketch BLOB; -- zlib-compressed JSON\n"

# How long steps take and what they use, from all runs; a run that is deleted leaves it: edge/ledger/learning.py.
_learned = """
CREATE TABLE learned (
    flow TEXT NOT NULL,           -- the workflow: absolute path of its file, `#` and its name where that was asked for
    step TEXT NOT NULL,
    print TEXT NOT NULL,          -- of its command and inputs; '' where that is not known
    runs INTEGER NOT NULL,        -- completed ones, as long as the print was the same
    duration_s REAL NOT NULL,
    user_s REAL,
    system_s REAL,
    peak_rss_bytes INTEGER,
    learned_at REAL NOT NULL,     -- seconds since the epoch
    PRIMARY KEY (flow, step)
) WITHOUT ROWID;
"""

VERSIONS: tuple[str, ...] = (_runs + _steps + _attempts + _events + _memory, _sketches + _learned)
"""The script that makes version n out of version n - 1; `PRAGMA user_version` tells how many have been applied."""

NEWEST = len(VERSIONS)
