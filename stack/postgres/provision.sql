-- Roles and database as the environment wants them; a second run changes only the passwords, to what they are.
-- psql reads the passwords itself: on its command line they would stand in the list of processes.
\set password `cat "$POSTGRES_PASSWORD_FILE"`
\set monitor_password `cat "$POSTGRES_MONITOR_PASSWORD_FILE"`

-- A statement that fails is written to the log, and these hold passwords.
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;

SELECT format('CREATE ROLE %I LOGIN', name)
  FROM unnest(ARRAY[:'role', 'monitor']) AS wanted (name)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE :"role" PASSWORD :'password';
ALTER ROLE monitor PASSWORD :'monitor_password';
-- Reads statistics of all databases, and no table of any.
GRANT pg_monitor TO monitor;

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec
