#include "../../kernels.h"
#include "../vector.h"

#include <stdexcept>

#include "../../crop.h"

namespace easting::EASTING_VARIANT {
namespace {

// One image of the batch: its pixels, the row its crop starts at, and which list of columns it uses.
struct Draw {
  const std::uint8_t* pixels;
  std::int32_t top, columns;
};

}  // namespace

// Padding is pixel value 0 (before normalisation) or a reflection.
void augment(In<std::uint8_t> images, In<std::int32_t> indices, In<Real> mean, In<Real> deviation, ConvShape shape,
             bool reflect, bool flip, bool random, RandomKey key, Out<Stored> y) {
  const std::int64_t n = shape.n, image = std::int64_t{shape.c} * shape.h * shape.w;
  const std::int32_t padding = shape.padding, starts = 2 * padding + 1, width = shape.w;
  const std::int64_t count = images.size / image;
  Draw* draws = static_cast<Draw*>(scratch(0, n * sizeof(Draw)));
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t index = indices[k];
    if (index < 0 || index >= count)
      throw std::invalid_argument("augment: expected indices of images that the set holds, got another");
    const Crop crop = random ? draw_crop(key, index, padding, flip) : Crop{padding, padding, false};
    draws[k] = {images.data + index * image, crop.top, (crop.left * 2 + crop.flipped) * width};
  }
  // Lists of source columns, one for each start and flip.
  const std::size_t lists = 2 * static_cast<std::size_t>(starts);
  std::int32_t* columns = static_cast<std::int32_t*>(scratch(1, lists * width * sizeof(std::int32_t)));
  for (std::int32_t list = 0; list < 2 * starts; ++list)
    for (std::int32_t i = 0; i < width; ++i)
      columns[list * width + i] = source(list % 2 ? width - 1 - i : i, list / 2, padding, width, reflect);

  parallel_for(std::int64_t{shape.c} * shape.h, y.size >= parallel_threshold, [=](std::int64_t task) {
    const std::int64_t channel = task / shape.h;
    const std::int32_t ho = static_cast<std::int32_t>(task % shape.h);
    Real value[256];  // normalised, for each pixel value
    const double center = static_cast<double>(mean[channel]), spread = static_cast<double>(deviation[channel]);
    for (int v = 0; v < 256; ++v) value[v] = static_cast<Real>((v / 255.0 - center) / spread);
    const std::uint8_t** rows = static_cast<const std::uint8_t**>(scratch(2, n * sizeof(std::uint8_t*)));
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int32_t hi = source(ho, draws[k].top, padding, shape.h, reflect);
      rows[k] = hi < 0 ? nullptr : draws[k].pixels + (channel * shape.h + hi) * width;
    }
    for (std::int32_t wo = 0; wo < width; ++wo) {
      Stored* to = y.data + (task * width + wo) * n;
      for (std::int64_t k = 0; k < n; ++k) {
        const std::int32_t wi = columns[draws[k].columns + wo];
        to[k] = value[rows[k] && wi >= 0 ? rows[k][wi] : 0];
      }
    }
  });
}

}  // namespace easting::EASTING_VARIANT
