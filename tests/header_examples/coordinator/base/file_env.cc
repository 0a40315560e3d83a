#include "coordinator/base/file_env.h"

namespace concordat {

void FileEnvExample(std::string_view bytes) {
  // EXAMPLE
}

}  // namespace concordat
