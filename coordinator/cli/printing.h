// How the command line shows its results.
#ifndef COORDINATOR_CLI_PRINTING_H_
#define COORDINATOR_CLI_PRINTING_H_

#include <ostream>
#include <string>
#include <vector>

#include "concordat_wire/coordinator_types.h"

namespace concordat::cli {

// Prints columns as wide as their widest cell. The first row is the heading.
void PrintTable(const std::vector<std::vector<std::string>>& rows, std::ostream& out);

[[nodiscard]] std::string GtidText(const wire::Gtid& gtid);
[[nodiscard]] std::string BranchText(const wire::BranchId& branch);
// For example "850 ms", "12.3 s" or "4 min".
[[nodiscard]] std::string AgeText(int64_t ms);
// Prints the reason for each resource that is not served.
void PrintNotServed(const std::vector<wire::ResourceInfo>& resources, std::ostream& out);
void PrintTransaction(const wire::TransactionView& view, std::ostream& out);

}  // namespace concordat::cli

#endif  // COORDINATOR_CLI_PRINTING_H_
