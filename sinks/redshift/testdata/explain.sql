# {workgroup: w, database: dev, table: stg.Trips}
CREATE TABLE IF NOT EXISTS "stg"."trips_sluice_loads" (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL);
BEGIN;
LOCK "stg"."trips_sluice_loads";
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS not_loaded_yet FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1';
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS none_is_later FROM "stg"."trips_sluice_loads" WHERE table_name = 'stg.trips' AND run_id <> '00000000000000a1' AND committed_at > '<time of the commit>' AND mode = 'replace';
COPY "stg"."trips" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") FROM 's3://b/stage/_runs/00000000000000a1/redshift.manifest' IAM_ROLE default FORMAT AS PARQUET MANIFEST SERIALIZETOJSON;
SELECT 1 / CASE WHEN pg_last_copy_count() = <rows written> THEN 1 ELSE 0 END AS all_rows_loaded;
INSERT INTO "stg"."trips_sluice_loads" (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES ('00000000000000a1', 'stg.trips', 'append', '<time of the commit>', <rows written>, 's3://b/stage/_runs/00000000000000a1/manifest.json', getdate());
COMMIT;

# {workgroup: w, database: dev, table: trips, mode: append, run_id_column: run_id, iam_role: 'arn:aws:iam::123456789012:role/copy', ensure: create, lengths: {city: 64}, default_length: 1000, dist_key: id, sort_key: [day, id]}
CREATE TABLE IF NOT EXISTS "public"."trips_sluice_loads" (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL);
CREATE TABLE IF NOT EXISTS "public"."trips" ("id" bigint NOT NULL, "city" varchar(64), "fare" numeric(8,2), "at" timestamp with time zone, "day" date, "ok" boolean, "n" smallint, "f" double precision, "photo" varbyte(1000), "tags" super, "run_id" varchar(16)) DISTKEY("id") SORTKEY("day", "id");
BEGIN;
LOCK "public"."trips_sluice_loads";
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS not_loaded_yet FROM "public"."trips_sluice_loads" WHERE run_id = '00000000000000a1' AND committed_at >= '<time of the commit>';
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS none_is_later FROM "public"."trips_sluice_loads" WHERE table_name = 'public.trips' AND run_id <> '00000000000000a1' AND committed_at > '<time of the commit>' AND mode = 'replace';
CREATE TEMP TABLE "sluice_stage_00000000000000a1" AS SELECT "id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags" FROM "public"."trips" WHERE 1 = 0;
COPY "sluice_stage_00000000000000a1" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") FROM 's3://b/stage/_runs/00000000000000a1/redshift.manifest' IAM_ROLE 'arn:aws:iam::123456789012:role/copy' FORMAT AS PARQUET MANIFEST SERIALIZETOJSON;
SELECT 1 / CASE WHEN pg_last_copy_count() = <rows written> THEN 1 ELSE 0 END AS all_rows_loaded;
DELETE FROM "public"."trips" WHERE "run_id" = '00000000000000a1';
INSERT INTO "public"."trips" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags", "run_id") SELECT "id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags", '00000000000000a1' FROM "sluice_stage_00000000000000a1";
DROP TABLE "sluice_stage_00000000000000a1";
DELETE FROM "public"."trips_sluice_loads" WHERE run_id = '00000000000000a1';
INSERT INTO "public"."trips_sluice_loads" (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES ('00000000000000a1', 'public.trips', 'append', '<time of the commit>', <rows written>, 's3://b/stage/_runs/00000000000000a1/manifest.json', getdate());
COMMIT;

# {cluster: c, database: dev, db_user: loader, table: stg.trips, mode: replace, ledger: ops.loads, explicit_ids: true}
CREATE TABLE IF NOT EXISTS "ops"."loads" (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL);
BEGIN;
LOCK "ops"."loads";
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS not_loaded_yet FROM "ops"."loads" WHERE run_id = '00000000000000a1' AND committed_at >= '<time of the commit>';
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS none_is_later FROM "ops"."loads" WHERE table_name = 'stg.trips' AND run_id <> '00000000000000a1' AND committed_at > '<time of the commit>';
DELETE FROM "stg"."trips";
COPY "stg"."trips" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") FROM 's3://b/stage/_runs/00000000000000a1/redshift.manifest' IAM_ROLE default FORMAT AS PARQUET MANIFEST SERIALIZETOJSON EXPLICIT_IDS;
SELECT 1 / CASE WHEN pg_last_copy_count() = <rows written> THEN 1 ELSE 0 END AS all_rows_loaded;
DELETE FROM "ops"."loads" WHERE run_id = '00000000000000a1';
INSERT INTO "ops"."loads" (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES ('00000000000000a1', 'stg.trips', 'replace', '<time of the commit>', <rows written>, 's3://b/stage/_runs/00000000000000a1/manifest.json', getdate());
COMMIT;

# {workgroup: w, database: dev, table: stg.trips, mode: merge, keys: [id, day], ensure: create}
CREATE TABLE IF NOT EXISTS "stg"."trips_sluice_loads" (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL);
CREATE TABLE IF NOT EXISTS "stg"."trips" ("id" bigint NOT NULL, "city" varchar(65535), "fare" numeric(8,2), "at" timestamp with time zone, "day" date NOT NULL, "ok" boolean, "n" smallint, "f" double precision, "photo" varbyte(1024000), "tags" super);
BEGIN;
LOCK "stg"."trips_sluice_loads";
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS not_loaded_yet FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1' AND committed_at >= '<time of the commit>';
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS none_is_later FROM "stg"."trips_sluice_loads" WHERE table_name = 'stg.trips' AND run_id <> '00000000000000a1' AND committed_at > '<time of the commit>' AND mode = 'replace';
CREATE TEMP TABLE "sluice_stage_00000000000000a1" AS SELECT "id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags" FROM "stg"."trips" WHERE 1 = 0;
COPY "sluice_stage_00000000000000a1" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") FROM 's3://b/stage/_runs/00000000000000a1/redshift.manifest' IAM_ROLE default FORMAT AS PARQUET MANIFEST SERIALIZETOJSON;
SELECT 1 / CASE WHEN pg_last_copy_count() = <rows written> THEN 1 ELSE 0 END AS all_rows_loaded;
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS keys_are_unique FROM (SELECT "id", "day" FROM "sluice_stage_00000000000000a1" GROUP BY "id", "day" HAVING count(*) > 1) AS twice;
MERGE INTO "stg"."trips" USING "sluice_stage_00000000000000a1" AS "sluice_new" ON "trips"."id" = "sluice_new"."id" AND "trips"."day" = "sluice_new"."day" WHEN MATCHED THEN UPDATE SET "id" = "sluice_new"."id", "city" = "sluice_new"."city", "fare" = "sluice_new"."fare", "at" = "sluice_new"."at", "day" = "sluice_new"."day", "ok" = "sluice_new"."ok", "n" = "sluice_new"."n", "f" = "sluice_new"."f", "photo" = "sluice_new"."photo", "tags" = "sluice_new"."tags" WHEN NOT MATCHED THEN INSERT ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") VALUES ("sluice_new"."id", "sluice_new"."city", "sluice_new"."fare", "sluice_new"."at", "sluice_new"."day", "sluice_new"."ok", "sluice_new"."n", "sluice_new"."f", "sluice_new"."photo", "sluice_new"."tags");
DROP TABLE "sluice_stage_00000000000000a1";
DELETE FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1';
INSERT INTO "stg"."trips_sluice_loads" (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES ('00000000000000a1', 'stg.trips', 'merge', '<time of the commit>', <rows written>, 's3://b/stage/_runs/00000000000000a1/manifest.json', getdate());
COMMIT;

# {dsn: 'postgres://u@h/dev', table: stg.trips, mode: merge, keys: [id], merge_by: delete_insert}
CREATE TABLE IF NOT EXISTS "stg"."trips_sluice_loads" (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL);
BEGIN;
LOCK "stg"."trips_sluice_loads";
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS not_loaded_yet FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1' AND committed_at >= '<time of the commit>';
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS none_is_later FROM "stg"."trips_sluice_loads" WHERE table_name = 'stg.trips' AND run_id <> '00000000000000a1' AND committed_at > '<time of the commit>' AND mode = 'replace';
CREATE TEMP TABLE "sluice_stage_00000000000000a1" AS SELECT "id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags" FROM "stg"."trips" WHERE 1 = 0;
COPY "sluice_stage_00000000000000a1" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") FROM 's3://b/stage/_runs/00000000000000a1/redshift.manifest' IAM_ROLE default FORMAT AS PARQUET MANIFEST SERIALIZETOJSON;
SELECT 1 / CASE WHEN pg_last_copy_count() = <rows written> THEN 1 ELSE 0 END AS all_rows_loaded;
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS keys_are_unique FROM (SELECT "id" FROM "sluice_stage_00000000000000a1" GROUP BY "id" HAVING count(*) > 1) AS twice;
DELETE FROM "stg"."trips" USING "sluice_stage_00000000000000a1" AS "sluice_new" WHERE "trips"."id" = "sluice_new"."id";
INSERT INTO "stg"."trips" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") SELECT "id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags" FROM "sluice_stage_00000000000000a1";
DROP TABLE "sluice_stage_00000000000000a1";
DELETE FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1';
INSERT INTO "stg"."trips_sluice_loads" (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES ('00000000000000a1', 'stg.trips', 'merge', '<time of the commit>', <rows written>, 's3://b/stage/_runs/00000000000000a1/manifest.json', getdate());
COMMIT;

# {table: stg.trips, mode: stage}
CREATE TABLE IF NOT EXISTS "stg"."trips_sluice_loads" (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL);
BEGIN;
LOCK "stg"."trips_sluice_loads";
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS not_loaded_yet FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1';
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS none_is_later FROM "stg"."trips_sluice_loads" WHERE table_name = 'stg.trips' AND run_id <> '00000000000000a1' AND committed_at > '<time of the commit>' AND mode = 'replace';
COPY "stg"."trips" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") FROM 's3://b/stage/_runs/00000000000000a1/redshift.manifest' IAM_ROLE default FORMAT AS PARQUET MANIFEST SERIALIZETOJSON;
SELECT 1 / CASE WHEN pg_last_copy_count() = <rows written> THEN 1 ELSE 0 END AS all_rows_loaded;
INSERT INTO "stg"."trips_sluice_loads" (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES ('00000000000000a1', 'stg.trips', 'stage', '<time of the commit>', <rows written>, 's3://b/stage/_runs/00000000000000a1/manifest.json', getdate());
COMMIT;

# {table: stg.trips, mode: stage, keys: id}
CREATE TABLE IF NOT EXISTS "stg"."trips_sluice_loads" (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL);
BEGIN;
LOCK "stg"."trips_sluice_loads";
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS not_loaded_yet FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1' AND committed_at >= '<time of the commit>';
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS none_is_later FROM "stg"."trips_sluice_loads" WHERE table_name = 'stg.trips' AND run_id <> '00000000000000a1' AND committed_at > '<time of the commit>' AND mode = 'replace';
CREATE TEMP TABLE "sluice_stage_00000000000000a1" AS SELECT "id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags" FROM "stg"."trips" WHERE 1 = 0;
COPY "sluice_stage_00000000000000a1" ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") FROM 's3://b/stage/_runs/00000000000000a1/redshift.manifest' IAM_ROLE default FORMAT AS PARQUET MANIFEST SERIALIZETOJSON;
SELECT 1 / CASE WHEN pg_last_copy_count() = <rows written> THEN 1 ELSE 0 END AS all_rows_loaded;
SELECT 1 / CASE WHEN count(*) = 0 THEN 1 ELSE 0 END AS keys_are_unique FROM (SELECT "id" FROM "sluice_stage_00000000000000a1" GROUP BY "id" HAVING count(*) > 1) AS twice;
MERGE INTO "stg"."trips" USING "sluice_stage_00000000000000a1" AS "sluice_new" ON "trips"."id" = "sluice_new"."id" WHEN MATCHED THEN UPDATE SET "id" = "sluice_new"."id", "city" = "sluice_new"."city", "fare" = "sluice_new"."fare", "at" = "sluice_new"."at", "day" = "sluice_new"."day", "ok" = "sluice_new"."ok", "n" = "sluice_new"."n", "f" = "sluice_new"."f", "photo" = "sluice_new"."photo", "tags" = "sluice_new"."tags" WHEN NOT MATCHED THEN INSERT ("id", "city", "fare", "at", "day", "ok", "n", "f", "photo", "tags") VALUES ("sluice_new"."id", "sluice_new"."city", "sluice_new"."fare", "sluice_new"."at", "sluice_new"."day", "sluice_new"."ok", "sluice_new"."n", "sluice_new"."f", "sluice_new"."photo", "sluice_new"."tags");
DROP TABLE "sluice_stage_00000000000000a1";
DELETE FROM "stg"."trips_sluice_loads" WHERE run_id = '00000000000000a1';
INSERT INTO "stg"."trips_sluice_loads" (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES ('00000000000000a1', 'stg.trips', 'stage', '<time of the commit>', <rows written>, 's3://b/stage/_runs/00000000000000a1/manifest.json', getdate());
COMMIT;

