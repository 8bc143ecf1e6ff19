-- Every delivery, in the order of handling.
CREATE TABLE delivered (id bigserial PRIMARY KEY, key text NOT NULL, number bigint NOT NULL);
-- What a handler does once: more than one row of a message is a mistake.
CREATE TABLE effects (key text NOT NULL, number bigint NOT NULL);
