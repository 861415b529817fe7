# scripts/shop.sh -- a shop's database, and customers who keep buying.  Sourced
# by the demo and by tests; each function prints SQL.

# The tables, with what belongs to them.
shop_schema()
{
    cat <<'SQL'
CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE shop;
CREATE TABLE customers (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email VARCHAR(120) NOT NULL,
  name VARCHAR(80) NOT NULL,
  city VARCHAR(60) NOT NULL,
  country CHAR(2) NOT NULL DEFAULT 'DE',
  newsletter TINYINT(1) NOT NULL DEFAULT 0,
  registered DATETIME NOT NULL,
  UNIQUE KEY email (email), KEY city (city)
) ENGINE=InnoDB COMMENT='who buys';
CREATE TABLE products (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sku CHAR(10) CHARACTER SET ascii NOT NULL,
  title VARCHAR(120) NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  weight_kg FLOAT NOT NULL,
  tags SET('new','sale','heavy','fragile') NOT NULL DEFAULT '',
  attributes JSON,
  UNIQUE KEY sku (sku)
) ENGINE=InnoDB;
CREATE TABLE stock (
  product_id INT UNSIGNED NOT NULL PRIMARY KEY,
  quantity INT NOT NULL,
  updated TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
    ON UPDATE CURRENT_TIMESTAMP(6),
  CONSTRAINT stock_product FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE=InnoDB;
CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer_id INT UNSIGNED NOT NULL,
  placed DATETIME(3) NOT NULL,
  status ENUM('new','paid','shipped','returned') NOT NULL DEFAULT 'new',
  note VARCHAR(200),
  KEY placed (placed), KEY customer (customer_id),
  CONSTRAINT order_customer FOREIGN KEY (customer_id)
    REFERENCES customers (id)
) ENGINE=InnoDB;
CREATE TABLE order_items (
  order_id BIGINT UNSIGNED NOT NULL,
  line SMALLINT UNSIGNED NOT NULL,
  product_id INT UNSIGNED NOT NULL,
  quantity SMALLINT UNSIGNED NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  total DECIMAL(12,2) AS (quantity * price) PERSISTENT,
  PRIMARY KEY (order_id, line), KEY product (product_id),
  CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (id)
    ON DELETE CASCADE,
  CONSTRAINT item_product FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE=InnoDB;
CREATE TABLE payments (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT UNSIGNED NOT NULL,
  amount DECIMAL(12,2) NOT NULL,
  method ENUM('card','transfer','cash') NOT NULL,
  reference BINARY(8) NOT NULL,
  paid TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  KEY order_id (order_id),
  CONSTRAINT payment_order FOREIGN KEY (order_id) REFERENCES orders (id)
    ON DELETE CASCADE
) ENGINE=InnoDB;
CREATE VIEW sales_by_day AS
  SELECT DATE(o.placed) AS day, COUNT(DISTINCT o.id) AS orders,
    SUM(i.total) AS turnover
  FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY 1;
DELIMITER //
CREATE FUNCTION order_total(o BIGINT UNSIGNED) RETURNS DECIMAL(12,2)
  READS SQL DATA
  RETURN (SELECT SUM(total) FROM order_items WHERE order_id = o) //
CREATE PROCEDURE place_order(who INT, wants INT)
BEGIN
  DECLARE o BIGINT UNSIGNED;
  DECLARE n, p INT DEFAULT 0;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION ROLLBACK;
  START TRANSACTION;
  INSERT INTO orders (customer_id, placed) VALUES (who, NOW(3));
  SET o = LAST_INSERT_ID();
  SET p = 1 + FLOOR(RAND() * 400);
  WHILE n < wants DO
    SET n = n + 1, p = p + 1 + FLOOR(RAND() * 100);
    INSERT INTO order_items (order_id, line, product_id, quantity, price)
      SELECT o, n, id, 1 + FLOOR(RAND() * 3), price FROM products WHERE id = p;
  END WHILE;
  IF RAND() < 0.8 THEN
    INSERT INTO payments (order_id, amount, method, reference)
      VALUES (o, IFNULL(order_total(o), 0), 'card',
        UNHEX(LEFT(MD5(CONCAT(o, who)), 16)));
    UPDATE orders SET status = 'paid' WHERE id = o;
  END IF;
  COMMIT;
END //
DELIMITER ;
CREATE EVENT restock ON SCHEDULE EVERY 1 HOUR ENABLE
  COMMENT 'orders what runs low'
  DO UPDATE stock SET quantity = quantity + 500 WHERE quantity < 50;
SQL
}

# shop_rows N: N orders, with 2.5 lines each, and a fifth of that many
# customers.  The trigger comes after them, since they were sold long ago.
shop_rows()
{
    local n=$1
    local people=$((n / 5 + 10))
    cat <<SQL
USE shop;
SET rand_seed1 = 20220502, rand_seed2 = 140300;
SET foreign_key_checks = 0, unique_checks = 0;
INSERT INTO customers (email, name, city, country, newsletter, registered)
SELECT CONCAT('customer', seq, '@example.net'),
  CONCAT(ELT(1 + seq * 7 MOD 16, 'Anna', 'Bruno', 'Çelik', 'Dörte', 'Emil',
    'Frida', 'Günter', 'Hanna', 'Ivo', 'Jana', 'Kurt', 'Lena', 'Mia', 'Nils',
    'Ørjan', 'Zoë'), ' ', ELT(1 + seq * 11 MOD 13, 'Albers', 'Bauer', 'Curie',
    'Díaz', 'Ek', 'Fischer', 'Groß', 'Huber', 'Ilić', 'Jensen', 'Košir',
    'Lindqvist', 'Мельник')),
  ELT(1 + seq * 5 MOD 9, 'Berlin', 'Wien', 'Zürich', 'København', 'Łódź',
    'Málaga', 'Leiden', 'Brno', 'Αθήνα'),
  ELT(1 + seq * 5 MOD 9, 'DE', 'AT', 'CH', 'DK', 'PL', 'ES', 'NL', 'CZ', 'GR'),
  seq MOD 3 = 0, '2019-01-01' + INTERVAL seq MINUTE
FROM seq_1_to_$people;
INSERT INTO products (sku, title, price, weight_kg, tags, attributes)
SELECT CONCAT('P-', LPAD(seq, 6, '0')),
  CONCAT(ELT(1 + seq MOD 6, 'Chair', 'Table', 'Lamp', 'Shelf', 'Rug', 'Vase'),
    ' ', ELT(1 + seq MOD 5, 'Ålborg', 'Bergen', 'Oulu', 'Malmö', 'Tromsø'),
    ' ', seq),
  ROUND(5 + RAND() * 495, 2), 0.1 + RAND() * 30, seq MOD 16,
  JSON_OBJECT('colour', ELT(1 + seq MOD 3, 'oak', 'white', 'grün'),
    'stars', 1 + seq MOD 5)
FROM seq_1_to_1000;
INSERT INTO stock (product_id, quantity) SELECT seq, 100000 FROM seq_1_to_1000;
INSERT INTO orders (customer_id, placed, status)
SELECT 1 + FLOOR(RAND() * $people),
  '2021-06-01' + INTERVAL seq * 137 SECOND, 1 + seq MOD 4
FROM seq_1_to_$n;
INSERT INTO order_items (order_id, line, product_id, quantity, price)
SELECT o.seq, l.seq, 1 + FLOOR(RAND() * 1000), 1 + FLOOR(RAND() * 4),
  ROUND(5 + RAND() * 495, 2)
FROM seq_1_to_$n o JOIN seq_1_to_4 l ON l.seq <= 1 + o.seq MOD 4;
INSERT INTO payments (order_id, amount, method, reference, paid)
SELECT seq, ROUND(5 + RAND() * 2000, 2), 1 + seq MOD 3,
  UNHEX(LEFT(MD5(seq), 16)), '2021-06-01' + INTERVAL seq * 139 SECOND
FROM seq_1_to_$n WHERE seq MOD 10 <> 0;
SET foreign_key_checks = 1, unique_checks = 1;
CREATE TRIGGER item_sold AFTER INSERT ON order_items FOR EACH ROW
  UPDATE stock SET quantity = quantity - NEW.quantity
  WHERE product_id = NEW.product_id;
SQL
}

# shop_customer SEED: without end, somebody who orders, returns and complains.
shop_customer()
{
    local i=0 who
    RANDOM=$1
    echo "USE shop;"
    while :; do
        i=$((i + 1))
        who=$((1 + RANDOM % 2000))
        echo "CALL place_order($who, $((1 + RANDOM % 4)));"
        case $((i % 20)) in
        5)
            echo "UPDATE customers SET newsletter = 1 - newsletter," \
                "city = 'Genève' WHERE id = $who;"
            ;;
        11)
            echo "UPDATE orders SET status = 'shipped', note = 'läuft'" \
                "WHERE customer_id = $who AND status = 'paid' LIMIT 3;"
            ;;
        17)
            echo "START TRANSACTION;"
            echo "SELECT MIN(id) INTO @o FROM orders" \
                "WHERE customer_id = $who AND status = 'new';"
            echo "DELETE FROM payments WHERE order_id = @o;"
            echo "DELETE FROM orders WHERE id = @o;"
            echo "COMMIT;"
            ;;
        esac
    done
}
