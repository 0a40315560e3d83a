// Watches for batches of a resource's connections that are never answered.
//
// The server runs a packet of several statements one after another, and stops between two
// of them when the session is interrupted: by our own KILL QUERY, by an operator's, or by
// a time limit. When that comes at the wrong moment (seen on 10.11.19), the last answer
// says that more will follow, and none does: the server has forgotten the interruption
// and waits for the next packet, while we wait for the server. So when a batch has
// brought nothing for answer_time, the server is asked about its session, on a connection
// that is made for that:
//
//   no new connection is answered     the batch's connection is given up: the server is
//                                     stopped, or its host is gone
//   the session works                 it is left alone, for however long: a commit may be
//                                     waiting for a replica, and must not be interrupted
//   the session sleeps, or is gone,   the batch's connection is given up: the rest of the
//   twice in a row, and nothing has   batch will never be done
//   come in between
//
// A batch whose connection is given up is lost: nothing is known of what was done, and
// its sender finds that out. So a connection that was given up wrongly, because the
// answer was on its way, leads to no wrong result either.
//
// After our own KILL QUERY the server is asked at once, because somebody waits for a
// rollback. A batch that is answered in time costs no more than a counter. Used on the
// loop's thread only.
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
  // Watches the connections in `watched`. `asker` is the configuration of the connections
  // on which the server is asked. `loop` and `counters` outlive this.
  AnswerWatch(rpc::EventLoop* loop, ConnectionConfig asker,
              std::shared_ptr<Connections> watched, Duration answer_time,
              database::Counters* counters);
  ~AnswerWatch();
  AnswerWatch(const AnswerWatch&) = delete;
  AnswerWatch& operator=(const AnswerWatch&) = delete;

  // We have interrupted the session. The server is asked about it often until it has
  // nothing to do, for answer_time at most.
  void Hurry(const SessionId& session);

 private:
  // A connection that waits for an answer.
  struct Silence {
    std::weak_ptr<database::Session> session;
    uint64_t progress = 0;    // Connection::progress, which has not grown since
    Timestamp since;          // when it began to bring nothing
    Timestamp look_at;        // when the server is asked next
    bool idle_once = false;   // the last answer was that the session does nothing
    Timestamp hurried_until;  // the server is asked often until then
  };
  using Suspects = std::vector<Silence>;
  struct Look;  // a question to the server that is under way

  void Schedule();
  void Sweep();
  void Note(Connection* connection);
  void ForgetOver();
  [[nodiscard]] Duration Pause(const Silence& silence) const;
  // The present entry of the suspect's connection. Null: something has come since.
  [[nodiscard]] Silence* Find(const Silence& suspect);
  // The silent connection. Null: it is gone, or does not wait any more.
  [[nodiscard]] static std::shared_ptr<Connection> Waiting(const Silence& silence);
  void Ask(Suspects suspects);
  void OnAskerConnected(const absl::Status& status);
  void OnAnswer(const database::BatchResult& r);
  void LookLater(const Suspects& suspects);
  void GiveUpUnreached(const Suspects& suspects, const absl::Status& status);
  [[nodiscard]] Suspects EndLook();

  rpc::EventLoop* const loop_;
  ConnectionConfig config_;  // of the connections on which the server is asked
  const std::shared_ptr<Connections> watched_;
  const Duration answer_time_;
  const Duration interval_;             // between two sweeps
  database::Counters* const counters_;  // the resource's
  // Of the connections on which the server is asked. Nobody reads them.
  database::Counters own_counters_;
  rpc::TimerId timer_;  // of the next sweep
  absl::flat_hash_map<Connection*, Silence> silences_;
  std::unique_ptr<Look> look_;  // null: none is under way
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_ANSWER_WATCH_H_
