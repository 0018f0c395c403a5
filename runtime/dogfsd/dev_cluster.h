// `dogfsd dev`: a whole cluster in one process, each node on a thread of its own, over loopback TCP.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "runtime/dogfsd/config.h"
#include "runtime/dogfsd/node_host.h"

namespace dogfs {

class DevCluster {
 public:
  // Opens all nodes under `flags.directory`; they begin to run in start(). The ports of the metadata nodes are those of
  // the last time, if the directory has been used before.
  static Result<std::unique_ptr<DevCluster>> open(const DevFlags& flags, const CommonFlags& common);
  ~DevCluster();

  // `on_serving` is called once, when every node serves, on some node's thread; `on_failed`, with the first error,
  // when a node cannot start.
  void start(const std::function<void()>& on_serving, const std::function<void(Error)>& on_failed);
  // From any thread. The destructor waits for the end.
  void request_stop();

  // The metadata nodes, as clients want them: "host:port,host:port,…".
  std::string meta_list() const;

 private:
  DevCluster() = default;
  Status open_meta(const DevFlags& flags, const CommonFlags& common);
  Status open_chunks(const DevFlags& flags, const CommonFlags& common);

  std::vector<Address> meta_addresses_;
  std::vector<std::unique_ptr<NodeHost>> hosts_;
  std::vector<std::thread> threads_;
};

}  // namespace dogfs
