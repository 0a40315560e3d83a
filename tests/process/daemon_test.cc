// The programs as operators start and stop them: config file, data directories that
// belong to others, SIGTERM, and the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/process/cluster.h"
#include "tests/support/processes.h"

namespace concordat::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class DaemonTest : public ::testing::Test {
 protected:
  using Words = std::vector<std::string>;

  std::string Program(const std::string& path) { return ProgramDir() + "/../../" + path; }
  std::string Log(const std::string& name) const { return dir_.path() + "/" + name; }
  std::string LogText(const std::string& name) const { return TextOf(Log(name)); }
  std::unique_ptr<Child> Run(const std::string& program, const std::string& log,
                             Words flags) {
    std::ofstream(Log(log), std::ios::trunc).close();
    flags.insert(flags.begin(), Program(program));
    return std::make_unique<Child>(std::move(flags), Log(log));
  }
  std::unique_ptr<Child> Start(const std::string& log, Words flags) {
    return Run("coordinator/daemon/concordatd", log, std::move(flags));
  }
  std::unique_ptr<Child> StartParticipant(const std::string& log, Words flags) {
    return Run("participant/daemon/concordat-rm", log, std::move(flags));
  }
  // The flags of a participant of the node that was named last.
  Words Participant(const std::string& resource) {
    return {"--listen",       absl::StrCat("127.0.0.1:", FreePort()),
            "--coordinators", client_address_,
            "--resource",     resource};
  }
  // The flags of one node, alone in its cluster.
  Words Node(int id, const std::string& data_dir) {
    return {"--id",     absl::StrCat(id), "--members",
            Member(id), "--data-dir",     dir_.path() + "/" + data_dir};
  }
  std::string Member(int id) {
    client_address_ = absl::StrCat("127.0.0.1:", FreePort());
    return absl::StrCat(id, "=127.0.0.1:", FreePort(), "/", client_address_);
  }
  // Starts the program, which must not come up. Checks its status; its message is in the
  // log.
  void ExpectRefused(const std::string& log, Words flags, const std::string& why) {
    ExpectEnds(Start(log, std::move(flags)), log, why);
  }
  void ExpectEnds(std::unique_ptr<Child> child, const std::string& log,
                  const std::string& why) {
    EXPECT_EQ(child->WaitForExit(kPatience), 1) << LogText(log);
    EXPECT_THAT(LogText(log), HasSubstr(why));
  }
  int Concordat(const std::string& words, std::string* output) {
    const std::string file = Log("cli");
    const int status = std::system(absl::StrCat(Program("coordinator/cli/concordat"), " ",
                                                words, " >", file, " 2>&1")
                                       .c_str());
    *output = LogText("cli");
    return WEXITSTATUS(status);
  }

  const TempDir dir_{"/tmp"};
  std::string client_address_;
};

TEST_F(DaemonTest, Sigterm_StopsCleanlyAndTheNextStartGoesOn) {
  for (int start = 0; start < 2; ++start) {
    auto node = Start("one", Node(1, "n1"));
    ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience)) << LogText("one");
    EXPECT_EQ(node->Stop(), 0);
    EXPECT_THAT(LogText("one"), HasSubstr("stopped"));
  }
}

TEST_F(DaemonTest, LockedDataDirectory_IsRefusedAndTheHolderNamed) {
  auto node = Start("one", Node(1, "n1"));
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience));
  ExpectRefused("two", Node(1, "n1"),
                absl::StrCat("locked by another process (process ", node->pid(), ")"));
}

TEST_F(DaemonTest, DataDirectoryOfAnotherNodeClusterOrMembers_IsRefused) {
  auto node = Start("one", Node(1, "n1"));
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience));
  EXPECT_EQ(node->Stop(), 0);
  ExpectRefused("two", Node(2, "n1"), "belongs to \\\"node 1\\\"");
  Words other = Node(1, "n1");
  other.insert(other.end(), {"--cluster", "other"});
  ExpectRefused("three", other, "this node was started as \\\"cluster other\\\"");
  Words more = Node(1, "n1");
  more[3] = absl::StrCat(Member(1), ",", Member(2), ",", Member(3));
  ExpectRefused("four", more, "this node was started as \\\"members 1 2 3\\\"");
}

TEST_F(DaemonTest, Scenario78_LogOrNodeFileMissingOrOfAnother_RefusesToStart) {
  for (const std::string folder : {"n1", "n2"}) {
    auto node = Start("one", Node(1, folder));
    ASSERT_TRUE(node->WaitForLine("info ready node=1", kPatience)) << LogText("one");
    EXPECT_EQ(node->Stop(), 0);
  }
  const std::string ours = dir_.path() + "/n1";
  const std::string away = dir_.path() + "/away";
  const auto move = [](const std::string& from, const std::string& to) {
    std::filesystem::rename(from, to);
  };
  // The mount is missing, with and without its empty mount point.
  move(ours + "/log", away);
  ExpectRefused("two", Node(1, "n1"), "holds no log at all");
  EXPECT_FALSE(std::filesystem::exists(ours + "/log"));
  std::filesystem::create_directory(ours + "/log");
  ExpectRefused("two", Node(1, "n1"), "Mount what belongs there");
  EXPECT_TRUE(std::filesystem::is_empty(ours + "/log"));
  std::filesystem::remove(ours + "/log");
  // The log of another node.
  move(dir_.path() + "/n2/log", ours + "/log");
  ExpectRefused("three", Node(1, "n1"), "but log ");
  move(ours + "/log", dir_.path() + "/n2/log");
  move(away, ours + "/log");
  // The file that says whose the directory is.
  move(ours + "/node", away);
  ExpectRefused("four", Node(1, "n1"), "but not the file");
  move(away, ours + "/node");
  auto node = Start("one", Node(1, "n1"));
  EXPECT_TRUE(node->WaitForLine("info ready node=1", kPatience)) << LogText("one");
  EXPECT_EQ(node->Stop(), 0);
}

// Two clusters of one name, with the same node ids and addresses: their nodes meet.
TEST_F(DaemonTest, Scenario79_NodesOfTwoClustersMeet_NothingIsTakenAndNobodyStops) {
  std::vector<std::string> clients;
  std::vector<std::string> members;
  for (int id = 1; id <= 3; ++id) {
    members.push_back(Member(id));
    clients.push_back(client_address_);
  }
  const auto start = [&](const std::string& cluster, int id) {
    Words flags = Node(id, absl::StrCat(cluster, id));
    flags[3] = absl::StrJoin(members, ",");
    return Start(absl::StrCat("log-", cluster, id), flags);
  };
  const auto leads = [&] {
    std::string output;
    return Concordat(absl::StrCat("txn list -c ", absl::StrJoin(clients, ",")),
                     &output) == 0;
  };
  for (const std::string cluster : {"a", "b"}) {
    std::vector<std::unique_ptr<Child>> nodes;
    for (int id = 1; id <= 3; ++id) nodes.push_back(start(cluster, id));
    for (int id = 1; id <= 3; ++id) {
      // All of them know to which cluster they belong.
      ASSERT_TRUE(
          nodes[static_cast<size_t>(id - 1)]->WaitForLine(" cluster node=", kPatience))
          << LogText(absl::StrCat("log-", cluster, id));
    }
    for (auto& node : nodes) EXPECT_EQ(node->Stop(), 0);
  }
  auto a1 = start("a", 1);
  auto b2 = start("b", 2);
  auto b3 = start("b", 3);
  EXPECT_TRUE(a1->WaitForLine("a message of cluster", kPatience)) << LogText("log-a1");
  EXPECT_TRUE(b2->WaitForLine("a message of cluster", kPatience)) << LogText("log-b2");
  EXPECT_TRUE(b3->WaitForLine("a message of cluster", kPatience)) << LogText("log-b3");
  EXPECT_TRUE(WaitUntil(kPatience, leads)) << "b has two of three";
  EXPECT_THAT(LogText("log-a1"), Not(HasSubstr("role=leader")));
  EXPECT_THAT(LogText("log-a1"), Not(HasSubstr("leader=2")));
  EXPECT_THAT(LogText("log-a1"), Not(HasSubstr("leader=3")));
  for (auto* node : {&a1, &b2, &b3}) EXPECT_EQ((*node)->Stop(), 0);
}

TEST_F(DaemonTest, WordsThatCannotBeMeant_AreRefusedWith64) {
  const auto refused = [this](const std::string& word, const std::string& value,
                              const std::string& why) {
    Words flags = Node(1, "n1");
    flags.insert(flags.end(), {word, value});
    for (size_t i = 0; i + 2 < flags.size(); i += 2) {
      if (flags[i] == word)
        flags.erase(flags.begin() + static_cast<ptrdiff_t>(i),
                    flags.begin() + static_cast<ptrdiff_t>(i) + 2);
    }
    auto child = Start("one", flags);
    EXPECT_EQ(child->WaitForExit(kPatience), 64) << LogText("one");
    EXPECT_THAT(LogText("one"), HasSubstr(why));
    EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/n1"));
  };
  refused("--id", "-1", "--id -1 is no node's number");
  refused("--id", "0", "--id 0 is no node's number");
  refused("--cluster", "", "--cluster '' is no name");
  refused("--members", "1=127.0.0.1:1/127.0.0.1:1", "127.0.0.1:1 is given twice");
  refused("--members",
          "1=127.0.0.1:1/127.0.0.1:2,2=127.0.0.1:3/127.0.0.1:4,3=127.0.0.1:5/127.0.0.1:2",
          "to node 1 for its clients, and to node 3 for its clients");
}

TEST_F(DaemonTest, PortInUse_IsFoundBeforeAFolderIsMade) {
  auto node = Start("one", Node(1, "n1"));
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience)) << LogText("one");
  const std::string taken = client_address_;
  Words flags = Node(1, "n2");
  flags[3] = absl::StrCat("1=127.0.0.1:", FreePort(), "/", taken);
  ExpectRefused("two", flags, "in use");
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/n2"));
}

TEST_F(DaemonTest, FolderWithOtherFiles_IsRefusedAndUntouched) {
  for (const std::string folder : {"/n1", "/n2/log"}) {
    const std::string path = dir_.path() + folder;
    std::filesystem::create_directories(path);
    std::ofstream(path + "/photo.jpg") << "x";
    ExpectRefused("one", Node(1, folder.substr(1, 2)), "photo.jpg");
    for (const auto& file : std::filesystem::directory_iterator(path)) {
      // The lock excludes others while the folder is examined.
      EXPECT_THAT(file.path().filename().string(), AnyOf("photo.jpg", "LOCK"));
    }
    EXPECT_EQ(std::filesystem::file_size(path + "/photo.jpg"), 1u);
  }
}

TEST_F(DaemonTest, ConfigFile_IsReadAndUnknownNamesAreRefused) {
  const std::string file = dir_.path() + "/node.conf";
  std::ofstream(file) << "id=1\nmembers=" << Member(1) << "\ndata-dir=" << dir_.path()
                      << "/n1\n";
  auto node = Start("one", {"--config", file});
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience)) << LogText("one");
  EXPECT_EQ(node->Stop(), 0);
  std::ofstream(file, std::ios::app) << "hartbeat-ms=20\n";
  auto wrong = Start("two", {"--config", file});
  EXPECT_EQ(wrong->WaitForExit(kPatience), 64);
  EXPECT_THAT(LogText("two"), HasSubstr("hartbeat-ms"));
}

TEST_F(DaemonTest, Participant_ConfigFileIsReadAndUnknownNamesAreRefused) {
  auto node = Start("node", Node(1, "n1"));
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience)) << LogText("node");
  const std::string file = dir_.path() + "/rm.conf";
  std::ofstream(file) << "listen=\"127.0.0.1:" << FreePort() << "\"\ncoordinators=[\""
                      << client_address_ << "\"]\nresource=[\"a=kv://" << dir_.path()
                      << "/a\", \"b=sqlite://" << dir_.path() << "/b.db\"]\n";
  auto rm = StartParticipant("rm", {"--config", file});
  ASSERT_TRUE(rm->WaitForLine("ready on", kPatience)) << LogText("rm");
  EXPECT_EQ(rm->Stop(), 0);
  std::ofstream(file, std::ios::app) << "idle-timeot-ms=500\n";
  auto wrong = StartParticipant("wrong", {"--config", file});
  EXPECT_EQ(wrong->WaitForExit(kPatience), 64);
  EXPECT_THAT(LogText("wrong"), HasSubstr("idle-timeot-ms"));
}

TEST_F(DaemonTest, Participant_FolderInUseOrOfAnotherCluster_IsRefused) {
  auto node = Start("node", Node(1, "n1"));
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience)) << LogText("node");
  const std::string resource = "a=kv://" + dir_.path() + "/a";
  auto rm = StartParticipant("rm", Participant(resource));
  ASSERT_TRUE(rm->WaitForLine("ready on", kPatience)) << LogText("rm");
  ExpectEnds(StartParticipant("two", Participant(resource)), "two",
             absl::StrCat("locked by another process (process ", rm->pid(), ")"));
  EXPECT_EQ(rm->Stop(), 0);
  EXPECT_THAT(LogText("rm"), HasSubstr("stopped"));
  Words other = Node(1, "n2");
  other.insert(other.end(), {"--cluster", "other"});
  auto other_node = Start("other", other);
  ASSERT_TRUE(other_node->WaitForLine("ready: clients", kPatience)) << LogText("other");
  ExpectEnds(StartParticipant("three", Participant(resource)), "three", "cluster");
}

TEST_F(DaemonTest, Participant_NoCoordinatorThere_StopsWhenTold) {
  client_address_ = absl::StrCat("127.0.0.1:", FreePort());
  auto rm = StartParticipant("rm", Participant("a=kv://" + dir_.path() + "/a"));
  ASSERT_TRUE(rm->WaitForLine(client_address_, kPatience)) << LogText("rm");
  EXPECT_EQ(rm->Stop(), 0) << LogText("rm");
}

// Trial 18: an operator's command went to the wrong cluster.
TEST_F(DaemonTest, CommandLine_NodesOnTheCommandLine_CountBeforeTheEnvironments) {
  auto a = Start("log-a", Node(1, "a"));
  const std::string address_a = client_address_;
  auto b = Start("log-b", Node(1, "b"));
  const std::string address_b = client_address_;
  ASSERT_TRUE(a->WaitForLine("info ready node=1", kPatience)) << LogText("log-a");
  ASSERT_TRUE(b->WaitForLine("info ready node=1", kPatience)) << LogText("log-b");
  ASSERT_EQ(setenv("CONCORDAT_COORDINATORS", address_a.c_str(), 1), 0);
  std::string output;
  EXPECT_EQ(Concordat("status", &output), 0) << output;
  EXPECT_THAT(output, HasSubstr(address_a));
  EXPECT_EQ(Concordat("status -c " + address_b, &output), 0) << output;
  EXPECT_THAT(output, AllOf(HasSubstr(address_b), Not(HasSubstr(address_a))));
  EXPECT_EQ(unsetenv("CONCORDAT_COORDINATORS"), 0);
  EXPECT_EQ(Concordat("status", &output), 64);
  EXPECT_THAT(output, HasSubstr("CONCORDAT_COORDINATORS"));
}

// Trial 22: a node that answers is not the same as no answer at all.
TEST_F(DaemonTest, CommandLine_NoLeaderAndNobodyThere_AreToldApart) {
  Words one_of_three = Node(1, "n1");
  const std::string first = Member(1);
  const std::string address = client_address_;
  one_of_three[3] = absl::StrCat(first, ",", Member(2), ",", Member(3));
  auto node = Start("one", one_of_three);
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience)) << LogText("one");
  const std::string at = absl::StrCat(" -c ", address, ",", client_address_);
  std::string output;
  EXPECT_EQ(Concordat("txn list" + at, &output), 1);
  EXPECT_THAT(output, AllOf(HasSubstr("the cluster has no leader now"),
                            HasSubstr(address + ": this node has not heard"),
                            HasSubstr(client_address_ + ": ")));
  // The answer does not come from a node that does not know its cluster yet.
  EXPECT_EQ(Concordat("txn list --local" + at, &output), 1) << output;
  EXPECT_EQ(Concordat("status" + at, &output), 1);
  EXPECT_THAT(output, AllOf(HasSubstr("ATTENTION: 1 of 2 nodes answer"),
                            HasSubstr("no node that was asked leads")));
  ASSERT_TRUE(node->WaitForLine("warning no leader", kPatience)) << LogText("one");
  EXPECT_EQ(node->Stop(), 0);
  EXPECT_EQ(Concordat("txn list" + at, &output), 2);
  EXPECT_THAT(output, HasSubstr("no coordinator node answered"));
}

TEST_F(DaemonTest, CommandLine_WrongUsage_IsNamedAndExits64) {
  std::string output;
  EXPECT_EQ(Concordat("frob", &output), 64);
  EXPECT_THAT(output, HasSubstr("no such command: concordat frob; there are status"));
  EXPECT_EQ(Concordat("txn", &output), 64);
  EXPECT_THAT(output, HasSubstr("a command is missing; there are list, show"));
  EXPECT_EQ(Concordat("txn show -c 127.0.0.1:1", &output), 64);
  EXPECT_THAT(output, HasSubstr("Try concordat txn show --help."));
  EXPECT_EQ(Concordat("status -c nonsense", &output), 64);
  EXPECT_THAT(output, HasSubstr("nonsense"));
  EXPECT_EQ(Concordat("help", &output), 0);
  EXPECT_THAT(output, HasSubstr("status"));
  EXPECT_EQ(Concordat("--version", &output), 0);
  EXPECT_THAT(output, HasSubstr("concordat "));
}

// Trial 25: a typing error looked like success.
TEST_F(DaemonTest, CommandLine_ForgettingWhatNeverWas_SaysSo) {
  auto node = Start("one", Node(1, "n1"));
  ASSERT_TRUE(node->WaitForLine("info ready node=1", kPatience)) << LogText("one");
  std::string output;
  EXPECT_EQ(
      Concordat("heuristic forget 1.1.1/x/1.1 --by me -c " + client_address_, &output),
      1);
  EXPECT_THAT(output, HasSubstr("no heuristic outcome of this branch is on record"));
}

TEST_F(DaemonTest, Flags_WrongValues_Exit64AndSayWhy) {
  Words level = Node(1, "n1");
  level.insert(level.end(), {"--log-level", "chatty"});
  EXPECT_EQ(Start("one", level)->WaitForExit(kPatience), 64);
  EXPECT_THAT(LogText("one"), HasSubstr("chatty"));
  EXPECT_EQ(
      StartParticipant("rm", Participant("a=redis://localhost"))->WaitForExit(kPatience),
      64);
  EXPECT_THAT(LogText("rm"), HasSubstr("no resource manager for redis://"));
  EXPECT_EQ(Start("two", {"--version"})->WaitForExit(kPatience), 0);
  EXPECT_THAT(LogText("two"), HasSubstr("concordatd "));
}

TEST_F(DaemonTest, Init_WrongInput_SaysWhatHappenedAndWhatToDo) {
  struct Case {
    Words words;
    int status;
    std::string why;
    std::string advice;
  };
  const std::vector<Case> cases = {
      {{}, 64, "needs the URL of a database", "--help"},
      {{"kv:///bank"}, 64, "kv:///bank: init is for databases", "postgresql://user@host"},
      {{"mysql://root@host/d", "--role", "r"}, 64, "--role is for postgresql://", ""},
      {{"postgresql://u@h/d?max_connections=no"}, 64, "max_connections", ""},
      {{"postgresql://u@h/d", "more"}, 64, "not expected: more", "--help"},
      {{"postgresql://u@127.0.0.1:1/d", "--yes"}, 2, "refused", "start its server or"},
      {{"mysql://u@127.0.0.1:1/d", "--yes"}, 2, "2002", "start its server or"},
  };
  for (const Case& wrong : cases) {
    Words words = wrong.words;
    words.insert(words.begin(), "init");
    EXPECT_EQ(StartParticipant("init", words)->WaitForExit(kPatience), wrong.status);
    EXPECT_THAT(LogText("init"), AllOf(HasSubstr(wrong.why), HasSubstr(wrong.advice)));
  }
}

// Trial 25: logrotate's "kill -HUP" ended a node.
TEST_F(DaemonTest, Sighup_OpensTheLogFileAnew) {
  Words flags = Node(1, "n1");
  const std::string file = Log("node.log");
  flags.insert(flags.end(), {"--log-file", file});
  auto node = Start("one", flags);
  ASSERT_TRUE(node->WaitForLine("ready: clients", kPatience)) << LogText("one");
  std::filesystem::rename(file, file + ".old");
  ASSERT_EQ(kill(node->pid(), SIGHUP), 0);
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return LogText("node.log").find("log opened anew") != std::string::npos;
  }));
  EXPECT_EQ(node->Stop(), 0);
  EXPECT_THAT(LogText("node.log"), HasSubstr("stopped"));
  EXPECT_THAT(LogText("node.log.old"), Not(HasSubstr("stopped")));
}

TEST_F(DaemonTest, CommandLine_ShowsNodeTransactionsAndLog) {
  auto node = Start("one", Node(1, "n1"));
  ASSERT_TRUE(node->WaitForLine("info ready node=1", kPatience)) << LogText("one");
  const std::string at = absl::StrCat(" -c ", client_address_);
  std::string output;
  EXPECT_EQ(Concordat("status" + at, &output), 0) << output;
  EXPECT_THAT(output, HasSubstr("leader"));
  EXPECT_EQ(Concordat("txn list" + at, &output), 0) << output;
  EXPECT_EQ(Concordat("txn show 1.1.1" + at, &output), 1) << output;
  EXPECT_THAT(output, HasSubstr("unknown"));
  EXPECT_EQ(Concordat("txn show nonsense" + at, &output), 64) << output;
  EXPECT_EQ(node->Stop(), 0);
  EXPECT_NE(Concordat("status" + at, &output), 0) << "nobody is there";
  EXPECT_EQ(Concordat(absl::StrCat("wal dump ", dir_.path(), "/n1/log"), &output), 0);
  EXPECT_THAT(output, HasSubstr("hard-state group=1 term=1 vote=1"));
}

}  // namespace
}  // namespace concordat::testing
