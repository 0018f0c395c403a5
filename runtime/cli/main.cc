// dogfs: the command of users and operators. This file is the command line; each command is a file beside it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "runtime/cli/admin.h"
#include "runtime/cli/admin_report.h"
#include "runtime/cli/append.h"
#include "runtime/cli/cluster.h"
#include "runtime/cli/ec_admin.h"
#include "runtime/cli/fsck.h"
#include "runtime/cli/get.h"
#include "runtime/cli/inspect.h"
#include "runtime/cli/list.h"
#include "runtime/cli/namespace.h"
#include "runtime/cli/node_admin.h"
#include "runtime/cli/policy.h"
#include "runtime/cli/put.h"
#include "runtime/cli/quota.h"
#include "runtime/cli/session.h"
#include "runtime/cli/trash.h"
#include "runtime/flags.h"

namespace dogfs::cli {
namespace {

constexpr const char* kAbout = "Works with the files of a DogFS cluster.";

constexpr const char* kFooter = R"(
Which cluster: --meta (or DOGFS_META) names its metadata nodes, any or all of them; --cluster (or DOGFS_CLUSTER)
names a file that lists them, such as DIR/cluster of `dogfsd dev --dir DIR`. What the command line says comes before
the environment, and there DOGFS_META before DOGFS_CLUSTER.

Paths in DogFS begin with '/'. Names are any bytes but '/' and NUL, 255 at most; on a terminal odd names are quoted
so that a shell takes them back, in pipes they are raw.

Examples:
  export DOGFS_META=127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003
  dogfs mkdir -p /data/raw                make a directory and its parents
  dogfs put -r photos /data               a local tree into /data/photos
  tar c src | dogfs put - /data/src.tar   standard input into a file
  dogfs ls -l -R /data                    everything, with details
  dogfs get /data/photos/cat.jpg .        a file back
  dogfs cat /data/src.tar | tar t         a file into a pipe
  dogfs append more.log /logs/all         behind the end of a file
  dogfs truncate -s 4k /logs/all          cut to its first 4096 bytes
  dogfs quota set /data --bytes 10G       no more than that on disk, with parity
  dogfs trash list                        what was deleted and can be restored
  dogfs stat /data/src.tar                its blocks, and on which servers their shards are
  dogfs du -h /data                       how much it is, and how many losses its weakest block survives
  dogfs status                            who leads, which servers live, what is being repaired
  dogfs admin report                      all of that in full, with space and state by server
  dogfs fsck /data                        which blocks lack shards
  dogfs fsck /data --verify               the same, after reading every stored shard

Exit codes:
    0  done
    1  an operation failed, and would fail again (no such file, too few chunk servers, ...); or, where it says
       "outcome unknown", it may have been done
    2  the command line is wrong
   74  data is damaged: fewer intact shards than it takes
   75  the cluster cannot serve now: no leader, or no answer; try again later
  130  interrupted by Ctrl-C)";

struct CommandLine {
  std::string meta;
  std::string cluster_file;
  bool verbose = false;
  Command command;
};

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description, const char* example) {
  CLI::App* command = app.add_subcommand(name, description);
  command->set_help_flag("--help", "Print this help");
  command->footer(std::string("\nExample: ") + example);
  return command;
}

// Options live as long as the program: CLI11 writes to them while it parses, the command takes a copy afterwards.
template <class Options, class Run>
void on_call(CLI::App* app, CommandLine& line, const std::shared_ptr<Options>& options, Run run) {
  app->callback(
      [&line, options, run] { line.command = [options, run](Session& session) { return run(session, *options); }; });
}

struct CommandHelp {
  const char* name;
  const char* description;
  const char* example;
};

// A command that shows one object, to people or to programs.
template <class Options, class Run>
CLI::App* add_json_command(CLI::App& app, CommandLine& line, const std::shared_ptr<Options>& options, CommandHelp help,
                           Run run) {
  CLI::App* command = add_command(app, help.name, help.description, help.example);
  command->add_flag("--json", options->json, "One JSON object, for programs");
  on_call(command, line, options, run);
  return command;
}

// "90s", "2h": seconds.
CLI::AsNumberWithUnit seconds_with_unit() {
  const std::map<std::string, uint64_t> units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  return CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME");
}

// `policy` must live as long as the program.
void add_policy_option(CLI::App& command, std::optional<wire::EcPolicy>& policy, const char* description) {
  command.add_option_function<std::string>(
      "--ec",
      [&policy](const std::string& text) {
        const Result<wire::EcPolicy> parsed = parse_policy(text);
        if (!parsed) throw CLI::ValidationError("--ec", parsed.error().detail);
        policy = parsed.value();
      },
      description);
}

void add_namespace_commands(CLI::App& app, CommandLine& line) {
  auto mkdir = std::make_shared<MkdirOptions>();
  CLI::App* command = add_command(app, "mkdir", "Make directories", "dogfs mkdir -p --ec 3+2 /a/b/c");
  command->add_flag("-p,--parents", mkdir->parents, "Make missing parents; no failure if it is there already");
  add_policy_option(*command, mkdir->policy,
                    "Erasure code of the files below: K+M or K+M,CELL_KIB (6+3,256 unless a parent says otherwise)");
  command->add_option("PATH", mkdir->paths, "What to make")->required();
  on_call(command, line, mkdir, make_directories);

  auto mv = std::make_shared<MoveOptions>();
  auto words = std::make_shared<std::vector<std::string>>();
  command = add_command(app, "mv", "Rename, or move into a directory", "dogfs mv /a/old /a/new");
  command->add_flag("-n,--no-clobber", mv->no_clobber, "Do not replace what is there");
  command->add_option("SOURCE... TARGET", *words, "What to move, and where")->required()->expected(2, -1);
  command->callback([&line, mv, words] {
    mv->target = words->back();
    mv->sources.assign(words->begin(), words->end() - 1);
    line.command = [mv](Session& session) { return move(session, *mv); };
  });

  auto rm = std::make_shared<RemoveOptions>();
  command = add_command(app, "rm", "Remove files, or with -r trees", "dogfs rm -r /a/b");
  command->add_flag("-r,-R,--recursive", rm->recursive, "Remove directories with all that is in them");
  command->add_flag("-f,--force", rm->force, "What is not there is no failure");
  command->add_flag("--skip-trash", rm->skip_trash, "Gone for good, also where the cluster keeps what is deleted");
  command->add_option("PATH", rm->paths, "What to remove")->required();
  on_call(command, line, rm, remove);
}

void add_quota_commands(CLI::App& app, CommandLine& line) {
  CLI::App* quota = add_command(app, "quota", "How much there may be in a directory and below it",
                                "dogfs quota set /data --names 1000000 --bytes 10T");
  quota->require_subcommand(1);
  auto set = std::make_shared<QuotaOptions>();
  CLI::App* command = add_command(*quota, "set", "Limit a directory; a limit that is not given stays as it is",
                                  "dogfs quota set /data --bytes 500G");
  command->add_option("PATH", set->path, "Which directory")->required();
  CLI::Option* names = command->add_option("--names", set->max_names, "Files and directories, itself among them");
  names->check(CLI::Range(uint64_t{1}, kMaxQuotaLimit));
  CLI::Option* bytes =
      command->add_option("--bytes", set->max_bytes, "Bytes as they are stored, with parity; 4k is 4096");
  bytes->transform(CLI::AsSizeValue(false))->check(CLI::Range(uint64_t{1}, kMaxQuotaLimit));
  on_call(command, line, set, set_quota);

  auto clear = std::make_shared<QuotaOptions>();
  command = add_command(*quota, "clear", "Take both limits away", "dogfs quota clear /data");
  command->add_option("PATH", clear->path, "Which directory")->required();
  on_call(command, line, clear, clear_quota);

  auto show = std::make_shared<QuotaOptions>();
  command = add_command(*quota, "show", "Show the quotas that bind a path, and how much of them is used",
                        "dogfs quota show /data/raw");
  command->add_option("PATH", show->path, "Which path")->required();
  command->add_flag("--json", show->json, "One JSON object, for programs");
  on_call(command, line, show, show_quotas);
}

// CLI11's own checks speak of a range of floating-point numbers.
std::string refuse_other_than_trash_id(const std::string& text) {
  uint64_t id = 0;
  if (CLI::detail::lexical_cast(text, id) && id > 0) return {};
  return text + " is not the number of a trash entry, as `dogfs trash list` shows them";
}

void add_trash_commands(CLI::App& app, CommandLine& line) {
  CLI::App* trash = add_command(app, "trash", "What was deleted and can be restored", "dogfs trash list");
  trash->require_subcommand(1);
  auto listing = std::make_shared<TrashListOptions>();
  CLI::App* command =
      add_command(*trash, "list", "Show what is in the trash, what goes first at the front", "dogfs trash list");
  command->add_flag("--json", listing->json, "One JSON object a line, for programs");
  on_call(command, line, listing, list_trash);

  auto restore = std::make_shared<TrashRestoreOptions>();
  command = add_command(*trash, "restore", "Put back what was deleted", "dogfs trash restore 17 --to /data/again");
  command->add_option("ID", restore->ids, "Which, as `list` shows them")
      ->required()
      ->check(refuse_other_than_trash_id, "POSITIVE");
  command->add_option("--to", restore->target, "Another path than it had, or a directory to put it into");
  command->add_flag("-p,--parents", restore->parents, "Make the directories that are missing above it");
  on_call(command, line, restore, restore_trash);

  auto ids = std::make_shared<std::vector<uint64_t>>();
  command = add_command(*trash, "empty", "Delete what is in the trash for good", "dogfs trash empty 17");
  command->add_option("ID", *ids, "Which, as `list` shows them; everything if nothing is given")
      ->check(refuse_other_than_trash_id, "POSITIVE");
  on_call(command, line, ids, empty_trash);
}

void add_transfer_commands(CLI::App& app, CommandLine& line) {
  auto put_options = std::make_shared<PutOptions>();
  auto put_words = std::make_shared<std::vector<std::string>>();
  CLI::App* command = add_command(app, "put", "Copy local files into the cluster", "dogfs put -r photos /data");
  command->add_flag("-r,-R,--recursive", put_options->recursive, "Copy directories with all that is in them");
  command->add_flag("-n,--no-clobber", put_options->no_clobber, "Leave files that are there as they are");
  command->add_option("SOURCE... TARGET", *put_words, "Local files ('-': standard input), and a path in the cluster")
      ->required()
      ->expected(2, -1);
  command->callback([&line, put_options, put_words] {
    put_options->target = put_words->back();
    put_options->sources.assign(put_words->begin(), put_words->end() - 1);
    line.command = [put_options](Session& session) { return put(session, *put_options); };
  });

  auto get_options = std::make_shared<GetOptions>();
  auto get_words = std::make_shared<std::vector<std::string>>();
  command = add_command(app, "get", "Copy files out of the cluster", "dogfs get -r /data/photos .");
  command->add_flag("-r,-R,--recursive", get_options->recursive, "Copy directories with all that is in them");
  command
      ->add_option("SOURCE... [TARGET]", *get_words,
                   "Paths in the cluster, and a local one ('-': standard output); '.' if only one path is given")
      ->required();
  command->callback([&line, get_options, get_words] {
    get_options->sources = *get_words;
    if (get_words->size() > 1) {
      get_options->target = get_words->back();
      get_options->sources.pop_back();
    }
    line.command = [get_options](Session& session) { return get(session, *get_options); };
  });

  auto paths = std::make_shared<std::vector<std::string>>();
  command = add_command(app, "cat", "Write files to standard output", "dogfs cat /logs/today | less");
  command->add_option("PATH", *paths, "Files")->required();
  on_call(command, line, paths, cat);
}

void add_append_commands(CLI::App& app, CommandLine& line) {
  auto options = std::make_shared<AppendOptions>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* command =
      add_command(app, "append", "Add local bytes behind the end of a file", "journalctl | dogfs append - /logs/all");
  command
      ->add_option("SOURCE... TARGET", *words,
                   "Local files ('-': standard input), and a file in the cluster, which is made where it is missing")
      ->required()
      ->expected(2, -1);
  command->callback([&line, options, words] {
    options->target = words->back();
    options->sources.assign(words->begin(), words->end() - 1);
    line.command = [options](Session& session) { return append(session, *options); };
  });

  auto cut = std::make_shared<TruncateOptions>();
  command = add_command(app, "truncate", "Cut files to a shorter length", "dogfs truncate -s 1024 /logs/all");
  command->add_option("-s,--size", cut->length, "How many bytes are left; 4k is 4096")
      ->required()
      ->transform(CLI::AsSizeValue(false));
  command->add_option("PATH", cut->paths, "Which files")->required();
  on_call(command, line, cut, truncate);

  auto recovery = std::make_shared<RecoverLeaseOptions>();
  command = add_command(app, "recover-lease", "Close files that somebody is writing, who is refused from then on",
                        "dogfs recover-lease /logs/all");
  command->add_option("PATH", recovery->paths, "Which files; what was acknowledged of them stays")->required();
  on_call(command, line, recovery, recover_leases);
}

void add_inspection_commands(CLI::App& app, CommandLine& line) {
  auto ls = std::make_shared<ListOptions>();
  CLI::App* command = add_command(app, "ls", "List directories", "dogfs ls -l -h /data");
  command->add_flag("-l,--long", ls->details, "With mode, owner, size and time");
  command->add_flag("-R,--recursive", ls->recursive, "With all that is below");
  command->add_flag("-h,--human", ls->human, "Sizes such as 1.5G");
  command->add_option("PATH", ls->paths, "What to list; '/' if nothing is given");
  on_call(command, line, ls, list);

  auto stat = std::make_shared<InspectOptions>();
  command = add_command(app, "stat", "Show a path's attributes, blocks, shards and spares", "dogfs stat /data/file");
  command->add_flag("--json", stat->json, "One JSON object a line, for programs");
  command->add_option("PATH", stat->paths, "What to show")->required();
  on_call(command, line, stat, print_status_of_paths);

  auto du = std::make_shared<InspectOptions>();
  command = add_command(app, "du", "Show how much is under a path, and how safe it is", "dogfs du -h /data");
  command->add_flag("-h,--human", du->human, "Sizes such as 1.5G");
  command->add_flag("--json", du->json, "One JSON object a line, for programs");
  command->add_option("PATH", du->paths, "What to sum up; '/' if nothing is given");
  on_call(command, line, du, print_usage);

  auto status = std::make_shared<InspectOptions>();
  command = add_command(app, "status", "Show the cluster: its leader, servers and space", "dogfs status");
  command->add_flag("--json", status->json, "One JSON object, for programs");
  on_call(command, line, status, print_cluster_status);

  auto fsck = std::make_shared<FsckOptions>();
  command = add_command(app, "fsck", "Show which blocks lack shards, and where", "dogfs fsck /data");
  command->add_option("PATH", fsck->path, "What to check")->capture_default_str();
  command->add_flag("--verify", fsck->verify,
                    "Read every stored shard, hold it against what was committed, and report damage for repair");
  command->add_flag("--all", fsck->all, "List the blocks that are whole too, with all their shards");
  command->add_flag("--json", fsck->json, "One JSON object a line, for programs");
  on_call(command, line, fsck, check_files);
}

void add_membership_commands(CLI::App& meta, CommandLine& line) {
  auto options = std::make_shared<AdminOptions>();
  const auto define = [&](const char* name, const char* description, const char* example, auto run) {
    return add_json_command(meta, line, options, {name, description, example}, run);
  };
  define("status", "Show the members, and how far each has the log", "dogfs admin meta status", print_membership);
  CLI::App* add = define("add", "Add a node that waits for it (dogfsd meta --join), as a learner without a vote",
                         "dogfs admin meta add 4=10.0.0.4:7001", add_member);
  add->add_option("MEMBER", options->member, "ID=host:port; an id that no node ever had")->required();
  CLI::App* promote = define("promote", "Give learners a vote, once they have caught up", "dogfs admin meta promote 4",
                             promote_members);
  promote->add_option("ID", options->nodes, "Whom")->required();
  promote->add_option("--wait", options->wait_seconds, "How many seconds to wait for them")->capture_default_str();
  CLI::App* remove =
      define("remove", "Take nodes out of the group, dead or alive", "dogfs admin meta remove 3", remove_members);
  remove->add_option("ID", options->nodes, "Whom")->required();
  CLI::App* transfer =
      define("transfer", "Hand leadership to another node", "dogfs admin meta transfer 2", transfer_leadership);
  transfer->add_option("ID", options->target, "To whom; the one with the most of the log if not given");
}

void add_node_commands(CLI::App& node, CommandLine& line) {
  auto options = std::make_shared<NodeOptions>();
  const auto define = [&](const char* name, const char* description, const char* example, auto run) {
    CLI::App* command = add_command(node, name, description, example);
    on_call(command, line, options, run);
    return command;
  };
  const auto define_for_servers = [&](const char* name, const char* description, const char* example, auto run) {
    CLI::App* command = define(name, description, example, run);
    command->add_option("SERVER", options->servers, "Ids or addresses, as `list` shows them")->required();
    return command;
  };
  CLI::App* list = define("list", "Show the chunk servers, and what is left on those that go", "dogfs admin node list",
                          list_servers);
  list->add_flag("--json", options->json, "One JSON object a line, for programs");
  CLI::App* drain = define_for_servers("drain", "Move everything off servers; they go on being read from",
                                       "dogfs admin node drain 3 --wait", drain_servers);
  drain->add_flag("--wait", options->wait, "Until they are empty");
  drain->add_flag("--force", options->force, "Even if some blocks have nowhere to go");
  CLI::App* maintenance =
      define_for_servers("maintenance", "Let servers be away for a while without repairing what they hold",
                         "dogfs admin node maintenance 3 --for 2h", maintain_servers);
  maintenance
      ->add_option("--for", options->period_seconds, "How long, such as 90s, 30m, 2h or 1d; then it is over by itself")
      ->transform(seconds_with_unit())
      ->check(CLI::Range(uint64_t{1}, uint64_t{30 * 86400}))
      ->default_str("1h");
  maintenance->add_flag("--force", options->force, "Even if some blocks cannot be read meanwhile");
  define_for_servers("return", "End a drain or maintenance", "dogfs admin node return 3", return_servers);
  define_for_servers("remove", "Take out servers for good that are empty", "dogfs admin node remove 3", remove_servers);
}

void add_balance_commands(CLI::App& balance, CommandLine& line) {
  auto options = std::make_shared<BalanceOptions>();
  const auto define = [&](const char* name, const char* description, const char* example, auto run) {
    return add_json_command(balance, line, options, {name, description, example}, run);
  };
  CLI::App* start = define("start", "Move shards until servers are equally full and no rack has too many",
                           "dogfs admin balance start --threshold 5", start_balancing);
  start
      ->add_option("--threshold", options->threshold_percent,
                   "How much fuller than the mean a server may be, in per cent of its space")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  define("stop", "Move nothing more", "dogfs admin balance stop", stop_balancing);
  define("status", "Show how far it is", "dogfs admin balance status", show_balancing);
}

void add_ec_commands(CLI::App& admin, CommandLine& line) {
  auto policy = std::make_shared<PolicyOptions>();
  CLI::App* command = add_command(admin, "policy", "Set the erasure code of the files that directories get from now on",
                                  "dogfs admin policy --ec 10+4 /archive");
  CLI::App* which = command->add_option_group("code")->require_option(1);
  add_policy_option(*which, policy->policy, "K+M or K+M,CELL_KIB");
  which->add_flag("--inherit", policy->inherit, "That of the parent directory");
  command->add_option("PATH", policy->paths, "Which directories")->required();
  on_call(command, line, policy, set_policies);

  auto convert_options = std::make_shared<ConvertOptions>();
  command =
      add_command(admin, "convert", "Write files anew that are not coded as they would be today, or in too many blocks",
                  "dogfs admin convert /archive");
  add_policy_option(*command, convert_options->policy,
                    "K+M or K+M,CELL_KIB; that of each file's directory if not given");
  command->add_option("PATH", convert_options->paths, "Files, or directories with all that is in them")->required();
  on_call(command, line, convert_options, convert);
}

void add_trash_admin_commands(CLI::App& trash, CommandLine& line) {
  auto options = std::make_shared<TrashPeriodOptions>();
  const auto define = [&](const char* name, const char* description, const char* example, auto run) {
    return add_json_command(trash, line, options, {name, description, example}, run);
  };
  CLI::App* on =
      define("on", "Keep what is deleted from now on for a while", "dogfs admin trash on --period 7d", keep_trash);
  on->add_option("--period", options->period_seconds, "How long, such as 90s, 30m, 2h or 1d")
      ->transform(seconds_with_unit())
      ->check(CLI::Range(uint64_t{1}, uint64_t{3650 * 86400}))
      ->default_str("1d");
  define("off", "Keep nothing that is deleted from now on", "dogfs admin trash off", keep_no_trash);
  define("status", "Show for how long what is deleted is kept", "dogfs admin trash status", show_trash_period);
}

void add_admin_commands(CLI::App& app, CommandLine& line) {
  CLI::App* admin = add_command(app, "admin", "Operate the cluster", "dogfs admin meta status");
  admin->require_subcommand(1);
  auto report = std::make_shared<AdminReportOptions>();
  CLI::App* command = add_command(*admin, "report", "Show everything at once: space, servers, blocks, members, repairs",
                                  "dogfs admin report");
  command->add_flag("--json", report->json, "One JSON object, for programs");
  on_call(command, line, report, print_admin_report);
  CLI::App* meta = add_command(*admin, "meta", "The metadata group and its members", "dogfs admin meta status");
  meta->require_subcommand(1);
  add_membership_commands(*meta, line);
  CLI::App* node = add_command(*admin, "node", "The chunk servers", "dogfs admin node list");
  node->require_subcommand(1);
  add_node_commands(*node, line);
  CLI::App* balance =
      add_command(*admin, "balance", "How evenly servers and racks are filled", "dogfs admin balance start");
  balance->require_subcommand(1);
  add_balance_commands(*balance, line);
  add_ec_commands(*admin, line);
  CLI::App* trash =
      add_command(*admin, "trash", "For how long what is deleted is kept", "dogfs admin trash on --period 24h");
  trash->require_subcommand(1);
  add_trash_admin_commands(*trash, line);
}

Result<std::vector<Address>> find_meta_nodes(const CommandLine& line) {
  if (!line.meta.empty()) return parse_meta_nodes(line.meta);
  if (line.cluster_file.empty()) {
    return Error(ErrorCode::kInvalidArgument, "no cluster: give --meta, --cluster, DOGFS_META or DOGFS_CLUSTER");
  }
  Result<std::vector<Address>> nodes = read_cluster_file(line.cluster_file);
  if (nodes) return nodes;
  return Error(nodes.error().code, describe_failure(line.cluster_file, nodes.error()));
}

int run(int argc, char** argv) {
  CommandLine line;
  CLI::App app(kAbout, "dogfs");
  app.set_help_flag("--help", "Print this help");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  CLI::Option* meta =
      app.add_option("--meta", line.meta, "Metadata nodes, as host:port,host:port,... (Env:DOGFS_META)");
  CLI::Option* cluster =
      app.add_option("--cluster", line.cluster_file, "File that lists the metadata nodes (Env:DOGFS_CLUSTER)");
  meta->excludes(cluster);
  app.add_flag("-v,--verbose", line.verbose, "Say more of what happens, on standard error");
  add_namespace_commands(app, line);
  add_quota_commands(app, line);
  add_trash_commands(app, line);
  add_transfer_commands(app, line);
  add_append_commands(app, line);
  add_inspection_commands(app, line);
  add_admin_commands(app, line);
  refuse_negative_numbers(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  // Not by CLI11, which would let DOGFS_META come before --cluster.
  if (meta->count() == 0 && cluster->count() == 0) {
    line.meta = from_environment("DOGFS_META");
    if (line.meta.empty()) line.cluster_file = from_environment("DOGFS_CLUSTER");
  }
  const Result<std::vector<Address>> nodes = find_meta_nodes(line);
  if (!nodes) {
    std::fprintf(stderr, "dogfs: %s\n", nodes.error().detail.c_str());
    return static_cast<int>(ExitCode::kUsage);
  }
  const ExitCode code = run_session({.meta_nodes = nodes.value(), .verbose = line.verbose}, line.command);
  // Output that could not be written is a failure like any other.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "dogfs: standard output: write failed\n");
    return static_cast<int>(worse_of(code, ExitCode::kFailed));
  }
  return static_cast<int>(code);
}

}  // namespace
}  // namespace dogfs::cli

int main(int argc, char** argv) {
  return dogfs::cli::run(argc, argv);
}
