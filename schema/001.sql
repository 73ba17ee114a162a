-- What releasemgr remembers of an app's database, in that database, so that a record commits together with what it
-- records. All InnoDB. Text that comes from files is compared bytewise.

-- Migrations that ran, or that are running.
CREATE TABLE releasemgr_migration (
        version     VARCHAR(110) NOT NULL,
        phase       ENUM('expand', 'contract') NOT NULL,
        path        VARCHAR(500) NOT NULL,
        digest      CHAR(64) NOT NULL,                  -- SHA-256 of what ran
        state       ENUM('running', 'applied', 'adopted') NOT NULL,
        batch       INT UNSIGNED NOT NULL,              -- which run it belongs to: see 'batch' in releasemgr_fact
        deployment  VARCHAR(64) NULL,
        started_at  DATETIME(3) NOT NULL,
        finished_at DATETIME(3) NULL,
        PRIMARY KEY (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Their statements, each written before it runs, or together with it.
CREATE TABLE releasemgr_statement (
        version     VARCHAR(110) NOT NULL,
        number      INT UNSIGNED NOT NULL,
        digest      CHAR(64) NOT NULL,                  -- SHA-256 of what was sent
        class       VARCHAR(16) NOT NULL,
        state       ENUM('started', 'done') NOT NULL,   -- started: whether it took effect is not known
        looked      CHAR(64) NULL,                      -- SHA-256 of what it touches, as it looked before
        made        VARCHAR(200) NULL,                  -- the table that it made
        variables   MEDIUMTEXT NULL,                    -- a SET that restores the user's variables
        recorded_at DATETIME(3) NOT NULL,
        PRIMARY KEY (version, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- How each object of the schema looked after our last run.
CREATE TABLE releasemgr_object (
        kind        VARCHAR(16) NOT NULL,
        name        VARCHAR(200) NOT NULL,
        digest      CHAR(64) NOT NULL,
        PRIMARY KEY (kind, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Single facts. 'schema': the number of the newest of these files that ran here. 'batch': how many runs were finished.
CREATE TABLE releasemgr_fact (
        name        VARCHAR(64) NOT NULL,
        value       VARCHAR(500) NOT NULL,
        PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
