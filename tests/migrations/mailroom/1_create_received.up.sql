-- What the handlers have received, in their order.
CREATE TABLE received (
    row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    number BIGINT NOT NULL
);

-- What was published, in the order of the commits of each box.
CREATE TABLE posted (
    row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    number BIGINT NOT NULL
);
