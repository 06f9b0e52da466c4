// Sparse convolution in gather form: a block owns a tile of one output plane (forward) or input plane (backward), walks
// the nonzeros of its row or column and holds the sums in registers. BatchNorm before and behind runs as its own launches.
#include "../../kernels.h"

#include "../../affine.h"
#include "../../channels.h"
#include "../launch.cuh"
#include "../pack.cuh"
#include "../sums.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::launch;
using cuda::load;
using cuda::store;

constexpr int threads = 256, packs = 4;  // a thread's packs are `threads` packs apart
constexpr int chunk = 64;                // connections that a block decodes at once

// One nonzero as a tile's owner sees it: the other plane, or null; the tap's offset; its weight.
struct Connection {
  const Stored* plane;
  Affine norm;  // with `lazy`: the other side's channel is read as max(x * scale + shift, 0)
  Real value;   // without a plane: what it adds wherever its tap lies inside the image
  std::int32_t dh, dw;
};

// A plane [h][w][n] and how blocks divide it. Positions within a plane have 31 bits.
template <int width>
struct Tiles {
  static constexpr int size = threads * packs * width;
  int w, n, plane, tiles;

  Tiles(int h, int w, int n) : w(w), n(n), plane(h * w * n), tiles((plane + size - 1) / size) {}
  cuda::Grid grid(std::int64_t channels) const { return {dim3(static_cast<unsigned>(channels * tiles))}; }
  __device__ std::int64_t channel() const { return blockIdx.x / static_cast<unsigned>(tiles); }
  __device__ int tile() const { return static_cast<int>(blockIdx.x % static_cast<unsigned>(tiles)); }
  // Where pack k of this thread starts; not in the plane from `plane` on.
  __device__ int at(int k) const { return tile() * size + (k * threads + static_cast<int>(threadIdx.x)) * width; }
};

// The pixel of a pack and where it starts among the pixel's images.
struct Pixel {
  std::int32_t h, w, image;
  bool inside;
};

template <int width>
__device__ Pixel pixel_of(const Tiles<width>& tiles, int k) {
  const int at = tiles.at(k), pixel = at / tiles.n;
  return {pixel / tiles.w, pixel % tiles.w, at % tiles.n, at < tiles.plane};
}

__device__ Real rectified(Real v) { return v < 0 ? Real(0) : v; }  // NaN passes

struct Forward {
  In<Stored> x;
  In<int32_t> x_kind;
  In<Real> x_value, norm_weight, norm_bias, norm_mean, norm_deviation, values;
  In<int32_t> row_start, row_entry;
  ConvShape s;
  In<int32_t> needed;
  Out<Stored> y;
  Out<int32_t> y_kind;

  // Of nonzero k; false if it adds nothing.
  __device__ bool decode(int k, Connection& to) const {
    const int taps = s.kh * s.kw, entry = row_entry[k], i = entry / taps, tap = entry % taps;
    const auto kind = kind_of(x_kind, i);
    const Affine norm =
        norm_weight ? affine(norm_weight[i], norm_bias[i], norm_mean[i], norm_deviation[i]) : Affine{1, 0};
    to = {nullptr, norm, 0, tap / s.kw - s.padding, tap % s.kw - s.padding};
    if (kind == Kind::unneeded) return false;
    if (kind == Kind::plane) {
      to.plane = x.data + i * s.in_plane();
      to.value = values[k];
      return true;
    }
    // What a channel without a plane holds everywhere: with a normalisation, its shift behind the ReLU.
    const Real constant = kind == Kind::constant ? x_value[i] : rectified(norm.shift);
    if (constant != 0) to.value = values[k] * constant;
    return constant != 0;
  }
};

template <int width, bool lazy>
__global__ void gather_rows(Forward f, Tiles<width> tiles) {
  __shared__ Connection connections[chunk];
  __shared__ int connected;
  const ConvShape& s = f.s;
  const std::int64_t o = tiles.channel();
  const bool reports = f.y_kind && tiles.tile() == 0 && threadIdx.x == 0;
  if (f.needed && f.needed[o] == Need::never) {
    if (reports) f.y_kind[o] = Kind::unneeded;
    return;
  }
  if (threadIdx.x == 0) connected = 0;
  Pixel pixels[packs];
  Real sums[packs][width] = {};
  for (int k = 0; k < packs; ++k) pixels[k] = pixel_of(tiles, k);
  const int end = f.row_start[o + 1];
  for (int from = f.row_start[o]; from < end; from += chunk) {
    __syncthreads();
    const int count = end - from < chunk ? end - from : chunk, own = static_cast<int>(threadIdx.x);
    if (own < count && f.decode(from + own, connections[own])) connected = 1;
    __syncthreads();
    for (int j = 0; j < count; ++j) {
      const Connection c = connections[j];
      for (int k = 0; k < packs; ++k) {
        const int h = pixels[k].h * s.stride + c.dh, w = pixels[k].w * s.stride + c.dw;
        if (!pixels[k].inside || h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
        if (!c.plane) {
          for (Real& sum : sums[k]) sum += c.value;
          continue;
        }
        Real v[width];
        load(c.plane + (h * s.w + w) * s.n + pixels[k].image, v);
        for (int i = 0; i < width; ++i)
          sums[k][i] += c.value * (lazy ? rectified(v[i] * c.norm.scale + c.norm.shift) : v[i]);
      }
    }
  }
  __syncthreads();
  const bool there = !f.y_kind || connected || f.needed[o] == Need::always;
  if (reports) f.y_kind[o] = there ? Kind::plane : Kind::zero;
  if (!there) return;
  for (int k = 0; k < packs; ++k)
    if (pixels[k].inside) store(f.y.data + o * tiles.plane + tiles.at(k), sums[k]);
}

template <int width>
void forward(const Forward& f) {
  const Tiles<width> tiles(f.s.out_h(), f.s.out_w(), f.s.n);
  launch(f.norm_weight ? gather_rows<width, true> : gather_rows<width, false>, tiles.grid(f.s.o), f, tiles);
}

// How an input channel is read and its gradient written.
struct Plan {
  Kind mode;         // plane; constant: `number` everywhere; zero: its nonzeros have gradient 0
  bool write, accumulate;
  Real number;
};

struct Backward {
  In<Stored> x;
  In<int32_t> x_kind;
  In<Real> x_value, norm_weight, norm_bias, norm_mean, norm_deviation;
  In<Stored> dy;
  In<int32_t> y_kind;
  In<Real> values;
  In<int32_t> column_start, column_entry, column_value;
  ConvShape s;
  Out<Stored> dx;
  Out<int32_t> dx_kind;
  Out<Real> dx_value;
  bool accumulate_dx;
  Out<Real> dvalues;
  bool accumulate_dvalues;

  // Whether the output that nonzero k (by columns) leads to has a gradient.
  __device__ bool live(int k) const { return kind_of(y_kind, column_entry[k] / (s.kh * s.kw)) == Kind::plane; }
  __device__ Affine norm(std::int64_t c) const {
    return norm_weight ? affine(norm_weight[c], norm_bias[c], norm_mean[c], norm_deviation[c]) : Affine{1, 0};
  }
};

// One warp per input channel; also writes the kinds of gradients, but for constants, whose sums are not known yet.
__global__ void plan_channels(Backward b, Plan* plans) {
  const std::int64_t c = blockIdx.x;
  bool found = false;
  for (int k = b.column_start[c] + static_cast<int>(threadIdx.x); k < b.column_start[c + 1]; k += 32)
    found = found || b.live(k);
  const bool connected = __any_sync(~0u, found);
  if (threadIdx.x != 0) return;
  const auto kind = kind_of(b.x_kind, c);
  Plan plan{Kind::zero, false, false, 0};
  if (b.norm_weight) {
    const Real shift = b.norm(c).shift;
    if (kind == Kind::plane) plan = {Kind::plane, true, false, 0};
    else if (kind != Kind::unneeded && shift > 0) plan = {Kind::constant, false, false, shift};
    b.dx_kind[c] = plan.mode;
  } else if (kind == Kind::constant) {
    plan = {Kind::constant, false, false, b.x_value[c]};
  } else {
    if (kind == Kind::plane && connected) plan.mode = Kind::plane;
    plan.write = static_cast<bool>(b.dx);
    plan.accumulate = b.accumulate_dx;
    if (b.dx && b.dx_kind) {
      const bool there = b.accumulate_dx && b.dx_kind[c] == Kind::plane;
      plan.write = plan.mode == Kind::plane;
      plan.accumulate = there;
      // Nothing to add: what stands there stays, or the gradient is zero.
      if (plan.write || !there) b.dx_kind[c] = plan.mode;
    }
  }
  plans[c] = plan;
}

// dots[tile * nonzeros + k] = Σ over the tile of x times the gradient that nonzero k leads to; x is 1 where it is constant.
template <int width, bool lazy>
__global__ void gather_columns(Backward b, Tiles<width> tiles, const Plan* plans, double* dots) {
  __shared__ Connection connections[chunk];
  __shared__ Real parts[chunk][threads / 32];
  const ConvShape& s = b.s;
  const std::int64_t c = tiles.channel();
  const Plan plan = plans[c];
  if (plan.mode == Kind::zero && !plan.write) return;
  const int own = static_cast<int>(threadIdx.x), out_h = s.out_h(), out_w = s.out_w();
  Pixel pixels[packs];
  Real active[packs][width], sums[packs][width] = {};
  const Affine norm = b.norm(c);
  for (int k = 0; k < packs; ++k) {
    pixels[k] = pixel_of(tiles, k);
    for (Real& v : active[k]) v = plan.mode == Kind::constant ? Real(1) : Real(0);
    if (!pixels[k].inside) continue;
    const std::int64_t at = c * tiles.plane + tiles.at(k);
    if (plan.mode == Kind::plane && dots) load(b.x.data + at, active[k]);
    if (lazy && plan.mode == Kind::plane)
      for (Real& v : active[k]) v = rectified(v * norm.scale + norm.shift);
    if (plan.write && plan.accumulate) load(b.dx.data + at, sums[k]);
  }
  const int end = b.column_start[c + 1];
  for (int from = b.column_start[c]; from < end; from += chunk) {
    __syncthreads();
    const int count = end - from < chunk ? end - from : chunk;
    if (own < count) {
      const int taps = s.kh * s.kw, entry = b.column_entry[from + own], tap = entry % taps;
      const bool live = b.live(from + own);
      connections[own] = {live ? b.dy.data + entry / taps * s.out_plane() : nullptr, {1, 0},
                          b.values[b.column_value[from + own]], s.padding - tap / s.kw, s.padding - tap % s.kw};
    }
    __syncthreads();
    for (int j = 0; j < count; ++j) {
      const Connection connection = connections[j];
      if (!connection.plane) continue;
      Real part = 0;
      for (int k = 0; k < packs; ++k) {
        int h = pixels[k].h + connection.dh, w = pixels[k].w + connection.dw;
        if (!pixels[k].inside || h < 0 || w < 0) continue;
        if (s.stride > 1) {
          if (h % s.stride || w % s.stride) continue;
          h /= s.stride;
          w /= s.stride;
        }
        if (h >= out_h || w >= out_w) continue;
        Real g[width];
        load(connection.plane + (h * out_w + w) * s.n + pixels[k].image, g);
        for (int i = 0; i < width; ++i) {
          sums[k][i] += connection.value * g[i];
          part += active[k][i] * g[i];
        }
      }
      if (!dots) continue;
      part = cuda::warp_sum(part);
      if (own % 32 == 0) parts[j][own / 32] = part;
    }
    if (!dots) continue;
    __syncthreads();
    if (own < count && connections[own].plane) {
      double dot = 0;
      for (Real part : parts[own]) dot += static_cast<double>(part);
      dots[tiles.tile() * b.values.size + from + own] = dot;
    }
  }
  if (!plan.write) return;
  for (int k = 0; k < packs; ++k)
    if (pixels[k].inside) store(b.dx.data + c * tiles.plane + tiles.at(k), sums[k]);
}

constexpr int column_threads = 128;

// A block per input channel adds up the tiles' dots: gradients of its values, and of a constant channel itself.
__global__ void finish_columns(Backward b, int tiles, const Plan* plans, const double* dots) {
  const std::int64_t c = blockIdx.x;
  const Plan plan = plans[c];
  double sum = 0;
  for (int k = b.column_start[c] + static_cast<int>(threadIdx.x); k < b.column_start[c + 1]; k += column_threads) {
    double dot = 0;
    const int id = b.column_value[k];
    if (plan.mode != Kind::zero && b.live(k))
      for (int t = 0; t < tiles; ++t) dot += dots[t * b.values.size + k];
    if (plan.mode == Kind::constant) {
      sum += static_cast<double>(b.values[id]) * dot;
      dot *= static_cast<double>(plan.number);
    }
    if (!b.dvalues) continue;
    b.dvalues[id] = static_cast<Real>(b.accumulate_dvalues ? static_cast<double>(b.dvalues[id]) + dot : dot);
  }
  if (plan.mode != Kind::constant || !b.dx_kind) return;
  sum = cuda::block_sum<column_threads>(sum);
  if (threadIdx.x == 0) put_constant(b.dx_kind, b.dx_value, c, sum, b.accumulate_dx);
}

template <int width>
void backward(const Backward& b) {
  const Tiles<width> tiles(b.s.h, b.s.w, b.s.n);
  auto* plans = static_cast<Plan*>(cuda::scratch(3, b.s.c * sizeof(Plan)));
  double* dots = nullptr;  // also the sums of constant channels
  if (b.dvalues || (b.dx_kind && b.x_kind))
    dots = static_cast<double*>(cuda::scratch(2, (b.values.size + 1) * tiles.tiles * sizeof(double)));
  launch(plan_channels, {dim3(b.s.c), dim3(32)}, b, plans);
  if (b.dx || dots)
    launch(b.norm_weight ? gather_columns<width, true> : gather_columns<width, false>, tiles.grid(b.s.c), b, tiles,
           plans, dots);
  if (dots) launch(finish_columns, {dim3(b.s.c), dim3(column_threads)}, b, tiles.tiles, plans, dots);
}

void backward(const Backward& b) {
  if (cuda::in_fours(b.s.n, b.x.data, b.dy.data, b.dx.data)) backward<4>(b);
  else backward<1>(b);
}

}  // namespace

void sparse_conv_forward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Real> norm_weight, In<Real> norm_bias,
                         In<Real> norm_mean, In<Real> norm_deviation, In<Real> values, In<int32_t> row_start,
                         In<int32_t> row_entry, ConvShape s, In<int32_t> needed, Out<Stored> y, Out<int32_t> y_kind,
                         BatchNormForward<Stored> next) {
  const Forward f{x,      x_kind,    x_value,   norm_weight, norm_bias, norm_mean, norm_deviation,
                  values, row_start, row_entry, s,           needed,    y,         y_kind};
  if (y.size == 0) return;
  if (cuda::in_fours(s.n, x.data, y.data)) forward<4>(f);
  else forward<1>(f);
  if (next) batch_norm_forward({y.data, y.size}, {y_kind.data, y_kind.size}, s.o, next);
}

void sparse_conv_backward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Stored> dy, In<int32_t> y_kind,
                          In<Real> values, In<int32_t> column_start, In<int32_t> column_entry,
                          In<int32_t> column_value, ConvShape s, Out<Stored> dx, Out<int32_t> dx_kind,
                          Out<Real> dx_value, bool accumulate_dx, Out<Real> dvalues, bool accumulate_dvalues,
                          BatchNormBackward<Stored> previous) {
  if (x.size == 0) return;
  backward({x, x_kind, x_value, {}, {}, {}, {}, dy, y_kind, values, column_start, column_entry, column_value, s, dx,
            dx_kind, dx_value, accumulate_dx, dvalues, accumulate_dvalues});
  if (previous) batch_norm_backward(s.c, previous);
}

// The gradient of what was normalised is gathered into dx, where the BatchNorm's backward then works in place.
void sparse_conv_backward_normalized(In<Stored> x, In<int32_t> x_kind, In<Real> norm_weight, In<Real> norm_bias,
                                     In<Real> norm_mean, In<Real> norm_deviation, bool training, In<Stored> dy,
                                     In<int32_t> y_kind, In<Real> values, In<int32_t> column_start,
                                     In<int32_t> column_entry, In<int32_t> column_value, ConvShape s, Out<Stored> dx,
                                     Out<Real> dnorm_weight, Out<Real> dnorm_bias, bool accumulate_norm,
                                     Out<Real> dvalues, bool accumulate_dvalues) {
  if (x.size == 0) return;
  // Behind the plans, in their slot: the kinds and sums of the gradient.
  auto* room = static_cast<char*>(cuda::scratch(3, s.c * (sizeof(Plan) + sizeof(Real) + sizeof(std::int32_t))));
  auto* sums = reinterpret_cast<Real*>(room + s.c * sizeof(Plan));
  auto* kinds = reinterpret_cast<std::int32_t*>(sums + s.c);
  backward({x, x_kind, {}, norm_weight, norm_bias, norm_mean, norm_deviation, dy, y_kind, values, column_start,
            column_entry, column_value, s, dx, {kinds, s.c}, {sums, s.c}, false, dvalues, accumulate_dvalues});
  BatchNormBackward<Stored> norm;
  norm.x = x;
  norm.x_kind = x_kind;
  norm.y_kind = norm.dy_kind = {kinds, s.c};
  norm.dy = norm.dx = dx;
  norm.dy_value = {sums, s.c};
  norm.weight = norm_weight;
  norm.bias = norm_bias;
  norm.mean = norm_mean;
  norm.inverse_deviation = norm_deviation;
  norm.training = training;
  norm.relu = true;
  norm.dweight = dnorm_weight;
  norm.dbias = dnorm_bias;
  norm.accumulate = accumulate_norm;
  batch_norm_backward(s.c, norm);
}

}  // namespace easting::EASTING_VARIANT
