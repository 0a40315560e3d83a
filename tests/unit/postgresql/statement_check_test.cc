// Which statements are allowed. This needs no server.
#include "participant/resources/postgresql/statement_check.h"

#include <gtest/gtest.h>

namespace concordat::participant::postgresql {
namespace {

TEST(StatementCheckTest, WhatWrites_IsToldByTheFirstWord) {
  for (const char* sql :
       {"INSERT INTO t VALUES (1)", "update t set x=1", "\n DELETE FROM t",
        "/* a */ MERGE INTO t USING s ON true", "CREATE TABLE t(x int)",
        "ALTER TABLE t ADD y int", "drop table t", "TRUNCATE t"}) {
    const auto kind = CheckStatement(sql);
    ASSERT_TRUE(kind.ok()) << sql;
    EXPECT_TRUE(kind->writes) << sql;
  }
  for (const char* sql :
       {"SELECT 1", "(SELECT 1)", "VALUES (1)", "TABLE t",
        "WITH a AS "
        "(DELETE FROM t RETURNING *) SELECT * FROM a",
        "CALL p()", "SELECT 'insert'", "EXPLAIN ANALYZE INSERT INTO t VALUES (1)"}) {
    const auto kind = CheckStatement(sql);
    ASSERT_TRUE(kind.ok()) << sql;
    EXPECT_FALSE(kind->writes) << sql;
  }
}

TEST(StatementCheckTest, LocksThatAreToLast_CountAsWrites) {
  EXPECT_TRUE(CheckStatement("LOCK TABLE t IN SHARE MODE")->writes);
  EXPECT_TRUE(CheckStatement("SELECT pg_advisory_xact_lock(1)")->writes);
  EXPECT_TRUE(CheckStatement("SELECT pg_try_advisory_xact_lock_shared(1)")->writes);
  EXPECT_FALSE(CheckStatement("SELECT pg_advisory_lock(1)")->writes);
}

TEST(StatementCheckTest, CommentsHideNothing) {
  for (const char* sql : {"--\nCOMMIT", "/**/COMMIT", "/*/**/*/ COMMIT",
                          "--x\r\n\tCOMMIT", "/* -- */ COMMIT", "-- /*\nCOMMIT"}) {
    EXPECT_FALSE(CheckStatement(sql).ok()) << sql;
  }
  EXPECT_TRUE(CheckStatement("-- COMMIT\nSELECT 1").ok());
  EXPECT_TRUE(CheckStatement("/* COMMIT */ SELECT 1").ok());
  EXPECT_FALSE(CheckStatement("/* never closed").ok());
  EXPECT_FALSE(CheckStatement("--").ok());
}

TEST(StatementCheckTest, TemporaryTables_WhereverTheWordStands) {
  EXPECT_FALSE(CheckStatement("CREATE TEMP TABLE t()").ok());
  EXPECT_FALSE(CheckStatement("CREATE GLOBAL TEMPORARY TABLE t()").ok());
  EXPECT_FALSE(CheckStatement("CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1").ok());
  EXPECT_TRUE(CheckStatement("CREATE TABLE temperature()").ok());
  EXPECT_TRUE(CheckStatement("CREATE UNLOGGED TABLE temp_x()").ok());
}

}  // namespace
}  // namespace concordat::participant::postgresql
