#include <stdexcept>

#include "model.h"

namespace easting::inference {
namespace {

void check(bool holds) {
  if (!holds) throw std::invalid_argument("inference: expected a program that stays within its arena");
}

struct Bounds {
  std::int64_t arena, pixel;
  // Rows of pixels, the last one `width` long.
  void plane(std::uint32_t at, std::int64_t height, std::int64_t width, std::int64_t pitch) const {
    check(height > 0 && width > 0 && at <= arena && ((height - 1) * pitch + width) * pixel <= arena - at);
  }
  void run(std::uint32_t at, std::int64_t vectors) const { check(at <= arena && 16 * vectors <= arena - at); }
};

void check_row(const Program& program, const Step& s, const Row& row) {
  const Bounds bounds{program.arena, program.pixel};
  switch (s.op) {
    case Op::convolution:
      bounds.run(row.output, s.vectors);
      check(row.first <= program.taps.size() && row.count <= program.taps.size() - row.first);
      for (std::uint32_t k = 0; k < row.count; ++k) bounds.run(program.taps[row.first + k].at, s.vectors);
      if (row.residual != nowhere) bounds.run(row.residual, s.vectors);
      check(row.shift >= 0 && row.shift < 31);
      break;
    case Op::split:
      bounds.plane(row.output, std::int64_t{s.height} + s.bottom, s.pitch, s.pitch);
      check(s.stride > 0 && s.left <= s.pitch && row.first < s.stride && row.count < s.stride);
      bounds.plane(row.residual, s.in_height, s.in_width, s.in_pitch);
      break;
    case Op::max_pool:
      check(s.stride > 0 && s.kernel > 0 && s.padding < s.kernel);
      [[fallthrough]];
    case Op::average_pool:
      bounds.plane(row.output, s.height, s.width, s.pitch);
      check(row.shift >= 0 && row.shift < 31);
      bounds.plane(row.residual, s.in_height, s.in_width, s.in_pitch);
      break;
  }
  if (row.halo && s.op != Op::split) {
    bounds.run(row.output, std::int64_t{s.vectors} + 1);
    check(s.width <= s.pitch && s.height * std::int64_t{s.pitch} * program.pixel <= 16 * std::int64_t{s.vectors});
  }
}

}  // namespace

void verify(const Program& program, const ImageFormat& image) {
  const Bounds bounds{program.arena, program.pixel};
  check(program.pixel > 0 && program.pixel <= 64 && program.arena > 0 && program.arena <= std::int64_t{nowhere});
  check(static_cast<std::int64_t>(program.image.size()) == image.channels && !program.logits.empty());
  check(static_cast<std::int64_t>(image.mean.size()) == image.channels && image.mean.size() == image.std.size());
  check(!image.integer() || image.zeros.size() == image.mean.size());
  for (const std::uint32_t at : program.image) bounds.plane(at, image.height, image.width, program.image_pitch);
  for (const std::uint32_t at : program.logits) bounds.plane(at, 1, 1, 1);
  std::size_t constants = 0;
  for (const auto& [at, size] : program.constant_runs) {
    check(at <= program.arena && size <= program.arena - at);
    constants += size;
  }
  check(constants == program.constants.size());
  for (const Step& step : program.steps) {
    check(step.op <= Op::average_pool && step.first <= program.rows.size() &&
          step.rows <= program.rows.size() - step.first);
    for (std::uint32_t i = 0; i < step.rows; ++i) check_row(program, step, program.rows[step.first + i]);
  }
}

}  // namespace easting::inference
