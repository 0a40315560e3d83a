#include "coordinator/base/option_errors.h"

namespace concordat {

std::string ExplainOptionError(std::string_view what) {
  std::string text(what);
  if (what.find("INI was not able to parse") != std::string_view::npos) {
    text +=
        ": a flag that is not known in the config file; a line there is NAME=VALUE, "
        "with the name of a flag without its dashes";
  } else if (what.find("At Most 1 required") != std::string_view::npos) {
    text += ": give it once; in a config file a value with commas must stand in quotes";
  }
  return text;
}

}  // namespace concordat
