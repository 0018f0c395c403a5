#include "sim/scenario_text.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <vector>

#include "sim/scenario.h"

namespace dogfs::sim {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

constexpr size_t kLineLength = 118;

// Whether parsing fills in all that `less` lacks.
bool means_the_same(const proto::Scenario& less, const proto::Scenario& whole) {
  std::string text;
  TextFormat::PrintToString(less, &text);
  const Result<proto::Scenario> parsed = parse_scenario(text);
  return parsed.has_value() && parsed.value().SerializeAsString() == whole.SerializeAsString();
}

std::vector<const FieldDescriptor*> single_fields(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  std::erase_if(fields, [](const FieldDescriptor* field) { return field->is_repeated(); });
  return fields;
}

// `whole` without the fields, and the fields of its parts, that parsing would fill in again.
proto::Scenario without_defaults(const proto::Scenario& whole) {
  proto::Scenario result = whole;
  const auto attempt = [&](auto clear) {
    proto::Scenario less = result;
    clear(less);
    if (means_the_same(less, whole)) result = less;
  };
  for (const FieldDescriptor* field : single_fields(whole)) {
    attempt([field](proto::Scenario& less) { less.GetReflection()->ClearField(&less, field); });
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    for (const FieldDescriptor* inner : single_fields(whole.GetReflection()->GetMessage(whole, field))) {
      attempt([field, inner](proto::Scenario& less) {
        if (!less.GetReflection()->HasField(less, field)) return;
        Message* part = less.GetReflection()->MutableMessage(&less, field);
        part->GetReflection()->ClearField(part, inner);
      });
    }
  }
  return result;
}

std::string comment_lines(const std::string& comment) {
  std::string out;
  size_t length = 0;
  for (size_t begin = 0; begin < comment.size();) {
    const size_t end = std::min(comment.find_first_of(" \n", begin), comment.size());
    const std::string word = comment.substr(begin, end - begin);
    const bool fits = length > 0 && length + 1 + word.size() <= kLineLength;
    out += fits ? " " + word : (out.empty() ? "# " : "\n# ") + word;
    length = fits ? length + 1 + word.size() : 2 + word.size();
    if (end < comment.size() && comment[end] == '\n') length = 0;
    begin = end + 1;
  }
  return out.empty() ? out : out + "\n";
}

}  // namespace

std::string scenario_text(const proto::Scenario& scenario, const std::string& comment) {
  const proto::Scenario shorter = without_defaults(scenario);
  std::string out = comment_lines(comment);
  std::vector<const FieldDescriptor*> fields;
  shorter.GetReflection()->ListFields(shorter, &fields);
  TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? shorter.GetReflection()->FieldSize(shorter, field) : 1;
    for (int i = 0; i < count; ++i) {
      std::string value;
      printer.PrintFieldValueToString(shorter, field, field->is_repeated() ? i : -1, &value);
      const bool message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
      out += message ? field->name() + " { " + value + "}\n" : field->name() + ": " + value + "\n";
    }
  }
  return out;
}

}  // namespace dogfs::sim
