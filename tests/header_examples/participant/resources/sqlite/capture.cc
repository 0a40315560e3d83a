#include "participant/resources/sqlite/capture.h"

namespace concordat::participant::sqlite {

void CaptureExample(Capture& capture, size_t limit,
                    void (*UndoTheCall)(const std::string&)) {
  // EXAMPLE
}

}  // namespace concordat::participant::sqlite
