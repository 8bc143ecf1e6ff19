ALTER TABLE orders ADD COLUMN invoiced_at timestamptz;
-- How often the event of the order was delivered to the subscription that writes the invoice.
ALTER TABLE orders ADD COLUMN deliveries integer NOT NULL DEFAULT 0;
