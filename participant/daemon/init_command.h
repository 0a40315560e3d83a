// concordat-rm init: prints the SQL that creates what Concordat needs in a database, and
// with --yes runs it.
#ifndef PARTICIPANT_DAEMON_INIT_COMMAND_H_
#define PARTICIPANT_DAEMON_INIT_COMMAND_H_

namespace concordat::participant {

// `argv` are the words after "concordat-rm"; the first is "init". Returns the exit
// status: 0 done, or only printed; 1 the database refuses; 2 it cannot be reached; 64
// wrong usage, also for a URL whose kind needs no such objects, has no roles, or is not
// known.
[[nodiscard]] int RunInitCommand(int argc, char** argv);

}  // namespace concordat::participant

#endif  // PARTICIPANT_DAEMON_INIT_COMMAND_H_
