#include "participant/resources/postgresql/schema.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace concordat::participant::postgresql {

namespace {

// A user who is not a superuser must be a member of the role in order to make it the
// owner of what the user creates.
constexpr char kOwner[] = R"sql(DO $do$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname='concordat_owner') THEN
    CREATE ROLE concordat_owner NOLOGIN;
  END IF;
  IF NOT pg_catalog.pg_has_role('concordat_owner', 'MEMBER') THEN
    EXECUTE pg_catalog.format('GRANT concordat_owner TO %I', current_user);
  END IF;
  IF NOT pg_catalog.pg_has_role('concordat_owner', 'pg_read_all_stats', 'USAGE') THEN
    GRANT pg_read_all_stats TO concordat_owner;  -- when a session began
  END IF;
END $do$;
CREATE SCHEMA IF NOT EXISTS concordat;
ALTER SCHEMA concordat OWNER TO concordat_owner;
)sql";

// The key of branches begins with the columns by which a resource deletes its rows
// (forget), and new rows are at the end of the resource's part of the index.
constexpr char kTables[] = R"sql(CREATE TABLE IF NOT EXISTS concordat.branches (
  resource text NOT NULL,
  cluster bigint NOT NULL,
  gtid_group bigint NOT NULL,
  gtid_term bigint NOT NULL,
  gtid_sequence bigint NOT NULL,
  incarnation bigint NOT NULL,
  number bigint NOT NULL,
  how text NOT NULL,
  PRIMARY KEY (resource, cluster, gtid_group, gtid_term, gtid_sequence,
               incarnation, number)
);
COMMENT ON TABLE concordat.branches IS
  'Branches of global transactions that were committed here. Kept by Concordat: it '
  'reads them after lost answers, and deletes them when nobody can ask any more.';
CREATE TABLE IF NOT EXISTS concordat.generations (
  resource text NOT NULL,
  cluster bigint NOT NULL,
  generation bigint NOT NULL,
  PRIMARY KEY (resource, cluster)
);
COMMENT ON TABLE concordat.generations IS
  'How far the database has come, in milliseconds since 1970, written every few seconds '
  'while there is work. By it Concordat tells an older copy of the database from it. '
  'Never change it.';
CREATE UNLOGGED TABLE IF NOT EXISTS concordat.sessions (
  pid int PRIMARY KEY,
  started timestamptz NOT NULL,
  role name NOT NULL,
  resource text NOT NULL,
  cluster bigint NOT NULL,
  secret text NOT NULL
);
COMMENT ON TABLE concordat.sessions IS
  'Sessions of participants. Only they may write evidence and generations.';
-- Nobody but the owner writes.
DO $do$ DECLARE t record; BEGIN
  FOR t IN SELECT c.oid::regclass AS name, a.grantee FROM pg_catalog.pg_class c,
      LATERAL pg_catalog.aclexplode(c.relacl) a
      WHERE c.relnamespace='concordat'::regnamespace AND c.relkind='r'
        AND a.grantee<>c.relowner GROUP BY 1, 2 LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %s', t.name,
      CASE WHEN t.grantee=0 THEN 'PUBLIC' ELSE t.grantee::regrole::text END);
  END LOOP;
END $do$;
ALTER TABLE concordat.branches OWNER TO concordat_owner;
ALTER TABLE concordat.generations OWNER TO concordat_owner;
ALTER TABLE concordat.sessions OWNER TO concordat_owner;
)sql";

constexpr char kSessions[] =
    R"sql(CREATE OR REPLACE FUNCTION concordat.open_session(secret text, resource text,
    cluster bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $f$
DECLARE
  began timestamptz := (SELECT a.backend_start
                        FROM pg_stat_get_activity(pg_backend_pid()) a);
BEGIN
  -- The statement that deletes must look at who is there after it has its snapshot of the
  -- rows: a session that opens meanwhile has a row, and was not there before.
  PERFORM pg_stat_clear_snapshot();
  DELETE FROM concordat.sessions s
    WHERE (s.pid = pg_backend_pid() AND s.started <> began)
       OR NOT EXISTS (SELECT FROM pg_stat_get_activity(NULL) a WHERE a.pid = s.pid);
  INSERT INTO concordat.sessions
    VALUES (pg_backend_pid(), began, session_user, $2, $3, $1)
    ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE insufficient_privilege
      USING MESSAGE = 'the session has been opened before, by the participant';
  END IF;
END $f$;
-- The session's row, or the error that says why there is none.
CREATE OR REPLACE FUNCTION concordat.session(secret text)
RETURNS concordat.sessions LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
  s concordat.sessions;
BEGIN
  SELECT * INTO s FROM concordat.sessions o
    WHERE o.pid = pg_backend_pid() AND o.secret = $1;
  IF NOT FOUND THEN
    RAISE insufficient_privilege
      USING MESSAGE = 'only the participant itself writes what is Concordat''s';
  END IF;
  RETURN s;
END $f$;
-- Nothing of a branch stays for the next one. False: a prepared statement is not as the
-- participant has made it; the session is not to be used again.
CREATE OR REPLACE FUNCTION concordat.reset_session(kept bigint)
RETURNS boolean LANGUAGE plpgsql AS $f$
DECLARE
  clean boolean;
BEGIN
  EXECUTE 'CLOSE ALL';
  UNLISTEN *;
  PERFORM pg_catalog.pg_advisory_unlock_all();
  DISCARD SEQUENCES;
  IF pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 THEN
    DISCARD TEMP;
  END IF;
  SELECT pg_catalog.count(*) OPERATOR(pg_catalog.=) kept
      AND NOT COALESCE(pg_catalog.bool_or(p.from_sql), false)
    INTO clean FROM pg_catalog.pg_prepared_statements p;
  RESET ALL;
  RETURN clean;
END $f$;
)sql";

// `caller` is current_user at the place of the call; inside the function current_user is
// the owner. The role that prepares must be the role that ends the prepared transaction.
// SET LOCAL lasts longer than the function, but no client's statement runs between it and
// the commit.
//
// The session of a branch that is to be prepared is reset here, before the branch's end,
// which saves a round trip. PREPARE TRANSACTION refuses what is not reset: a LISTEN, a
// NOTIFY, a cursor WITH HOLD, and anything about temporary objects. The function returns
// true if nothing of the branch will be left in the session. A branch that commits in one
// phase keeps its advisory locks until others can see what they protect, so its session
// is reset afterwards.
//
// RESET ALL activates the role's own search_path. It must not matter from there on, so
// all names, and operators too, are written with their schema. That is also faster than a
// search_path that is set for the function.
constexpr char kEvidence[] =
    R"sql(DO $do$ BEGIN  -- the one of version 2 had no result
  IF EXISTS (SELECT FROM pg_catalog.pg_proc p
             WHERE p.pronamespace='concordat'::regnamespace
               AND p.proname='add_evidence' AND p.prorettype<>'boolean'::regtype) THEN
    DROP FUNCTION concordat.add_evidence(text, bigint, bigint, bigint, bigint, bigint,
                                         boolean, name);
  END IF;
END $do$;
CREATE OR REPLACE FUNCTION concordat.add_evidence(secret text,
    gtid_group bigint, gtid_term bigint, gtid_sequence bigint, incarnation bigint,
    number bigint, alone boolean, caller name)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $f$
BEGIN
  INSERT INTO concordat.branches
    SELECT s.resource, s.cluster, $2, $3, $4, $5, $6,
           CASE WHEN $7 THEN 'alone' ELSE 'prepared' END
    FROM concordat.sessions s
    WHERE s.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
      AND s.secret OPERATOR(pg_catalog.=) $1 AND s.role OPERATOR(pg_catalog.=) $8
      AND s.role OPERATOR(pg_catalog.=) session_user;
  IF NOT FOUND THEN
    PERFORM concordat.session($1);
    RAISE insufficient_privilege USING MESSAGE = pg_catalog.format(
      'the branch has taken on role %s, and only the role that has prepared a '
      'transaction can end it: RESET ROLE before the branch ends', $8);
  END IF;
  IF $7 THEN
    SET LOCAL synchronous_commit TO DEFAULT;
  ELSE
    PERFORM pg_catalog.pg_advisory_unlock_all();
    DISCARD SEQUENCES;
    RESET ALL;
  END IF;
  IF pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off' THEN
    SET LOCAL synchronous_commit TO on;
  END IF;
  IF NOT $7 THEN
    PERFORM FROM pg_catalog.pg_prepared_statement() p WHERE p.from_sql;
    RETURN NOT FOUND
      AND pg_catalog.current_setting('role') OPERATOR(pg_catalog.=) 'none';
  END IF;
  EXECUTE 'CLOSE ALL';
  IF pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND (
      EXISTS (SELECT FROM pg_catalog.pg_class c
              WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
      OR
      EXISTS (SELECT FROM pg_catalog.pg_proc p
              WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()))
  THEN
    RAISE feature_not_supported USING MESSAGE =
      'cannot commit a branch that has made a temporary table, view or function';
  END IF;
  RETURN false;
END $f$;
CREATE OR REPLACE FUNCTION concordat.add_application_managed_evidence(resource text, cluster bigint,
    gtid_group bigint, gtid_term bigint, gtid_sequence bigint, incarnation bigint,
    number bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $f$
BEGIN
  IF $7 >> 62 <> 1 OR EXISTS (
      SELECT FROM concordat.sessions s, pg_stat_get_activity(pg_backend_pid()) a
      WHERE s.pid = a.pid AND s.started = a.backend_start) THEN
    PERFORM concordat.session('');
  END IF;
  INSERT INTO concordat.branches VALUES ($1, $2, $3, $4, $5, $6, $7, 'prepared');
END $f$;
CREATE OR REPLACE FUNCTION concordat.forget(secret text, gtid_group bigint,
    below_term bigint, below_sequence bigint, most bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $f$
DECLARE
  s concordat.sessions := concordat.session($1);
  gone bigint;
BEGIN
  DELETE FROM concordat.branches WHERE ctid = ANY (ARRAY(
    SELECT b.ctid FROM concordat.branches b
    WHERE b.resource = s.resource AND b.cluster = s.cluster AND b.gtid_group = $2
      AND (b.gtid_term, b.gtid_sequence) < ($3, $4) LIMIT $5));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $f$;
)sql";

constexpr char kGenerations[] =
    R"sql(CREATE OR REPLACE FUNCTION concordat.read_generation(secret text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $f$
DECLARE
  s concordat.sessions := concordat.session($1);
BEGIN
  INSERT INTO concordat.generations VALUES (s.resource, s.cluster, 0) ON CONFLICT DO NOTHING;
  RETURN (SELECT m.generation FROM concordat.generations m
          WHERE m.resource = s.resource AND m.cluster = s.cluster);
END $f$;
-- False: the database has not the generation that is known to have been there.
CREATE OR REPLACE FUNCTION concordat.set_generation(secret text, known bigint, generation bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $f$
DECLARE
  s concordat.sessions := concordat.session($1);
BEGIN
  UPDATE concordat.generations m SET generation = greatest(m.generation, $3)
    WHERE m.resource = s.resource AND m.cluster = s.cluster AND m.generation >= $2;
  RETURN FOUND;
END $f$;
)sql";

constexpr char kEnd[] =
    R"sql(DO $do$ DECLARE f record; BEGIN
  FOR f IN SELECT p.oid::regprocedure AS name FROM pg_catalog.pg_proc p
      WHERE p.pronamespace='concordat'::regnamespace LOOP
    EXECUTE pg_catalog.format('ALTER FUNCTION %s OWNER TO concordat_owner', f.name);
    EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.name);
  END LOOP;
END $do$;
COMMENT ON SCHEMA concordat IS '$VERSION';
)sql";

constexpr char kGrants[] =
    R"sql(GRANT USAGE ON SCHEMA concordat TO $ROLE;
GRANT SELECT ON concordat.branches, concordat.generations TO $ROLE;
GRANT SELECT (pid, started, role, resource, cluster) ON concordat.sessions TO $ROLE;
GRANT EXECUTE ON FUNCTION concordat.open_session, concordat.reset_session,
  concordat.add_evidence, concordat.add_application_managed_evidence, concordat.forget,
  concordat.read_generation, concordat.set_generation TO $ROLE;
)sql";

constexpr char kLeaveOwner[] = R"sql(DO $do$ BEGIN
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname=current_user) THEN
    EXECUTE pg_catalog.format('REVOKE concordat_owner FROM %I', current_user);
  END IF;
END $do$;
)sql";

std::string QuotedRole(const std::string& role) {
  return absl::StrCat("\"", absl::StrReplaceAll(role, {{"\"", "\"\""}}), "\"");
}

std::string AsComments(const std::string& sql) {
  return absl::StrCat(
      "-- ", absl::StrReplaceAll(sql.substr(0, sql.size() - 1), {{"\n", "\n-- "}}), "\n");
}

}  // namespace

std::string GrantSql(const std::string& role) {
  return absl::StrReplaceAll(kGrants, {{"$ROLE", role}});
}

std::string InitSql(const std::string& role) {
  const std::string grants =
      role.empty()
          ? absl::StrCat(
                "-- For the role that serves the resource (\"--role ROLE\" runs it):\n",
                AsComments(GrantSql("ROLE")))
          : GrantSql(QuotedRole(role));
  return absl::StrCat(kOwner, kTables, kSessions, kEvidence, kGenerations,
                      absl::StrReplaceAll(kEnd, {{"$VERSION", kSchemaVersion}}), grants,
                      kLeaveOwner);
}

}  // namespace concordat::participant::postgresql
