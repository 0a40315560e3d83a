#include "tests/simulation/rare_paths.h"

#include <iomanip>

namespace concordat::simulation {

std::string_view Describe(Rare path) {
  static constexpr std::string_view kTexts[] = {
#define CONCORDAT_RARE_TEXT(name, text) text,
      CONCORDAT_RARE_PATHS(CONCORDAT_RARE_TEXT)
#undef CONCORDAT_RARE_TEXT
  };
  return kTexts[static_cast<size_t>(path)];
}

void RarePaths::Merge(const RarePaths& other) {
  for (size_t i = 0; i < kRareCount; ++i) {
    counts_[i] += other.counts_[i];
  }
}

std::vector<Rare> RarePaths::NeverReached() const {
  std::vector<Rare> missing;
  for (size_t i = 0; i < kRareCount; ++i) {
    if (counts_[i] == 0) {
      missing.push_back(static_cast<Rare>(i));
    }
  }
  return missing;
}

void RarePaths::Print(std::ostream& out) const {
  for (size_t i = 0; i < kRareCount; ++i) {
    out << std::setw(12) << counts_[i] << "  " << Describe(static_cast<Rare>(i)) << '\n';
  }
}

}  // namespace concordat::simulation
