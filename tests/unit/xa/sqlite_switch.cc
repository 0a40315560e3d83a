// A resource manager with an X/Open switch, over a SQLite file: balances of accounts, and
// a table of prepared branches. It is a library of its own, loaded with dlopen like a
// vendor's.
//
// The string for xa_open is the file. Work: "add ACCOUNT DELTA" (refused below zero),
// "get ACCOUNT", "conflict", "fail". A branch's additions are kept by its thread until
// xa_prepare, which writes them down, and are executed by xa_commit.
//
// A row of the table whose `heuristic` is not 0 was ended by another program: the switch
// returns this code until the branch is forgotten.
#include <sqlite3.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "participant/resources/xa/work.h"
#include "participant/resources/xa/xa.h"

namespace {

struct Addition {
  std::string account;
  int64_t delta;
};

struct Thread {
  sqlite3* file = nullptr;
  bool associated = false;
  std::string branch;
  std::vector<std::string> scan;  // of xa_recover
};
thread_local std::map<int, Thread> threads;

// What branches that are not prepared have added; any thread may end them.
std::mutex mutex;
std::map<std::string, std::vector<Addition>> working;

// What the tests make a call return.
struct Planned {
  int code;
  bool after;  // the call does its work first
};
std::map<std::string, Planned> planned;
int closes = 0;

bool Take(const std::string& call, bool after, int* code) {
  const std::lock_guard lock(mutex);
  const auto found = planned.find(call);
  if (found == planned.end() || found->second.after != after) return false;
  *code = found->second.code;
  planned.erase(found);
  return true;
}

// The call that does not return: it waits at its beginning or after its work.
std::condition_variable released;
std::string hangs_in;
bool hangs_after = false;

void HangIfPlanned(const std::string& call, bool after) {
  std::unique_lock lock(mutex);
  if (hangs_in != call || hangs_after != after) return;
  released.wait(lock, [&call] { return hangs_in != call; });
}

template <class Work>
int Call(const std::string& name, Work work) {
  int code = XA_OK;
  HangIfPlanned(name, false);
  if (Take(name, false, &code)) return code;
  const int result = work();
  HangIfPlanned(name, true);
  return Take(name, true, &code) ? code : result;
}

std::string Bytes(const XID* xid) {
  std::string bytes(reinterpret_cast<const char*>(xid), sizeof *xid);
  const auto used = static_cast<size_t>(xid->gtrid_length + xid->bqual_length);
  std::memset(bytes.data() + offsetof(XID, data) + used, 0, XIDDATASIZE - used);
  return bytes;
}

// One statement with text, integer or blob parameters; rows of the first two columns.
class Query {
 public:
  Query(sqlite3* file, const char* sql) {
    if (sqlite3_prepare_v2(file, sql, -1, &statement_, nullptr) != SQLITE_OK) abort();
  }
  ~Query() { sqlite3_finalize(statement_); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& Text(int at, const std::string& value) {
    sqlite3_bind_text(statement_, at, value.data(), static_cast<int>(value.size()),
                      SQLITE_TRANSIENT);
    return *this;
  }
  Query& Blob(int at, const std::string& value) {
    sqlite3_bind_blob(statement_, at, value.data(), static_cast<int>(value.size()),
                      SQLITE_TRANSIENT);
    return *this;
  }
  Query& Integer(int at, int64_t value) {
    sqlite3_bind_int64(statement_, at, value);
    return *this;
  }
  bool Row() { return sqlite3_step(statement_) == SQLITE_ROW; }
  bool Run() { return sqlite3_step(statement_) == SQLITE_DONE; }
  [[nodiscard]] int64_t integer(int column) const {
    return sqlite3_column_int64(statement_, column);
  }
  [[nodiscard]] std::string bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    return {static_cast<const char*>(data), size};
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

bool Exec(sqlite3* file, const char* sql) {
  return sqlite3_exec(file, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::string Encode(const std::vector<Addition>& additions) {
  std::ostringstream out;
  for (const Addition& one : additions) out << one.account << ' ' << one.delta << '\n';
  return out.str();
}

int Open(char* info, int rmid, long) {
  return Call("xa_open", [&] {
    Thread& thread = threads[rmid];
    if (thread.file != nullptr) return XA_OK;
    if (sqlite3_open(info, &thread.file) != SQLITE_OK) {
      sqlite3_close(std::exchange(thread.file, nullptr));
      return XAER_RMERR;
    }
    sqlite3_busy_timeout(thread.file, 5000);
    const bool made =
        Exec(thread.file, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL") &&
        Exec(thread.file,
             "CREATE TABLE IF NOT EXISTS accounts(name TEXT PRIMARY KEY, balance "
             "INTEGER NOT NULL);"
             "CREATE TABLE IF NOT EXISTS prepared(xid BLOB PRIMARY KEY, work TEXT NOT "
             "NULL, heuristic INTEGER NOT NULL DEFAULT 0)");
    return made ? XA_OK : XAER_RMERR;
  });
}

int Close(char*, int rmid, long) {
  {
    const std::lock_guard lock(mutex);
    ++closes;
  }
  sqlite3_close(threads[rmid].file);
  threads.erase(rmid);
  return XA_OK;
}

int Start(XID* xid, int rmid, long flags) {
  return Call("xa_start", [&] {
    Thread& thread = threads[rmid];
    if (thread.file == nullptr || thread.associated || flags != TMNOFLAGS) {
      return XAER_PROTO;
    }
    const std::lock_guard lock(mutex);
    thread.branch = Bytes(xid);
    if (!working.try_emplace(thread.branch).second) return XAER_DUPID;
    thread.associated = true;
    return XA_OK;
  });
}

int End(XID* xid, int rmid, long flags) {
  return Call("xa_end", [&] {
    Thread& thread = threads[rmid];
    if (!thread.associated || thread.branch != Bytes(xid)) return XAER_PROTO;
    if (flags != static_cast<long>(TMSUCCESS) && flags != static_cast<long>(TMFAIL)) {
      return XAER_INVAL;
    }
    thread.associated = false;
    return XA_OK;
  });
}

int Prepare(XID* xid, int rmid, long) {
  return Call("xa_prepare", [&] {
    const std::lock_guard lock(mutex);
    const auto found = working.find(Bytes(xid));
    if (found == working.end()) return XAER_NOTA;
    if (threads[rmid].associated) return XAER_PROTO;
    const std::string work = Encode(found->second);
    working.erase(found);
    if (work.empty()) return XA_RDONLY;
    return Query(threads[rmid].file, "INSERT INTO prepared(xid, work) VALUES (?, ?)")
                   .Blob(1, Bytes(xid))
                   .Text(2, work)
                   .Run()
               ? XA_OK
               : XA_RBROLLBACK;
  });
}

bool CarryOut(sqlite3* file, const std::string& work) {
  std::istringstream in(work);
  for (Addition one; in >> one.account >> one.delta;) {
    const bool done =
        Query(file,
              "INSERT INTO accounts VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET "
              "balance = balance + excluded.balance")
            .Text(1, one.account)
            .Integer(2, one.delta)
            .Run();
    if (!done) return false;
  }
  return true;
}

int Commit(XID* xid, int rmid, long) {
  return Call("xa_commit", [&] {
    sqlite3* file = threads[rmid].file;
    std::string work;
    {
      Query found(file, "SELECT work, heuristic FROM prepared WHERE xid = ?");
      found.Blob(1, Bytes(xid));
      if (!found.Row()) return XAER_NOTA;
      if (found.integer(1) != 0) return static_cast<int>(found.integer(1));
      work = found.bytes(0);
    }
    const bool done =
        Exec(file, "BEGIN IMMEDIATE") && CarryOut(file, work) &&
        Query(file, "DELETE FROM prepared WHERE xid = ?").Blob(1, Bytes(xid)).Run() &&
        Exec(file, "COMMIT");
    if (!done) Exec(file, "ROLLBACK");
    return done ? XA_OK : XAER_RMFAIL;
  });
}

int Rollback(XID* xid, int rmid, long) {
  return Call("xa_rollback", [&] {
    sqlite3* file = threads[rmid].file;
    {
      const std::lock_guard lock(mutex);
      if (working.erase(Bytes(xid)) > 0) return XA_OK;
    }
    {
      Query found(file, "SELECT heuristic FROM prepared WHERE xid = ?");
      found.Blob(1, Bytes(xid));
      if (!found.Row()) return XAER_NOTA;
      if (found.integer(0) != 0) return static_cast<int>(found.integer(0));
    }
    return Query(file, "DELETE FROM prepared WHERE xid = ?").Blob(1, Bytes(xid)).Run()
               ? XA_OK
               : XAER_RMFAIL;
  });
}

int Recover(XID* xids, long count, int rmid, long flags) {
  return Call("xa_recover", [&] {
    Thread& thread = threads[rmid];
    if ((static_cast<unsigned long>(flags) & TMSTARTRSCAN) != 0) {
      thread.scan.clear();
      Query all(thread.file, "SELECT xid FROM prepared ORDER BY xid");
      while (all.Row()) thread.scan.push_back(all.bytes(0));
    }
    int given = 0;
    while (given < count && !thread.scan.empty()) {
      std::memcpy(&xids[given++], thread.scan.back().data(), sizeof(XID));
      thread.scan.pop_back();
    }
    return given;
  });
}

int Forget(XID* xid, int rmid, long) {
  return Call("xa_forget", [&] {
    return Query(threads[rmid].file,
                 "DELETE FROM prepared WHERE xid = ? AND heuristic <> 0")
                   .Blob(1, Bytes(xid))
                   .Run()
               ? XA_OK
               : XAER_RMFAIL;
  });
}

int Complete(int*, int*, int, long) { return XAER_PROTO; }

int64_t Balance(Thread* thread, const std::string& account) {
  Query found(thread->file, "SELECT balance FROM accounts WHERE name = ?");
  found.Text(1, account);
  return found.Row() ? found.integer(0) : 0;
}

int Answer(const std::string& text, char* reply, size_t capacity, size_t* length,
           int code) {
  *length = std::min(text.size(), capacity);
  std::memcpy(reply, text.data(), *length);
  return code;
}

}  // namespace

extern "C" {

xa_switch_t sqlite_switch = {"sqlite", TMNOMIGRATE, 0,      Open,    Close,  Start,   End,
                             Rollback, Prepare,     Commit, Recover, Forget, Complete};
xa_switch_t sqlite_dynamic_switch = {
    "sqlite dynamic", TMREGISTER, 0,      Open,    Close,  Start,   End,
    Rollback,         Prepare,    Commit, Recover, Forget, Complete};
xa_switch_t sqlite_new_switch = {"sqlite new", TMNOFLAGS, 1,        Open,    Close,
                                 Start,        End,       Rollback, Prepare, Commit,
                                 Recover,      Forget,    Complete};

int sqlite_work(int rmid, const char* request, size_t request_length, char* reply,
                size_t reply_capacity, size_t* reply_length) {
  Thread& thread = threads[rmid];
  std::istringstream in(std::string(request, request_length));
  std::string verb;
  Addition one{"", 0};
  in >> verb >> one.account >> one.delta;
  const auto answer = [&](const std::string& text, int code) {
    return Answer(text, reply, reply_capacity, reply_length, code);
  };
  if (!thread.associated) return answer("no branch", CONCORDAT_WORK_FAILED);
  if (verb == "conflict") return answer("a lock was lost", CONCORDAT_WORK_CONFLICT);
  if (verb == "fail") return answer("it broke", CONCORDAT_WORK_FAILED);
  int64_t balance = Balance(&thread, one.account);
  if (verb == "add") {
    if (balance + one.delta < 0) return answer("not enough", CONCORDAT_WORK_REFUSED);
    const std::lock_guard lock(mutex);
    working[thread.branch].push_back(one);
    balance += one.delta;
  }
  return answer(std::to_string(balance), CONCORDAT_WORK_DONE);
}

// Makes the next call of this name return `code`: at once, or after its work.
void sqlite_switch_plan(const char* call, int code, int after) {
  const std::lock_guard lock(mutex);
  planned[call] = {code, after != 0};
}

// Makes calls of this name wait, at once or after their work, until this function is
// called again; "" releases them.
void sqlite_switch_hang(const char* call, int after) {
  const std::lock_guard lock(mutex);
  hangs_in = call;
  hangs_after = after != 0;
  released.notify_all();
}

// How often the resource manager was closed.
int sqlite_switch_closes() {
  const std::lock_guard lock(mutex);
  return closes;
}
}
