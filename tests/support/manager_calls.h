// Calls a database's resource manager as a participant does, and waits for the answers.
// Also: SQL values as text.
#ifndef TESTS_SUPPORT_MANAGER_CALLS_H_
#define TESTS_SUPPORT_MANAGER_CALLS_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "participant/sdk/resource_manager.h"
#include "tests/support/later.h"
#include "tests/support/waiting.h"

namespace concordat::participant {

using testing::Eventually;
using testing::Later;

wire::Value Int(int64_t v);
wire::Value Real(double v);
wire::Value Txt(std::string v);
wire::Value Blob(std::string v);
wire::Value Null();
wire::SqlStatement Stmt(std::string sql, std::vector<wire::Value> parameters = {});
// The value as text: "1", "2.5", "'text'", "x'6162'", "NULL".
std::string Show(const wire::Value& value);
// The rows as text: "1,'a';2,'b'".
std::string Show(const wire::SqlResult& result);

// A request that lives as long as its call.
struct Call {
  wire::ExecuteRequest request;
  Later<wire::ExecuteReply> reply;
};

class ManagerCalls : public ::testing::Test {
 protected:
  static constexpr ClusterId kCluster{0xC0FFEE00};

  explicit ManagerCalls(std::string resource) : resource_(std::move(resource)) {}

  [[nodiscard]] const std::string& Resource() const { return resource_; }
  // All later calls go to `served`, with a new incarnation in the branches' ids.
  void Serve(ResourceManager* served);

  [[nodiscard]] BranchId NextBranch();
  [[nodiscard]] BranchId Begin(std::string isolation = "");
  std::unique_ptr<Call> ExecuteLater(const BranchId& branch,
                                     std::vector<wire::SqlStatement> statements);
  wire::ExecuteReply Execute(const BranchId& branch,
                             std::vector<wire::SqlStatement> statements);
  // Asks to prepare the branch in the same call.
  std::unique_ptr<Call> ExecuteLastLater(const BranchId& branch,
                                         std::vector<wire::SqlStatement> statements);
  wire::ExecuteReply ExecuteLast(const BranchId& branch,
                                 std::vector<wire::SqlStatement> statements);
  wire::ExecuteReply Execute(const BranchId& branch, std::string sql,
                             std::vector<wire::Value> parameters = {});
  // Executes, expects success, and returns the rows.
  std::string Query(const BranchId& branch, std::string sql,
                    std::vector<wire::Value> parameters = {});
  [[nodiscard]] BranchId BeginAndRun(const std::string& sql);
  [[nodiscard]] BranchId BeginAndPrepare(const std::string& sql);
  Later<PrepareResult> PrepareLater(const BranchId& branch);
  Later<FinishResult> CommitLater(const BranchId& branch);
  Later<OnePhaseResult> CommitAloneLater(const BranchId& branch);
  PrepareResult Prepare(const BranchId& branch);
  FinishResult Commit(const BranchId& branch);
  FinishResult Rollback(const BranchId& branch);
  OnePhaseResult CommitOnePhase(const BranchId& branch);
  Evidence LookUp(const BranchId& branch);

 private:
  const std::string resource_;
  ResourceManager* served_ = nullptr;  // not owned
  Incarnation incarnation_{0x5f00};
  uint64_t number_ = 0;
  uint64_t sequence_ = 0;
};

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_MANAGER_CALLS_H_
