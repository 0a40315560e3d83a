#include "participant/resources/sqlite/scratch.h"

namespace concordat::participant::sqlite {

void ScratchExample(Scratch& scratch, const Branch& branch,
                    const wire::ExecuteRequest& request) {
  // EXAMPLE
}

}  // namespace concordat::participant::sqlite
