// How every CUDA kernel is started, and where it finds room: one stream, one check of errors. Grids, and with them the
// order of every sum, depend on sizes alone.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace easting::cuda {

// Throws std::runtime_error with the name of the call and CUDA's own words, std::bad_alloc where memory is used up. Ends the
// process after an error that CUDA does not come back from.
void check(cudaError_t error, const char* call);
// All work and copies, in the order in which they were queued; on the device of this process.
cudaStream_t stream();
// Whether anything has been queued there.
bool used();
// The entry of kernels.def that is being queued.
const char* kernel_name();
// Uninitialised memory of the device, 256-byte aligned, the same until the next kernel asks for the same slot (0 to 3).
void* scratch(int slot, std::size_t bytes);

constexpr int threads_per_block = 256;
constexpr std::int64_t most_blocks = 4096;

// The elements of this thread in a grid-stride loop.
#define EASTING_EACH(i, n)                                                                                    \
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < (n);                         \
       i += std::int64_t{gridDim.x} * blockDim.x)

struct Grid {
  dim3 blocks;
  dim3 threads = dim3(threads_per_block);
};

template <class... Parameters>
void launch(void (*kernel)(Parameters...), Grid grid, std::type_identity_t<Parameters>... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.stream = stream();
  check(cudaLaunchKernelEx(&config, kernel, arguments...), kernel_name());
}

// One thread per element, or several elements each where there are many; the kernel loops with EASTING_EACH.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), std::int64_t elements, std::type_identity_t<Parameters>... arguments) {
  if (elements <= 0) return;
  const std::int64_t blocks = (elements + threads_per_block - 1) / threads_per_block;
  launch(kernel, Grid{dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks))}, arguments...);
}

}  // namespace easting::cuda
