// Exact top-k by radix selection: histograms of 11-bit digits, from the highest, narrow the bits of |score| down to the
// k-th largest; ties at that value are narrowed the same way by their random bits. Only counts are kept, so any number
// of threads and every instruction set choose the same positions. After the first digit most scores are known to be too low:
// they are passed over, many at a time.
#include "../../kernels.h"
#include "../../rank.h"
#include "../vector.h"

namespace easting::EASTING_VARIANT {
namespace {

constexpr int digit_bits = 11;
constexpr std::int64_t smallest_block = 65536;
constexpr int most_blocks = 32;
constexpr int passed_over = 64;

struct Candidates {
  In<Real> scores;
  In<std::int32_t> excluded;
  std::uint64_t least = 0;  // what ranks lower is of no interest
  std::int64_t block_size() const {
    const std::int64_t size = (scores.size + most_blocks - 1) / most_blocks;
    return size < smallest_block ? smallest_block : size;
  }
  std::int64_t blocks() const { return (scores.size + block_size() - 1) / block_size(); }

  bool reaches(const Real* run) const {
    decltype(rank_of(Real{})) most = 0;
    for (int i = 0; i < passed_over; ++i) {
      const auto rank = rank_of(run[i]);
      most = most < rank ? rank : most;
    }
    return most >= least;
  }

  // f(position) for the candidates of one block, ascending, without some that rank below `least`.
  template <class F>
  void each(std::int64_t block, F f) const {
    std::int64_t at = block * block_size();
    const std::int64_t end = at + block_size() < scores.size ? at + block_size() : scores.size;
    std::int64_t e = 0;
    for (std::int64_t high = excluded.size; e < high;) {
      const std::int64_t middle = (e + high) / 2;
      if (excluded[middle] < at) e = middle + 1;
      else high = middle;
    }
    while (at < end) {
      const std::int64_t stop = e < excluded.size && excluded[e] < end ? excluded[e] : end;
      while (at < stop) {
        const std::int64_t run = stop - at < passed_over ? stop - at : passed_over;
        if (least > 0 && run == passed_over && !reaches(scores.data + at)) at += run;
        else
          for (const std::int64_t from = at; at < from + run; ++at) f(at);
      }
      if (stop < end) ++at, ++e;
    }
  }
};

struct Threshold {
  std::uint64_t value;  // the k-th largest
  std::int64_t above, equal;
};

// k-th largest (k >= 1) of value(position), `bits` wide, over candidates where it is not negative. `ranks` tells that it is
// their rank.
template <class Value>
Threshold select(Candidates candidates, int bits, std::int64_t k, bool ranks, Value value) {
  constexpr int bins = 1 << digit_bits;
  const std::int64_t blocks = candidates.blocks();
  auto* counts = static_cast<std::int32_t*>(scratch(3, sizeof(std::int32_t) * bins * blocks));
  Threshold found{0, 0, 0};
  for (int shift = bits; shift > 0;) {
    const int digit = shift < digit_bits ? shift : digit_bits, above = shift;
    shift -= digit;
    parallel_for(blocks, candidates.scores.size > parallel_threshold, [&](std::int64_t block) {
      std::int32_t* count = counts + block * bins;
      for (int bin = 0; bin < bins; ++bin) count[bin] = 0;
      Value of = value;
      candidates.each(block, [&](std::int64_t position) {
        const std::int64_t v = of(position);
        if (v < 0) return;
        const auto u = static_cast<std::uint64_t>(v);
        if (u >> above == found.value) ++count[u >> shift & ((1u << digit) - 1)];
      });
    });
    int bin = (1 << digit) - 1;
    for (;; --bin) {
      found.equal = 0;
      for (std::int64_t block = 0; block < blocks; ++block) found.equal += counts[block * bins + bin];
      if (found.above + found.equal >= k || bin == 0) break;
      found.above += found.equal;
    }
    found.value = found.value << digit | static_cast<std::uint64_t>(bin);
    if (ranks) candidates.least = found.value << shift;
  }
  return found;
}

}  // namespace

void top_k(In<Real> scores, In<int32_t> identity, In<int32_t> excluded, RandomKey key, Out<int32_t> positions) {
  Candidates candidates{scores, excluded};
  const std::int64_t available = scores.size - excluded.size;
  const std::int64_t k = positions.size < available ? positions.size : available;
  for (std::int64_t i = k < 0 ? 0 : k; i < positions.size; ++i) positions[i] = -1;
  if (k <= 0) return;

  const auto rank = [scores](std::int64_t position) { return static_cast<std::int64_t>(rank_of(scores[position])); };
  const Threshold score = select(candidates, 8 * sizeof(Real) - 1, k, true, rank);
  candidates.least = score.value;
  const auto limit = static_cast<std::int64_t>(score.value);
  std::int64_t tie_limit = -1, last_ties = 0;  // of ties above tie_limit all, of those at it the first `last_ties`
  if (score.above + score.equal > k) {
    const auto tie_rank = [rank, limit, order = TieRank{key, identity}](std::int64_t position) mutable {
      return rank(position) == limit ? order(position) : std::int64_t{-1};
    };
    const Threshold tie = select(candidates, 32, k - score.above, false, tie_rank);
    tie_limit = static_cast<std::int64_t>(tie.value);
    last_ties = k - score.above - tie.above;
  }

  // Count per block, then write every block at its place.
  const auto walk = [&](std::int64_t block, auto chosen, auto last_tie) {
    TieRank order{key, identity};
    candidates.each(block, [&](std::int64_t position) {
      const std::int64_t r = rank(position);
      if (r < limit) return;
      const std::int64_t tie = r > limit || tie_limit < 0 ? tie_limit + 1 : order(position);
      if (tie > tie_limit) chosen(position);
      else if (tie == tie_limit) last_tie(position);
    });
  };
  struct Count {
    std::int64_t chosen, last_ties;
  } counts[most_blocks];
  const bool parallel = scores.size > parallel_threshold;
  parallel_for(candidates.blocks(), parallel, [&](std::int64_t block) {
    Count count{0, 0};
    walk(block, [&](std::int64_t) { ++count.chosen; }, [&](std::int64_t) { ++count.last_ties; });
    counts[block] = count;
  });
  std::int64_t start[most_blocks], ties[most_blocks], written = 0;
  for (std::int64_t block = 0; block < candidates.blocks(); ++block) {
    start[block] = written;
    ties[block] = counts[block].last_ties < last_ties ? counts[block].last_ties : last_ties;
    last_ties -= ties[block];
    written += counts[block].chosen + ties[block];
  }
  parallel_for(candidates.blocks(), parallel, [&](std::int64_t block) {
    std::int64_t at = start[block], left = ties[block];
    walk(block, [&](std::int64_t position) { positions[at++] = static_cast<std::int32_t>(position); },
         [&](std::int64_t position) {
           if (left-- > 0) positions[at++] = static_cast<std::int32_t>(position);
         });
  });
}

}  // namespace easting::EASTING_VARIANT
