// Work in branches of Berkeley DB, whose library exports a switch (db_xa_switch): "put
// KEY VALUE" and "get KEY" in the database `data`.
#include <db.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <string>

#include "participant/resources/xa/work.h"

namespace {

// Opened outside of any branch: Berkeley DB opens no database in an XA transaction.
thread_local DB* data = nullptr;

DBT Item(std::string* bytes) {
  DBT item;
  std::memset(&item, 0, sizeof item);
  item.data = bytes->data();
  item.size = static_cast<u_int32_t>(bytes->size());
  return item;
}

int Answer(const std::string& text, char* reply, size_t capacity, size_t* length,
           int code) {
  *length = std::min(text.size(), capacity);
  std::memcpy(reply, text.data(), *length);
  return code;
}

}  // namespace

extern "C" {

int berkeley_work_open(int) {
  const int code = db_create(&data, nullptr, DB_XA_CREATE);
  if (code != 0) return code;
  return data->open(data, nullptr, "data", nullptr, DB_BTREE, DB_CREATE | DB_AUTO_COMMIT,
                    0);
}

void berkeley_work_close(int) {
  data->close(data, 0);
  data = nullptr;
}

int berkeley_work(int, const char* request, size_t request_length, char* reply,
                  size_t reply_capacity, size_t* reply_length) {
  const auto answer = [&](const std::string& text, int code) {
    return Answer(text, reply, reply_capacity, reply_length, code);
  };
  const auto failed = [&](int code) {
    if (code == DB_LOCK_DEADLOCK) {
      return answer(db_strerror(code), CONCORDAT_WORK_CONFLICT);
    }
    return answer(db_strerror(code), CONCORDAT_WORK_FAILED);
  };
  std::istringstream in(std::string(request, request_length));
  std::string verb;
  std::string key;
  std::string value;
  in >> verb >> key >> value;
  DBT key_item = Item(&key);
  if (verb == "put") {
    DBT value_item = Item(&value);
    const int code = data->put(data, nullptr, &key_item, &value_item, 0);
    return code == 0 ? answer("", CONCORDAT_WORK_DONE) : failed(code);
  }
  DBT found;
  std::memset(&found, 0, sizeof found);
  found.flags = DB_DBT_MALLOC;
  const int code = data->get(data, nullptr, &key_item, &found, 0);
  if (code == DB_NOTFOUND) return answer("nothing", CONCORDAT_WORK_REFUSED);
  if (code != 0) return failed(code);
  const std::string text(static_cast<const char*>(found.data), found.size);
  std::free(found.data);
  return answer(text, CONCORDAT_WORK_DONE);
}

}  // extern "C"
