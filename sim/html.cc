#include "sim/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "sim/html_assets.h"

namespace dogfs::sim {
namespace {

// JSON for a <script> element: "<" is escaped, so that no text can end the element.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f || c == '<') {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

int64_t ns(VirtualTime time) {
  return time == kUnended ? -1 : time.time_since_epoch().count();
}

template <class Item, class Write>
std::string array_of(const std::vector<Item>& items, Write write) {
  std::string out = "[";
  for (const Item& item : items) {
    if (out.size() > 1) out += ',';
    out += write(item);
  }
  return out + "]";
}

// One JSON object with an array for each field of the events.
template <class Event>
class Columns {
 public:
  explicit Columns(const std::vector<Event>& events) : events_(events) {}
  template <class Field>
  Columns& add(std::string_view name, Field field) {
    out_ += out_.empty() ? "{" : ",\n ";
    out_ += quoted(name) + ":" + array_of(events_, [&field](const Event& event) { return text(field(event)); });
    return *this;
  }
  std::string json() { return out_ + "}"; }

 private:
  template <class T>
  static std::string text(T value) {
    if constexpr (std::is_enum_v<T>) {
      return fmt::format_int(static_cast<int>(value)).str();
    } else {
      return fmt::format_int(value).str();
    }
  }

  const std::vector<Event>& events_;
  std::string out_;
};

// Times are in nanoseconds; ends are relative to beginnings, -1 where there is none.
template <class Event>
int64_t lasting(VirtualTime begin, const Event& event) {
  return event.end == kUnended ? -1 : ns(event.end) - ns(begin);
}

std::string messages_json(const Recording& recording) {
  using E = MessageEvent;
  return Columns<E>(recording.messages())
      .add("t", [](const E& e) { return ns(e.sent); })
      .add("dt", [](const E& e) { return lasting(e.sent, e); })
      .add("from", [](const E& e) { return e.from; })
      .add("to", [](const E& e) { return e.to; })
      .add("kind", [](const E& e) { return e.kind; })
      .add("fate", [](const E& e) { return e.fate; })
      .add("twin", [](const E& e) { return e.duplicate ? 1 : 0; })
      .add("call", [](const E& e) { return e.request_id; })
      .add("bytes", [](const E& e) { return e.bytes; })
      .add("label", [](const E& e) { return e.label; })
      .add("detail", [](const E& e) { return e.detail; })
      .json();
}

std::string members_json(const Recording& recording) {
  using E = MemberEvent;
  return Columns<E>(recording.members())
      .add("t", [](const E& e) { return ns(e.time); })
      .add("node", [](const E& e) { return e.node; })
      .add("role", [](const E& e) { return e.role; })
      .add("term", [](const E& e) { return e.term.value(); })
      .add("voted", [](const E& e) { return e.voted_for.value(); })
      .add("commit", [](const E& e) { return e.commit.value(); })
      .add("applied", [](const E& e) { return e.applied.value(); })
      .add("last", [](const E& e) { return e.last.value(); })
      .add("durable", [](const E& e) { return e.durable.value(); })
      .json();
}

std::string lives_json(const Recording& recording) {
  using E = LifeEvent;
  return Columns<E>(recording.lives())
      .add("t", [](const E& e) { return ns(e.time); })
      .add("node", [](const E& e) { return e.node; })
      .add("change", [](const E& e) { return e.change; })
      .json();
}

std::string operations_json(const Recording& recording) {
  using E = OperationEvent;
  return Columns<E>(recording.operations())
      .add("t", [](const E& e) { return ns(e.begin); })
      .add("dt", [](const E& e) { return lasting(e.begin, e); })
      .add("node", [](const E& e) { return e.node; })
      .add("outcome", [](const E& e) { return e.outcome; })
      .add("text", [](const E& e) { return e.text; })
      .add("error", [](const E& e) { return e.error; })
      .json();
}

std::string syncs_json(const Recording& recording) {
  using E = SyncEvent;
  return Columns<E>(recording.syncs())
      .add("t", [](const E& e) { return ns(e.begin); })
      .add("dt", [](const E& e) { return lasting(e.begin, e); })
      .add("node", [](const E& e) { return e.node; })
      .json();
}

std::string logs_json(const Recording& recording) {
  using E = LogEvent;
  return Columns<E>(recording.logs())
      .add("t", [](const E& e) { return ns(e.time); })
      .add("node", [](const E& e) { return e.node; })
      .add("level", [](const E& e) { return e.level; })
      .add("text", [](const E& e) { return e.text; })
      .json();
}

std::string faults_json(const Recording& recording) {
  return array_of(recording.faults(), [](const FaultEvent& e) {
    return fmt::format("{{\"t\":{},\"dt\":{},\"text\":{},\"who\":{},\"nodes\":{}}}", ns(e.begin), lasting(e.begin, e),
                       e.text, e.who, array_of(e.nodes, [](NodeIndex node) { return std::to_string(node); }));
  });
}

std::string run_json(const RunTitle& title, const RunResult& result, const Recording& recording) {
  const auto member = [](std::string_view name, const std::string& json) { return quoted(name) + ":" + json + ",\n"; };
  std::string out = "{";
  out += member("scenario", quoted(title.scenario));
  out += member("shows", quoted(title.shows));
  out += member("seed", quoted(std::to_string(title.seed)));
  out += member("mutant", quoted(title.mutant));
  out += member("command", quoted(title.command));
  out += member("failure", quoted(result.failure.value_or("")));
  out += member("digest", quoted(fmt::format("{:016x}", result.digest)));
  out += member("end", std::to_string(result.virtual_time.count()));
  out += member("truncated", recording.truncated() ? "true" : "false");
  out += member("nodes", array_of(recording.nodes(), quoted));
  out += member("texts", array_of(recording.texts(), quoted));
  out += member("messages", messages_json(recording));
  out += member("members", members_json(recording));
  out += member("lives", lives_json(recording));
  out += member("faults", faults_json(recording));
  out += member("operations", operations_json(recording));
  out += member("syncs", syncs_json(recording));
  return out + "\"logs\":" + logs_json(recording) + "}";
}

void replace(std::string& page, std::string_view mark, std::string_view with) {
  page.replace(page.find(mark), mark.size(), with);
}

std::string title_of(const RunTitle& title) {
  std::string text = title.scenario + ", seed " + std::to_string(title.seed);
  std::erase_if(text, [](char c) { return c == '<' || c == '&'; });
  return text;
}

}  // namespace

std::string html_page(const RunTitle& title, const RunResult& result, const Recording& recording) {
  std::string page(kPageHtml);
  replace(page, "@TITLE@", title_of(title));
  replace(page, "@CSS@", kPageCss);
  replace(page, "@SCRIPT@", kPageScript);
  replace(page, "@RUN@", run_json(title, result, recording));
  return page;
}

}  // namespace dogfs::sim
