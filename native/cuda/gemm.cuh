// The product of two matrices that are read through functions, so that a convolution, its gradients and the cosine
// transform need no copy of their patches: c[row][column] = Σ over k of a(row, k) * b(column, k).
//
// A block makes a tile of c from tiles of a and b in shared memory, each thread 4 x 8 numbers in registers. Where tiles are
// few or k is long, blocks split k, and a second kernel adds their parts in ascending order, in double.
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>

#include "../types.h"
#include "launch.cuh"

namespace easting::cuda {

// Division by a number known to the host alone, of 0 <= x < 2^31: x / d = x * ceil(2^(31 + s) / d) / 2^(31 + s) for
// 2^s >= d (Granlund and Montgomery, "Division by invariant integers using multiplication", 1994).
struct Divisor {
  std::uint32_t d, factor;
  int shift = 31;

  explicit Divisor(int divisor) : d(static_cast<std::uint32_t>(divisor)) {
    while (std::uint64_t{1} << (shift - 31) < d) ++shift;
    factor = static_cast<std::uint32_t>(((std::uint64_t{1} << shift) + d - 1) / d);
  }
  // Sets `rest` to x mod d.
  EASTING_BOTH int divide(int x, int* rest) const {
    const auto quotient = static_cast<int>(std::uint64_t{static_cast<std::uint32_t>(x)} * factor >> shift);
    *rest = x - quotient * static_cast<int>(d);
    return quotient;
  }
};

// Four numbers that one load or store moves.
template <class T>
struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) Four {
  T v[4];
};

template <class T>
bool aligned(const T* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(Four<T>) == 0;
}

namespace gemm {

constexpr int tile_rows = 64, tile_columns = 128, tile_depth = 16;
constexpr int longest_run = 4096;                // numbers that are added up before they go on in double
constexpr std::int64_t wanted_blocks = 2 * 132;  // two for each multiprocessor of a large device
constexpr std::size_t most_scratch = 64 << 20;   // bytes of parts

// A dimension, or an index into a channel's plane: the kernels count in 32 bits.
inline int dimension(std::int64_t size) {
  if (size > std::int64_t{1} << 30)
    throw std::runtime_error("convolution on CUDA: expected at most 2^30 numbers in a channel, got " +
                             std::to_string(size) + "; use a smaller batch");
  return static_cast<int>(size);
}

inline std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// How an operand's tile of `lines` rows (or columns) is shared out: every thread loads groups of four numbers that are
// neighbours in memory, along k or from line to line, as the operand says.
template <int lines, bool along_k>
struct Share {
  static constexpr int groups = lines * tile_depth / 4 / threads_per_block;
  static_assert(groups * 4 * threads_per_block == lines * tile_depth);
  static constexpr int across = along_k ? tile_depth / 4 : lines / 4;
  __device__ static int line(int group) {
    const int i = static_cast<int>(threadIdx.x) + group * threads_per_block;
    return along_k ? i / across : i % across * 4;
  }
  __device__ static int depth(int group) {
    const int i = static_cast<int>(threadIdx.x) + group * threads_per_block;
    return along_k ? i % across * 4 : i / across;
  }
};

// One operand of the block: what is in flight for the next tile, and the tile in shared memory.
template <int lines, class Real, class Operand>
struct Loader {
  using Shared = Four<Real>[tile_depth][lines / 4 + 1];  // one more against bank conflicts
  using S = Share<lines, Operand::along_k>;
  typename Operand::Line line[S::groups];
  Four<Real> next[S::groups];

  __device__ Loader(const Operand& operand, int first, int count) {
    for (int g = 0; g < S::groups; ++g) line[g] = operand.line(first + S::line(g), count);
  }
  __device__ void load(const Operand& operand, int k, int end) {
    for (int g = 0; g < S::groups; ++g) next[g] = operand.load(line[g], k + S::depth(g), end);
  }
  __device__ void store(Shared& to) const {
    for (int g = 0; g < S::groups; ++g) {
      if constexpr (Operand::along_k)
        for (int i = 0; i < 4; ++i) to[S::depth(g) + i][S::line(g) / 4].v[S::line(g) % 4] = next[g].v[i];
      else
        to[S::depth(g)][S::line(g) / 4] = next[g];
    }
  }
};

// `there` names the numbers of rows and columns where only the device knows them; null: all.
template <class Real, class A, class B, class C>
__global__ void __launch_bounds__(threads_per_block, 2)
    product(A a, B b, C c, int rows, int columns, int depth, int run, const std::int32_t* there) {
  __shared__ typename Loader<tile_rows, Real, A>::Shared left;
  __shared__ typename Loader<tile_columns, Real, B>::Shared right;
  const int row_tiles = (rows + tile_rows - 1) / tile_rows;
  const int first_row = static_cast<int>(blockIdx.x) % row_tiles * tile_rows;
  const int first_column = static_cast<int>(blockIdx.x) / row_tiles * tile_columns;
  if (there) rows = there[0], columns = there[1];
  if (first_row >= rows || first_column >= columns) return;
  const int begin = static_cast<int>(blockIdx.y) * run, end = depth - begin < run ? depth : begin + run;
  const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;

  Loader<tile_rows, Real, A> from_a(a, first_row, rows);
  Loader<tile_columns, Real, B> from_b(b, first_column, columns);
  Four<Real> sum[4][2] = {};
  if (begin < end) from_a.load(a, begin, end), from_b.load(b, begin, end);
  for (int k = begin; k < end; k += tile_depth) {
    from_a.store(left);
    from_b.store(right);
    __syncthreads();
    if (k + tile_depth < end) from_a.load(a, k + tile_depth, end), from_b.load(b, k + tile_depth, end);
    for (int i = 0; i < tile_depth; ++i) {
      const Four<Real> u = left[i][y], v = right[i][x], w = right[i][x + 16];
      for (int r = 0; r < 4; ++r)
        for (int j = 0; j < 4; ++j) {
          sum[r][0].v[j] += u.v[r] * v.v[j];
          sum[r][1].v[j] += u.v[r] * w.v[j];
        }
    }
    __syncthreads();
  }
  for (int r = 0; r < 4; ++r)
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + 4 * y + r, column = first_column + 4 * (x + 16 * half);
      if (row < rows && column < columns) c(static_cast<int>(blockIdx.y), row, column, sum[r][half]);
    }
}

// Parts of c: [split][rows][padded columns].
template <class Real>
struct Parts {
  Real* data;
  std::int64_t rows, pitch;
  EASTING_BOTH Four<Real>& at(std::int64_t split, std::int64_t row, std::int64_t column) const {
    return *reinterpret_cast<Four<Real>*>(data + (split * rows + row) * pitch + column);
  }
  __device__ void operator()(int split, int row, int column, const Four<Real>& sum) const { at(split, row, column) = sum; }
  // Σ over the splits.
  __device__ Four<Real> sum(int splits, std::int64_t row, std::int64_t column) const {
    double total[4] = {};
    for (int split = 0; split < splits; ++split)
      for (int i = 0; i < 4; ++i) total[i] += static_cast<double>(at(split, row, column).v[i]);
    Four<Real> result;
    for (int i = 0; i < 4; ++i) result.v[i] = static_cast<Real>(total[i]);
    return result;
  }
};

template <class Real, class C>
__global__ void add_parts(Parts<Real> parts, int splits, int columns, C c) {
  const std::int64_t groups = (columns + 3) / 4;
  EASTING_EACH(i, parts.rows * groups) {
    const auto row = static_cast<int>(i / groups), column = static_cast<int>(i % groups) * 4;
    c(0, row, column, parts.sum(splits, row, column));
  }
}

// How k is split: runs of a multiple of tile_depth.
struct Split {
  int run, count;
};

inline Split split(int rows, int columns, int depth, std::size_t size_of_real) {
  const std::int64_t tiles = ceil_divide(rows, tile_rows) * ceil_divide(columns, tile_columns);
  const std::int64_t to_fill = ceil_divide(wanted_blocks, tiles), most = ceil_divide(depth, 4 * tile_depth);
  std::int64_t count = to_fill < most ? to_fill : most;
  if (const std::int64_t exact = ceil_divide(depth, longest_run); count < exact) count = exact;
  const auto room = static_cast<std::int64_t>(most_scratch / (size_of_real * rows * ceil_divide(columns, 4) * 4));
  if (count > room) count = room;
  if (count > 65535) count = 65535;
  if (count <= 1) return {depth < 1 ? 1 : depth, 1};
  const std::int64_t run = ceil_divide(ceil_divide(depth, count), tile_depth) * tile_depth;
  return {static_cast<int>(run), static_cast<int>(ceil_divide(depth, run))};
}

inline Grid grid(int rows, int columns, Split split) {
  const std::int64_t tiles = ceil_divide(rows, tile_rows) * ceil_divide(columns, tile_columns);
  return {dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(split.count))};
}

// Calls c(0, row, column, four sums) for every row and every fourth column; takes scratch slot 0.
template <class Real, class A, class B, class C>
void multiply(A a, B b, C c, int rows, int columns, int depth) {
  const Split split = gemm::split(rows, columns, depth, sizeof(Real));
  if (split.count == 1)
    return launch(product<Real, A, B, C>, grid(rows, columns, split), a, b, c, rows, columns, depth, split.run, nullptr);
  const std::int64_t pitch = ceil_divide(columns, 4) * 4;
  const Parts<Real> parts{static_cast<Real*>(scratch(0, sizeof(Real) * split.count * rows * pitch)), rows, pitch};
  launch(product<Real, A, B, Parts<Real>>, grid(rows, columns, split), a, b, parts, rows, columns, depth, split.run,
         nullptr);
  launch(add_parts<Real, C>, std::int64_t{rows} * pitch / 4, parts, split.count, columns, c);
}

}  // namespace gemm
}  // namespace easting::cuda
