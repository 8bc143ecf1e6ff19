CREATE TABLE visits (
    name text PRIMARY KEY,
    count bigint NOT NULL
);
