// Sparse convolution in gather form: a block owns a tile of one output plane (forward) or input plane (backward), walks
// the nonzeros of its row or column and holds the sums in registers. What BatchNorm needs of the tile is taken there too.
#include "../../kernels.h"

#include "../../elementwise.h"
#include "../batch_norm.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::launch, cuda::scratch;
using elementwise::Relu;

constexpr int chunk = 64;  // connections that a block decodes at once

// One nonzero as a tile's owner sees it.
struct Connection {
  const Stored* plane;  // null: nothing is read
  std::int32_t dh, dw;  // offset of the tap
  Real value;           // its weight; forward, without a plane: what it adds wherever its tap lies inside the image
  Affine norm;          // forward, where a BatchNorm comes before: that of the plane's channel
};

// The pixel that a thread's read belongs to, and which of its images come first.
struct Pixel {
  std::int32_t h, w, image;
  bool inside;

  __device__ Pixel(const Tile& tile, int j, int width, int n) : inside(tile.has(j)) {
    const int at = tile.at(j), pixel = at / n;
    h = pixel / width;
    w = pixel % width;
    image = at % n;
  }
};

// The pixels of all of a thread's reads in a plane that is `width` pixels wide.
struct Pixels {
  Pixel all[per_thread];

  __device__ Pixels(const Tile& tile, int width, int n)
      : all{{tile, 0, width, n}, {tile, 1, width, n}, {tile, 2, width, n}, {tile, 3, width, n}} {
    static_assert(per_thread == 4);
  }
  __device__ const Pixel& operator[](int j) const { return all[j]; }
};

// Whether any k in [from, to) satisfies `holds`; found by each warp on its own, in all its lanes.
template <class Holds>
__device__ bool any(int from, int to, Holds holds) {
  bool found = false;
  for (int k = from + lane_index(); k < to && !found; k += 32) found = holds(k);
  return __any_sync(~0u, found);
}

// The arrays of a BatchNorm before a convolution; null: there is none.
struct Before {
  In<Real> weight, bias, mean, deviation;
  EASTING_BOTH explicit operator bool() const { return weight.data != nullptr; }
  __device__ Affine operator[](int c) const { return affine(weight[c], bias[c], mean[c], deviation[c]); }
};

struct Forward {
  In<Stored> x;
  In<std::int32_t> x_kind;
  In<Real> x_value;
  Before before;
  In<Real> values;
  In<std::int32_t> row_start, row_entry;
  ConvShape shape;
  In<std::int32_t> needed;
  Out<Stored> y;
  Out<std::int32_t> y_kind;
  Moments* moments;  // null: nobody asks

  __device__ int channel_of(int k) const { return row_entry[k] / static_cast<int>(shape.taps()); }
  // What input channel i holds everywhere, where it has no plane: behind a BatchNorm its shift.
  __device__ Real constant_of(int i, int kind) const {
    if (kind == Kind::constant) return x_value[i];
    return kind == Kind::zero && before ? Relu<Real>{}(before[i].shift) : Real(0);
  }
  __device__ bool adds(int k) const {
    const int i = channel_of(k), kind = kind_of(x_kind, i);
    return kind == Kind::plane || constant_of(i, kind) != 0;
  }
  __device__ Connection connection(int k) const {
    const int taps = static_cast<int>(shape.taps()), i = row_entry[k] / taps, tap = row_entry[k] % taps;
    const int kind = kind_of(x_kind, i);
    Connection made{nullptr, tap / shape.kw - shape.padding, tap % shape.kw - shape.padding, values[k], {1, 0}};
    if (kind != Kind::plane) {
      const Real constant = constant_of(i, kind);
      made.value = constant == 0 ? Real(0) : made.value * constant;
      return made;
    }
    made.plane = x.data + i * shape.in_plane();
    if (before) made.norm = before[i];
    return made;
  }
  __device__ int output_kind(int o) const {
    if (needed && needed[o] == Need::never) return Kind::unneeded;
    if (!y_kind || needed[o] == Need::always) return Kind::plane;
    return any(row_start[o], row_start[o + 1], [&](int k) { return adds(k); }) ? Kind::plane : Kind::zero;
  }
  // Where in an input plane a connection of `pixel` reads; -1 outside.
  __device__ int source(const Pixel& pixel, const Connection& c) const {
    const int h = pixel.h * shape.stride + c.dh, w = pixel.w * shape.stride + c.dw;
    const bool inside = pixel.inside && h >= 0 && h < shape.h && w >= 0 && w < shape.w;
    return inside ? (h * shape.w + w) * shape.n + pixel.image : -1;
  }
};

// sums += what one connection brings to the thread's pixels.
template <int width>
__device__ void add(const Forward& f, const Connection& c, const Pixels& pixels, Values<width> (&sums)[per_thread]) {
  int from[per_thread];
  for (int j = 0; j < per_thread; ++j) from[j] = f.source(pixels[j], c);
  if (!c.plane) {
    for (int j = 0; j < per_thread; ++j)
      for (int i = 0; from[j] >= 0 && i < width; ++i) sums[j].at[i] += c.value;
    return;
  }
  Values<width> x[per_thread];
  for (int j = 0; j < per_thread; ++j)
    if (from[j] >= 0) x[j] = load<width>(c.plane + from[j]);
  for (int j = 0; j < per_thread; ++j)
    for (int i = 0; from[j] >= 0 && i < width; ++i) {
      const Real v = x[j].at[i];
      sums[j].at[i] += c.value * (f.before ? Relu<Real>{}(v * c.norm.scale + c.norm.shift) : v);
    }
}

template <int width>
__global__ void gather_rows(Forward f, Tiles tiles) {
  __shared__ Connection connections[chunk];
  const Tile tile(tiles);
  const int o = tile.channel, kind = f.output_kind(o);
  if (f.y_kind && tile.index == 0 && tile.leads()) f.y_kind[o] = kind;
  if (kind != Kind::plane) return;
  const Pixels pixels(tile, f.shape.out_w(), f.shape.n);
  Values<width> sums[per_thread]{};
  const int end = f.row_start[o + 1];
  for (int from = f.row_start[o]; from < end; from += chunk) {
    const int count = end - from < chunk ? end - from : chunk;
    __syncthreads();
    for (int k = static_cast<int>(threadIdx.x); k < count; k += tiles.threads) connections[k] = f.connection(from + k);
    __syncthreads();
    for (int k = 0; k < count; ++k) add(f, connections[k], pixels, sums);
  }
  for (int j = 0; j < per_thread; ++j)
    if (tile.has(j)) sums[j] = store(f.y.data + std::int64_t{o} * tiles.plane + tile.at(j), sums[j]);
  if (!f.moments) return;
  const Moments found = moments(sums, tile, tiles.size(tile.index));
  if (tile.leads()) f.moments[o * tiles.count + tile.index] = found;
}

// What becomes of one input channel: whether its tiles are visited, whether they write its gradient or add to it.
struct Plan {
  int kind;     // as the convolution reads it
  Real number;  // where that is constant
  bool sweep, write, there;
};

struct Backward {
  In<Stored> x;
  In<std::int32_t> x_kind;
  In<Real> x_value;
  bool lazy;  // the convolution reads relu(norm of x); dx is then the gradient of x
  In<Stored> dy;
  In<std::int32_t> y_kind;
  In<Real> values;
  In<std::int32_t> column_start, column_entry, column_value;
  ConvShape shape;
  Out<Stored> dx;
  Out<std::int32_t> dx_kind;
  Out<Real> dx_value;
  bool accumulate_dx;
  Out<Real> dvalues;
  bool accumulate_dvalues;
  BatchNormBackward<Stored> norm;  // before the convolution, if any; its dy is dx here
  double* dots;                    // [nonzero][tile]; null: the values need no gradient
  GradientSums* sums;              // [channel][tile]
  PlaneGradient* gradients;        // [channel]

  __device__ Affine affine_of(int c) const {
    return affine(norm.weight[c], norm.bias[c], norm.mean[c], norm.inverse_deviation[c]);
  }
  __device__ bool live(int k) const {
    return kind_of(y_kind, column_entry[k] / static_cast<int>(shape.taps())) == Kind::plane;
  }
  __device__ Plan plan(int c, bool fed) const {
    const int kind = kind_of(x_kind, c);
    Plan made{kind, 0, false, false, accumulate_dx && (!dx_kind || dx_kind[c] == Kind::plane)};
    if (!lazy && kind == Kind::constant) made.number = x_value[c];
    if (lazy && kind != Kind::plane && kind != Kind::unneeded) {
      made.number = affine_of(c).shift;
      made.kind = made.number > 0 ? Kind::constant : Kind::zero;
    }
    // A gradient that is there already is still to be masked and summed for the BatchNorm.
    const bool written = dx && (!dx_kind || fed || (made.there && norm));
    made.write = made.kind == Kind::plane && written;
    made.sweep = made.kind == Kind::constant || (made.kind == Kind::plane && (fed || written));
    return made;
  }
  __device__ bool fed(int c) const {
    return any(column_start[c], column_start[c + 1], [&](int k) { return live(k); });
  }
  __device__ Connection connection(int k) const {
    const int taps = static_cast<int>(shape.taps()), tap = column_entry[k] % taps;
    return {live(k) ? dy.data + column_entry[k] / taps * shape.out_plane() : nullptr, shape.padding - tap / shape.kw,
            shape.padding - tap % shape.kw, values[column_value[k]], {1, 0}};
  }
  // Where in an output plane a connection feeds from `pixel`: (h + dh) / stride where it divides; -1 nowhere.
  __device__ int target(const Pixel& pixel, const Connection& c) const {
    int h = pixel.h + c.dh, w = pixel.w + c.dw;
    if (!pixel.inside || h < 0 || w < 0) return -1;
    if (shape.stride > 1) {
      if (h % shape.stride || w % shape.stride) return -1;
      h /= shape.stride;
      w /= shape.stride;
    }
    return h < shape.out_h() && w < shape.out_w() ? (h * shape.out_w() + w) * shape.n + pixel.image : -1;
  }
};

// sums += weight * gradient over one connection; returns the thread's part of the dot product with `active`.
template <int width>
__device__ Real add(const Backward& b, const Connection& c, const Pixels& pixels,
                    const Values<width> (&active)[per_thread], Values<width> (&sums)[per_thread]) {
  int from[per_thread];
  Values<width> g[per_thread]{};
  for (int j = 0; j < per_thread; ++j) {
    from[j] = b.target(pixels[j], c);
    if (from[j] >= 0) g[j] = load<width>(c.plane + from[j]);
  }
  Real dot = 0;
  for (int j = 0; j < per_thread; ++j)
    for (int i = 0; from[j] >= 0 && i < width; ++i) {
      sums[j].at[i] += c.value * g[j].at[i];
      dot += active[j].at[i] * g[j].at[i];
    }
  return dot;
}

// What the convolution read at the thread's pixels.
template <int width>
__device__ void load_active(const Backward& b, const Plan& plan, const Tile& tile, Values<width> (&active)[per_thread]) {
  const Affine norm = b.lazy && plan.kind == Kind::plane ? b.affine_of(tile.channel) : Affine{1, 0};
  for (int j = 0; j < per_thread; ++j) {
    if (!tile.has(j)) continue;
    if (plan.kind == Kind::plane) active[j] = load<width>(b.x.data + std::int64_t{tile.channel} * tile.plane + tile.at(j));
    for (Real& v : active[j].at) {
      if (plan.kind != Kind::plane) v = plan.number;
      else if (b.lazy) v = Relu<Real>{}(v * norm.scale + norm.shift);
    }
  }
}

// Masks the gathered gradient, writes it, and sums it up for the BatchNorm before the convolution.
template <int width>
__device__ void put_gradient(const Backward& b, const Plan& plan, const Tile& tile,
                             const Values<width> (&active)[per_thread], Values<width> (&sums)[per_thread]) {
  const int c = tile.channel;
  const std::int64_t start = std::int64_t{c} * tile.plane;
  const bool own = b.norm && plan.write && kind_of(b.norm.x_kind, c) == Kind::plane;
  Real sum = 0, product = 0;
  for (int j = 0; j < per_thread; ++j) {
    if (!tile.has(j)) continue;
    for (int i = 0; b.norm && b.norm.relu && plan.write && i < width; ++i)
      if (!(active[j].at[i] > 0)) sums[j].at[i] = 0;
    if (plan.write) store(b.dx.data + start + tile.at(j), sums[j]);
    Values<width> x{};
    if (own) x = load<width>(b.norm.x.data + start + tile.at(j));
    for (int i = 0; i < width; ++i) {
      sum += sums[j].at[i];
      if (own) product += sums[j].at[i] * (x.at[i] - b.norm.mean[c]);
    }
  }
  if (!b.sums) return;
  const GradientSums found{cuda::block_sum(static_cast<double>(sum)), cuda::block_sum(static_cast<double>(product))};
  if (tile.leads()) b.sums[c * static_cast<int>(gridDim.x / static_cast<unsigned>(b.shape.c)) + tile.index] = found;
}

template <int width>
__global__ void gather_columns(Backward b, Tiles tiles) {
  __shared__ Connection connections[chunk];
  __shared__ Real parts[chunk][tile_threads / 32];
  const Tile tile(tiles);
  const int c = tile.channel, begin = b.column_start[c], end = b.column_start[c + 1], own = static_cast<int>(threadIdx.x);
  const Plan plan = b.plan(c, b.fed(c));
  const auto dot_of = [&](int k) -> double& { return b.dots[std::int64_t{k} * tiles.count + tile.index]; };
  if (!plan.sweep) {
    for (int k = begin + own; b.dots && k < end; k += tiles.threads) dot_of(k) = 0;
    return;
  }
  const Pixels pixels(tile, b.shape.w, b.shape.n);
  Values<width> active[per_thread]{}, sums[per_thread]{};
  load_active(b, plan, tile, active);
  for (int j = 0; plan.write && plan.there && j < per_thread; ++j)
    if (tile.has(j)) sums[j] = load<width>(b.dx.data + std::int64_t{c} * tiles.plane + tile.at(j));
  for (int from = begin; from < end; from += chunk) {
    const int count = end - from < chunk ? end - from : chunk;
    __syncthreads();
    for (int k = own; k < count; k += tiles.threads) connections[k] = b.connection(from + k);
    __syncthreads();
    for (int k = 0; k < count; ++k) {
      Real dot = 0;
      if (connections[k].plane) dot = add(b, connections[k], pixels, active, sums);
      if (!b.dots) continue;
      dot = cuda::warp_sum(dot);
      if (own % 32 == 0) parts[k][own / 32] = dot;
    }
    __syncthreads();
    for (int k = own; b.dots && k < count; k += tiles.threads) {
      double dot = 0;
      for (int warp = 0; warp < tiles.threads / 32; ++warp) dot += static_cast<double>(parts[k][warp]);
      dot_of(from + k) = dot;
    }
  }
  put_gradient(b, plan, tile, active, sums);
}

// The kind of a channel's gradient, its number where it has one, and what the BatchNorm before makes of it; by one warp.
__device__ void settle_channel(const Backward& b, const Tiles& tiles, int c) {
  const bool fed = b.fed(c);
  const Plan plan = b.plan(c, fed);
  GradientSums sums{0, 0};
  if (plan.sweep && b.sums) sums = total(b.sums + std::int64_t{c} * tiles.count, tiles.count);
  __syncwarp();
  if (lane_index() != 0) return;
  if (b.dx_kind) {
    if (plan.kind == Kind::constant) put_constant(b.dx_kind, b.dx_value, c, sums.sum, b.accumulate_dx);
    else if (plan.kind == Kind::plane && fed) b.dx_kind[c] = Kind::plane;
    else if (!plan.there) b.dx_kind[c] = Kind::zero;  // nothing to add: what stands there stays
    if (plan.kind == Kind::constant) sums.sum = static_cast<double>(b.dx_value[c]);
  }
  if (b.norm) b.gradients[c] = finish_channel(b.norm, c, plan.kind, kind_of(b.dx_kind, c), sums, tiles.plane);
}

// A warp per channel, then one per nonzero, which adds up the tiles' dots.
__global__ void settle(Backward b, Tiles tiles, int channels) {
  const int warp = warp_index(), k = warp - channels;
  if (k < 0) return settle_channel(b, tiles, warp);
  if (!b.dots || k >= b.column_entry.size) return;
  double dot = 0;
  for (int t = lane_index(); t < tiles.count; t += 32) dot += b.dots[std::int64_t{k} * tiles.count + t];
  dot = cuda::warp_sum(dot);
  if (lane_index() != 0) return;
  Real& to = b.dvalues[b.column_value[k]];
  to = static_cast<Real>(b.accumulate_dvalues ? static_cast<double>(to) + dot : dot);
}

void backward(Backward b) {
  const auto& s = b.shape;
  const Tiles tiles(s.c, s.in_plane(), aligned(s.n, b.x.data, b.dy.data, b.dx.data, b.norm.x.data));
  const std::int64_t nonzeros = b.column_entry.size, channels = b.norm || b.dx_kind ? s.c : 0;
  if (b.dvalues) b.dots = static_cast<double*>(scratch(0, sizeof(double) * (nonzeros * tiles.count + 1)));
  if (channels) b.sums = static_cast<GradientSums*>(scratch(1, sizeof(GradientSums) * channels * tiles.count));
  if (b.norm) b.gradients = static_cast<PlaneGradient*>(scratch(2, sizeof(PlaneGradient) * channels));
  with_width(tiles, [&](auto width) { launch(gather_columns<width>, tiles.grid(), b, tiles); });
  const std::int64_t settled = channels + (b.dvalues ? nonzeros : 0);
  if (settled > 0) launch(settle, warps_of(settled), b, tiles, static_cast<int>(channels));
  if (b.norm && b.norm.dx) write_gradient(b.norm, tiles, b.gradients, true);
}

}  // namespace

void sparse_conv_forward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Real> norm_weight, In<Real> norm_bias,
                         In<Real> norm_mean, In<Real> norm_deviation, In<Real> values, In<int32_t> row_start,
                         In<int32_t> row_entry, ConvShape s, In<int32_t> needed, Out<Stored> y, Out<int32_t> y_kind,
                         BatchNormForward<Stored> next) {
  const Tiles tiles(s.o, s.out_plane(), aligned(s.n, x.data, y.data));
  Moments* parts = nullptr;
  if (next && next.training) parts = static_cast<Moments*>(scratch(0, sizeof(Moments) * s.o * tiles.count));
  const Before before{norm_weight, norm_bias, norm_mean, norm_deviation};
  const Forward f{x, x_kind, x_value, before, values, row_start, row_entry, s, needed, y, y_kind, parts};
  with_width(tiles, [&](auto width) { launch(gather_rows<width>, tiles.grid(), f, tiles); });
  if (next) normalize({y.data, y.size}, {y_kind.data, y_kind.size}, next, tiles, parts);
}

void sparse_conv_backward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Stored> dy, In<int32_t> y_kind,
                          In<Real> values, In<int32_t> column_start, In<int32_t> column_entry,
                          In<int32_t> column_value, ConvShape s, Out<Stored> dx, Out<int32_t> dx_kind,
                          Out<Real> dx_value, bool accumulate_dx, Out<Real> dvalues, bool accumulate_dvalues,
                          BatchNormBackward<Stored> previous) {
  backward({x, x_kind, x_value, false, dy, y_kind, values, column_start, column_entry, column_value, s, dx, dx_kind,
            dx_value, accumulate_dx, dvalues, accumulate_dvalues, previous, nullptr, nullptr, nullptr});
}

// Backward through convolution, ReLU and BatchNorm at once: dx is the gradient of what was normalised.
void sparse_conv_backward_normalized(In<Stored> x, In<int32_t> x_kind, In<Real> norm_weight, In<Real> norm_bias,
                                     In<Real> norm_mean, In<Real> norm_deviation, bool training, In<Stored> dy,
                                     In<int32_t> y_kind, In<Real> values, In<int32_t> column_start,
                                     In<int32_t> column_entry, In<int32_t> column_value, ConvShape s, Out<Stored> dx,
                                     Out<Real> dnorm_weight, Out<Real> dnorm_bias, bool accumulate_norm,
                                     Out<Real> dvalues, bool accumulate_dvalues) {
  Out<Stored> gathered = dx;
  if (dx.data == x.data) gathered.data = static_cast<Stored*>(scratch(3, dx.size * sizeof(Stored)));  // x is read to the end
  BatchNormBackward<Stored> norm;
  norm.x = x;
  norm.x_kind = x_kind;
  norm.dy = gathered;
  norm.dx = dx;
  norm.weight = norm_weight;
  norm.bias = norm_bias;
  norm.mean = norm_mean;
  norm.inverse_deviation = norm_deviation;
  norm.training = training;
  norm.relu = true;
  norm.dweight = dnorm_weight;
  norm.dbias = dnorm_bias;
  norm.accumulate = accumulate_norm;
  backward({x, x_kind, {}, true, dy, y_kind, values, column_start, column_entry, column_value, s, gathered, {}, {}, false,
            dvalues, accumulate_dvalues, norm, nullptr, nullptr, nullptr});
}

}  // namespace easting::EASTING_VARIANT
