BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE events (
	task_key INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	path TEXT NOT NULL, 
	at DOUBLE NOT NULL, 
	data TEXT NOT NULL, 
	CONSTRAINT events_pkey PRIMARY KEY (task_key, seq), 
	CONSTRAINT events_task_key_fkey FOREIGN KEY(task_key) REFERENCES tasks ("key") ON DELETE CASCADE, 
	CONSTRAINT events_type_check CHECK (type IN ('decision', 'limit_reached', 'node_added', 'node_chunk', 'node_settled', 'node_started', 'run_finished', 'run_resumed', 'run_started')), 
	CONSTRAINT events_seq_check CHECK (seq >= 0)
);
INSERT INTO "events" VALUES(1,0,'run_started','',1767225600.0,'{"planner":"direct","question":"How many clips?"}');
INSERT INTO "events" VALUES(1,1,'node_added','0',1767225601.0,'{"kind":"generate","label":"answer","request":{"key":"00000000000000000000000000000000","seed":7,"prompt":[["system",{"$text":"VXJwJ8EK54k-sq7aqs4X8-Vf"}],["user","How many clips?"]]}}');
INSERT INTO "events" VALUES(1,2,'node_settled','0',1767225602.0,'{"outcome":"succeeded","external":true,"value":{"text":"72","finish_reason":"stop"}}');
INSERT INTO "events" VALUES(1,3,'run_finished','',1767225603.0,'{"outcome":"answered","answer":{"text":"72"}}');
CREATE TABLE tasks (
	"key" INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	status TEXT NOT NULL, 
	question TEXT NOT NULL, 
	planner TEXT NOT NULL, 
	options TEXT NOT NULL, 
	seed BIGINT NOT NULL, 
	idempotency_key TEXT, 
	parent_id TEXT, 
	fork_at TEXT, 
	created_at DOUBLE NOT NULL, 
	started_at DOUBLE, 
	finished_at DOUBLE, 
	outcome TEXT, 
	solution TEXT, 
	error TEXT, 
	cancel_requested BOOLEAN NOT NULL, 
	attempts INTEGER NOT NULL, 
	lease_owner TEXT, 
	lease_fence INTEGER NOT NULL, 
	lease_expires_at DOUBLE, 
	CONSTRAINT tasks_pkey PRIMARY KEY ("key"), 
	CONSTRAINT tasks_id_key UNIQUE (id), 
	CONSTRAINT tasks_status_check CHECK (status IN ('cancelled', 'dead', 'failed', 'queued', 'running', 'succeeded')), 
	CONSTRAINT tasks_lease_owner_check CHECK ((status = 'running') = (lease_owner IS NOT NULL)), 
	CONSTRAINT tasks_lease_expires_at_check CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL)), 
	CONSTRAINT tasks_finished_at_check CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL)), 
	CONSTRAINT tasks_attempts_check CHECK (attempts >= 0 AND lease_fence >= attempts), 
	CONSTRAINT tasks_fork_check CHECK (fork_at IS NULL OR parent_id IS NOT NULL)
);
INSERT INTO "tasks" VALUES(1,'1m80ydyww0r90w8j','default','succeeded','"How many clips?"','direct','{}',7,NULL,NULL,NULL,1.79532824470720171923e+09,1.79532824470720171923e+09,1.7953282447270302773e+09,'answered','{"answer":"72"}',NULL,0,1,NULL,1,NULL);
CREATE TABLE text_uses (
	task_key INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	CONSTRAINT text_uses_pkey PRIMARY KEY (task_key, hash), 
	CONSTRAINT text_uses_task_key_fkey FOREIGN KEY(task_key) REFERENCES tasks ("key") ON DELETE CASCADE, 
	CONSTRAINT text_uses_hash_fkey FOREIGN KEY(hash) REFERENCES texts (hash)
)
 WITHOUT ROWID

;
INSERT INTO "text_uses" VALUES(1,'VXJwJ8EK54k-sq7aqs4X8-Vf');
CREATE TABLE texts (
	hash TEXT NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT texts_pkey PRIMARY KEY (hash)
)
 WITHOUT ROWID

;
INSERT INTO "texts" VALUES('VXJwJ8EK54k-sq7aqs4X8-Vf','Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. Think. ');
CREATE INDEX tasks_tenant_created_at_idx ON tasks (tenant, created_at, id);
CREATE INDEX tasks_created_at_idx ON tasks (created_at, id);
CREATE UNIQUE INDEX tasks_idempotency_key ON tasks (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX tasks_open_idx ON tasks (created_at, id) WHERE status IN ('queued', 'running');
CREATE UNIQUE INDEX events_node_added_once ON events (task_key, path) WHERE type = 'node_added';
CREATE UNIQUE INDEX events_node_settled_once ON events (task_key, path) WHERE type = 'node_settled';
CREATE UNIQUE INDEX events_run_finished_once ON events (task_key) WHERE type = 'run_finished';
CREATE INDEX text_uses_hash_idx ON text_uses (hash);
COMMIT;
