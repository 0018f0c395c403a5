#include "runtime/cli/list.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/cli/paths.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

// The columns of one page are aligned with each other.
struct Widths {
  size_t owner = 0;
  size_t group = 0;
  size_t bytes = 0;
};

uint64_t shown_bytes(const wire::FileStatus& entry) {
  return entry.directory() ? 0 : entry.length();
}

template <class Entries>
Widths measure(const Entries& entries, bool human) {
  Widths widths;
  for (const wire::FileStatus& entry : entries) {
    widths.owner = std::max(widths.owner, entry.owner().size());
    widths.group = std::max(widths.group, entry.group().size());
    widths.bytes = std::max(widths.bytes, format_bytes(shown_bytes(entry), human).size());
  }
  return widths;
}

std::string details(const wire::FileStatus& entry, const Widths& widths, bool human) {
  return fmt::format("{}  {:<{}} {:<{}}  {:>{}}  {}  ", format_mode(entry.mode(), entry.directory()), entry.owner(),
                     widths.owner, entry.group(), widths.group, format_bytes(shown_bytes(entry), human), widths.bytes,
                     format_time(entry.mtime_ms()));
}

template <class Entries>
void print_entries(const Session& session, const Entries& entries, const ListOptions& options) {
  const Widths widths = options.details ? measure(entries, options.human) : Widths{};
  for (const wire::FileStatus& entry : entries) {
    if (options.details) print(details(entry, widths, options.human));
    print(session.shown_name(entry.name()));
    print(entry.being_written() && options.details ? "  (being written)\n" : "\n");
  }
}

// Prints one directory and returns the paths of the directories in it, in the order of their names.
Task<Result<std::vector<std::string>>> print_directory(Session& session, std::string path, const ListOptions& options) {
  std::vector<std::string> subdirectories;
  std::string after;
  for (bool more = true; more && !session.interrupted();) {
    DOGFS_CO_TRY(const wire::ListReply page, co_await session.client().list(path, after, 0));
    print_entries(session, page.entries(), options);
    for (const wire::FileStatus& entry : page.entries()) {
      if (options.recursive && entry.directory()) subdirectories.push_back(join_path(path, entry.name()));
    }
    more = page.more() && page.entries_size() > 0;
    if (more) after = page.entries(page.entries_size() - 1).name();
  }
  co_return subdirectories;
}

// Prints a directory, and with -R all below it, each under its own heading.
Task<void> print_tree(Session& session, std::string root, const ListOptions& options, bool heading) {
  std::vector<std::string> pending{std::move(root)};
  bool first = true;
  while (!pending.empty() && !session.interrupted()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    if (!first) print("\n");
    if (heading || options.recursive) print(session.shown_name(path) + ":\n");
    first = false;
    auto subdirectories = co_await print_directory(session, path, options);
    if (!subdirectories) {
      session.fail(path, subdirectories.error());
      continue;
    }
    for (auto it = subdirectories.value().rbegin(); it != subdirectories.value().rend(); ++it) {
      pending.push_back(std::move(*it));
    }
  }
}

}  // namespace

Task<void> list(Session& session, ListOptions options) {
  if (options.paths.empty()) options.paths.emplace_back("/");
  std::vector<wire::FileStatus> files;
  std::vector<std::string> directories;
  for (const std::string& text : options.paths) {
    const Result<std::string> path = parse_path(text);
    if (!path) {
      session.fail(text, path.error());
      continue;
    }
    Result<wire::FileStatus> status = co_await session.client().stat(path.value());
    if (!status) {
      session.fail(path.value(), status.error());
    } else if (status.value().directory()) {
      directories.push_back(path.value());
    } else {
      // Named as it was asked for.
      status.value().set_name(path.value());
      files.push_back(std::move(status).value());
    }
  }
  print_entries(session, files, options);
  for (size_t i = 0; i < directories.size(); ++i) {
    if (i > 0 || !files.empty()) print("\n");
    co_await print_tree(session, directories[i], options, options.paths.size() > 1);
  }
}

}  // namespace dogfs::cli
