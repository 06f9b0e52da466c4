// Sparse convolution in gather form: every output plane has one owner, which walks the nonzeros of its row (forward) or
// column (backward). With a few nonzeros per row a convolution is a few scaled additions of whole runs [w][n].
#include "../../kernels.h"
#include "../batch_norm.h"

#include <new>

namespace easting::EASTING_VARIANT {
namespace {

// One nonzero as a plane's owner sees it: where the other plane starts, the tap's offset, its weight.
struct Connection {
  const Stored* plane;
  std::int32_t dh, dw;
  Real value;
  std::int32_t id;
  Affine norm{1, 0};  // with `lazy`: the other side's channel is read as max(x * scale + shift, 0)
};

inline Vector rectified(Vector v) {
  const Vector none{};
  return v < none ? none : v;  // NaN passes
}

// A connection from a channel that is one number everywhere adds `value` wherever its tap lies inside the image.
struct Offset {
  std::int32_t dh, dw;
  Real value;
};

// How sums are written: as they are, or added to the plane's moments too, and then perhaps past the caches.
enum class Put { plain, measured, streamed };

// A run of `count` vectors: sums over connections, held in registers.
template <int count, bool lazy, Put put>
inline void gather_block(const Connection* connections, int n, std::int64_t offset_from, const std::int64_t* offsets,
                         Stored* out, bool accumulate, Real start, LaneMoments& moments) {
  Vector sum[count];
  for (int v = 0; v < count; ++v) sum[v] = accumulate ? load(out + v * lanes) : broadcast_value(start);
  for (int k = 0; k < n; ++k) {
    const Stored* p = connections[k].plane + offsets[k] + offset_from;
    const Vector w = broadcast_value(connections[k].value);
    if constexpr (lazy) {
      const Vector scale = broadcast_value(connections[k].norm.scale), shift = broadcast_value(connections[k].norm.shift);
      for (int v = 0; v < count; ++v) sum[v] += w * rectified(load(p + v * lanes) * scale + shift);
    } else {
      for (int v = 0; v < count; ++v) sum[v] += w * load(p + v * lanes);
    }
  }
  for (int v = 0; v < count; ++v) {
    if constexpr (put == Put::streamed) stream(out + v * lanes, sum[v]);
    else store(out + v * lanes, sum[v]);
  }
  for (int v = 0; put != Put::plain && v < count; ++v)
    moments.add(put == Put::streamed ? sum[v] : load(out + v * lanes), v % 2);  // as stored
}

#if defined(__AVX512F__)
constexpr int wide = 8;
#else
constexpr int wide = 2;
#endif

// out[0, run) = (out or start) + Σ_k value_k * (plane_k + offset_k)[0, run)
template <bool lazy, Put put>
inline void gather_run(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run, Stored* out,
                       bool accumulate, Real start, Moments& moments) {
  std::int64_t i = 0;
  LaneMoments lane_moments(moments);
  for (; i + wide * lanes <= run; i += wide * lanes)
    gather_block<wide, lazy, put>(connections, n, i, offsets, out + i, accumulate, start, lane_moments);
  for (; i + lanes <= run; i += lanes)
    gather_block<1, lazy, put>(connections, n, i, offsets, out + i, accumulate, start, lane_moments);
  if constexpr (put != Put::plain) moments.add(lane_moments);
  for (; i < run; ++i) {
    Real sum = accumulate ? out[i] : start;
    for (int k = 0; k < n; ++k) {
      Real v = connections[k].plane[offsets[k] + i];
      if constexpr (lazy) {
        v = v * connections[k].norm.scale + connections[k].norm.shift;
        v = v < 0 ? 0 : v;
      }
      sum += connections[k].value * v;
    }
    out[i] = sum;
    if constexpr (put != Put::plain) moments.add(out[i]);
  }
}

// sum[] += w_k * run_k and dots[id_k] += <active, run_k> for a block of `count` vectors; each run is read once for both.
template <int count>
inline void gather_and_dot_registers(const Connection* connections, const std::int64_t* offsets, int n,
                                     std::int64_t from, const Vector (&active)[count], Vector (&sum)[count],
                                     Vector* dots) {
  for (int k = 0; k < n; ++k) {
    const Stored* p = connections[k].plane + offsets[k] + from;
    const Vector w = broadcast_value(connections[k].value);
    Vector even{}, odd{};
    for (int v = 0; v < count; ++v) {
      const Vector g = load(p + v * lanes);
      sum[v] += w * g;
      (v % 2 ? odd : even) += active[v] * g;
    }
    dots[connections[k].id] += even + odd;
  }
}

// One block of a run: `out` gathers as above, and the dot product of each connection's run with x goes to its `dots`.
template <int count>
inline void gather_and_dot_block(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t from,
                                 const Stored* x, Stored* out, bool accumulate, Vector* dots) {
  Vector sum[count], xs[count];
  for (int v = 0; v < count; ++v) {
    sum[v] = out && accumulate ? load(out + v * lanes) : Vector{};
    xs[v] = load(x + v * lanes);
  }
  gather_and_dot_registers(connections, offsets, n, from, xs, sum, dots);
  if (out)
    for (int v = 0; v < count; ++v) store(out + v * lanes, sum[v]);
}

// out[0, run) (+)= Σ_k value_k * run_k and dots[id_k] += <x, run_k>; `out` or `lane_dots` may be null.
inline void gather_and_dot(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run,
                           const Stored* x, Stored* out, bool accumulate, Vector* lane_dots, double* dots) {
  if (!lane_dots) {
    Moments none;
    if (out) gather_run<false, Put::plain>(connections, offsets, n, run, out, accumulate, 0, none);
    return;
  }
  std::int64_t i = 0;
  const auto at = [&](std::int64_t j) { return out ? out + j : nullptr; };
  for (; i + wide * lanes <= run; i += wide * lanes)
    gather_and_dot_block<wide>(connections, offsets, n, i, x + i, at(i), accumulate, lane_dots);
  for (; i + lanes <= run; i += lanes)
    gather_and_dot_block<1>(connections, offsets, n, i, x + i, at(i), accumulate, lane_dots);
  for (; i < run; ++i) {
    Real sum = out && accumulate ? out[i] : Real(0);
    for (int k = 0; k < n; ++k) {
      const Real g = connections[k].plane[offsets[k] + i];
      sum += connections[k].value * g;
      dots[connections[k].id] += static_cast<double>(x[i] * g);
    }
    if (out) out[i] = sum;
  }
}

// A task owns `channels` planes and computes `rows` rows of one before it goes on to the next. Where each plane that is
// read serves many connections and all of them outgrow the caches, a band of rows is read for many channels while it is
// near; else a plane is finished at once, for what follows to find it there. Results do not depend on it.
struct Blocking {
  std::int64_t channels;
  int rows;

  std::int64_t tasks(std::int64_t owners) const { return (owners + channels - 1) / channels; }

  // Calls rows(i, from, to) over bands of [0, height) for each of `count` channels.
  template <class Rows>
  void each_band(std::int64_t count, int height, Rows each) const {
    for (int from = 0; from < height; from += rows)
      for (std::int64_t i = 0; i < count; ++i) each(i, from, height - from < rows ? height : from + rows);
  }
};

Blocking blocking(std::int64_t owners, int height, std::int64_t read_channels, std::int64_t read_plane,
                  std::int64_t entries) {
  constexpr std::int64_t band = 4 << 20;  // bytes
  const std::int64_t read = read_channels * read_plane * static_cast<std::int64_t>(sizeof(Stored));
  if (read <= cached_bytes || entries < 12 * read_channels) return {1, height};
  const std::int64_t tasks = 2 * thread_count(), rows = height * band / read;
  return {(owners + tasks - 1) / tasks, static_cast<int>(rows < 1 ? 1 : rows)};
}

// What one output plane is made of.
struct Row {
  const Connection* connections;
  const Offset* constants;
  int count = 0, constant_count = 0;
  Moments moments{};
};

}  // namespace

void sparse_conv_forward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Real> norm_weight, In<Real> norm_bias,
                         In<Real> norm_mean, In<Real> norm_deviation, In<Real> values, In<int32_t> row_start,
                         In<int32_t> row_entry, ConvShape s, In<int32_t> needed, Out<Stored> y, Out<int32_t> y_kind,
                         BatchNormForward<Stored> next) {
  const int out_h = s.out_h(), out_w = s.out_w(), n = s.n;
  const std::int64_t taps = s.taps(), in_plane = s.in_plane(), out_plane = s.out_plane();
  const Blocking blocks = blocking(s.o, out_h, s.c, in_plane, row_entry.size);
  const bool measured = next && next.training;
  // A plane that is not normalised right away is read by another kernel.
  const bool streams = measured && !next.y && n % lanes == 0 && outgrows_caches(y.data, y.size);
  const auto finish = [&](std::int64_t o, std::int32_t kind, const Moments* moments = nullptr) {
    if (y_kind) y_kind[o] = kind;
    if (next) normalize_channel(next, o, kind, y.data + o * out_plane, out_plane, moments);
  };
  parallel_for(blocks.tasks(s.o), s.o * out_plane > parallel_threshold, [&](std::int64_t task) {
    const std::int64_t begin = task * blocks.channels;
    const std::int64_t end = s.o - begin < blocks.channels ? s.o : begin + blocks.channels;
    const int all = row_start[end] - row_start[begin];
    auto* connections = static_cast<Connection*>(scratch(0, 2 * (all + 1) * sizeof(Connection)));
    auto* active = connections + all;
    auto* offsets = static_cast<std::int64_t*>(scratch(1, (all + 1) * sizeof(std::int64_t)));
    auto* constants = static_cast<Offset*>(scratch(2, (all + 1) * sizeof(Offset)));
    auto* rows = static_cast<Row*>(scratch(3, blocks.channels * (sizeof(Row) + sizeof(std::int64_t))));
    auto* owned = reinterpret_cast<std::int64_t*>(rows + blocks.channels);
    std::int64_t planes = 0;
    for (std::int64_t o = begin; o < end; ++o) {
      if (needed && needed[o] == Need::never) {
        finish(o, Kind::unneeded);
        continue;
      }
      Row row{connections, constants};
      for (int k = row_start[o]; k < row_start[o + 1]; ++k) {
        const int entry = row_entry[k], tap = static_cast<int>(entry % taps);
        const std::int64_t i = entry / taps;
        const int dh = tap / s.kw - s.padding, dw = tap % s.kw - s.padding;
        const auto kind = kind_of(x_kind, i);
        if (kind == Kind::unneeded) continue;
        const Affine norm =
            norm_weight ? affine(norm_weight[i], norm_bias[i], norm_mean[i], norm_deviation[i]) : Affine{1, 0};
        if (kind == Kind::plane) {
          connections[row.count++] = {x.data + i * in_plane, dh, dw, values[k], 0, norm};
          continue;
        }
        // What a channel without a plane holds everywhere: with a normalisation, its shift behind the ReLU.
        const Real constant = kind == Kind::constant ? x_value[i] : norm.shift < 0 ? Real(0) : norm.shift;
        if (constant != 0) constants[row.constant_count++] = {dh, dw, values[k] * constant};
      }
      if (y_kind && row.count + row.constant_count == 0 && needed[o] != Need::always) {
        finish(o, Kind::zero);
        continue;
      }
      connections += row.count;
      constants += row.constant_count;
      owned[planes] = o;
      rows[planes++] = row;
    }
    // Between two consecutive columns where no connection enters or leaves the image, a stride-1 row is one run.
    const int left = s.kw - 1 - s.padding > s.padding ? s.kw - 1 - s.padding : s.padding;
    const std::int64_t line_size = std::int64_t{out_w} * n, settled = (8191 + line_size) / line_size;
    blocks.each_band(planes, out_h, [&](std::int64_t i, int from, int to) {
      const Row row = rows[i];
      Moments moments = row.moments;
      for (int h = from; h < to; ++h) {
        Stored* const line = y.data + owned[i] * out_plane + h * line_size;
        const bool measures = measured && h > 0;
        const auto columns = [&](int w, int width) {
          int m = 0;
          for (int k = 0; k < row.count; ++k) {
            const int hi = h * s.stride + row.connections[k].dh, wi = w * s.stride + row.connections[k].dw;
            if (hi < 0 || hi >= s.h || wi < 0 || wi >= s.w) continue;
            active[m] = row.connections[k];
            offsets[m++] = (std::int64_t{hi} * s.w + wi) * n;
          }
          Real start = 0;
          for (int k = 0; k < row.constant_count; ++k) {
            const int hi = h * s.stride + row.constants[k].dh, wi = w * s.stride + row.constants[k].dw;
            if (hi >= 0 && hi < s.h && wi >= 0 && wi < s.w) start += row.constants[k].value;
          }
          Stored* out = line + std::int64_t{w} * n;
          const auto gather = [&](auto put) {
            (norm_weight ? gather_run<true, put()> : gather_run<false, put()>)(active, offsets, m, std::int64_t{width} * n, out,
                                                                              false, start, moments);
          };
          if (!measures) gather(std::integral_constant<Put, Put::plain>{});
          else if (streams) gather(std::integral_constant<Put, Put::streamed>{});
          else gather(std::integral_constant<Put, Put::measured>{});
        };
        if (s.stride == 1 && out_w > 2 * left) {
          for (int w = 0; w < left; ++w) columns(w, 1);
          columns(left, out_w - 2 * left);
          for (int w = out_w - left; w < out_w; ++w) columns(w, 1);
        } else {
          for (int w = 0; w < out_w; ++w) columns(w, 1);
        }
        if (measured && h == 0) moments = around_mean(line, line_size);
        if (measures && (h % settled == 0 || h + 1 == out_h)) moments.flush();
      }
      rows[i].moments = moments;
    });
    if (streams) streamed();
    for (std::int64_t i = 0; i < planes; ++i) finish(owned[i], Kind::plane, measured ? &rows[i].moments : nullptr);
  });
}

namespace {

// Σ of dy over the output pixels whose tap (dh, dw) lies inside the image.
double window_sum(const Stored* dy, int dh, int dw, const ConvShape& s) {
  const int out_h = s.out_h(), out_w = s.out_w();
  int from = 0, to = out_w;
  while (from < to && from * s.stride + dw < 0) ++from;
  while (to > from && (to - 1) * s.stride + dw >= s.w) --to;
  double sum = 0;
  for (int h = 0; h < out_h; ++h) {
    const int hi = h * s.stride + dh;
    if (hi < 0 || hi >= s.h) continue;
    const Stored* row = dy + (std::int64_t{h} * out_w + from) * s.n;
    sum += blocked_sum(std::int64_t{to - from} * s.n, [&](std::int64_t i) { return load(row + i); },
                       [&](std::int64_t i) { return row[i]; });
  }
  return sum;
}

}  // namespace

namespace {

// Memory of a task for the columns it owns.
struct Room {
  Connection *connections, *active;
  std::int64_t* offsets;
  Vector* lane_dots;
  double* dots;

  explicit Room(int entries) {
    connections = static_cast<Connection*>(scratch(0, 2 * (entries + 1) * sizeof(Connection)));
    active = connections + entries;
    offsets = static_cast<std::int64_t*>(scratch(1, (entries + 1) * sizeof(std::int64_t)));
    lane_dots = static_cast<Vector*>(scratch(2, (entries + 1) * (sizeof(Vector) + sizeof(double))));
    dots = reinterpret_cast<double*>(lane_dots + entries + 1);
  }
};

// The nonzeros that one input channel feeds, and the walk over its plane that both backward kernels share. Connections to
// outputs without a gradient are left out; their values' gradient is 0.
struct Column {
  const ConvShape& s;
  In<Stored> dy;
  In<Real> values;
  In<int32_t> y_kind, column_entry, column_value;
  int first, entries, count = 0;
  Connection *connections, *active;
  std::int64_t* offsets;
  Vector* lane_dots;
  double* dots;  // per entry: the gradient of its value

  Column(const Room& room, int begin, const ConvShape& shape, std::int64_t c, In<Stored> dy, In<int32_t> y_kind, In<Real> values,
         In<int32_t> column_start, In<int32_t> column_entry, In<int32_t> column_value)
      : s(shape), dy(dy), values(values), y_kind(y_kind), column_entry(column_entry), column_value(column_value),
        first(column_start[c]), entries(column_start[c + 1] - first), connections(room.connections + first - begin),
        active(room.active), offsets(room.offsets), lane_dots(room.lane_dots + first - begin),
        dots(room.dots + first - begin) {
    const std::int64_t taps = s.taps(), out_plane = s.out_plane();
    for (int k = 0; k < entries; ++k) {
      const int entry = column_entry[first + k], tap = static_cast<int>(entry % taps), id = column_value[first + k];
      const std::int64_t o = entry / taps;
      dots[k] = 0;
      lane_dots[k] = Vector{};
      if (kind_of(y_kind, o) != Kind::plane) continue;
      connections[count++] = {dy.data + o * out_plane, s.padding - tap / s.kw, s.padding - tap % s.kw, values[id], k};
    }
  }

  // For a channel that is one number everywhere: gradients of the values, and the sum of the channel's own gradient.
  double gather_constant(Real number) const {
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const Connection& connection = connections[k];
      const double window = window_sum(connection.plane, -connection.dh, -connection.dw, s);
      dots[connection.id] = static_cast<double>(number) * window;
      sum += static_cast<double>(connection.value) * window;
    }
    return sum;
  }

  // Calls visit(number of active connections, where the run starts, its length) over rows [from, to) of the plane, and
  // settle() now and then: lane sums stay short, so that long planes keep their digits.
  template <class Visit, class Settle>
  void sweep(int from, int to, Visit visit, Settle settle) const {
    const int out_h = s.out_h(), out_w = s.out_w(), n = s.n;
    const int left = s.kw - 1 - s.padding > s.padding ? s.kw - 1 - s.padding : s.padding;
    const std::int64_t run = std::int64_t{s.w} * n, settled = (8191 + run) / run;
    for (int h = from; h < to; ++h) {
      // Which outputs (pixel wo at stride s) does input pixel w feed through tap dw: wo = (w + dw) / s where it divides.
      const auto columns = [&](int w, int width) {
        int m = 0;
        for (int k = 0; k < count; ++k) {
          const int hs = h + connections[k].dh, ws = w + connections[k].dw;
          if (hs < 0 || ws < 0 || hs % s.stride || ws % s.stride) continue;
          const int ho = hs / s.stride, wo = ws / s.stride;
          if (ho >= out_h || wo >= out_w) continue;
          active[m] = connections[k];
          offsets[m++] = (std::int64_t{ho} * out_w + wo) * n;
        }
        visit(m, (std::int64_t{h} * s.w + w) * n, std::int64_t{width} * n);
      };
      if (s.stride == 1 && s.w > 2 * left && out_w == s.w) {
        for (int w = 0; w < left; ++w) columns(w, 1);
        columns(left, s.w - 2 * left);
        for (int w = s.w - left; w < s.w; ++w) columns(w, 1);
      } else {
        for (int w = 0; w < s.w; ++w) columns(w, 1);
      }
      if ((h + 1) % settled != 0 && h + 1 < s.h) continue;
      settle();
      for (int k = 0; k < entries; ++k) {
        dots[k] += static_cast<double>(horizontal_sum(lane_dots[k]));
        lane_dots[k] = Vector{};
      }
    }
  }

  void write(Out<Real> dvalues, bool accumulate) const {
    for (int k = 0; dvalues && k < entries; ++k) {
      Real& out = dvalues[column_value[first + k]];
      out = static_cast<Real>(accumulate ? static_cast<double>(out) + dots[k] : dots[k]);
    }
  }
};

}  // namespace

namespace {

// What a channel's owner sums up while it gathers: Σ g and Σ g (x - mean) of the masked gradient g.
struct NormSums {
  Affine norm;
  Real center;
  Vector lane_sum{}, lane_product{};
  double sum = 0, product = 0;

  void flush() {
    sum += static_cast<double>(horizontal_sum(lane_sum));
    product += static_cast<double>(horizontal_sum(lane_product));
    lane_sum = lane_product = Vector{};
  }
};

// gather_and_dot for an input that is relu(x * scale + shift + residual), which `y` holds, or without one is worked out
// from x (null `y`): dots with that, masks by it, and sums up.
template <int count>
inline void gather_normalized_block(const Connection* connections, const std::int64_t* offsets, int n,
                                    std::int64_t from, const Stored* x, const Stored* y, Stored* out, bool accumulate,
                                    Vector* dots, NormSums& sums) {
  Vector sum[count], active[count];
  const Vector scale = broadcast_value(sums.norm.scale), shift = broadcast_value(sums.norm.shift), none{};
  for (int v = 0; v < count; ++v) {
    sum[v] = accumulate ? load(out + v * lanes) : none;
    active[v] = y ? load(y + v * lanes) : rectified(load(x + v * lanes) * scale + shift);
  }
  gather_and_dot_registers(connections, offsets, n, from, active, sum, dots);
  const Vector center = broadcast_value(sums.center);
  for (int v = 0; v < count; ++v) {
    const Vector g = active[v] > none ? sum[v] : none;
    store(out + v * lanes, g);
    sums.lane_sum += g;
    sums.lane_product += g * (load(x + v * lanes) - center);
  }
}

inline void gather_normalized(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run,
                              const Stored* x, const Stored* y, Stored* out, bool accumulate, Vector* lane_dots,
                              double* dots, NormSums& sums) {
  std::int64_t i = 0;
  const auto at = [&](std::int64_t j) { return y ? y + j : nullptr; };
  for (; i + wide * lanes <= run; i += wide * lanes)
    gather_normalized_block<wide>(connections, offsets, n, i, x + i, at(i), out + i, accumulate, lane_dots, sums);
  for (; i + lanes <= run; i += lanes)
    gather_normalized_block<1>(connections, offsets, n, i, x + i, at(i), out + i, accumulate, lane_dots, sums);
  for (; i < run; ++i) {
    const Real pre = y ? y[i] : x[i] * sums.norm.scale + sums.norm.shift, active = pre < 0 ? 0 : pre;
    Real sum = accumulate ? out[i] : Real(0);
    for (int k = 0; k < n; ++k) {
      const Real g = connections[k].plane[offsets[k] + i];
      sum += connections[k].value * g;
      dots[connections[k].id] += static_cast<double>(active * g);
    }
    out[i] = active > 0 ? sum : Real(0);
    sums.sum += static_cast<double>(out[i]);
    sums.product += static_cast<double>(out[i] * (x[i] - sums.center));
  }
}

}  // namespace

namespace {

// An input channel while its gradient is gathered.
struct Gathered {
  Column column;
  std::int64_t c;
  Stored* to;  // null: only the values' gradients are asked for
  bool accumulate, normalized;
  NormSums sums;
};

// The channels of a task, and memory for those whose planes it sweeps.
struct Owned {
  std::int64_t begin, end, planes = 0;
  int first;
  Room room;
  Gathered* channels;

  Owned(const Blocking& blocks, std::int64_t task, std::int64_t owners, In<int32_t> column_start)
      : begin(task * blocks.channels),
        end(owners - begin < blocks.channels ? owners : begin + blocks.channels),
        first(column_start[begin]),
        room(column_start[end] - first),
        channels(static_cast<Gathered*>(scratch(3, blocks.channels * sizeof(Gathered)))) {}
  void add(const Gathered& channel) { new (channels + planes++) Gathered(channel); }
};

}  // namespace

void sparse_conv_backward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Stored> dy, In<int32_t> y_kind,
                          In<Real> values, In<int32_t> column_start, In<int32_t> column_entry,
                          In<int32_t> column_value, ConvShape s, Out<Stored> dx, Out<int32_t> dx_kind,
                          Out<Real> dx_value, bool accumulate_dx, Out<Real> dvalues, bool accumulate_dvalues,
                          BatchNormBackward<Stored> previous) {
  const std::int64_t in_plane = s.in_plane();
  const Blocking blocks = blocking(s.c, s.h, s.o, s.out_plane(), column_entry.size);
  parallel_for(blocks.tasks(s.c), s.c * in_plane > parallel_threshold, [&](std::int64_t task) {
    Owned owned(blocks, task, s.c, column_start);
    const auto finish = [&](const Column& column, std::int64_t c) {
      column.write(dvalues, accumulate_dvalues);
      if (previous) denormalize_channel(previous, c, in_plane);
    };
    for (std::int64_t c = owned.begin; c < owned.end; ++c) {
      const Column column(owned.room, owned.first, s, c, dy, y_kind, values, column_start, column_entry, column_value);
      const auto kind = kind_of(x_kind, c);
      if (kind == Kind::constant) {
        const double sum = column.gather_constant(x_value[c]);
        if (dx) put_constant(dx_kind, dx_value, c, sum, accumulate_dx);
        finish(column, c);
        continue;
      }
      Stored* to = dx ? dx.data + c * in_plane : nullptr;
      bool accumulate = accumulate_dx;
      if (dx_kind && to) {
        const bool there = accumulate && dx_kind[c] == Kind::plane;
        if (kind != Kind::plane || column.count == 0) {
          // Nothing to add: what stands there stays, or the gradient is zero.
          if (!there) dx_kind[c] = Kind::zero;
          to = nullptr;
        } else {
          accumulate = there;
          dx_kind[c] = Kind::plane;
        }
      }
      if (!to && (kind != Kind::plane || column.count == 0)) {
        finish(column, c);
        continue;
      }
      // One pass gathers, takes the dots, masks and sums; the next finds the plane in cache.
      const bool normalized =
          previous && previous.relu && to && column.count > 0 && kind_of(previous.x_kind, c) == Kind::plane;
      NormSums sums{{1, 0}, 0};
      if (normalized)
        sums = {affine(previous.weight[c], previous.bias[c], previous.mean[c], previous.inverse_deviation[c]),
                previous.mean[c]};
      owned.add({column, c, to, accumulate, normalized, sums});
    }
    blocks.each_band(owned.planes, s.h, [&](std::int64_t i, int from, int end) {
      Gathered& channel = owned.channels[i];
      const Column column = channel.column;  // no store of a plane can change these
      Stored* const to = channel.to;
      const bool accumulate = channel.accumulate;
      NormSums sums = channel.sums;
      const Stored* const plane = x.data + channel.c * in_plane;
      if (channel.normalized) {
        const Stored* const raw = previous.x.data + channel.c * in_plane;
        column.sweep(
            from, end,
            [&](int m, std::int64_t at, std::int64_t run) {
              gather_normalized(column.active, column.offsets, m, run, raw + at, plane + at, to + at, accumulate,
                                column.lane_dots, column.dots, sums);
            },
            [&] { sums.flush(); });
        channel.sums = sums;
      } else {
        column.sweep(
            from, end,
            [&](int m, std::int64_t at, std::int64_t run) {
              gather_and_dot(column.active, column.offsets, m, run, plane + at, to ? to + at : nullptr, accumulate,
                             dvalues ? column.lane_dots : nullptr, column.dots);
            },
            [] {});
      }
    });
    for (std::int64_t i = 0; i < owned.planes; ++i) {
      const Gathered& channel = owned.channels[i];
      const std::int64_t c = channel.c;
      if (!channel.normalized) {
        finish(channel.column, c);
        continue;
      }
      channel.column.write(dvalues, accumulate_dvalues);
      const NormSums& sums = channel.sums;
      const Real deviation = previous.inverse_deviation[c];
      const double product = sums.product * static_cast<double>(deviation);
      finish_channel(previous, c, sums.sum, product, true);
      const Stored* const gathered = channel.to;
      if (previous.dx)
        PlaneGradient(previous.x.data + c * in_plane, sums.norm, sums.center, deviation, sums.sum, product,
                      previous.training, in_plane)
            .write(previous.dx.data + c * in_plane, [&](std::int64_t k) { return load(gathered + k); },
                   [&](std::int64_t k) { return gathered[k]; });
    }
  });
}

// Backward through convolution, ReLU and BatchNorm at once: dx is the gradient of what was normalised.
void sparse_conv_backward_normalized(In<Stored> x, In<int32_t> x_kind, In<Real> norm_weight, In<Real> norm_bias,
                                     In<Real> norm_mean, In<Real> norm_deviation, bool training, In<Stored> dy,
                                     In<int32_t> y_kind, In<Real> values, In<int32_t> column_start,
                                     In<int32_t> column_entry, In<int32_t> column_value, ConvShape s, Out<Stored> dx,
                                     Out<Real> dnorm_weight, Out<Real> dnorm_bias, bool accumulate_norm,
                                     Out<Real> dvalues, bool accumulate_dvalues) {
  const std::int64_t in_plane = s.in_plane();
  const Blocking blocks = blocking(s.c, s.h, s.o, s.out_plane(), column_entry.size);
  parallel_for(blocks.tasks(s.c), s.c * in_plane > parallel_threshold, [&](std::int64_t task) {
    Owned owned(blocks, task, s.c, column_start);
    const auto finish = [&](const Column& column, std::int64_t c, double sum, double product) {
      if (dnorm_weight) dnorm_weight[c] = static_cast<Real>(accumulate_norm ? dnorm_weight[c] + product : product);
      if (dnorm_bias) dnorm_bias[c] = static_cast<Real>(accumulate_norm ? dnorm_bias[c] + sum : sum);
      column.write(dvalues, accumulate_dvalues);
    };
    // x is read to the end: what is to stand in its place is gathered beside it.
    auto* const beside = dx.data == x.data ? static_cast<Stored*>(scratch(4, (owned.end - owned.begin) * in_plane * sizeof(Stored)))
                                           : nullptr;
    for (std::int64_t c = owned.begin; c < owned.end; ++c) {
      const Column column(owned.room, owned.first, s, c, dy, y_kind, values, column_start, column_entry, column_value);
      const auto kind = kind_of(x_kind, c);
      const NormSums sums{affine(norm_weight[c], norm_bias[c], norm_mean[c], norm_deviation[c]), norm_mean[c]};
      if (kind == Kind::plane) {
        Stored* const to = beside ? beside + owned.planes * in_plane : dx.data + c * in_plane;
        owned.add({column, c, to, false, true, sums});
      } else if (kind == Kind::unneeded || !(sums.norm.shift > 0)) {
        finish(column, c, 0, 0);
      } else {
        const double sum = column.gather_constant(sums.norm.shift), deviation = static_cast<double>(norm_deviation[c]);
        finish(column, c, sum, training ? 0 : -sum * static_cast<double>(norm_mean[c]) * deviation);
      }
    }
    blocks.each_band(owned.planes, s.h, [&](std::int64_t i, int from, int end) {
      Gathered& channel = owned.channels[i];
      const Column column = channel.column;
      Stored* const to = channel.to;
      NormSums sums = channel.sums;
      const Stored* const plane = x.data + channel.c * in_plane;
      column.sweep(
          from, end,
          [&](int m, std::int64_t at, std::int64_t run) {
            gather_normalized(column.active, column.offsets, m, run, plane + at, nullptr, to + at, false,
                              column.lane_dots, column.dots, sums);
          },
          [&] { sums.flush(); });
      channel.sums = sums;
    });
    for (std::int64_t i = 0; i < owned.planes; ++i) {
      const Gathered& channel = owned.channels[i];
      const std::int64_t c = channel.c;
      const NormSums& sums = channel.sums;
      const double product = sums.product * static_cast<double>(norm_deviation[c]);
      finish(channel.column, c, sums.sum, product);
      PlaneGradient(x.data + c * in_plane, sums.norm, norm_mean[c], norm_deviation[c], sums.sum, product, training,
                    in_plane)
          .write(dx.data + c * in_plane, [&](std::int64_t k) { return load(channel.to + k); },
                 [&](std::int64_t k) { return channel.to[k]; });
    }
  });
}

}  // namespace easting::EASTING_VARIANT
