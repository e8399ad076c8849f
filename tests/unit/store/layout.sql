-- The tables of layout 1, as SQLite has them.

CREATE TABLE cursors (
	name TEXT NOT NULL,
	position BIGINT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE facts (
	id INTEGER NOT NULL,
	topic TEXT NOT NULL,
	stream TEXT NOT NULL,
	at BIGINT NOT NULL,
	ingested BIGINT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE held_blobs (
	name TEXT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE image_layers (
	repository TEXT NOT NULL,
	digest TEXT NOT NULL,
	registry TEXT NOT NULL,
	size BIGINT NOT NULL,
	blob TEXT NOT NULL,
	touched FLOAT NOT NULL,
	PRIMARY KEY (repository, digest)
);

CREATE TABLE image_pieces (
	upload TEXT NOT NULL,
	first BIGINT NOT NULL,
	size BIGINT NOT NULL,
	digest TEXT NOT NULL,
	blob TEXT NOT NULL,
	PRIMARY KEY (upload, first)
);

CREATE TABLE image_references (
	repository TEXT NOT NULL,
	image TEXT NOT NULL,
	target TEXT NOT NULL,
	kind TEXT NOT NULL,
	PRIMARY KEY (repository, image, target)
);

CREATE TABLE image_tags (
	repository TEXT NOT NULL,
	tag TEXT NOT NULL,
	digest TEXT NOT NULL,
	PRIMARY KEY (repository, tag)
);

CREATE TABLE image_uploads (
	id TEXT NOT NULL,
	repository TEXT NOT NULL,
	touched FLOAT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE images (
	repository TEXT NOT NULL,
	digest TEXT NOT NULL,
	media_type TEXT NOT NULL,
	artifact_type TEXT NOT NULL,
	subject TEXT,
	size BIGINT NOT NULL,
	pushed FLOAT NOT NULL,
	pulled FLOAT,
	manifest BLOB NOT NULL,
	PRIMARY KEY (repository, digest)
);

CREATE TABLE message_deduplication (
	queue TEXT NOT NULL,
	token TEXT NOT NULL,
	message TEXT NOT NULL,
	number INTEGER NOT NULL,
	until FLOAT NOT NULL,
	PRIMARY KEY (queue, token)
);

CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	queue TEXT NOT NULL,
	message TEXT NOT NULL,
	"group" TEXT,
	sent FLOAT NOT NULL,
	visible FLOAT NOT NULL,
	received INTEGER NOT NULL,
	first FLOAT,
	nonce TEXT NOT NULL,
	document TEXT NOT NULL
);

CREATE TABLE metric_points (
	series INTEGER NOT NULL,
	at BIGINT NOT NULL,
	step INTEGER NOT NULL,
	unit TEXT NOT NULL,
	samples DOUBLE NOT NULL,
	sum DOUBLE NOT NULL,
	minimum DOUBLE NOT NULL,
	maximum DOUBLE NOT NULL,
	distribution TEXT NOT NULL,
	PRIMARY KEY (series, at, step, unit)
)
 WITHOUT ROWID;

CREATE TABLE metric_series (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	namespace TEXT NOT NULL,
	name TEXT NOT NULL,
	dimensions TEXT NOT NULL,
	newest BIGINT NOT NULL,
	UNIQUE (account, region, namespace, name, dimensions)
);

CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	box TEXT NOT NULL,
	lane TEXT NOT NULL,
	document TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	due FLOAT NOT NULL
);

CREATE TABLE queued_requests (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	endpoint TEXT NOT NULL,
	received FLOAT NOT NULL,
	expires FLOAT NOT NULL,
	document TEXT NOT NULL,
	body BLOB
);

CREATE TABLE resources (
	id INTEGER NOT NULL,
	kind TEXT NOT NULL,
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	name TEXT NOT NULL,
	uid TEXT NOT NULL,
	wish TEXT NOT NULL,
	phase TEXT NOT NULL,
	spec TEXT NOT NULL,
	status TEXT NOT NULL,
	state TEXT NOT NULL,
	tags TEXT NOT NULL,
	generation INTEGER NOT NULL,
	created FLOAT NOT NULL,
	modified FLOAT NOT NULL,
	due FLOAT,
	lease TEXT,
	lease_until FLOAT,
	PRIMARY KEY (id),
	UNIQUE (kind, account, region, name)
);

CREATE TABLE s3_buckets (
	name TEXT NOT NULL,
	account TEXT NOT NULL,
	region TEXT NOT NULL,
	created FLOAT NOT NULL,
	versioning TEXT NOT NULL,
	settings TEXT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE s3_garbage (
	name TEXT NOT NULL,
	since FLOAT NOT NULL,
	PRIMARY KEY (name)
);

CREATE TABLE s3_objects (
	bucket TEXT NOT NULL,
	"key" BLOB NOT NULL,
	rank BIGINT NOT NULL,
	version TEXT NOT NULL,
	visible BOOLEAN NOT NULL,
	marker BOOLEAN NOT NULL,
	size BIGINT NOT NULL,
	etag TEXT NOT NULL,
	modified FLOAT NOT NULL,
	blob TEXT,
	document TEXT NOT NULL,
	PRIMARY KEY (bucket, "key", rank)
)
 WITHOUT ROWID;

CREATE TABLE s3_packs (
	number INTEGER NOT NULL,
	contents TEXT NOT NULL,
	bytes BLOB NOT NULL,
	PRIMARY KEY (number)
);

CREATE TABLE s3_parts (
	upload TEXT NOT NULL,
	number INTEGER NOT NULL,
	size BIGINT NOT NULL,
	md5 BLOB NOT NULL,
	modified FLOAT NOT NULL,
	blob TEXT NOT NULL,
	checksums TEXT NOT NULL,
	PRIMARY KEY (upload, number)
);

CREATE TABLE s3_unsynced (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	bytes BLOB NOT NULL
);

CREATE TABLE s3_uploads (
	id TEXT NOT NULL,
	bucket TEXT NOT NULL,
	"key" BLOB NOT NULL,
	initiated FLOAT NOT NULL,
	document TEXT NOT NULL,
	PRIMARY KEY (id)
);
