#include "participant/resources/xa/hang_watch.h"

namespace concordat::participant::xa {

void HangWatchExample(ThreadOfControl* thread) {
  // EXAMPLE
}

}  // namespace concordat::participant::xa
