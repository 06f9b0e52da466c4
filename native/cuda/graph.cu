#include "graph.h"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "launch.cuh"

namespace easting::cuda {

namespace {

cudaGraphExec_t exec_of(void* exec) { return static_cast<cudaGraphExec_t>(exec); }

struct Capture {
  void* graph;
  int part;
  std::vector<std::shared_ptr<const void>> constants;
};
std::unique_ptr<Capture> capture;

}  // namespace

Graph::~Graph() {
  for (auto& [number, part] : parts_)
    if (part.exec) static_cast<void>(cudaGraphExecDestroy(exec_of(part.exec)));
}

void Graph::begin(int part) {
  if (capture) throw std::runtime_error("capture: expected none to be running, got a second one");
  // Relaxed: a kernel may take more scratch memory while it is captured.
  check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  capture = std::make_unique<Capture>(Capture{this, part, {}});
}

void Graph::end() {
  if (!capture || capture->graph != this) throw std::runtime_error("capture: expected one to be running, got none");
  const std::unique_ptr<Capture> done = std::move(capture);
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(stream(), &graph), "cudaStreamEndCapture");
  Part& part = parts_[done->part];
  cudaGraphExecUpdateResultInfo info{};
  if (part.exec && cudaGraphExecUpdate(exec_of(part.exec), graph, &info) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());  // it has other kernels
    check(cudaGraphExecDestroy(exec_of(std::exchange(part.exec, nullptr))), "cudaGraphExecDestroy");
  }
  if (!part.exec) {
    cudaGraphExec_t exec = nullptr;
    check(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
    part.exec = exec;
  }
  check(cudaGraphDestroy(graph), "cudaGraphDestroy");
  part.constants = std::move(done->constants);
}

void Graph::replay(int part) {
  const auto found = parts_.find(part);
  if (found == parts_.end() || !found->second.exec)
    throw std::runtime_error("replay: expected a captured part, got none with number " + std::to_string(part));
  check(cudaGraphLaunch(exec_of(found->second.exec), stream()), "cudaGraphLaunch");
}

const void* retain(const void* data, std::size_t bytes) {
  if (!capture) return nullptr;
  void* copy = nullptr;
  check(cudaMallocHost(&copy, bytes), "cudaMallocHost");
  capture->constants.emplace_back(copy, [](void* block) { static_cast<void>(cudaFreeHost(block)); });
  std::memcpy(copy, data, bytes);
  return copy;
}

}  // namespace easting::cuda
