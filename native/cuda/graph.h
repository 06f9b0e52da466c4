// Work on the device that is queued once and then again and again as a whole, without the host's share in it.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <vector>

namespace easting::cuda {

// Parts of a training step, captured and replayed one after the other. All of it on the queue's thread.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();
  // From here to `end`, work is noted down instead of done.
  void begin(int part);
  // Makes the part, or brings the one that is there up to date: kernels that are the same take new arguments in place.
  void end();
  void replay(int part);

 private:
  struct Part {
    void* exec = nullptr;  // a cudaGraphExec_t
    std::vector<std::shared_ptr<const void>> constants;
  };
  std::map<int, Part> parts_;
};

// While something is captured: a copy in pinned memory that lives as long as the part that reads it. Null while nothing is.
const void* retain(const void* data, std::size_t bytes);

}  // namespace easting::cuda
