// DiskRoom: whether a node's disk has room for work that has not begun. One object, to
// which all refer who would begin some. What has begun goes on from the log's reserve.
#ifndef COORDINATOR_BASE_DISK_ROOM_H_
#define COORDINATOR_BASE_DISK_ROOM_H_

#include <string_view>

namespace concordat {

struct DiskRoom {
  bool for_new_work = true;
};

// What those are told who would begin something while there is no room for it.
inline constexpr std::string_view kDiskFull =
    "the coordinator's disk is full; nothing was begun";

}  // namespace concordat

#endif  // COORDINATOR_BASE_DISK_ROOM_H_
