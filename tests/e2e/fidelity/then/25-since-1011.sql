-- Versioned tables are altered.
ALTER TABLE versions.myisam DROP SYSTEM VERSIONING;
ALTER TABLE versions.period ADD COLUMN note TEXT;
