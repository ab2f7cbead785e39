-- The databases of the platform, each server's with an owner of its own that no other's lets in. Run once, by
-- psql, when the server's folder is empty; passwords come from the environment.
\set ON_ERROR_STOP on
\getenv prefect_password PREFECT_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD
\getenv optuna_password OPTUNA_DB_PASSWORD

-- A password that is not set is an error already; one that is empty must be, too.
SELECT '' IN (:'prefect_password', :'mlflow_password', :'optuna_password') AS empty \gset
\if :empty
  DO $$ BEGIN RAISE 'PREFECT_DB_PASSWORD, MLFLOW_DB_PASSWORD or OPTUNA_DB_PASSWORD is empty'; END $$;
\endif

CREATE ROLE prefect LOGIN PASSWORD :'prefect_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE ROLE optuna LOGIN PASSWORD :'optuna_password';

CREATE DATABASE prefect OWNER prefect;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
CREATE DATABASE optuna OWNER optuna;
REVOKE ALL ON DATABASE prefect, mlflow, mlflow_auth, optuna, postgres FROM PUBLIC;

-- Prefect's migrations ask for it; making it here needs no rights of theirs.
\connect prefect
CREATE EXTENSION pg_trgm;
