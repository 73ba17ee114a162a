-- What the shop sells.
CREATE TABLE products (
        id   INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name VARCHAR(100) NOT NULL
) ENGINE=InnoDB;

INSERT INTO products (name) VALUES ('tea'), ('coffee; ground'), ('cocoa');
