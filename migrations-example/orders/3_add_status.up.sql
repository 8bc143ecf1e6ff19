ALTER TABLE orders ADD COLUMN status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'expired'));
CREATE INDEX orders_open ON orders (placed_at) WHERE status = 'open';
