// How kernels over activations share out their work: planes [h][w][n] cut into tiles, a block each, whose threads read
// neighbouring numbers at once. Offsets within a plane are 32 bits wide.
#pragma once
#include "../channels.h"
#include "launch.cuh"
#include "sums.cuh"

namespace easting::EASTING_VARIANT {

// Neighbouring numbers, as memory holds them and as arithmetic takes them.
template <int width>
struct alignas(width * sizeof(Stored) < 16 ? width * sizeof(Stored) : 16) Packed {
  Stored at[width];
};
template <int width>
struct Values {
  Real at[width];
};

template <int width>
__device__ Values<width> load(const Stored* from) {
  const auto packed = *reinterpret_cast<const Packed<width>*>(from);
  Values<width> values;
  for (int i = 0; i < width; ++i) values.at[i] = packed.at[i];
  return values;
}

// Returns what a later load will read.
template <int width>
__device__ Values<width> store(Stored* to, Values<width> values) {
  Packed<width> packed;
  for (int i = 0; i < width; ++i) values.at[i] = packed.at[i] = values.at[i];
  *reinterpret_cast<Packed<width>*>(to) = packed;
  return values;
}

constexpr int wide = 4;        // numbers a thread reads at once, where they are aligned
constexpr int per_thread = 4;  // of these reads, all under way together
constexpr int tile_threads = 128;

// Whether runs of `length` numbers from these addresses can be read `wide` at a time.
template <class... Pointers>
bool aligned(std::int64_t length, Pointers... pointers) {
  return length % wide == 0 && ((reinterpret_cast<std::uintptr_t>(pointers) % alignof(Packed<wide>) == 0) && ...);
}

// Planes of `channels` channels in `count` tiles each. Neighbouring blocks have the same tile of different channels, so
// that what they read in common is in cache.
struct Tiles {
  std::int32_t channels, plane, width, threads, count;

  Tiles(std::int64_t channels, std::int64_t plane, bool is_wide)
      : channels(static_cast<std::int32_t>(channels)), plane(static_cast<std::int32_t>(plane)), width(is_wide ? wide : 1) {
    const int reads = this->plane / width, warps = (reads + 31) / 32 * 32;
    threads = warps < tile_threads ? warps : tile_threads;
    count = (this->plane + length() - 1) / length();
  }
  EASTING_BOTH int length() const { return threads * per_thread * width; }
  EASTING_BOTH int size(int tile) const { return plane - tile * length() < length() ? plane - tile * length() : length(); }
  cuda::Grid grid() const {
    return {dim3(static_cast<unsigned>(std::int64_t{channels} * count)), dim3(static_cast<unsigned>(threads))};
  }
};

// Where the running thread stands.
struct Tile {
  std::int32_t channel, index, first, step, plane;

  __device__ explicit Tile(const Tiles& tiles)
      : channel(static_cast<int>(blockIdx.x) % tiles.channels),
        index(static_cast<int>(blockIdx.x) / tiles.channels),
        first(index * tiles.length() + static_cast<int>(threadIdx.x) * tiles.width),
        step(tiles.threads * tiles.width),
        plane(tiles.plane) {}
  // Offset in the plane of the thread's read j in [0, per_thread), if there is one.
  __device__ int at(int j) const { return first + j * step; }
  __device__ bool has(int j) const { return at(j) < plane; }
  __device__ bool leads() const { return threadIdx.x == 0; }
};

// Calls f with the width of reads as a constant.
template <class F>
void with_width(const Tiles& tiles, F f) {
  if (tiles.width == wide) f(std::integral_constant<int, wide>{});
  else f(std::integral_constant<int, 1>{});
}

// For kernels whose warps work on their own: which of `warps_of` this one is.
__device__ inline int warp_index() { return static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / 32); }
__device__ inline int lane_index() { return static_cast<int>(threadIdx.x % 32); }
inline cuda::Grid warps_of(std::int64_t count) {
  constexpr int warps = 4;
  return {dim3(static_cast<unsigned>((count + warps - 1) / warps)), dim3(32 * warps)};
}

}  // namespace easting::EASTING_VARIANT
