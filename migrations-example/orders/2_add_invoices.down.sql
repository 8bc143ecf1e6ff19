ALTER TABLE orders DROP COLUMN deliveries;
ALTER TABLE orders DROP COLUMN invoiced_at;
