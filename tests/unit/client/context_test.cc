// The text that carries a transaction from one service to the next.
#include "coordinator/client/context.h"

#include <gtest/gtest.h>

#include <string>

namespace concordat::client {
namespace {

const Gtid kGtid{GroupId(1), Term(7), 42};

TEST(Context, ComesBack) {
  const Context context{ClusterId(0xabc),
                        kGtid,
                        {BranchId{kGtid, "bank-a", Incarnation(5), 6},
                         BranchId{kGtid, "bank-b", Incarnation(7), 8}}};
  const auto back = ParseContext(EncodeContext(context));
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->cluster, context.cluster);
  EXPECT_EQ(back->gtid, context.gtid);
  EXPECT_EQ(back->branches, context.branches);
}

TEST(Context, WordThatItHasToAbort_ComesBack) {
  for (const bool conflict : {false, true}) {
    Context context{ClusterId(0xabc), kGtid, {BranchId{kGtid, "a", Incarnation(5), 6}}};
    context.doomed = "bank-b: a reason, with blanks\n";
    context.conflict = conflict;
    const std::string text = EncodeContext(context);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    const auto back = ParseContext(text);
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_EQ(back->branches, context.branches);
    EXPECT_EQ(back->doomed, context.doomed);
    EXPECT_EQ(back->conflict, conflict);
  }
}

TEST(Context, AnythingElse_IsRefused) {
  for (const char* text :
       {"", "concordat-2 0 1.7.2a", "concordat-1 0", "concordat-1 x 1.7.2a",
        "concordat-1 0 1.7.0", "concordat-1 0 1.7.2a junk", "concordat-1 0 1.7.2a ",
        "concordat-1 0 1.7.2a 1.7.2b/bank-a/5.6", "concordat-1 0 1.7.2a doomed:!",
        "concordat-1 0 1.7.2a doomed:eA junk"}) {
    EXPECT_FALSE(ParseContext(text).ok()) << text;
  }
}

}  // namespace
}  // namespace concordat::client
