#include "tests/unit/sqlite/fault_vfs.h"

#include <sqlite3.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <new>

namespace concordat::participant {

namespace {

// Our file, followed by the real file in the same allocation.
struct File {
  sqlite3_file base;
  sqlite3_file* real;
};

sqlite3_vfs* Real() { return sqlite3_vfs_find("unix"); }
sqlite3_file* RealOf(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }

int Close(sqlite3_file* f) { return RealOf(f)->pMethods->xClose(RealOf(f)); }
int Read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
  return RealOf(f)->pMethods->xRead(RealOf(f), to, n, at);
}
int Write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  FaultVfs& vfs = FaultVfs::Get();
  if (vfs.write_error() != 0) return vfs.write_error();
  if (vfs.CountOperation()) {
    RealOf(f)->pMethods->xWrite(RealOf(f), from, n / 2, at);
    FaultVfs::Die();
  }
  return RealOf(f)->pMethods->xWrite(RealOf(f), from, n, at);
}
int Truncate(sqlite3_file* f, sqlite3_int64 size) {
  return RealOf(f)->pMethods->xTruncate(RealOf(f), size);
}
int Sync(sqlite3_file* f, int flags) {
  FaultVfs& vfs = FaultVfs::Get();
  if (vfs.flush_error() != 0) return vfs.flush_error();
  if (vfs.CountOperation()) FaultVfs::Die();
  vfs.CountFlush();
  return RealOf(f)->pMethods->xSync(RealOf(f), flags);
}
int FileSize(sqlite3_file* f, sqlite3_int64* size) {
  return RealOf(f)->pMethods->xFileSize(RealOf(f), size);
}
int Lock(sqlite3_file* f, int l) { return RealOf(f)->pMethods->xLock(RealOf(f), l); }
int Unlock(sqlite3_file* f, int l) { return RealOf(f)->pMethods->xUnlock(RealOf(f), l); }
int CheckReserved(sqlite3_file* f, int* out) {
  return RealOf(f)->pMethods->xCheckReservedLock(RealOf(f), out);
}
int Control(sqlite3_file* f, int op, void* arg) {
  return RealOf(f)->pMethods->xFileControl(RealOf(f), op, arg);
}
int SectorSize(sqlite3_file* f) { return RealOf(f)->pMethods->xSectorSize(RealOf(f)); }
int Characteristics(sqlite3_file* f) {
  return RealOf(f)->pMethods->xDeviceCharacteristics(RealOf(f));
}
int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return RealOf(f)->pMethods->xShmMap(RealOf(f), page, size, extend, out);
}
int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
  return RealOf(f)->pMethods->xShmLock(RealOf(f), offset, n, flags);
}
void ShmBarrier(sqlite3_file* f) { RealOf(f)->pMethods->xShmBarrier(RealOf(f)); }
int ShmUnmap(sqlite3_file* f, int remove) {
  return RealOf(f)->pMethods->xShmUnmap(RealOf(f), remove);
}

const sqlite3_io_methods kMethods = {2,
                                     Close,
                                     Read,
                                     Write,
                                     Truncate,
                                     Sync,
                                     FileSize,
                                     Lock,
                                     Unlock,
                                     CheckReserved,
                                     Control,
                                     SectorSize,
                                     Characteristics,
                                     ShmMap,
                                     ShmLock,
                                     ShmBarrier,
                                     ShmUnmap,
                                     nullptr,
                                     nullptr};

int Open(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  auto* file = reinterpret_cast<File*>(f);
  file->real = reinterpret_cast<sqlite3_file*>(file + 1);
  file->base.pMethods = nullptr;
  const int rc = Real()->xOpen(Real(), name, file->real, flags, out_flags);
  if (file->real->pMethods != nullptr) file->base.pMethods = &kMethods;
  return rc;
}

}  // namespace

FaultVfs& FaultVfs::Get() {
  static FaultVfs vfs;
  return vfs;
}

FaultVfs::FaultVfs() {
  static sqlite3_vfs vfs = *Real();
  vfs.pNext = nullptr;
  vfs.zName = kName;
  vfs.szOsFile = static_cast<int>(sizeof(File)) + Real()->szOsFile;
  vfs.xOpen = Open;
  // The other functions are the real ones; they do not look at the object they are given.
  sqlite3_vfs_register(&vfs, 0);
}

bool FaultVfs::CountOperation() {
  ++operations_;
  if (kill_in_ == 0) return false;
  const int64_t left = --kill_in_;
  if (left != 0) return false;
  if (operations_ % 2 == 0) Die();
  return true;
}

void FaultVfs::Die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

}  // namespace concordat::participant
