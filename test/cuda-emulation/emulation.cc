// The emulated device. Environment variables give it what a test needs:
//   EASTING_EMULATED_DEVICES=N    devices there are (default 1; 0: a driver without a GPU)
//   EASTING_EMULATED_DRIVER=N     version of the driver, as CUDA numbers it (default 13000; 0: no driver)
//   EASTING_EMULATED_MEMORY=N     bytes of each device (default 4 GB)
//   EASTING_EMULATED_FAULT=N      the Nth kernel from now on fails, and so does every later call
//   EASTING_EMULATED_IMAGE=none   the build holds no code for the device
#include "cuda_runtime.h"

#include <ucontext.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

long long setting(const char* name, long long otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::atoll(text) : otherwise;
}

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "cuda-emulation: %s (block %u %u %u, thread %u %u %u)\n", what, blockIdx.x, blockIdx.y, blockIdx.z,
               threadIdx.x, threadIdx.y, threadIdx.z);
  std::abort();
}

constexpr std::size_t stack_bytes = 64 << 10;
constexpr int lanes = 32;

// A stack with a place in the code to go on from. After its first start a change costs a few instructions, except with
// AddressSanitizer, which knows only the system's way.
struct Context {
  ucontext_t start;
  void* place[5];
  bool started = false;
};

[[noreturn]] __attribute__((noinline)) void jump(Context& to) { __builtin_longjmp(to.place, 1); }

__attribute__((noinline)) void change(Context& from, Context& to) {
#ifdef __SANITIZE_ADDRESS__
  swapcontext(&from.start, &to.start);
#else
  if (__builtin_setjmp(from.place)) return;
  from.started = true;
  if (to.started) jump(to);
  setcontext(&to.start);
#endif
}

struct Fiber {
  Context context;
  std::unique_ptr<char[]> stack;
};

enum class State : char { waiting_to_begin, ready, at_block, at_warp, ended };

// A thread of the block. Until it waits for the first time it needs no fiber of its own.
struct Thread {
  Fiber* fiber = nullptr;
  State state = State::waiting_to_begin;
};

// What the lanes of a warp hand in, in two rooms by turns: the next round may be written while this one is read. A lane
// that has not handed in anything in the last round is not in `given`.
struct Warp {
  unsigned given = 0, mask = 0, round = 0;
  std::uint64_t values[2][lanes];
};

Context scheduler;
std::deque<Fiber> fibers;
std::vector<Fiber*> idle;
std::vector<Thread> threads;
std::vector<Warp> warps;
std::size_t current, begun, ended;  // the running thread; how many have begun and ended
const std::function<void()>* body;

void run_as(std::size_t thread) {
  current = thread;
  const unsigned at = static_cast<unsigned>(thread), row = at / blockDim.x;
  threadIdx = {at % blockDim.x, row % blockDim.y, row / blockDim.y};
}

// What every fiber does: one thread after the other, as long as there are some to begin, then idle until the next block.
void enter() {
  for (;;) {
    Fiber* self = threads[current].fiber;
    (*body)();
    threads[current].state = State::ended;
    ++ended;
    if (begun < threads.size()) {
      threads[begun].fiber = self;
      run_as(begun++);
    } else {
      idle.push_back(self);
      change(self->context, scheduler);
    }
  }
}

void leave(State state) {
  Thread& thread = threads[current];
  thread.state = state;
  change(thread.fiber->context, scheduler);
}

void make_context(ucontext_t& context, char* stack, std::size_t bytes) {
  getcontext(&context);
  context.uc_stack = {stack, 0, bytes};
  makecontext(&context, enter, 0);
}

Fiber* idle_fiber() {
  if (idle.empty()) {
    // Stacks that begin at the same place of a page would push each other out of the cache.
    const std::size_t shift = fibers.size() * 448 % 16384;
    Fiber& fiber = fibers.emplace_back();
    fiber.stack.reset(new char[stack_bytes]);
    make_context(fiber.context.start, fiber.stack.get(), stack_bytes - shift);
    return &fiber;
  }
  Fiber* fiber = idle.back();
  idle.pop_back();
  return fiber;
}

void go_on(std::size_t thread) {
  run_as(thread);
  change(scheduler, threads[thread].fiber->context);
}

// Runs the lanes of a warp until all have ended or wait for the block; returns how many wait.
std::size_t run_warp(std::size_t w, std::size_t count) {
  Warp& warp = warps[w];
  const std::size_t begin = w * lanes, end = std::min(count, begin + lanes);
  for (;;) {
    unsigned here = 0, elsewhere = 0;
    for (std::size_t t = begin; t < end; ++t) {
      if (threads[t].state == State::ready) go_on(t);
      const unsigned lane = 1u << t % lanes;
      if (threads[t].state == State::at_warp) here |= lane;
      if (threads[t].state == State::at_block) elsewhere |= lane;
    }
    if (!here) return static_cast<std::size_t>(__builtin_popcount(elsewhere));
    // All lanes that are named and alive are here now.
    if (warp.mask & elsewhere) stop("a lane waits for the block while others of its warp wait for it");
    warp.given = here;
    ++warp.round;
    for (std::size_t t = begin; t < end; ++t)
      if (here >> t % lanes & 1) threads[t].state = State::ready;
  }
}

void run_block(std::size_t count) {
  threads.assign(count, {});
  warps.assign((count + lanes - 1) / lanes, {});
  begun = ended = 0;
  while (begun < count) {
    const std::size_t first = begun++;
    threads[first].fiber = idle_fiber();
    go_on(first);
  }
  while (ended < count) {
    std::size_t at_block = 0;
    for (std::size_t w = 0; w < warps.size(); ++w) at_block += run_warp(w, count);
    if (at_block > 0 && ended > 0) stop("threads ended while others wait at __syncthreads");
    for (Thread& thread : threads)
      if (thread.state == State::at_block) thread.state = State::ready;
  }
}

}  // namespace

namespace emulation {

void wait_for_block() { leave(State::at_block); }
void wait_for_warp(unsigned mask) {
  warps[current / lanes].mask = mask;
  leave(State::at_warp);
}
std::uint64_t exchange(unsigned mask, std::uint64_t value, int source) {
  Warp& warp = warps[current / lanes];
  const auto& values = warp.values[warp.round % 2];
  warp.values[warp.round % 2][current % lanes] = value;
  wait_for_warp(mask);
  return warp.given >> source & 1 ? values[source] : value;
}
unsigned votes(unsigned mask, bool vote) {
  Warp& warp = warps[current / lanes];
  const auto& values = warp.values[warp.round % 2];
  warp.values[warp.round % 2][current % lanes] = vote;
  wait_for_warp(mask);
  unsigned result = 0;
  for (int i = 0; i < lanes; ++i)
    if (warp.given >> i & 1 && mask >> i & 1 && values[i]) result |= 1u << i;
  return result;
}

}  // namespace emulation

// --- the host's side ---

struct EmulatedEvent {
  std::chrono::steady_clock::time_point when;
};
struct EmulatedGraph {
  struct Node {
    const void* kernel;  // null: a copy or a fill
    std::function<void()> run;
  };
  std::vector<Node> nodes;
};

namespace {

std::mutex mutex;
std::map<void*, std::pair<int, std::size_t>> blocks;  // device memory: of which device, how long
std::map<int, std::size_t> used;
thread_local int device = 0;
thread_local cudaError_t last = cudaSuccess;
cudaError_t sticky = cudaSuccess;
long long kernels_run = 0;
EmulatedGraph* captured = nullptr;

cudaError_t report(cudaError_t error) {
  if (sticky != cudaSuccess) error = sticky;
  if (error != cudaSuccess) last = error;
  return error;
}

cudaError_t act(const void* kernel, std::function<void()> run) {
  if (captured) captured->nodes.push_back({kernel, std::move(run)});
  else run();
  return report(cudaSuccess);
}

EmulatedStream one_stream{[](std::function<void()> run) { return act(nullptr, std::move(run)); }};

}  // namespace

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorGraphExecUpdateFailure: return "cudaErrorGraphExecUpdateFailure";
    default: return "cudaErrorUnknown";  // no test asks for it
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorNoKernelImageForDevice: return "no kernel image is available for execution on the device";
    default: return "emulated error";
  }
}
cudaError_t cudaGetLastError() { return sticky != cudaSuccess ? sticky : std::exchange(last, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return sticky != cudaSuccess ? sticky : last; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = static_cast<int>(setting("EASTING_EMULATED_DEVICES", 1));
  if (setting("EASTING_EMULATED_DRIVER", 13000) < 13000) return report(cudaErrorInsufficientDriver);
  return report(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = static_cast<int>(setting("EASTING_EMULATED_DRIVER", 13000));
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated device", static_cast<std::size_t>(setting("EASTING_EMULATED_MEMORY", 4ll << 30)), 9, 0, 2};
  return report(cudaSuccess);
}
cudaError_t cudaSetDevice(int chosen) {
  device = chosen;
  return report(cudaSuccess);
}
cudaError_t cudaGetDevice(int* chosen) {
  *chosen = device;
  return report(cudaSuccess);
}
cudaError_t emulatedFunctionAttributes(cudaFuncAttributes* attributes) {
  attributes->maxThreadsPerBlock = 1024;
  const char* image = std::getenv("EASTING_EMULATED_IMAGE");
  return report(image && std::string(image) == "none" ? cudaErrorNoKernelImageForDevice : cudaSuccess);
}

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  std::lock_guard lock(mutex);
  if (sticky != cudaSuccess) return report(sticky);
  if (used[device] + bytes > static_cast<std::size_t>(setting("EASTING_EMULATED_MEMORY", 4ll << 30)))
    return report(cudaErrorMemoryAllocation);
  if (posix_memalign(block, 256, bytes) != 0) return report(cudaErrorMemoryAllocation);  // exactly: for AddressSanitizer
  std::memset(*block, 0xff, bytes);  // NaN: nothing may rely on what memory held before
  blocks[*block] = {device, bytes};
  used[device] += bytes;
  return report(cudaSuccess);
}
cudaError_t cudaFree(void* block) {
  std::lock_guard lock(mutex);
  const auto found = blocks.find(block);
  if (found == blocks.end()) return report(block ? cudaErrorInvalidValue : cudaSuccess);
  used[found->second.first] -= found->second.second;
  blocks.erase(found);
  std::free(block);
  return report(cudaSuccess);
}
cudaError_t cudaMallocHost(void** block, std::size_t bytes) {
  *block = std::malloc(bytes);
  return report(*block ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* block) {
  std::free(block);
  return report(cudaSuccess);
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  std::lock_guard lock(mutex);
  *total = static_cast<std::size_t>(setting("EASTING_EMULATED_MEMORY", 4ll << 30));
  *free = *total - used[device];
  return report(cudaSuccess);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = &one_stream;
  return report(cudaSuccess);
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return report(cudaSuccess); }
cudaError_t cudaDeviceSynchronize() { return report(cudaSuccess); }
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  return act(nullptr, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* at, int byte, std::size_t bytes, cudaStream_t) {
  return act(nullptr, [=] { std::memset(at, byte, bytes); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return report(cudaSuccess);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return report(cudaSuccess);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->when = std::chrono::steady_clock::now();
  return report(cudaSuccess);
}
cudaError_t cudaEventQuery(cudaEvent_t) { return report(cudaSuccess); }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return report(cudaSuccess); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = std::chrono::duration<float, std::milli>(to->when - from->when).count();
  return report(cudaSuccess);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  if (captured) return report(cudaErrorInvalidValue);
  captured = new EmulatedGraph;
  return report(cudaSuccess);
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = std::exchange(captured, nullptr);
  return report(*graph ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new EmulatedGraph(*graph);
  return report(cudaSuccess);
}
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  bool same = exec->nodes.size() == graph->nodes.size();
  for (std::size_t i = 0; same && i < graph->nodes.size(); ++i) same = exec->nodes[i].kernel == graph->nodes[i].kernel;
  info->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateError;
  if (!same) return report(cudaErrorGraphExecUpdateFailure);
  exec->nodes = graph->nodes;
  return report(cudaSuccess);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t) {
  if (captured) return report(cudaErrorInvalidValue);
  for (auto& node : exec->nodes) node.run();
  return report(cudaSuccess);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return report(cudaSuccess);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return report(cudaSuccess);
}

cudaError_t emulatedLaunch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> thread) {
  const dim3 grid = config.gridDim, block = config.blockDim;
  const std::size_t count = std::size_t{block.x} * block.y * block.z;
  if (count == 0 || count > 1024 || grid.x == 0 || grid.y == 0 || grid.y > 65535 || grid.z == 0 || grid.z > 65535)
    return report(cudaErrorInvalidValue);
  return act(kernel, [grid, block, count, thread = std::move(thread)] {
    if (const long long fault = setting("EASTING_EMULATED_FAULT", 0); fault > 0 && ++kernels_run == fault)
      sticky = cudaErrorIllegalAddress;
    if (sticky != cudaSuccess) return;
    body = &thread;
    gridDim = grid;
    blockDim = block;
    for (unsigned z = 0; z < grid.z; ++z)
      for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
          blockIdx = {x, y, z};
          run_block(count);
        }
  });
}
