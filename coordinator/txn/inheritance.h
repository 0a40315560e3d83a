// What a new leader does first: it goes on with everything that earlier leaders had
// log-committed and not finished. An election aborts nothing.
#ifndef COORDINATOR_TXN_INHERITANCE_H_
#define COORDINATOR_TXN_INHERITANCE_H_

#include "coordinator/base/clock.h"
#include "coordinator/txn/commit_protocol.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

// Every STAGED without DECIDED is asked for its votes again, with its deadline counted
// from now; every DECIDED without ENDED is told again. What is only enlisted is left
// alone: its client may still commit it. To be called when the entry of the leader's
// own term is applied, not before: the table is complete only then.
//
// In portions, in the order of gtids: who asks for a transaction before its turn has it
// inherited first.
class Inheritance {
 public:
  Inheritance(const TransactionTable& table, CommitProtocol* protocol)
      : table_(table), protocol_(*protocol) {}

  void Begin() {
    under_way_ = true;
    last_ = Gtid{};
  }
  void End() { under_way_ = false; }
  [[nodiscard]] bool under_way() const { return under_way_; }
  // Looks at no more than `limit` transactions; how many there were.
  size_t Advance(size_t limit, Timestamp now);
  // This one now, if its turn is still to come.
  void Hurry(const Gtid& gtid, Timestamp now);

 private:
  void Inherit(const Gtid& gtid, const TransactionTable::Entry& entry, Timestamp now);

  const TransactionTable& table_;
  CommitProtocol& protocol_;
  bool under_way_ = false;
  Gtid last_;  // looked at, and all before it
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_INHERITANCE_H_
