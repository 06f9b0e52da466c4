// Random crops and flips of an image, drawn alike on every device.
#pragma once
#include "random.h"

namespace easting {

// Row and column of the padded image that a crop starts at, and whether it is mirrored.
struct Crop {
  std::int32_t top, left;
  bool flipped;
};

// The crop of the image that stands at `index` of its set: neither batch order nor batch size changes it.
EASTING_BOTH inline Crop draw_crop(RandomKey key, std::int64_t index, std::int32_t padding, bool flip) {
  const Random4 four = random4(key, static_cast<std::uint64_t>(index));
  const std::uint32_t starts = 2 * static_cast<std::uint32_t>(padding) + 1;
  return {static_cast<std::int32_t>(four.v[1] % starts), static_cast<std::int32_t>(four.v[0] % starts),
          flip && (four.v[2] & 1)};
}

// Where output position `i` of a crop that starts at `start` of the padded side lies in the image; -1 is padding. The
// reflection does not repeat the edge.
EASTING_BOTH inline std::int32_t source(std::int32_t i, std::int32_t start, std::int32_t padding, std::int32_t side,
                                        bool reflect) {
  std::int32_t at = i + start - padding;
  if (!reflect) return at < 0 || at >= side ? -1 : at;
  if (side == 1) return 0;
  while (at < 0 || at >= side) at = at < 0 ? -at : 2 * side - 2 - at;
  return at;
}

}  // namespace easting
