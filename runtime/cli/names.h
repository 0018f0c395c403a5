// Names for people. A name in DogFS is any bytes but '/' and NUL: written raw to a terminal it could break lines, or
// send commands to the terminal. Pipes get the raw bytes, since programs read those.
#pragma once

#include <string>
#include <string_view>

namespace dogfs::cli {

// As GNU ls shows names on a terminal: plain when a shell would take it as one word, otherwise quoted so that it can be
// pasted back: 'two words', $'new\nline'.
std::string quote_for_shell(std::string_view name);

// For messages: as it is when it has nothing but printable characters, otherwise as quote_for_shell.
std::string printable(std::string_view name);

}  // namespace dogfs::cli
