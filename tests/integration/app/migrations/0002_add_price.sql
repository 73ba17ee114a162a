-- Release 1.0.0 does not know the column and is not troubled by it.
ALTER TABLE products ADD COLUMN price DECIMAL(8,2) NOT NULL DEFAULT 0;

UPDATE products SET price = 2.50 WHERE name = 'tea';
