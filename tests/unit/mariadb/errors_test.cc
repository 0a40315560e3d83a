// The meaning of MariaDB's errors: how a failed call is answered, and how a branch votes
// whose end has failed.
#include <gtest/gtest.h>

#include <utility>

#include "participant/resources/mariadb/dialect.h"
#include "participant/resources/mariadb/statements.h"

namespace concordat::participant::mariadb {
namespace {

using database::BatchResult;
using database::StatementResult;

constexpr unsigned kXaRmFail = 1399;

const database::Dialect& Dialect() {
  static const auto dialect = MakeDialect("", {});
  return *dialect;
}

StatementResult Failure(unsigned error, const char* state = "HY000",
                        const char* message = "") {
  StatementResult result;
  result.state = StatementResult::State::kFailed;
  result.number = error;
  result.sqlstate = state;
  result.error = message;
  return result;
}

Vote VoteAfter(StatementResult failure) {
  BatchResult r;
  r.results.emplace_back();
  r.results.push_back(std::move(failure));
  r.results.emplace_back().state = StatementResult::State::kSkipped;
  return database::RefusalOf(Dialect(), r);
}

TEST(ErrorsTest, Scenario101_WhatMayGoWellTheNextTime_IsAConflictOrLost) {
  for (const unsigned error : {1205u, 1213u, 1020u, 1402u, 1613u, 1614u, 1317u, 1969u}) {
    EXPECT_EQ(VoteAfter(Failure(error)), Vote::kConflict) << error;
  }
  EXPECT_EQ(VoteAfter(Failure(kXaRmFail, "XAE07", "state is ROLLBACK ONLY")),
            Vote::kConflict);
  BatchResult lost;
  lost.lost = true;
  EXPECT_EQ(database::RefusalOf(Dialect(), lost), Vote::kLost);
}

TEST(ErrorsTest, Scenario101_WhatLasts_IsRefused) {
  // A duplicate, a trigger's SIGNAL, a right, a full disk, an engine's failure.
  EXPECT_EQ(VoteAfter(Failure(1062, "23000")), Vote::kRefused);
  EXPECT_EQ(VoteAfter(Failure(1644, "45000")), Vote::kRefused);
  for (const unsigned error : {1142u, 1021u, 1030u, 1290u, 1397u}) {
    EXPECT_EQ(VoteAfter(Failure(error)), Vote::kRefused) << error;
  }
}

TEST(ErrorsTest, OutOfTime_IsToldApartFromInterruption) {
  EXPECT_EQ(Dialect().Classify(Failure(1969)), wire::Code::TIMED_OUT);
  EXPECT_EQ(Dialect().Classify(Failure(kInterrupted)), wire::Code::RESOURCE_ERROR);
  EXPECT_TRUE(database::EndsBranch(wire::Code::TIMED_OUT));
}

}  // namespace
}  // namespace concordat::participant::mariadb
