// Exact top-k by radix selection, as native/cpu/kernels/top_k.cc does it: a pass over the scores per digit counts how
// often each digit occurs among those that agree with the k-th largest so far, and one block then picks its next digit.
// What was picked stays on the device: passes over ties find there that they are not needed.
#include "../../kernels.h"

#include "../../rank.h"
#include "../launch.cuh"
#include "../sums.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid, cuda::launch;
using Rank = decltype(rank_of(Real()));

constexpr int threads = 512, per_thread = 4, tile = threads * per_thread;
constexpr int most_blocks = 512;  // what an H200 runs at a time: each adds its counts to those of all
constexpr int digit_bits = 11, bins = 1 << digit_bits, bins_per_thread = bins / threads;

// The k-th largest of some numbers, as far as its digits are known.
struct Selection {
  std::uint64_t value;
  std::int64_t above, equal;  // how many numbers have larger digits, and how many the same
};

struct State {
  Selection score, tie;  // of the scores; of the tie order among scores equal to it
  std::uint32_t counts[bins];
  // Whether only some of the scores equal to the k-th largest are chosen.
  __device__ bool splits_ties(std::int64_t k) const { return score.above + score.equal > k; }
};

struct Digit {
  int above, shift;  // bits [shift, above) of a number
};

// Ranks of four consecutive scores; bit j of `present` says whether score j is one and not excluded.
struct Quad {
  Rank rank[per_thread];
  unsigned present;
  __device__ unsigned above(Rank limit) const {
    unsigned bits = 0;
    for (int j = 0; j < per_thread; ++j) bits |= static_cast<unsigned>(rank[j] > limit) << j;
    return bits & present;
  }
  __device__ unsigned at(Rank limit) const {
    unsigned bits = 0;
    for (int j = 0; j < per_thread; ++j) bits |= static_cast<unsigned>(rank[j] == limit) << j;
    return bits & present;
  }
};

// f(j) for every set bit, ascending: one copy of f, for what few scores need.
template <class F>
__device__ void each_bit(unsigned bits, F f) {
  for (; bits != 0; bits &= bits - 1) f(__ffs(static_cast<int>(bits)) - 1);
}

struct Candidates {
  In<Real> scores;
  const std::uint32_t* excluded;  // a bit for each score, or null
  TieRank order;

  // Scores of one block: whole tiles.
  EASTING_BOTH std::int64_t chunk() const {
    const std::int64_t most = std::int64_t{most_blocks} * tile;
    return (scores.size + most - 1) / most * tile;
  }
  __device__ std::int64_t begin() const { return blockIdx.x * chunk(); }
  __device__ std::int64_t end() const {
    const std::int64_t stop = begin() + chunk();
    return stop < scores.size ? stop : scores.size;
  }

  // At a multiple of four.
  __device__ Quad load(std::int64_t first) const {
    struct alignas(per_thread * sizeof(Real)) Four {
      Real x[per_thread];
    };
    Quad quad{};
    if (first + per_thread <= scores.size) {
      const Four four = *reinterpret_cast<const Four*>(scores.data + first);
      for (int j = 0; j < per_thread; ++j) quad.rank[j] = rank_of(four.x[j]);
      quad.present = (1u << per_thread) - 1;
    } else {
      for (int j = 0; j < per_thread; ++j)
        if (first + j < scores.size) {
          quad.rank[j] = rank_of(scores[first + j]);
          quad.present |= 1u << j;
        }
    }
    if (excluded && quad.present != 0) quad.present &= ~(excluded[first / 32] >> first % 32);
    return quad;
  }
};

__global__ void exclude(In<std::int32_t> positions, std::uint32_t* excluded) {
  EASTING_EACH(i, positions.size) atomicOr(&excluded[positions[i] / 32], 1u << positions[i] % 32);
}

// Adds to state->counts how often each digit occurs. Runs of one digit, such as scores that are all 0 have, cost one
// atomic addition.
template <bool of_ties>
__global__ void __launch_bounds__(threads, 3) count_digits(Candidates candidates, Digit digit, std::int64_t k,
                                                           State* state) {
  using Value = std::conditional_t<of_ties, std::uint64_t, Rank>;
  __shared__ std::uint32_t counts[bins];
  if (of_ties && !state->splits_ties(k)) return;
  for (int bin = static_cast<int>(threadIdx.x); bin < bins; bin += threads) counts[bin] = 0;
  __syncthreads();
  const auto known = static_cast<Value>(of_ties ? state->tie.value : state->score.value);
  const auto limit = static_cast<Rank>(state->score.value);
  const std::uint32_t mask = (1u << (digit.above - digit.shift)) - 1;
  TieRank order = candidates.order;
  std::uint32_t bin = 0, run = 0;
  const auto add = [&](Value value) {
    if (value >> digit.above != known) return;
    const auto next = static_cast<std::uint32_t>(value >> digit.shift) & mask;
    if (next != bin) {
      if (run > 0) atomicAdd(&counts[bin], run);
      bin = next;
      run = 0;
    }
    ++run;
  };
  for (std::int64_t at = candidates.begin() + threadIdx.x * per_thread; at < candidates.end(); at += tile) {
    const Quad quad = candidates.load(at);
    if constexpr (of_ties) {
      each_bit(quad.at(limit), [&](int j) { add(order(at + j)); });
    } else {
      for (int j = 0; j < per_thread; ++j)
        if (quad.present >> j & 1) add(quad.rank[j]);
    }
  }
  if (run > 0) atomicAdd(&counts[bin], run);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < bins; i += threads)
    if (counts[i] > 0) atomicAdd(&state->counts[i], counts[i]);
}

// The next digit of the k-th largest, by one block. Leaves the counts at 0.
template <bool of_ties>
__global__ void pick_digit(Digit digit, std::int64_t k, State* state) {
  if (of_ties && !state->splits_ties(k)) return;
  Selection& selection = of_ties ? state->tie : state->score;
  const Selection before = selection;
  const std::int64_t wanted = k - before.above - (of_ties ? state->score.above : 0);
  const int highest = bins - 1 - static_cast<int>(threadIdx.x) * bins_per_thread;
  std::uint32_t counts[bins_per_thread], own = 0;
  for (int j = 0; j < bins_per_thread; ++j) {
    own += counts[j] = state->counts[highest - j];
    state->counts[highest - j] = 0;
  }
  std::int64_t above = cuda::block_prefix<threads>(own).before;
  for (int j = 0; j < bins_per_thread; above += counts[j++])
    if (above < wanted && wanted <= above + counts[j])
      selection = {before.value << (digit.above - digit.shift) | static_cast<std::uint64_t>(highest - j),
                   before.above + above, counts[j]};
}

// Who is chosen: scores above the limit and, of those at it, all or those whose tie order is above the tie limit. Of
// those at both, `last_ties` are, from the lowest position on.
struct Limits {
  Rank score;
  std::uint32_t tie;
  bool split;
  std::uint32_t last_ties;
  __device__ Limits(const State& state, std::int64_t k)
      : score(static_cast<Rank>(state.score.value)),
        tie(static_cast<std::uint32_t>(state.tie.value)),
        split(state.splits_ties(k)),
        last_ties(split ? static_cast<std::uint32_t>(k - state.score.above - state.tie.above) : 0) {}
};

// Bit j: whether score j of a quad is chosen, or stands at both limits.
struct Marks {
  unsigned chosen, last = 0;
  __device__ Marks(const Quad& quad, std::int64_t first, const Limits& limits, TieRank& order)
      : chosen(quad.above(limits.score)) {
    const unsigned ties = quad.at(limits.score);
    if (!limits.split) chosen |= ties;
    else
      each_bit(ties, [&](int j) {
        const std::uint32_t tie = order(first + j);
        chosen |= static_cast<unsigned>(tie > limits.tie) << j;
        last |= static_cast<unsigned>(tie == limits.tie) << j;
      });
  }
  // Both counts in one number: chosen in the upper half.
  __device__ std::uint64_t count() const {
    return static_cast<std::uint64_t>(__popc(chosen)) << 32 | static_cast<std::uint64_t>(__popc(last));
  }
};

__global__ void __launch_bounds__(threads, 3) count_marks(Candidates candidates, std::int64_t k, const State* state,
                                                          std::uint64_t* counts) {
  const Limits limits(*state, k);
  TieRank order = candidates.order;
  std::uint64_t count = 0;
  for (std::int64_t at = candidates.begin() + threadIdx.x * per_thread; at < candidates.end(); at += tile)
    count += Marks(candidates.load(at), at, limits, order).count();
  count = cuda::block_sum(count);
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

__global__ void __launch_bounds__(threads, 3) write_positions(Candidates candidates, std::int64_t k, const State* state,
                                                              const std::uint64_t* counts,
                                                              Out<std::int32_t> positions) {
  static_assert(most_blocks <= threads);
  const Limits limits(*state, k);
  TieRank order = candidates.order;
  std::uint64_t before = cuda::block_sum(threadIdx.x < blockIdx.x ? counts[threadIdx.x] : std::uint64_t{0});
  for (std::int64_t start = candidates.begin(); start < candidates.end(); start += tile) {
    const std::int64_t first = start + threadIdx.x * per_thread;
    const Marks marks(candidates.load(first), first, limits, order);
    const auto prefix = cuda::block_prefix<threads>(marks.count());
    auto chosen = static_cast<std::uint32_t>((before + prefix.before) >> 32);
    auto last = static_cast<std::uint32_t>(before + prefix.before);
    for (int j = 0; j < per_thread; ++j) {
      const bool is_last = marks.last >> j & 1;
      if (marks.chosen >> j & 1 || (is_last && last < limits.last_ties))
        positions[chosen + (last < limits.last_ties ? last : limits.last_ties)] = static_cast<std::int32_t>(first + j);
      chosen += marks.chosen >> j & 1;
      last += is_last;
    }
    before += prefix.all;
  }
}

__global__ void nothing_left(Out<std::int32_t> positions, std::int64_t from) {
  EASTING_EACH(i, positions.size - from) positions[from + i] = -1;
}

// The k-th largest of numbers that are `bits` wide.
template <bool of_ties>
void select(const Candidates& candidates, int bits, Grid blocks, std::int64_t k, State* state) {
  for (int above = bits; above > 0; above -= digit_bits) {
    const Digit digit{above, above < digit_bits ? 0 : above - digit_bits};
    launch(count_digits<of_ties>, blocks, candidates, digit, k, state);
    launch(pick_digit<of_ties>, Grid{dim3(1), dim3(threads)}, digit, k, state);
  }
}

}  // namespace

void top_k(In<Real> scores, In<std::int32_t> identity, In<std::int32_t> excluded, RandomKey key,
           Out<std::int32_t> positions) {
  const std::int64_t available = scores.size > excluded.size ? scores.size - excluded.size : 0;
  const std::int64_t k = positions.size < available ? positions.size : available;
  launch(nothing_left, positions.size - k, positions, k);
  if (k == 0) return;

  const std::size_t bits = excluded.size > 0 ? (scores.size + 31) / 32 * sizeof(std::uint32_t) : 0;
  auto* state = static_cast<State*>(cuda::scratch(0, sizeof(State) + bits));
  cuda::check(cudaMemsetAsync(state, 0, sizeof(State) + bits, cuda::stream()), "cudaMemsetAsync");
  auto* mask = bits > 0 ? reinterpret_cast<std::uint32_t*>(state + 1) : nullptr;
  launch(exclude, excluded.size, excluded, mask);

  const Candidates candidates{scores, mask, {key, identity}};
  const auto count = static_cast<unsigned>((scores.size + candidates.chunk() - 1) / candidates.chunk());
  const Grid blocks{dim3(count), dim3(threads)};
  select<false>(candidates, 8 * sizeof(Real) - 1, blocks, k, state);
  select<true>(candidates, 32, blocks, k, state);
  auto* counts = static_cast<std::uint64_t*>(cuda::scratch(1, most_blocks * sizeof(std::uint64_t)));
  launch(count_marks, blocks, candidates, k, state, counts);
  launch(write_positions, blocks, candidates, k, state, counts, positions);
}

}  // namespace easting::EASTING_VARIANT
