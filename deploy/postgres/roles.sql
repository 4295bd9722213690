-- One role and one schema for each service that keeps rows. Run once as a superuser, with psql:
--   psql -v gateway_password=… -v detsis_sync_password=… -v kep_relay_password=… -f roles.sql <database>
-- Then start each service once with --migrate. No role can read another's schema.
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE kepgw_%s LOGIN', service)
FROM unnest(ARRAY['gateway', 'detsis_sync', 'kep_relay']) AS service
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kepgw_' || service) \gexec
ALTER ROLE kepgw_gateway PASSWORD :'gateway_password';
ALTER ROLE kepgw_detsis_sync PASSWORD :'detsis_sync_password';
ALTER ROLE kepgw_kep_relay PASSWORD :'kep_relay_password';
CREATE SCHEMA IF NOT EXISTS gateway AUTHORIZATION kepgw_gateway;
CREATE SCHEMA IF NOT EXISTS detsis_sync AUTHORIZATION kepgw_detsis_sync;
CREATE SCHEMA IF NOT EXISTS kep_relay AUTHORIZATION kepgw_kep_relay;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
