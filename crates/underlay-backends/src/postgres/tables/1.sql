-- Underlay's own tables, as its first release with an outbox makes them.

CREATE SCHEMA IF NOT EXISTS underlay;

-- Which of these files have been applied.
CREATE TABLE underlay.version (
    number integer PRIMARY KEY,
    installed_at timestamptz NOT NULL DEFAULT now()
);

-- Messages that were published in a transaction and are not with the broker yet, in the order in which they are sent.
CREATE TABLE underlay.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text NOT NULL CHECK (message_id ~ '^[0-9a-f]{32}$'),
    topic text NOT NULL,
    ordering_key text,
    attributes json NOT NULL,
    body bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Not to be sent before; absent: at once.
    due_at timestamptz,
    -- Why it can never be sent; it is set aside until somebody removes it, or removes this.
    error text
);
CREATE INDEX outbox_due ON underlay.outbox (due_at) WHERE due_at IS NOT NULL AND error IS NULL;
CREATE INDEX outbox_due_by_key ON underlay.outbox (topic, ordering_key, id)
    WHERE due_at IS NOT NULL AND ordering_key IS NOT NULL AND error IS NULL;

-- What subscriptions that are idempotent in this database have handled.
CREATE TABLE underlay.handled (
    topic text NOT NULL,
    subscription text NOT NULL,
    message_id text NOT NULL,
    -- When the message cannot be delivered again.
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (topic, subscription, message_id)
);
CREATE INDEX handled_expires_at ON underlay.handled (expires_at);

-- Which process does what only one may do: sending the messages of a topic, removing what has expired.
CREATE TABLE underlay.lease (
    name text PRIMARY KEY,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL
);
