// The files of sim/html, as text in the program. The build makes the definitions (sim/html/embed.cmake).
#pragma once

#include <string_view>

namespace dogfs::sim {

extern const std::string_view kPageHtml;
extern const std::string_view kPageCss;
extern const std::string_view kPageScript;

}  // namespace dogfs::sim
