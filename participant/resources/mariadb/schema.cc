#include "participant/resources/mariadb/schema.h"

namespace concordat::participant::mariadb {

// The key begins with the columns by which a resource deletes its rows (DeleteEvidence),
// and new rows are at the end of the resource's part of the index. The name of the store
// is made once, and is copied with the data.
std::string InitSql() {
  return R"sql(-- For an administrator. The user that a resource is served under needs the
-- role made here, and no rights of his own to the database concordat:
--   GRANT concordat_rm TO user;
CREATE DATABASE IF NOT EXISTS concordat;
CREATE TABLE IF NOT EXISTS concordat.branches (
  resource varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cluster bigint unsigned NOT NULL,
  gtid_group int unsigned NOT NULL,
  gtid_term bigint unsigned NOT NULL,
  gtid_sequence bigint unsigned NOT NULL,
  incarnation bigint unsigned NOT NULL,
  number bigint unsigned NOT NULL,
  how varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (resource, cluster, gtid_group, gtid_term, gtid_sequence,
               incarnation, number)
) ENGINE=InnoDB COMMENT='Branches of global transactions that were committed here. Kept
by Concordat: it reads them after lost answers, and deletes them when nobody can ask.';
CREATE TABLE IF NOT EXISTS concordat.generations (
  resource varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cluster bigint unsigned NOT NULL,
  generation bigint unsigned NOT NULL,
  PRIMARY KEY (resource, cluster)
) ENGINE=InnoDB COMMENT='How far the server has come, in milliseconds since 1970, written
every few seconds while there is work. By it Concordat tells an older copy of the server
from it. Never change it.';
CREATE TABLE IF NOT EXISTS concordat.store (
  one int NOT NULL PRIMARY KEY CHECK (one = 1),
  id char(36) CHARACTER SET ascii NOT NULL
) ENGINE=InnoDB COMMENT='The name of this server as a store of Concordat. Never change it.';
CREATE TABLE IF NOT EXISTS concordat.sessions (
  id bigint unsigned NOT NULL PRIMARY KEY,
  server_start bigint NOT NULL,
  resource varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cluster bigint unsigned NOT NULL
) ENGINE=InnoDB COMMENT='Connections of Concordat, for the next process: it ends what an
earlier one has left.';
INSERT IGNORE INTO concordat.store VALUES (1, UUID());
COMMIT;
CREATE ROLE IF NOT EXISTS concordat_rm;
GRANT SELECT, INSERT, DELETE ON concordat.branches TO concordat_rm;
GRANT SELECT, INSERT, UPDATE ON concordat.generations TO concordat_rm;
GRANT SELECT, INSERT, DELETE ON concordat.sessions TO concordat_rm;
GRANT SELECT ON concordat.store TO concordat_rm;
GRANT RELOAD, PROCESS ON *.* TO concordat_rm;
)sql";
}

}  // namespace concordat::participant::mariadb
