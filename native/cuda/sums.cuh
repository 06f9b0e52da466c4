// Sums of a block in a fixed order.
#pragma once
#include <cuda_runtime.h>

namespace easting::cuda {

// Σ over the 32 lanes of a warp; all of them must call, and all receive it.
template <class T>
__device__ T warp_sum(T value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(~0u, value, lanes);
  return value;
}

// Σ over the threads of a block of whole warps side by side, in all threads. All must call.
template <class T>
__device__ T block_sum(T value) {
  __shared__ T parts[32];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  value = warp_sum(value);
  __syncthreads();  // what the sum before this one wrote has been read
  if (lane == 0) parts[warp] = value;
  __syncthreads();
  T total = 0;
  for (int i = 0; i < static_cast<int>(blockDim.x) / 32; ++i) total += parts[i];
  return total;
}

template <class T>
struct Prefix {
  T before, all;
};

// Σ over the threads before this one, and over all, of a block of `threads`, a multiple of 32. All must call.
template <int threads, class T>
__device__ Prefix<T> block_prefix(T value) {
  __shared__ T parts[threads / 32];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  T through = value;
  for (int lanes = 1; lanes < 32; lanes *= 2) {
    const T other = __shfl_up_sync(~0u, through, lanes);
    if (lane >= lanes) through += other;
  }
  __syncthreads();  // what the call before this one wrote has been read
  if (lane == 31) parts[warp] = through;
  __syncthreads();
  Prefix<T> result{through - value, 0};
  for (int i = 0; i < threads / 32; ++i) {
    if (i == warp) result.before += result.all;
    result.all += parts[i];
  }
  return result;
}

}  // namespace easting::cuda
