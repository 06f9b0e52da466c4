// Dense convolution. Forward and data gradient are one product of packed panels (weights x gathered pixels); the weight
// gradient is a table of dot products over pixels and images. The order in which an output sums follows from the shape
// alone, so the bits do not depend on the number of threads.
#include "../../kernels.h"
#include "../../affine.h"
#include "../../axis.h"
#include "../../channels.h"
#include "../each.h"
#include "../vector.h"

#include <new>
#include <type_traits>

namespace easting::EASTING_VARIANT {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool many_registers = true;  // 32, otherwise 16
#else
constexpr bool many_registers = false;
#endif

constexpr int width = EASTING_REGISTER / sizeof(Real);
typedef Real Register __attribute__((vector_size(EASTING_REGISTER), aligned(sizeof(Real)), may_alias));

inline Register load_register(const Real* p) { return *reinterpret_cast<const Register*>(p); }
inline Register load_register(const bfloat16* p) { return reinterpret_cast<Register>(widened<sizeof(Register)>(p)); }
inline void store_register(Real* p, Register v) { *reinterpret_cast<Register*>(p) = v; }

inline int smaller(int a, int b) { return a < b ? a : b; }
inline int larger(int a, int b) { return a > b ? a : b; }
inline int ceil_divide(std::int64_t a, int b) { return static_cast<int>((a + b - 1) / b); }

// ---- Forward and data gradient: destination [m][pixels, n] = weight [m][k] x source gathered [k][pixels, n] ----

constexpr int tile_rows = 6;  // destination channels
constexpr int tile_columns = (many_registers ? 4 : 2) * width;
constexpr int block_columns = 256;  // columns of one task: its panel stays in the second-level cache
constexpr int block_groups = block_columns / tile_columns;
constexpr int block_depth = 256;  // k of one panel, rounded to whole source channels

struct Product {
  const Stored* source;
  const Real* weight;
  Stored* destination;
  Axis rows, columns;
  int n, source_channels, destination_channels, kernel_width, destination_width;
  std::int64_t source_plane, destination_plane, weight_row, weight_column;  // strides in elements
  bool accumulate;
  int taps() const { return rows.taps * columns.taps; }
  int depth() const { return source_channels * taps(); }
};

// Consecutive columns of a block that lie in one destination pixel: images [image, image + length).
struct Piece {
  int row, column, image, length;
};

struct Pieces {
  Piece piece[block_columns];
  int start[block_groups + 1];
};

void find_pieces(const Product& p, std::int64_t first, int columns, Pieces* to) {
  int count = 0;
  for (int group = 0; group < block_groups; ++group) {
    to->start[group] = count;
    for (int at = group * tile_columns; at < smaller(columns, (group + 1) * tile_columns);) {
      const std::int64_t column = first + at, pixel = column / p.n;
      const int image = static_cast<int>(column % p.n);
      const int length = smaller(smaller(columns, (group + 1) * tile_columns) - at, p.n - image);
      to->piece[count++] = {static_cast<int>(pixel / p.columns.size), static_cast<int>(pixel % p.columns.size), image,
                            length};
      at += length;
    }
  }
  to->start[block_groups] = count;
}

// Packs tile_rows weights side by side: to[k][tile_rows], zeros beyond the last destination channel.
void pack_weights(const Product& p, int row, int channel, int channels, Real* to) {
  for (int c = channel; c < channel + channels; ++c)
    for (int v = 0; v < p.rows.taps; ++v)
      for (int h = 0; h < p.columns.taps; ++h, to += tile_rows) {
        const Real* from = p.weight + row * p.weight_row + c * p.weight_column +
                           (p.rows.tap_first + v * p.rows.tap_step) * p.kernel_width + p.columns.tap_first +
                           h * p.columns.tap_step;
        for (int r = 0; r < tile_rows; ++r) to[r] = row + r < p.destination_channels ? from[r * p.weight_row] : Real(0);
      }
}

// Gathers one group of columns: to[channel][tap][tile_columns], zeros where a tap falls outside the source.
void pack_group(const Product& p, const Piece* piece, int pieces, int channel, int channels, Real* to) {
  struct Segment {
    std::int64_t from;
    int length;
  } segment[tile_columns + 1];
  const int taps = p.taps();
  for (int tap = 0; tap < taps; ++tap) {
    int count = 0, covered = 0;
    for (int i = 0; i < pieces; ++i) {
      const int row = p.rows.at(piece[i].row, tap / p.columns.taps);
      const int column = p.columns.at(piece[i].column, tap % p.columns.taps);
      const bool outside = row < 0 || column < 0;
      const std::int64_t from =
          outside ? -1 : (std::int64_t{row} * p.columns.source + column) * p.n + piece[i].image;
      covered += piece[i].length;
      Segment* last = segment + count - 1;
      if (count && (outside ? last->from < 0 : last->from >= 0 && last->from + last->length == from))
        last->length += piece[i].length;
      else
        segment[count++] = {from, piece[i].length};
    }
    if (covered < tile_columns) segment[count++] = {-1, tile_columns - covered};
    for (int c = 0; c < channels; ++c) {
      Real* out = to + (std::int64_t{c} * taps + tap) * tile_columns;
      const Stored* plane = p.source + (channel + c) * p.source_plane;
      if (count == 1 && segment[0].from >= 0) {
        const Stored* from = plane + segment[0].from;
        for (int i = 0; i < tile_columns; i += width) store_register(out + i, load_register(from + i));
        continue;
      }
      for (int s = 0; s < count; ++s) {
        if (segment[s].from < 0)
          for (int i = 0; i < segment[s].length; ++i) out[i] = 0;
        else
          for (int i = 0; i < segment[s].length; ++i) out[i] = plane[segment[s].from + i];
        out += segment[s].length;
      }
    }
  }
}

// out[tile_rows][tile_columns] = a[depth][tile_rows]^T x b[depth][tile_columns]
inline void multiply_tile(const Real* a, const Real* b, int depth, Real* out) {
  constexpr int registers = tile_columns / width;
  Register sum[tile_rows][registers] = {};
  for (int k = 0; k < depth; ++k, a += tile_rows, b += tile_columns) {
    Register v[registers];
#pragma GCC unroll 8
    for (int j = 0; j < registers; ++j) v[j] = load_register(b + j * width);
#pragma GCC unroll 8
    for (int r = 0; r < tile_rows; ++r)
#pragma GCC unroll 8
      for (int j = 0; j < registers; ++j) sum[r][j] += a[r] * v[j];
  }
#pragma GCC unroll 8
  for (int r = 0; r < tile_rows; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < registers; ++j) store_register(out + r * tile_columns + j * width, sum[r][j]);
}

void write_tile(const Product& p, const Real* tile, int row, const Piece* piece, int pieces, bool add) {
  for (int i = 0; i < pieces; tile += piece[i++].length) {
    const std::int64_t pixel =
        std::int64_t{p.rows.first + p.rows.step * piece[i].row} * p.destination_width + p.columns.first +
        p.columns.step * piece[i].column;
    for (int r = 0; r < smaller(tile_rows, p.destination_channels - row); ++r) {
      Stored* to = p.destination + (row + r) * p.destination_plane + pixel * p.n + piece[i].image;
      const Real* from = tile + r * tile_columns;
      if (add)
        for (int j = 0; j < piece[i].length; ++j) to[j] += from[j];
      else
        for (int j = 0; j < piece[i].length; ++j) to[j] = from[j];
    }
  }
}

void multiply(const Product& p) {
  const std::int64_t all_columns = std::int64_t{p.rows.size} * p.columns.size * p.n;
  const int taps = p.taps(), depth = p.depth();
  const int row_tiles = ceil_divide(p.destination_channels, tile_rows);
  const int column_blocks = ceil_divide(all_columns, block_columns);
  if (all_columns == 0) return;
  // Where columns are few (a linear layer) tasks also split the rows, and pack their own weights if they are the only
  // ones to use them. Either way an output sums in the same order.
  const int rows_per_task = larger(4, ceil_divide(row_tiles, ceil_divide(4 * thread_count(), column_blocks)));
  const int row_blocks = ceil_divide(row_tiles, rows_per_task);
  const bool pack_once = column_blocks > 2;
  const bool parallel =
      static_cast<double>(all_columns) * p.destination_channels * (depth + 1) > 8.0 * parallel_threshold;
  const int channels_per_panel = taps == 0 || block_depth / taps == 0 ? 1 : block_depth / taps;
  const int panel_depth = channels_per_panel * taps;

  Real* packed = nullptr;
  if (pack_once) {
    packed = static_cast<Real*>(scratch(3, sizeof(Real) * (std::size_t{tile_rows} * row_tiles * depth + 1)));
    parallel_for(row_tiles, parallel, [&](std::int64_t tile) {
      pack_weights(p, static_cast<int>(tile) * tile_rows, 0, p.source_channels, packed + tile * tile_rows * depth);
    });
  }
  parallel_for(std::int64_t{column_blocks} * row_blocks, parallel, [&](std::int64_t task) {
    const std::int64_t first = task / row_blocks * block_columns;
    const int columns = all_columns - first < block_columns ? static_cast<int>(all_columns - first) : block_columns;
    const int groups = ceil_divide(columns, tile_columns);
    const int tile_first = static_cast<int>(task % row_blocks) * rows_per_task;
    const int tile_end = smaller(row_tiles, tile_first + rows_per_task);
    Pieces pieces;
    find_pieces(p, first, columns, &pieces);
    Real* panel = static_cast<Real*>(scratch(0, sizeof(Real) * (std::size_t{block_columns} * panel_depth + 1)));
    Real* weights = static_cast<Real*>(scratch(1, sizeof(Real) * (std::size_t{tile_rows} * panel_depth + 1)));
    alignas(64) Real out[tile_rows * tile_columns];
    int channel = 0;
    do {  // once even without taps: a phase that nothing feeds is zero
      const int channels = smaller(channels_per_panel, p.source_channels - channel), size = channels * taps;
      const bool add = p.accumulate || channel > 0;
      for (int group = 0; group < groups; ++group)
        pack_group(p, pieces.piece + pieces.start[group], pieces.start[group + 1] - pieces.start[group], channel,
                   channels, panel + std::int64_t{group} * size * tile_columns);
      for (int tile = tile_first; tile < tile_end; ++tile) {
        const Real* a = weights;
        if (pack_once) a = packed + (std::int64_t{tile} * depth + channel * taps) * tile_rows;
        else pack_weights(p, tile * tile_rows, channel, channels, weights);
        for (int group = 0; group < groups; ++group) {
          multiply_tile(a, panel + std::int64_t{group} * size * tile_columns, size, out);
          write_tile(p, out, tile * tile_rows, pieces.piece + pieces.start[group],
                     pieces.start[group + 1] - pieces.start[group], add);
        }
      }
      channel += channels;
    } while (taps > 0 && channel < p.source_channels);
  });
}

// ---- Weight gradient: dweight[o][i][tap] = sum over pixels and images of dy[o] and x[i] seen through the tap ----

constexpr int dot_rows = 4;                          // dy channels side by side in a packed chunk
constexpr int dot_columns = many_registers ? 4 : 2;  // x channels
constexpr int dot_pairs = dot_rows * dot_columns;
constexpr int chunk_side = 4;     // output pixels of a chunk, each way
constexpr int chunk_size = 1024;  // elements per channel of a chunk

// A channel's plane, and how it is read: as it is, or as max(x * scale + shift, 0).
struct Plane {
  const Stored* data;
  Affine norm;
  Register operator()(std::int64_t at) const { return load_register(data + at); }
  Register rectified(std::int64_t at) const {
    const Register v = load_register(data + at) * norm.scale + norm.shift, none{};
    return v < none ? none : v;
  }
  Real one(std::int64_t at, bool lazy) const {
    if (!lazy) return data[at];
    const Real v = data[at] * norm.scale + norm.shift;
    return v < 0 ? 0 : v;
  }
};

// Copies `images` elements of `group` channels into to[vector][group][width], zeros behind the last image.
template <int group, bool lazy = false>
inline void pack_pixel(const Plane* channel, std::int64_t offset, int images, Real* to) {
  int v = 0;
  for (; v + width <= images; v += width, to += group * width)
    for (int g = 0; g < group; ++g)
      store_register(to + g * width, lazy ? channel[g].rectified(offset + v) : channel[g](offset + v));
  if (v == images) return;
  for (int g = 0; g < group; ++g)
    for (int l = 0; l < width; ++l) to[g * width + l] = v + l < images ? channel[g].one(offset + v + l, lazy) : Real(0);
}

#if defined(__clang__)
#define EASTING_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define EASTING_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, decltype(a == b){__VA_ARGS__})
#endif

typedef Real Quad __attribute__((vector_size(16), aligned(sizeof(Real)), may_alias));

// Adds the 16-byte parts of a stored register.
inline Quad add_parts(const Real* p) {
  const Quad* q = reinterpret_cast<const Quad*>(p);
  if constexpr (EASTING_REGISTER == 64) return (q[0] + q[2]) + (q[1] + q[3]);
  else if constexpr (EASTING_REGISTER == 32) return q[0] + q[1];
  else return q[0];
}

// sum[i] += the lanes of v[i], for four vectors of 16 bytes.
template <class V>
inline void add_lanes(V v0, V v1, V v2, V v3, Real* sum) {
  if constexpr (sizeof(Real) == 4) {
    const V a = EASTING_SHUFFLE(v0, v1, 0, 4, 1, 5) + EASTING_SHUFFLE(v0, v1, 2, 6, 3, 7);
    const V b = EASTING_SHUFFLE(v2, v3, 0, 4, 1, 5) + EASTING_SHUFFLE(v2, v3, 2, 6, 3, 7);
    *reinterpret_cast<Quad*>(sum) += EASTING_SHUFFLE(a, b, 0, 1, 4, 5) + EASTING_SHUFFLE(a, b, 2, 3, 6, 7);
  } else {
    sum[0] += v0[0] + v0[1];
    sum[1] += v1[0] + v1[1];
    sum[2] += v2[0] + v2[1];
    sum[3] += v3[0] + v3[1];
  }
}

// sum[column][row] += dot products of `runs` runs of `length` registers.
inline void dot_tile(const Real* a, std::int64_t a_stride, const Real* b, std::int64_t b_stride, int runs, int length,
                     Real* sum) {
  Register s[dot_columns][dot_rows] = {};
  for (int run = 0; run < runs; ++run) {
    const Real* u = a + run * a_stride;
    const Real* w = b + run * b_stride;
    for (int k = 0; k < length; ++k, u += dot_rows * width, w += dot_columns * width) {
      Register x[dot_columns];
#pragma GCC unroll 8
      for (int j = 0; j < dot_columns; ++j) x[j] = load_register(w + j * width);
#pragma GCC unroll 8
      for (int i = 0; i < dot_rows; ++i) {
        const Register y = load_register(u + i * width);
#pragma GCC unroll 8
        for (int j = 0; j < dot_columns; ++j) s[j][i] += y * x[j];
      }
    }
  }
  alignas(64) Real lane[dot_pairs][width];
#pragma GCC unroll 8
  for (int j = 0; j < dot_columns; ++j)
#pragma GCC unroll 8
    for (int i = 0; i < dot_rows; ++i) store_register(lane[j * dot_rows + i], s[j][i]);
  for (int p = 0; p < dot_pairs; p += 4)
    add_lanes(add_parts(lane[p]), add_parts(lane[p + 1]), add_parts(lane[p + 2]), add_parts(lane[p + 3]), sum + p);
}

// to[o][i][tap] (+)= scale * sums of one group of rows and columns, whose channels `o` and `i` name.
void write_sums(const Real* from, int taps, const std::int32_t* o, int rows, const std::int32_t* i, int columns,
                Real scale, bool accumulate, Real* to, std::int64_t to_row) {
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < columns; ++j) {
      Real* out = to + o[r] * to_row + std::int64_t{i[j]} * taps;
      for (int tap = 0; tap < taps; ++tap) {
        const Real sum = scale * from[tap * dot_pairs + j * dot_rows + r];
        out[tap] = accumulate ? out[tap] + sum : sum;
      }
    }
}

// Output positions i in [first, first + size) whose input i * stride + tap - padding lies in [0, extent), as offsets.
struct Range {
  int begin, end;
};

inline Range inside(int first, int size, int stride, int tap, int padding, int extent) {
  int begin = 0, end = size;
  while (begin < end && (first + begin) * stride + tap - padding < 0) ++begin;
  while (end > begin && (first + end - 1) * stride + tap - padding >= extent) --end;
  return {begin, end};
}

}  // namespace

void dense_conv_forward(In<Stored> x, In<Real> weight, ConvShape s, Out<Stored> y) {
  multiply({x.data, weight.data, y.data, forward_axis(s.out_h(), s.h, s.kh, s.stride, s.padding),
            forward_axis(s.out_w(), s.w, s.kw, s.stride, s.padding), s.n, s.c, s.o, s.kw, s.out_w(), s.in_plane(),
            s.out_plane(), s.c * s.taps(), s.taps(), false});
}

void dense_conv_backward_data(In<Stored> dy, In<Real> weight, ConvShape s, Out<Stored> dx, bool accumulate) {
  for (int v = 0; v < s.stride; ++v)
    for (int h = 0; h < s.stride; ++h)
      multiply({dy.data, weight.data, dx.data, backward_axis(s.h, s.out_h(), s.kh, s.stride, s.padding, v),
                backward_axis(s.w, s.out_w(), s.kw, s.stride, s.padding, h), s.n, s.o, s.c, s.kw, s.w, s.out_plane(),
                s.in_plane(), s.taps(), s.c * s.taps(), accumulate});
}

namespace {

// Σ of dy over the output pixels whose tap lies inside the image, for every tap: what a channel that is 1 everywhere
// has as its weight gradient.
void window_sums(const Stored* dy, const ConvShape& s, double* sums) {
  const int out_h = s.out_h(), out_w = s.out_w();
  for (int tap = 0; tap < s.taps(); ++tap) sums[tap] = 0;
  for (int h = 0; h < out_h; ++h)
    for (int w = 0; w < out_w; ++w) {
      const Stored* pixel = dy + (std::int64_t{h} * out_w + w) * s.n;
      const double sum = blocked_sum(s.n, [&](std::int64_t i) { return load(pixel + i); },
                                     [&](std::int64_t i) { return pixel[i]; });
      for (int tap = 0; tap < s.taps(); ++tap) {
        const int y = h * s.stride + tap / s.kw - s.padding, x = w * s.stride + tap % s.kw - s.padding;
        if (y >= 0 && y < s.h && x >= 0 && x < s.w) sums[tap] += sum;
      }
    }
}

// What of the input a weight gradient has to look at: channels with a plane and how each is read, and channels that are
// one number other than 0 everywhere.
struct Columns {
  std::int32_t* plane;
  Affine* norm;
  std::int32_t* constant;
  Real* value;
  int planes = 0, constants = 0;
};

// The part of a weight gradient that one task computes: outputs row[o_first, o_end) and inputs plane[i_first, i_end).
struct Part {
  int o_first, o_end, i_first, i_end;
  int o_groups() const { return ceil_divide(o_end - o_first, dot_rows); }
  int i_groups() const { return ceil_divide(i_end - i_first, dot_columns); }
};

// Calls part(Part) for tiles of at most tile_o x tile_i channels, and so small that they are `parts` or more.
template <class F>
void each_part(int rows, int columns, int tile_o, int tile_i, int parts, bool parallel, F part) {
  while (std::int64_t{ceil_divide(rows, tile_o)} * ceil_divide(columns, tile_i) < parts && tile_o > 8) {
    if (tile_o > tile_i || tile_i <= 16) tile_o /= 2;
    else tile_i /= 2;
  }
  const int tiles_i = ceil_divide(columns, tile_i);
  parallel_for(std::int64_t{ceil_divide(rows, tile_o)} * tiles_i, parallel, [&](std::int64_t task) {
    const int o = static_cast<int>(task / tiles_i) * tile_o, i = static_cast<int>(task % tiles_i) * tile_i;
    part(Part{o, smaller(rows, o + tile_o), i, smaller(columns, i + tile_i)});
  });
}

// ---- 3x3 weight gradients at stride 1 by Winograd's F(3x3, 2x2): of each 2x2 tile of dy and the 4x4 tile of x under it
// 16 numbers each, whose products, summed over tiles and images, hold the nine sums: 16 multiplications instead of 36. ----

constexpr int tile_steps = 32;  // tiles of one register of images each that are packed at once

// Where the pixels of a tile of one register of images start in their planes; negative outside of them.
struct Tile {
  std::int64_t x[4][4], dy[2][2];
  int images;

  Tile(const ConvShape& s, int step) {
    const int out_h = s.out_h(), out_w = s.out_w(), columns = (out_w + 1) / 2, registers = ceil_divide(s.n, width);
    const int tile = step / registers, image = step % registers * width, top = tile / columns * 2, left = tile % columns * 2;
    images = smaller(width, s.n - image);
    const auto at = [&](int h, int w, int height, int wide) {
      return h < 0 || h >= height || w < 0 || w >= wide ? -1 : (std::int64_t{h} * wide + w) * s.n + image;
    };
    for (int h = 0; h < 4; ++h)
      for (int w = 0; w < 4; ++w) x[h][w] = at(top + h - s.padding, left + w - s.padding, s.h, s.w);
    for (int h = 0; h < 2; ++h)
      for (int w = 0; w < 2; ++w) dy[h][w] = at(top + h, left + w, out_h, out_w);
  }
};

int tile_count(const ConvShape& s) { return (s.out_h() + 1) / 2 * ((s.out_w() + 1) / 2) * ceil_divide(s.n, width); }

template <bool lazy>
inline Register pixel_at(const Plane& plane, std::int64_t at, int images) {
  if (at < 0) return Register{};
  if (images == width) return lazy ? plane.rectified(at) : plane(at);
  Register v{};
  for (int l = 0; l < images; ++l) v[l] = plane.one(at + l, lazy);
  return v;
}

// Row `a` of B^T X B of each tile, for a group of channels: to[b][tile][channel][width].
template <bool lazy, int a>
void pack_x_tiles(const Plane (&channel)[dot_columns], const Tile* tile, int count, Real* to, std::int64_t to_b) {
  constexpr int one[] = {0, 1, 2, 3}, other[] = {2, 2, 1, 1};
  for (const Tile* end = tile + count; tile < end; ++tile)
    for (int g = 0; g < dot_columns; ++g, to += width) {
      Register v[4];
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) {
        const Register x = pixel_at<lazy>(channel[g], tile->x[one[a]][w], tile->images);
        const Register y = pixel_at<lazy>(channel[g], tile->x[other[a]][w], tile->images);
        v[w] = a == 1 ? x + y : x - y;
      }
      store_register(to, v[0] - v[2]);
      store_register(to + to_b, v[1] + v[2]);
      store_register(to + 2 * to_b, v[2] - v[1]);
      store_register(to + 3 * to_b, v[3] - v[1]);
    }
}

// Row `a` of G D G^T of each tile, for a group of channels: to[b][tile][channel][width].
template <int a>
void pack_dy_tiles(const Plane (&channel)[dot_rows], const Tile* tile, int count, Real* to, std::int64_t to_b) {
  const Real half = Real(0.5);
  for (const Tile* end = tile + count; tile < end; ++tile)
    for (int g = 0; g < dot_rows; ++g, to += width) {
      Register v[2];
#pragma GCC unroll 2
      for (int w = 0; w < 2; ++w) {
        const auto pixel = [&](int h) { return pixel_at<false>(channel[g], tile->dy[h][w], tile->images); };
        if constexpr (a == 0) v[w] = pixel(0);
        else if constexpr (a == 1) v[w] = (pixel(0) + pixel(1)) * half;
        else if constexpr (a == 2) v[w] = (pixel(0) - pixel(1)) * half;
        else v[w] = pixel(1);
      }
      store_register(to, v[0]);
      store_register(to + to_b, (v[0] + v[1]) * half);
      store_register(to + 2 * to_b, (v[0] - v[1]) * half);
      store_register(to + 3 * to_b, v[1]);
    }
}

// The nine taps from the 16 sums at m[a][b], `stride` apart: A^T M A.
inline void taps_of(const Real* m, int stride, Real* tap) {
  Real rows[3][4];
  const auto at = [&](int a, int b) { return m[(a * 4 + b) * stride]; };
  for (int b = 0; b < 4; ++b) {
    rows[0][b] = at(0, b) + at(1, b) + at(2, b);
    rows[1][b] = at(1, b) - at(2, b);
    rows[2][b] = at(1, b) + at(2, b) + at(3, b);
  }
  for (const auto& r : rows) {
    *tap++ = r[0] + r[1] + r[2];
    *tap++ = r[1] - r[2];
    *tap++ = r[1] + r[2] + r[3];
  }
}

template <bool lazy>
void winograd_part(const Part& part, In<Stored> x, In<Stored> dy, const ConvShape& s, const std::int32_t* row, int rows,
                   const Columns& column, Real scale, bool accumulate, Real* dweight) {
  const int o_groups = part.o_groups(), i_groups = part.i_groups(), tiles = tile_count(s);
  const std::int64_t dy_group = tile_steps * dot_rows * width, x_group = tile_steps * dot_columns * width;
  const std::int64_t dy_b = o_groups * dy_group, x_b = i_groups * x_group;
  const std::int64_t sums = std::int64_t{o_groups} * i_groups * 16 * dot_pairs;
  Real* packed_dy = static_cast<Real*>(scratch(0, sizeof(Real) * 4 * dy_b));
  Real* packed_x = static_cast<Real*>(scratch(1, sizeof(Real) * 4 * x_b));
  Real* sum = static_cast<Real*>(scratch(2, sizeof(Real) * sums));
  Tile* tile = static_cast<Tile*>(scratch(4, sizeof(Tile) * tile_steps));
  for (std::int64_t k = 0; k < sums; ++k) sum[k] = 0;
  const auto multiply_row = [&]<int a>(std::integral_constant<int, a>, int count) {
    for (int g = 0; g < o_groups; ++g) {
      Plane channel[dot_rows];
      for (int k = 0; k < dot_rows; ++k)
        channel[k] = {dy.data + row[smaller(part.o_first + g * dot_rows + k, rows - 1)] * s.out_plane(), {1, 0}};
      pack_dy_tiles<a>(channel, tile, count, packed_dy + g * dy_group, dy_b);
    }
    for (int g = 0; g < i_groups; ++g) {
      Plane channel[dot_columns];
      for (int k = 0; k < dot_columns; ++k) {
        const int at = smaller(part.i_first + g * dot_columns + k, column.planes - 1);
        channel[k] = {x.data + column.plane[at] * s.in_plane(), column.norm[at]};
      }
      pack_x_tiles<lazy, a>(channel, tile, count, packed_x + g * x_group, x_b);
    }
    for (int b = 0; b < 4; ++b)
      for (int o = 0; o < o_groups; ++o)
        for (int i = 0; i < i_groups; ++i)
          dot_tile(packed_dy + b * dy_b + o * dy_group, 0, packed_x + b * x_b + i * x_group, 0, 1, count,
                   sum + ((std::int64_t{o} * i_groups + i) * 16 + a * 4 + b) * dot_pairs);
  };
  for (int first = 0; first < tiles; first += tile_steps) {
    const int count = smaller(tile_steps, tiles - first);
    for (int k = 0; k < count; ++k) new (tile + k) Tile(s, first + k);
    multiply_row(std::integral_constant<int, 0>{}, count);
    multiply_row(std::integral_constant<int, 1>{}, count);
    multiply_row(std::integral_constant<int, 2>{}, count);
    multiply_row(std::integral_constant<int, 3>{}, count);
  }
  for (int o = part.o_first; o < part.o_end; ++o)
    for (int i = part.i_first; i < part.i_end; ++i) {
      const int in_o = o - part.o_first, in_i = i - part.i_first;
      const std::int64_t group = std::int64_t{in_o / dot_rows} * i_groups + in_i / dot_columns;
      Real taps[9], *to = dweight + (std::int64_t{row[o]} * s.c + column.plane[i]) * 9;
      taps_of(sum + group * 16 * dot_pairs + in_i % dot_columns * dot_rows + in_o % dot_rows, dot_pairs, taps);
      for (int tap = 0; tap < 9; ++tap) to[tap] = accumulate ? to[tap] + scale * taps[tap] : scale * taps[tap];
    }
}

}  // namespace

// Rows of outputs without a gradient, or that are not needed, are 0, and so are columns of inputs that are 0 everywhere.
void dense_conv_backward_weight(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Real> norm_weight,
                                In<Real> norm_bias, In<Real> norm_mean, In<Real> norm_deviation, In<Stored> dy,
                                In<int32_t> dy_kind, In<int32_t> needed, ConvShape s, In<Real> factor,
                                Out<Real> dweight, bool accumulate) {
  const bool lazy = static_cast<bool>(norm_weight);
  auto* row = static_cast<std::int32_t*>(scratch(3, s.o * sizeof(std::int32_t) + s.c * (2 * sizeof(std::int32_t) + sizeof(Affine) + sizeof(Real))));
  int rows_there = 0;
  for (int o = 0; o < s.o; ++o)
    if (kind_of(dy_kind, o) == Kind::plane && (!needed || needed[o] == Need::always)) row[rows_there++] = o;
  Columns column{row + s.o, nullptr, row + s.o + s.c, nullptr};
  column.norm = reinterpret_cast<Affine*>(column.constant + s.c);
  column.value = reinterpret_cast<Real*>(column.norm + s.c);
  for (int i = 0; i < s.c; ++i) {
    const auto kind = kind_of(x_kind, i);
    if (kind == Kind::unneeded) continue;
    const Affine norm = lazy ? affine(norm_weight[i], norm_bias[i], norm_mean[i], norm_deviation[i]) : Affine{1, 0};
    const Real value = kind == Kind::constant ? x_value[i] : norm.shift < 0 ? Real(0) : norm.shift;
    if (kind == Kind::plane) {
      column.norm[column.planes] = norm;
      column.plane[column.planes++] = i;
    } else if (value != 0) {
      column.value[column.constants] = value;
      column.constant[column.constants++] = i;
    }
  }
  if (!accumulate && (rows_there < s.o || column.planes < s.c)) write_each(dweight, false, [](std::int64_t) { return Real(0); });
  const Real scale = factor ? factor[0] : Real(1);
  if (column.constants > 0)
    parallel_for(rows_there, rows_there * s.out_plane() > parallel_threshold, [&](std::int64_t r) {
      auto* sums = static_cast<double*>(scratch(0, s.taps() * sizeof(double)));
      window_sums(dy.data + row[r] * s.out_plane(), s, sums);
      for (int k = 0; k < column.constants; ++k) {
        Real* to = dweight.data + (std::int64_t{row[r]} * s.c + column.constant[k]) * s.taps();
        for (int tap = 0; tap < s.taps(); ++tap)
          to[tap] += static_cast<Real>(static_cast<double>(scale * column.value[k]) * sums[tap]);
      }
    });
  if (rows_there == 0 || column.planes == 0) return;

  const bool parallel =
      static_cast<double>(rows_there) * column.planes * s.taps() * s.out_plane() > 8.0 * parallel_threshold;
  if (s.kh == 3 && s.kw == 3 && s.stride == 1 && s.n >= width)
    return each_part(rows_there, column.planes, 64, 32, thread_count(), parallel, [&](const Part& part) {
      (lazy ? winograd_part<true> : winograd_part<false>)(part, x, dy, s, row, rows_there, column, scale, accumulate, dweight.data);
    });

  if (s.kh == 1 && s.kw == 1 && s.stride == 1 && s.padding == 0) s.n *= s.h * s.w, s.h = s.w = 1;
  const int out_h = s.out_h(), out_w = s.out_w(), taps = static_cast<int>(s.taps());
  const int chunk_rows = smaller(out_h, chunk_side), chunk_columns = smaller(out_w, chunk_side);
  const int chunk_images = smaller(ceil_divide(s.n, width) * width,
                                   ceil_divide(chunk_size / (chunk_rows * chunk_columns), width) * width);
  // The x window of a chunk, its columns sorted by their phase (column % stride): every tap reads consecutive pixels.
  const int window_rows = (chunk_rows - 1) * s.stride + s.kh, phases = smaller(s.stride, s.kw);
  const int phase_columns = chunk_columns + (s.kw - 1) / s.stride;
  const int window = window_rows * phases * phase_columns;

  // Large tiles pack less, small ones occupy more threads; chunks alone set the order of the sums.
  each_part(rows_there, column.planes, 64, taps == 1 ? 64 : 32, 2 * thread_count(), parallel, [&](const Part& part) {
    const auto [o_first, o_end, i_first, i_end] = part;
    const int o_groups = part.o_groups(), i_groups = part.i_groups();
    const std::int64_t dy_group = std::int64_t{chunk_rows} * chunk_columns * chunk_images * dot_rows;
    const std::int64_t x_group = std::int64_t{window} * chunk_images * dot_columns;
    const std::int64_t sums = std::int64_t{o_groups} * i_groups * taps * dot_pairs;
    Real* packed_dy = static_cast<Real*>(scratch(0, sizeof(Real) * o_groups * dy_group));
    Real* packed_x = static_cast<Real*>(scratch(1, sizeof(Real) * i_groups * x_group));
    Real* sum = static_cast<Real*>(scratch(2, sizeof(Real) * sums));
    for (std::int64_t k = 0; k < sums; ++k) sum[k] = 0;

    for (int image = 0; image < s.n; image += chunk_images) {
      const int images = smaller(chunk_images, s.n - image), registers = ceil_divide(images, width);
      const int pixel_dy = registers * width * dot_rows, pixel_x = registers * width * dot_columns;
      for (int top = 0; top < out_h; top += chunk_rows)
        for (int left = 0; left < out_w; left += chunk_columns) {
          const int rows = smaller(chunk_rows, out_h - top), columns = smaller(chunk_columns, out_w - left);
          for (int g = 0; g < o_groups; ++g) {
            Plane channel[dot_rows];
            for (int i = 0; i < dot_rows; ++i)
              channel[i] = {dy.data + row[smaller(o_first + g * dot_rows + i, rows_there - 1)] * s.out_plane(), {1, 0}};
            Real* to = packed_dy + g * dy_group;
            for (int r = 0; r < rows; ++r)
              for (int q = 0; q < columns; ++q, to += pixel_dy)
                pack_pixel<dot_rows>(channel, (std::int64_t{top + r} * out_w + left + q) * s.n + image, images, to);
          }
          for (int g = 0; g < i_groups; ++g) {
            Plane channel[dot_columns];
            for (int i = 0; i < dot_columns; ++i) {
              const int at = smaller(i_first + g * dot_columns + i, column.planes - 1);
              channel[i] = {x.data + column.plane[at] * s.in_plane(), column.norm[at]};
            }
            for (int r = 0; r < (rows - 1) * s.stride + s.kh; ++r) {
              const int h = top * s.stride + r - s.padding;
              if (h < 0 || h >= s.h || r % s.stride >= s.kh) continue;
              for (int q = 0; q < (columns - 1) * s.stride + s.kw; ++q) {
                const int w = left * s.stride + q - s.padding;
                if (w < 0 || w >= s.w || q % s.stride >= s.kw) continue;
                const int at = (r * phases + q % s.stride) * phase_columns + q / s.stride;
                const std::int64_t from = (std::int64_t{h} * s.w + w) * s.n + image;
                Real* to = packed_x + g * x_group + std::int64_t{at} * pixel_x;
                if (lazy) pack_pixel<dot_columns, true>(channel, from, images, to);
                else pack_pixel<dot_columns>(channel, from, images, to);
              }
            }
          }
          Real* to = sum;
          for (int o = 0; o < o_groups; ++o)
            for (int i = 0; i < i_groups; ++i)
              for (int kh = 0; kh < s.kh; ++kh) {
                const Range v = inside(top, rows, s.stride, kh, s.padding, s.h);
                for (int kw = 0; kw < s.kw; ++kw, to += dot_pairs) {
                  const Range h = inside(left, columns, s.stride, kw, s.padding, s.w);
                  if (v.begin >= v.end || h.begin >= h.end) continue;
                  const int at = ((v.begin * s.stride + kh) * phases + kw % s.stride) * phase_columns +
                                 kw / s.stride + h.begin;
                  dot_tile(packed_dy + o * dy_group + std::int64_t{v.begin * columns + h.begin} * pixel_dy,
                           std::int64_t{columns} * pixel_dy, packed_x + i * x_group + std::int64_t{at} * pixel_x,
                           std::int64_t{s.stride} * phases * phase_columns * pixel_x, v.end - v.begin,
                           (h.end - h.begin) * registers, to);
                }
              }
        }
    }

    const Real* from = sum;
    for (int o = o_first; o < o_end; o += dot_rows)
      for (int i = i_first; i < i_end; i += dot_columns, from += taps * dot_pairs)
        write_sums(from, taps, row + o, smaller(dot_rows, o_end - o), column.plane + i, smaller(dot_columns, i_end - i),
                   scale, accumulate, dweight.data, s.c * taps);
  });
}

}  // namespace easting::EASTING_VARIANT
