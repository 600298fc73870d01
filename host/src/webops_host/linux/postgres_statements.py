"""The statements that make, close, switch and describe databases. psql fills in :'text' and :"name"; nothing else does.

`own` is the owner role and the database of a deployment, `login` a role that signs in, `database` the one that is made
or switched. A repeated statement changes nothing.
"""

from __future__ import annotations

ROLES = r"""
SELECT format('CREATE ROLE %I NOLOGIN', :'own') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'own') \gexec
ALTER ROLE :"own" WITH NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
"""
LOGIN = r"""
BEGIN;
SELECT format('CREATE ROLE %I NOLOGIN', :'login') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login')
\gexec
ALTER ROLE :"login" WITH NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS VALID UNTIL 'infinity';
GRANT :"own" TO :"login";
ALTER ROLE :"login" RESET ALL;
ALTER ROLE :"login" SET role TO :'own';
ALTER ROLE :"login" SET statement_timeout TO '5min';
ALTER ROLE :"login" SET lock_timeout TO '1min';
ALTER ROLE :"login" SET idle_in_transaction_session_timeout TO '5min';
ALTER ROLE :"login" SET work_mem TO '4MB';
ALTER ROLE :"login" SET temp_file_limit TO '512MB';
ALTER ROLE :"login" WITH LOGIN PASSWORD :'verifier';
COMMIT;
"""
# Closed while it is made: a new database lets everybody in until that is taken back.
DATABASE = r"""
SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING ''UTF8'' ALLOW_CONNECTIONS false %s',
              :'database', CASE WHEN pg_encoding_to_char(encoding) = 'UTF8' THEN '' ELSE 'LOCALE ''C.UTF-8''' END)
    FROM pg_database
    WHERE datname = 'template0' AND NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT, TEMPORARY, CREATE ON DATABASE :"database" TO :"own";
ALTER DATABASE :"database" ALLOW_CONNECTIONS true;
\connect :"database"
SELECT format('ALTER SCHEMA public OWNER TO %I', :'own')
    FROM pg_namespace
    WHERE nspname = 'public' AND nspowner <> (SELECT oid FROM pg_roles WHERE rolname = :'own') \gexec
"""
# So many connections for each that all together leave some to the platform, whatever the version reserves by itself.
SHARE = r"""
SELECT format('ALTER ROLE %I CONNECTION LIMIT %s', rolname, share) FROM pg_roles,
    (SELECT greatest(5, least(20, (current_setting('max_connections')::int - 20) / greatest(1, count(*)))) AS share
        FROM pg_database WHERE datname ~ '^wo_([a-z0-9]|_(?!_))*$') AS shares
    WHERE rolname ~ '^wo_.*__[ab]$' AND rolconnlimit <> share \gexec
"""
VISIT = r"""
SELECT format('CREATE ROLE %I NOLOGIN', :'login') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login')
\gexec
ALTER ROLE :"login" WITH NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 3;
GRANT :"own" TO :"login";
GRANT webops_visitors TO :"login";
ALTER ROLE :"login" SET role TO :'own';
ALTER ROLE :"login" SET synchronous_commit TO 'off';
ALTER ROLE :"login" WITH LOGIN PASSWORD :'verifier' VALID UNTIL :'until';
"""
# What a stranger's dump made in the visitor's own name becomes the deployment's before the visitor goes.
LEAVE = r"""
ALTER ROLE :"login" WITH NOLOGIN PASSWORD NULL;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :'login';
REASSIGN OWNED BY :"login" TO :"own";
DROP OWNED BY :"login";
\connect postgres
DROP ROLE :"login";
"""
END_LOGIN = r"""
SELECT format('ALTER ROLE %I WITH NOLOGIN PASSWORD NULL', rolname) FROM pg_roles WHERE rolname = :'login' \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :'login';
"""
DROP_DATABASE = r"""
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS false', :'database') FROM pg_database WHERE datname = :'database'
\gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'database' AND pid <> pg_backend_pid();
DROP DATABASE IF EXISTS :"database" WITH (FORCE);
"""
DROP_ROLES = r"""
SELECT format('DROP ROLE %I', rolname) FROM pg_roles
    WHERE left(rolname, length(:'own') + 2) = :'own' || '__' AND rolname ~ '__([ab]|v[0-9a-f]+)$' \gexec
DROP ROLE IF EXISTS :"own";
"""
# Both names change in one transaction, while nobody is connected and nobody can be.
SWITCH = r"""
ALTER DATABASE :"fresh" ALLOW_CONNECTIONS false;
ALTER DATABASE :"own" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN (:'own', :'fresh');
BEGIN;
ALTER DATABASE :"own" RENAME TO :"kept";
ALTER DATABASE :"fresh" RENAME TO :"own";
COMMIT;
ALTER DATABASE :"own" ALLOW_CONNECTIONS true;
"""
# The one before a first restore is kept already: what is replaced now came from a dump.
SWITCH_AGAIN = r"""
ALTER DATABASE :"fresh" ALLOW_CONNECTIONS false;
ALTER DATABASE :"own" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN (:'own', :'fresh');
BEGIN;
ALTER DATABASE :"own" RENAME TO :"gone";
ALTER DATABASE :"fresh" RENAME TO :"own";
COMMIT;
ALTER DATABASE :"own" ALLOW_CONNECTIONS true;
DROP DATABASE :"gone" WITH (FORCE);
"""
SWITCH_BACK = r"""
ALTER DATABASE :"kept" ALLOW_CONNECTIONS false;
ALTER DATABASE :"own" ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN (:'own', :'kept');
BEGIN;
ALTER DATABASE :"own" RENAME TO :"gone";
ALTER DATABASE :"kept" RENAME TO :"own";
COMMIT;
ALTER DATABASE :"own" ALLOW_CONNECTIONS true;
DROP DATABASE :"gone" WITH (FORCE);
"""
REOPEN = r"""
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database
    WHERE datname = :'own' AND NOT datallowconn \gexec
"""
# After a crash: what was closed for a switch that did not happen, and what was half filled or had been replaced.
RECOVER = r"""
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database
    WHERE datname ~ '^wo_([a-z0-9]|_(?!_))*$' AND NOT datallowconn AND datacl IS NOT NULL \gexec
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
    WHERE datname ~ '^wo_.*__(new|gone)$' \gexec
"""
# Those that only an administrator can have made: an archive that wants them finds them there.
EXTENSIONS = r"""
SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE n.nspname IN ('public', 'pg_catalog') AND e.extowner = 10 AND e.extname <> 'plpgsql' ORDER BY e.oid;
"""
EXTENSION = r"""
CREATE EXTENSION IF NOT EXISTS :"extension" SCHEMA :"schema";
"""
EXISTS = r"""
SELECT datname FROM pg_database WHERE datname IN (:'own', :'kept', :'fresh', :'gone');
"""
SIZE = r"""
SELECT pg_database_size(oid) FROM pg_database WHERE datname = :'own';
"""
FACTS = r"""
SELECT pg_database_size(oid), current_setting('server_version'),
    (SELECT count(*) FROM pg_stat_activity WHERE datname = :'own' AND usename ~ '__[ab]$'),
    (SELECT greatest(0, max(rolconnlimit)) FROM pg_roles WHERE rolname = :'login'),
    (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - query_start)), 0) FROM pg_stat_activity
        WHERE datname = :'own' AND state = 'active' AND usename ~ '__[ab]$')
    FROM pg_database WHERE datname = :'own' AND datallowconn;
"""
TABLES = r"""
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$)'
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e');
"""
