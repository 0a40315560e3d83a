#include "coordinator/base/record_fields.h"

#include "absl/status/status.h"
#include "coordinator/base/outcomes.h"

namespace concordat {

absl::Status RecordFieldsExample(std::string_view bytes) {
  struct {
    std::string name;
    Heuristic what;
  } record;
  // EXAMPLE
  return absl::OkStatus();
}

}  // namespace concordat
