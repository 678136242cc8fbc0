-- A database to try --database with. The days are those of China.
CREATE TABLE bills (mobile TEXT, name TEXT, amount NUMERIC, due DATE);
INSERT INTO bills VALUES
    ('13900000000', '王芳', 128.5, date('now', '+8 hours', '+3 days')),
    ('13900000001', '李伟', 66, date('now', '+8 hours', '+3 days')),
    ('13900000002', '张敏', 9.9, date('now', '+8 hours', '+30 days'));
