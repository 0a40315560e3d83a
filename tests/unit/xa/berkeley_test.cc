// The switch of Berkeley DB as packaged by Debian: one that we have not written.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/xa/fixture.h"

namespace concordat::participant::xa {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class BerkeleyTest : public XaFixture {
 protected:
  BerkeleyTest() {
    options_.open_info = dir_.path() + "/env";
    std::filesystem::create_directory(options_.open_info);
  }
  Library Words() const {
    Library words;
    words.library = XA_BERKELEY_LIBRARY;
    words.xa = "db_xa_switch";
    words.work_library = XA_BERKELEY_WORK_LIBRARY;
    words.work = "berkeley_work";
    return words;
  }
};

TEST_F(BerkeleyTest, TwoPhasesOnePhaseAndRollback) {
  const auto opened = Open(Words());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const BranchId branch = Begin(1, "put key two-phases");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  EXPECT_EQ(Commit(branch), FinishState::kDone);
  EXPECT_EQ(Read("get key"), "two-phases");
  const BranchId alone = Begin(2, "put key one-phase");
  EXPECT_EQ(CommitOnePhase(alone), OnePhase::kCommitted);
  EXPECT_EQ(Read("get key"), "one-phase");
  const BranchId undone = Begin(3, "put key nothing");
  EXPECT_EQ(Prepare(undone), Vote::kPrepared);
  EXPECT_EQ(Rollback(undone), FinishState::kDone);
  EXPECT_EQ(Rollback(Begin(4, "put key nothing")), FinishState::kDone);
  EXPECT_EQ(Read("get key"), "one-phase");
}

TEST_F(BerkeleyTest, Restart_ThePreparedBranchIsInDoubt) {
  ASSERT_TRUE(Open(Words()).ok());
  const BranchId branch = Begin(1, "put key value");
  EXPECT_EQ(Prepare(branch), Vote::kPrepared);
  auto prepared = Open(Words());
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_THAT(*prepared, ElementsAre(branch));
  EXPECT_EQ(Commit(branch), FinishState::kDone);
  EXPECT_EQ(Read("get key"), "value");
  prepared = Open(Words());
  ASSERT_TRUE(prepared.ok()) << prepared.status();
  EXPECT_THAT(*prepared, IsEmpty());
}

}  // namespace
}  // namespace concordat::participant::xa
