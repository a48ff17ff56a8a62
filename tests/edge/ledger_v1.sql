-- A ledger of version 1, as stepwave wrote it: the dump of the record of one run.
PRAGMA application_id = 1937010807;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "attempts" VALUES(4294967317,'flaky',1,1.38965419973828829824e-02,1.59477870001865085214e-02,'exit code 3',3,NULL,0.0,8.66999999999999932179e-04,8986624,'logs/00003-flaky.log',0);
CREATE TABLE events (
    place INTEGER PRIMARY KEY,
    entries TEXT NOT NULL
);
INSERT INTO "events" VALUES(4294967317,'[[21,0.015948,"StepRetrying",["flaky",1,0.02,"exit code 3",3,null,[0.0,0.0008669999999999999,8986624]]]]');
INSERT INTO "events" VALUES(4294967322,'[[26,0.036688,"StepStarted",["flaky",2,["/bin/sh","-e","-c","exit 3"],"/w",{},"logs/00003-flaky.2.log",false]]]');
INSERT INTO "events" VALUES(4294967329,'[[33,0.068973,"RunFinished",["completed",0,null]]]');
CREATE TABLE hashes (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    device INTEGER NOT NULL,
    digest TEXT NOT NULL          -- BLAKE2b, 16 bytes, in hexadecimal digits
) WITHOUT ROWID;
CREATE TABLE parts (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    definition TEXT NOT NULL,     -- JSON {part: value}
    PRIMARY KEY (run, step)
) WITHOUT ROWID;
INSERT INTO "parts" VALUES('20261121-183027-8a5c67','parts[1]','{"run":"echo {{item}}","item":"1","index":"0"}');
INSERT INTO "parts" VALUES('20261121-183027-8a5c67','parts[2]','{"run":"echo {{item}}","item":"2","index":"1"}');
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
INSERT INTO "runs" VALUES(1,'20261121-183027-8a5c67','an-older-run','An older run','/w/flow.yaml','{"file":"/w/flow.yaml"}',X'78018D50CD6AC420107E1599CB5ED2B03FB7BE4ACC4192092BB12A99096C10DFBD8EE9B20D0BA5171D3EBF3F2781B3C4F0A9122CAB2F37E0700FEAD45D1A75ED4F901B05D12C4C6F94942CE357CE5018BC4514ED64FC475859208F388A68F72FC014168566B80B961231466A25BB2D82B8723192ACC999793B643D2CABDBBBA39069B631E2F89BCECB8A07F26E58C843F0A3651BEA2727E3086BA0A1B9EAF1111724FA79EF3A0D2F4417470D622D935F9D6B54D7F7E5D0B02169D8471FEA54BD7B29F15CCB2B5A5A17C59F8DA591F07CF8178DED78581839C4A8CEEDF90A397F038871939D',NULL,'0.1.0',25291,'host',8,1.79528582786649274828e+09,6.89726829987193923443e-02,'completed',0,NULL);
CREATE TABLE seal (key BLOB NOT NULL);
INSERT INTO "seal" VALUES(X'9E0D3E04E386FDDFA9F68E2D94AAE8D23CE63756F6584E9B0A058F7A3C875878');
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
INSERT INTO "steps" VALUES(4294967303,'ask','completed',1,NULL,NULL,NULL,0,5.03587998537113890051e-04,5.03587998537113890051e-04,0.0,0.0,NULL,NULL,NULL,NULL,'',0,0,0,NULL,'[true, ["yes"], null]',NULL,NULL);
INSERT INTO "steps" VALUES(4294967305,'no','skipped',0,NULL,NULL,'branch',0,NULL,5.03587998537113890051e-04,0.0,0.0,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'[[1,0.000504,"RunStarted",["an-older-run","An older run",[["list","ask"],["parts","flaky","yes","no"],["skipped"],["tidy"]],5,2,{"gpu":1}]],[2,0.000504,"StepQueued",["list"]],[3,0.000504,"StepQueued",["ask"]],[4,0.000504,"StepStarted",["list",1,["/bin/sh","-e","-c","echo ''[1, 2]''"],"/w",{},"logs/00001-list.log",true]],[5,0.000504,"StepStarted",["ask",1,[],"",{},"",false]],[6,0.000504,"StepDecided",["ask",true,["yes"],null]],[8,0.000504,"StepQueued",["yes"]],[10,0.000504,"StepStarted",["yes",1,["/bin/sh","-e","-c","true"],"/w",{},"logs/00006-yes.log",false]]]');
INSERT INTO "steps" VALUES(4294967307,'yes','completed',1,0,NULL,NULL,0,5.03587998537113890051e-04,6.13898399751633405685e-03,6.03712399970390833914e-03,0.0,25295,7.94999999999999916802e-04,0.0,8327168,'logs/00006-yes.log',0,0,0,NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(4294967308,'list','completed',1,0,NULL,NULL,0,5.03587998537113890051e-04,1.38965419973828829824e-02,1.28269039996666833758e-02,0.0,25296,7.68999999999999935343e-04,0.0,8314880,'logs/00001-list.log',7,7,1,NULL,NULL,NULL,'[[13,0.013897,"StepQueued",["parts"]],[14,0.013897,"StepQueued",["flaky"]],[15,0.013897,"StepStarted",["flaky",1,["/bin/sh","-e","-c","exit 3"],"/w",{},"logs/00003-flaky.log",false]],[16,0.013897,"StepStarted",["parts",1,[],"",{},"",false]],[17,0.013897,"StepsAdded",[[["parts[1]","parts[1]","parts",1,[],[["gpu",1]],"main"],["parts[2]","parts[2]","parts",1,[],[["gpu",1]],"main"]]]],[18,0.013897,"StepQueued",["parts[1]"]],[19,0.013897,"StepQueued",["parts[2]"]],[20,0.013897,"StepStarted",["parts[1]",1,["/bin/sh","-e","-c","echo \"${STEPWAVE_REF_1}\""],"/w",{},"logs/00009-parts_1_.log",false]]]');
INSERT INTO "steps" VALUES(4294967318,'parts[1]','completed',1,0,NULL,NULL,0,1.38965419973828829824e-02,1.76654179995239246636e-02,4.4749640001100488007e-03,0.0,25298,0.000745,0.0,8978432,'logs/00009-parts_1_.log',2,0,0,NULL,NULL,NULL,'[[23,0.017665,"StepStarted",["parts[2]",1,["/bin/sh","-e","-c","echo \"${STEPWAVE_REF_1}\""],"/w",{},"logs/00010-parts_2_.log",false]]]');
INSERT INTO "steps" VALUES(4294967320,'parts[2]','completed',1,0,NULL,NULL,0,1.76654179995239246636e-02,1.91316039999946951866e-02,1.71883199800504371523e-03,4.4749640001100488007e-03,25299,0.000686,0.0,8978432,'logs/00010-parts_2_.log',2,0,0,NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(4294967321,'parts','completed',1,NULL,NULL,NULL,0,1.38965419973828829824e-02,1.91316039999946951866e-02,6.19379599811509251594e-03,0.0,NULL,NULL,NULL,NULL,'',0,0,0,NULL,NULL,'["parts[1]", "parts[2]"]',NULL);
INSERT INTO "steps" VALUES(4294967323,'flaky','failed',2,3,NULL,'exit code 3',1,3.66876000007323455065e-02,3.88433699990855529904e-02,2.04083999778958968818e-03,0.0,25300,0.000939,0.0,9109504,'logs/00003-flaky.2.log',0,0,0,NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(4294967324,'skipped','skipped',0,NULL,NULL,'Skipped due to condition',0,NULL,3.88433699990855529904e-02,0.0,0.0,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,NULL,'[[29,0.038843,"StageStarted",["finally",["tidy"]]],[30,0.038843,"StepQueued",["tidy"]],[31,0.038843,"StepStarted",["tidy",1,["/bin/sh","-e","-c","sleep 0.02"],"/w",{},"logs/00008-tidy.log",false]]]');
INSERT INTO "steps" VALUES(4294967328,'tidy','completed',1,0,NULL,NULL,0,3.88433699990855529904e-02,6.89726829987193923443e-02,3.03979310010618064552e-02,0.0,25301,2.33399999999999970337e-03,0.0,9109504,'logs/00008-tidy.log',0,0,0,NULL,NULL,NULL,NULL);
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
CREATE TABLE underway (
    file TEXT NOT NULL,
    step TEXT NOT NULL,
    run TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    before TEXT NOT NULL,         -- JSON {path: stat}: how its outputs lay there
    PRIMARY KEY (file, step, run)
) WITHOUT ROWID;
CREATE INDEX runs_by_file ON runs (file, no);
CREATE VIEW turns AS
    SELECT place, entries FROM events UNION ALL SELECT place, turn AS entries FROM steps WHERE turn IS NOT NULL;
CREATE TRIGGER runs_deleted AFTER DELETE ON runs BEGIN
    DELETE FROM steps WHERE place >= old.no << 32 AND place < (old.no + 1) << 32;
    DELETE FROM attempts WHERE place >= old.no << 32 AND place < (old.no + 1) << 32;
    DELETE FROM events WHERE place >= old.no << 32 AND place < (old.no + 1) << 32;
END;
CREATE TRIGGER runs_forgotten AFTER DELETE ON runs BEGIN
    DELETE FROM parts WHERE run = old.id;
    DELETE FROM underway WHERE run = old.id;
END;
COMMIT;
