// The settings of a run, drawn from its seed.
#include "tests/simulation/simulation.h"

namespace concordat::simulation {

namespace {

// Times that suit a few simulated seconds.
void SetTimes(Settings* settings) {
  raft::Config& raft = settings->node.replica.raft;
  raft.group = GroupId(1);
  raft.election_timeout_min = Duration::Millis(150);
  raft.election_timeout_max = Duration::Millis(300);
  raft.heartbeat_interval = Duration::Millis(30);

  txn::CoreOptions& txn = settings->node.txn;
  txn.default_timeout = Duration::Seconds(1);
  txn.first_resend = Duration::Millis(100);
  txn.first_retry = Duration::Millis(20);
  txn.max_resend = Duration::Millis(800);
  txn.client_wait = Duration::Seconds(1);
  txn.inquiry_wait = Duration::Millis(500);
  txn.not_ready_wait = Duration::Millis(500);
  txn.ended_batch = 16;
  txn.ended_wait = Duration::Millis(50);
  txn.retention = Duration::Seconds(3);
  txn.min_retention = Duration::Millis(1500);
  txn.watermark_interval = Duration::Millis(300);

  participant::BranchTableOptions& table = settings->participant.table;
  table.in_doubt_inquiry = Duration::Millis(600);
  table.max_inquiry_interval = Duration::Seconds(2);
  table.idle_timeout = Duration::Seconds(1);
  table.scan_interval = Duration::Millis(20);
}

void DrawSizes(Random* random, Settings* settings) {
  const uint64_t dice = random->Below(20);
  settings->nodes = dice == 0 ? 1 : (dice <= 3 ? 5 : 3);
  settings->clients = static_cast<size_t>(random->Between(3, 8));
  settings->services = 1;
  settings->participant.store.accounts = static_cast<uint32_t>(random->Between(4, 30));
  if (random->Percent(45)) {
    settings->participant.store.flush_max = Duration::Millis(random->Between(1, 15));
  }
  settings->client.think = Duration::Millis(random->Percent(30) ? 2 : 15);
  settings->client.odd_percent = static_cast<uint32_t>(random->Between(20, 80));
  settings->client.parallel_percent = static_cast<uint32_t>(random->Between(0, 100));
  settings->faults_for = Duration::Millis(random->Between(3000, 9000));
}

void DrawNode(Random* random, Settings* settings) {
  NodeOptions& node = settings->node;
  node.real_log = random->Below(5) == 0;
  node.commit_as_in_paper = random->Percent(30);
  if (random->Percent(25)) node.flush_max = Duration::Millis(random->Between(1, 10));
  if (random->Percent(50)) node.batch = Duration::Micros(random->Between(10, 300));
  node.replica.snapshot_entries = static_cast<uint64_t>(random->Between(40, 600));
  raft::Config& raft = node.replica.raft;
  raft.snapshot_chunk_bytes = static_cast<size_t>(random->Between(20, 800));
  raft.max_inflight_chunks = static_cast<size_t>(random->Between(1, 8));
  raft.entries_kept_behind_snapshot = static_cast<size_t>(random->Between(2, 60));
  if (random->Percent(50)) {
    raft.max_inflight_appends = static_cast<size_t>(random->Between(1, 4));
    raft.max_append_bytes = static_cast<size_t>(random->Between(100, 2000));
  }
  if (random->Percent(30)) {
    raft.max_uncommitted_bytes = static_cast<size_t>(random->Between(3000, 20'000));
  }
  if (random->Percent(20)) {
    node.txn.retention = node.txn.min_retention = Duration::Millis(600);
  }
  if (random->Percent(20)) {
    node.txn.max_in_progress = static_cast<size_t>(random->Between(2, 8));
  }
  if (random->Percent(30)) {
    settings->participant.table.max_remembered =
        static_cast<size_t>(random->Between(1, 8));
  }
}

void DrawTroubles(Random* random, Settings* settings) {
  Troubles& troubles = settings->troubles;
  troubles.kills = random->Percent(50);
  troubles.power = random->Percent(40);
  troubles.pauses = random->Percent(40);
  troubles.partitions = random->Percent(50);
  troubles.bad_links = random->Percent(50);
  troubles.slow_disks = random->Percent(25);
  troubles.clocks = random->Percent(30);
  troubles.participant_kills = random->Percent(45);
  troubles.participant_pauses = random->Percent(20);
  troubles.targeted_kills = random->Percent(50);
  troubles.full_disks = random->Percent(25);
  troubles.versions = random->Percent(15);
  troubles.lost_tails = random->Percent(40);
  troubles.transfers = random->Percent(40);
  troubles.pace = Duration::Millis(random->Between(40, 400));
}

}  // namespace

Settings Settings::FromSeed(uint64_t seed) {
  Settings settings;
  settings.seed = seed;
  // A random stream that is not the world's own.
  Random random(seed * 0x9e3779b97f4a7c15 + 1);
  SetTimes(&settings);
  DrawSizes(&random, &settings);
  DrawNode(&random, &settings);
  DrawTroubles(&random, &settings);
  // A second machine in the group.
  settings.node.counters = random.Percent(30);
  if (settings.node.counters) settings.counter_clients = 2;
  return settings;
}

Settings Settings::Quiet() {
  Settings settings;
  SetTimes(&settings);
  settings.clients = 0;
  settings.services = 0;
  settings.participant.refuse_permille = 0;
  settings.participant.unavailable_permille = 0;
  settings.participant.recovery_min = settings.participant.recovery_max =
      Duration::Millis(1);
  return settings;
}

}  // namespace concordat::simulation
