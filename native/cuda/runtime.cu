#include "runtime.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>

#include "launch.cuh"

namespace easting::cuda {
namespace {

std::atomic<int> device{0};
std::atomic<bool> in_use{false};
std::atomic<const char*> kernel{nullptr};
cudaStream_t queue = nullptr;
std::map<int, cudaEvent_t> marks;

// Exists to ask whether this build holds code for the device.
__global__ void probe() {}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

Status look(int asked) {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
    return {"CUDA: expected an NVIDIA GPU, got a driver without one; check nvidia-smi and CUDA_VISIBLE_DEVICES", {}};
  if (error == cudaErrorInsufficientDriver) {
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    if (driver == 0) return {"CUDA: expected an NVIDIA driver, got none; install one to use a GPU", {}};
    return {"CUDA: expected a driver for CUDA " + version(runtime) + " or later, got one for CUDA " + version(driver) +
                "; update the NVIDIA driver",
            {}};
  }
  if (error != cudaSuccess) return {std::string("CUDA: expected a usable GPU, got: ") + cudaGetErrorString(error), {}};

  Status found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    found.devices.emplace_back(properties.name);
  }
  if (asked >= count) {
    found.reason = "CUDA: expected cuda:" + std::to_string(asked) + ", got a machine whose last GPU is cuda:" +
                   std::to_string(count - 1) + "; check nvidia-smi and CUDA_VISIBLE_DEVICES";
    return found;
  }
  int before = 0;
  check(cudaGetDevice(&before), "cudaGetDevice");
  cudaFuncAttributes attributes;
  cudaError_t image = cudaSetDevice(asked);
  if (image == cudaSuccess) image = cudaFuncGetAttributes(&attributes, probe);
  cudaSetDevice(before);
  if (image != cudaSuccess) {
    cudaGetLastError();
    found.reason = "CUDA: expected a GPU that this build can run on, got " + found.devices[asked] + ": " +
                   cudaGetErrorString(image) + "; rebuild with EASTING_CUDA_ARCHS set to its architecture";
  }
  return found;
}

// Errors after which CUDA refuses every further call of the process.
bool lost(cudaError_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure: return true;
    default: return false;
  }
}

[[noreturn]] void end_process(cudaError_t error) {
  const char* name = kernel;
  std::fprintf(stderr,
               "cuda: expected the kernel %s to run, got %s: %s; this process ends, as CUDA takes no more work from it "
               "(the kernel is the last one queued; with CUDA_LAUNCH_BLOCKING=1 it is the one that failed)\n",
               name ? name : "(none yet)", cudaGetErrorName(error), cudaGetErrorString(error));
  std::fflush(stderr);
  std::_Exit(lost_exit_code);
}

// Which device is the current one is a matter of each thread.
void enter() {
  thread_local bool entered = false;
  if (entered) return;
  in_use = true;
  check(cudaSetDevice(device), "cudaSetDevice");
  entered = true;
}

}  // namespace

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  if (lost(error)) end_process(error);
  cudaGetLastError();  // not to be reported again by the next launch
  if (error == cudaErrorMemoryAllocation) throw std::bad_alloc();
  throw std::runtime_error(std::string(call) + ": expected success, got " + cudaGetErrorName(error) + ": " +
                           cudaGetErrorString(error));
}

void name_kernel(const char* name) { kernel = name; }
const char* kernel_name() { return kernel ? kernel.load() : "kernel"; }

Status status(int asked) {
  static std::mutex mutex;
  static std::map<int, Status> known;
  std::lock_guard lock(mutex);
  const auto found = known.find(asked);
  return found != known.end() ? found->second : known[asked] = look(asked);
}

void choose(int wanted) {
  if (wanted == device) return;
  if (in_use)
    throw std::invalid_argument("device: expected cuda:" + std::to_string(device) +
                                ", on which this process computes already, got cuda:" + std::to_string(wanted) +
                                "; use one process per GPU");
  device = wanted;
}

int chosen() { return device; }

void* allocate(std::size_t bytes) {
  enter();
  void* block = nullptr;
  check(cudaMalloc(&block, bytes), "cudaMalloc");
  return block;
}

// Also called while the process exits, when the driver may be gone already.
void release(void* block) { static_cast<void>(cudaFree(block)); }

cudaStream_t stream() {
  enter();
  if (!queue) check(cudaStreamCreateWithFlags(&queue, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return queue;
}

bool used() { return queue != nullptr; }

void synchronize() {
  if (queue) check(cudaStreamSynchronize(queue), "cudaStreamSynchronize");
}

void mark(int number) {
  cudaEvent_t& event = marks[number];
  if (!event) check(cudaEventCreateWithFlags(&event, cudaEventDefault), "cudaEventCreateWithFlags");
  check(cudaEventRecord(event, stream()), "cudaEventRecord");
}

double elapsed(int from, int to) {
  for (const int number : {from, to})
    if (!marks.contains(number))
      throw std::invalid_argument("elapsed: expected a mark, got none with number " + std::to_string(number));
  enter();
  float milliseconds = 0;
  check(cudaEventSynchronize(marks[from]), "cudaEventSynchronize");
  check(cudaEventSynchronize(marks[to]), "cudaEventSynchronize");
  check(cudaEventElapsedTime(&milliseconds, marks[from], marks[to]), "cudaEventElapsedTime");
  return milliseconds;
}

// A block that became too small is kept: what was queued or captured may still use it. Sizes double, so that all of them
// together are less than twice the largest.
void* scratch(int slot, std::size_t bytes) {
  static struct {
    void* block;
    std::size_t size;
  } slots[4];
  auto& [block, size] = slots[slot];
  if (bytes > size) {
    const std::size_t wanted = bytes > 2 * size ? bytes : 2 * size;
    block = allocate(wanted);
    size = wanted;
  }
  return block;
}

}  // namespace easting::cuda
