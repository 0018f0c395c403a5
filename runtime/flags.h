// What the command lines of dogfs and dogfsd have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace dogfs {

// Has every unsigned number of `app` and its commands, flag or positional, refuse a negative text. CLI11 2.1 reads them by
// strtoull, which takes -1 for 2^64 - 1. Call it when all of them are defined: the check comes before those that convert.
inline void refuse_negative_numbers(CLI::App& app) {
  const CLI::Validator not_negative(
      [](std::string& text) {
        const size_t begin = text.find_first_not_of(" \t\n\v\f\r");
        const bool negative = begin != std::string::npos && text[begin] == '-';
        return negative ? text + " is negative" : std::string();
      },
      "");
  for (CLI::Option* option : app.get_options([](CLI::Option*) { return true; })) {
    if (option->get_type_name().starts_with("UINT")) option->transform(not_negative);
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) refuse_negative_numbers(*command);
}

}  // namespace dogfs
