// Looks after the batches of a resource's connections that nobody answers.
//
// The server carries out a packet of several statements one after another, and stops
// between two of them when the session is told to: by our own KILL QUERY, by an
// operator's, by a time limit. When that comes at the wrong moment (seen on 10.11.19) the
// last answer says that more will follow, and none does: the server has forgotten the
// interruption and waits for the next packet, and we wait for the server. So a batch that
// has brought nothing for answer_time is asked after, on a connection that is made for
// it:
//
//   no new connection is answered     its connection is given up: the server is stopped,
//                                     or its host is gone
//   the session works                 it is left alone, however long: a commit may be
//                                     waiting for a replica, and must not be cut short
//   it sleeps, or is gone, at two     its connection is given up: the rest of the batch
//   looks, and nothing has come       is never done
//   between them
//
// A batch whose connection is given up is lost: nothing is known of what was done, and
// whoever sent it finds out. That is so as well when a look was wrong: what was not seen
// on its way was seen too early, and nothing is told that is not true.
//
// After our own KILL QUERY the looks begin at once, for somebody waits for a rollback.
// A batch costs a number that goes up by one. For the loop's thread.
#ifndef PARTICIPANT_RESOURCES_MARIADB_ANSWER_WATCH_H_
#define PARTICIPANT_RESOURCES_MARIADB_ANSWER_WATCH_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "participant/resources/mariadb/connection.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::mariadb {

class AnswerWatch {
 public:
  // Watches the connections in `watched`. `asker` is for those by which the server is
  // asked.
  AnswerWatch(rpc::EventLoop* loop, ConnectionConfig asker,
              std::shared_ptr<Connections> watched, Duration answer_time,
              database::Counters* counters);
  ~AnswerWatch();
  AnswerWatch(const AnswerWatch&) = delete;
  AnswerWatch& operator=(const AnswerWatch&) = delete;

  // The session was interrupted by us. Until it has nothing to do, and for answer_time at
  // most, it is looked at often.
  void Hurry(const SessionId& session);

 private:
  // Since when a connection has brought nothing.
  struct Silence {
    std::weak_ptr<database::Session> session;
    uint64_t progress = 0;
    Timestamp since;
    Timestamp look_at;
    bool idle_once = false;  // it was, at the last look
    Timestamp hurried_until;
  };
  using Suspects = std::vector<Silence>;
  struct Look;

  void Schedule();
  void Sweep();
  void Note(Connection* connection);
  void ForgetOver();
  [[nodiscard]] Duration Pause(const Silence& silence) const;
  // What is known of the connection now, if it is still as silent as it was.
  [[nodiscard]] Silence* Find(const Silence& suspect);
  // The connection that is silent, while it lives and waits.
  [[nodiscard]] static std::shared_ptr<Connection> Waiting(const Silence& silence);
  void Ask(Suspects suspects);
  void OnAskerConnected(const absl::Status& status);
  void OnAnswer(const database::BatchResult& r);
  void LookLater(const Suspects& suspects);
  void GiveUpUnreached(const Suspects& suspects, const absl::Status& status);
  [[nodiscard]] Suspects EndLook();

  rpc::EventLoop* const loop_;
  ConnectionConfig config_;  // of those that ask
  const std::shared_ptr<Connections> watched_;
  const Duration answer_time_;
  const Duration interval_;  // between two sweeps
  database::Counters* const counters_;
  database::Counters own_counters_;  // of those that ask: they count for nothing
  rpc::TimerId timer_;
  absl::flat_hash_map<Connection*, Silence> silences_;
  std::unique_ptr<Look> look_;  // under way
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_ANSWER_WATCH_H_
