"""What may include what. The layers are those of docs/architecture.md.

A folder's rule is that of the longest key it lies under. It may always include
itself.
"""

# Names in the rules: a folder of the repository, or GENERATED for the C++ that the
# Thrift compiler makes of the IDL.
GENERATED = "generated"

_BASE = "coordinator/base"
_SDK = "participant/sdk"
_NODE = [_BASE, "coordinator/raft", "coordinator/txn", "coordinator/storage",
         "coordinator/rpc", "thrift/rpc", "wal", GENERATED]
# The SDK's interface hands the wire's operations and results through.
_RESOURCE_MANAGER = [_BASE, "wal", _SDK, "participant/store", GENERATED]
_DATABASE = _RESOURCE_MANAGER + ["participant/resources/database", "thrift/rpc"]

ALLOWED = {
    "coordinator/base": [],
    "wal": [_BASE],
    "thrift/rpc": [_BASE],
    "coordinator/raft": [_BASE],
    "coordinator/txn": [_BASE],
    "coordinator/storage": [_BASE, "wal", "coordinator/raft"],
    "coordinator/rpc": [_BASE, "coordinator/raft", "coordinator/txn", "thrift/rpc",
                        GENERATED],
    "coordinator/node": _NODE,
    "coordinator/client": [_BASE, "thrift/rpc", GENERATED],
    # Apart from the client, which needs no database's library.
    "coordinator/client/postgresql": [_BASE, "coordinator/client", "thrift/rpc",
                                      GENERATED],
    "coordinator/embedded": ["coordinator", "participant", "wal", "thrift/rpc",
                             GENERATED],
    "coordinator/daemon": ["coordinator", "wal", "thrift/rpc", GENERATED],
    # It shows and runs the SQL that a database is made ready with.
    "coordinator/cli": ["coordinator", "wal", "thrift/rpc", GENERATED,
                        "participant/resources/postgresql", "participant/resources/mariadb"],
    "participant/sdk": [_BASE, "wal", "thrift/rpc", GENERATED],
    "participant/sdk/core": [_BASE],
    "participant/store": [_BASE, "wal"],
    "participant/resources/kv": _RESOURCE_MANAGER,
    "participant/resources/sqlite": _RESOURCE_MANAGER,
    # Connections to database servers live on an event loop.
    "participant/resources/database": [_BASE, _SDK, "thrift/rpc", GENERATED],
    "participant/resources/postgresql": _DATABASE,
    "participant/resources/mariadb": _DATABASE,
    # It serves itself.
    "participant/resources/service": _RESOURCE_MANAGER + ["thrift/rpc"],
    "participant/resources/xa": _RESOURCE_MANAGER,
    "participant/daemon": [_BASE, "participant", "thrift/rpc", GENERATED],
    "examples": [_BASE, "coordinator/client", "coordinator/embedded", "participant"],
    "tests": ["coordinator", "participant", "wal", "thrift/rpc", "examples", GENERATED],
}

# State machines that see nothing but what is handed to them.
PURE = ["coordinator/raft", "coordinator/txn", "participant/sdk/core"]

# No pure folder may reach these, directly or through other headers of ours. An entry
# that ends in "/" is a folder.
IMPURE_HEADERS = {
    "clock": ["chrono", "ctime", "time.h", "sys/time.h", "absl/time/",
              "coordinator/base/system_clock.h"],
    "randomness": ["random", "absl/random/", "sys/random.h"],
    "threads": ["thread", "mutex", "shared_mutex", "atomic", "stdatomic.h",
                "condition_variable", "future", "semaphore", "latch", "barrier",
                "stop_token", "pthread.h", "absl/synchronization/",
                "coordinator/base/mutex.h"],
    "Thrift": ["thrift/", "concordat_wire/"],
    "Boost": ["boost/"],
    "logging": ["coordinator/base/log.h", "absl/log/"],
    "I/O": ["fstream", "iostream", "istream", "syncstream", "cstdio", "stdio.h",
            "filesystem", "experimental/filesystem", "unistd.h", "fcntl.h", "poll.h",
            "signal.h", "csignal", "netdb.h", "sys/", "arpa/", "netinet/", "wal/",
            "coordinator/base/file_env.h", "coordinator/base/fault_env.h",
            "event2/", "event.h", "sqlite3.h", "sqlite3ext.h", "openssl/"],
}
# May include a header above for others: Random is seeded from outside.
PURE_BY_CONTRACT = {"coordinator/base/random.h": ["random"]}

# Headers that come in by way of others must not be used either.
IMPURE_NAMES = {
    "clock": r"std::chrono|SystemClock|\b(clock_gettime|gettimeofday)\s*\("
             r"|\btime\s*\(\s*(nullptr|NULL|0|&)",
    "randomness": r"\brandom_device\b|\bmt19937|\bs?rand\s*\(|SystemRandom64"
                  r"|std::default_random_engine",
    "threads": r"std::(jthread|thread|mutex|atomic|condition_variable|async|future)\b"
               r"|\bMutexLock\b|\bthread_local\b",
    "logging": r"\bLogEvent\b",
    "I/O": r"std::(cout|cerr|clog|cin|[io]?fstream|filesystem)\b"
           r"|(?<![\w.>:])(f?printf|fopen|getenv|puts)\s*\(",
}

# Not wanted anywhere, and why.
BANNED_HEADERS = {
    "absl/synchronization/": "false races under ThreadSanitizer; use "
                             "coordinator/base/mutex.h",
    "absl/log/": "not in the distribution's Abseil; use coordinator/base/log.h",
    "bits/": "a private header of the library",
}

TOP_LEVEL = {"CMakeLists.txt", "README.md", "coordinator", "participant", "thrift",
             "wal", "tests", "examples", "docs"}
# Build folders that .gitignore names.
TOP_LEVEL_IGNORED = r"^(build.*|compile_commands\.json)$"

MAX_LINES = 600
COUNTED_SUFFIXES = {".h", ".cc", ".cpp", ".hpp", ".py", ".js", ".sh", ".thrift",
                    ".cmake", ".txt"}

# Folders with more than one library, and how many.
LIBRARIES = {
    # Logging and files are kept from the pure cores, files that fail from the daemons.
    "coordinator/base": 4,
    "coordinator/client": 2,  # what answers mean, for the simulator too, without Thrift
    "coordinator/raft": 2,  # the invariants look at the core from outside
    "coordinator/node": 2,  # the replica is run by the simulator, without sockets
}
ONE_LIBRARY_UNDER = ["coordinator", "participant", "wal"]
