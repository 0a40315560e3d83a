#include "coordinator/base/xid.h"

#include <gtest/gtest.h>

#include "absl/container/flat_hash_set.h"

namespace concordat {
namespace {

BranchId Branch() {
  return BranchId{Gtid{GroupId(1), Term(7), 42}, "bank-a_2", Incarnation(0x5f3c), 9};
}

BranchId Largest() {
  return BranchId{Gtid{GroupId(UINT32_MAX), Term(UINT64_MAX), UINT64_MAX},
                  std::string(kMaxResourceNameLength, 'z'), Incarnation(UINT64_MAX),
                  UINT64_MAX};
}

TEST(Xid, TextForms_AreAsDocumented) {
  EXPECT_EQ(ToString(Branch().gtid), "1.7.2a");
  EXPECT_EQ(ToString(Branch()), "1.7.2a/bank-a_2/5f3c.9");
  EXPECT_EQ(XidText(MakeXid(ClusterId(0xc0ffee00c0ffee), Branch())),
            "concordat_00c0ffee00c0ffee-1.7.2a_bank-a_2.5f3c.9");
}

TEST(Xid, TextForms_ComeBack) {
  for (const BranchId& branch : {Branch(), Largest()}) {
    EXPECT_EQ(ParseGtid(ToString(branch.gtid)).value(), branch.gtid);
    EXPECT_EQ(ParseBranchId(ToString(branch)).value(), branch);
    const auto parsed = ParseXidText(XidText(MakeXid(ClusterId(5), branch)));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->cluster, ClusterId(5));
    EXPECT_EQ(parsed->branch, branch);
  }
}

// XA specification, section 4.2: 64 bytes each; PostgreSQL: a gid of 199 bytes.
TEST(Xid, LargestIds_FitTheLimitsOfXaAndPostgresql) {
  const Xid xid = MakeXid(ClusterId(UINT64_MAX), Largest());
  EXPECT_LE(xid.gtrid.size(), 64u);
  EXPECT_LE(xid.bqual.size(), 64u);
  EXPECT_LE(XidText(xid).size(), 199u);
}

TEST(Xid, OtherPeoplesAndOtherSpellings_AreRefused) {
  for (const char* text :
       {"", "1.7", "1.7.2a.3", "01.7.2a", "1.7.2A", "1.7.0", "1.7.", "100000000.1.1",
        "1.7.12345678901234567", "-1.7.2a", " 1.7.2a", "1.7.2a "}) {
    EXPECT_FALSE(ParseGtid(text).ok()) << text;
  }
  for (const char* text : {"1.7.2a/bank", "1.7.2a//5.9", "1.7.2a/Bank/5.9", "1.7.2a/b/5",
                           "1.7.2a/b/5.9/x", "1.7.2a/-b/5.9"}) {
    EXPECT_FALSE(ParseBranchId(text).ok()) << text;
  }
  for (const char* text : {"concordat_", "someone-elses", "concordat_1-1.7.2a_b.5.9",
                           "concordat_00c0ffee00c0ffee-1.7.2a", "x"}) {
    EXPECT_FALSE(ParseXidText(text).ok()) << text;
  }
}

TEST(Xid, BinaryForm_ComesBackAndHashesAlike) {
  ByteWriter w;
  Encode(Branch(), &w);
  const std::string bytes = w.Take();
  ByteReader r(bytes);
  const BranchId back = DecodeBranchId(&r);
  EXPECT_TRUE(r.complete());
  EXPECT_EQ(back, Branch());
  absl::flat_hash_set<BranchId> set = {Branch()};
  EXPECT_TRUE(set.contains(back));
}

TEST(Gtid, Order_IsByTermThenSequence) {
  const Gtid a{GroupId(1), Term(2), 9};
  const Gtid b{GroupId(1), Term(3), 1};
  EXPECT_LT(a, b);
  EXPECT_LT((Gtid{GroupId(1), Term(3), 1}), (Gtid{GroupId(1), Term(3), 2}));
}

}  // namespace
}  // namespace concordat
