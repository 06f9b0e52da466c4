#include "model.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../cpu/parallel.h"
#include "../memory.h"

namespace easting::inference {
namespace {

// Rows are handed out to threads where a step takes longer than waking them, about 20 microseconds.
constexpr std::uint32_t parallel_cost = 20000, task_cost = 4000;

// A network's numbers are floats or integers of 32 bits, in the same memory.
float* floats(void* arena) { return static_cast<float*>(arena); }
std::int32_t* integers(void* arena) { return static_cast<std::int32_t*>(arena); }

void write_image(const Kernels& kernels, const ImageFormat& image, const Program& program, const void* pixels,
                 Pixels form, std::int64_t lane, void* arena) {
  const std::int64_t height = image.height, width = image.width, area = height * width;
  const std::int64_t pitch = program.image_pitch, pixel = program.pixel;
  for (std::int64_t c = 0; c < image.channels; ++c) {
    const std::int64_t at = program.image[c] + lane;
    if (form == Pixels::normalized) {
      const float* from = static_cast<const float*>(pixels) + c * area;
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) floats(arena)[at + (y * pitch + x) * pixel] = from[y * width + x];
      continue;
    }
    const std::int64_t step = form == Pixels::hwc ? image.channels : 1;
    const auto* from = static_cast<const std::uint8_t*>(pixels) + (form == Pixels::hwc ? c : c * area);
    if (image.integer())
      kernels.write_bytes_i32(from, step, height, width, image.zeros[c], integers(arena) + at, pitch, pixel);
    else
      kernels.write_bytes_f32(from, step, height, width, 1 / (255 * image.std[c]), -image.mean[c] / image.std[c],
                              floats(arena) + at, pitch, pixel);
  }
}

void run_step(const Kernels& kernels, bool integer, const Program& program, const Step& step, bool parallel,
              void* arena) {
  const std::int64_t tasks = parallel && step.cost >= parallel_cost ? std::min(step.rows, step.cost / task_cost) : 1;
  parallel_for(tasks, tasks > 1, [&](std::int64_t task) {
    const std::int64_t begin = step.rows * task / tasks, count = step.rows * (task + 1) / tasks - begin;
    const Row* rows = program.rows.data() + step.first + begin;
    const Tap* taps = program.taps.data();
    if (integer) kernels.run_rows_i32(step, rows, count, taps, program.pixel, integers(arena));
    else kernels.run_rows_f32(step, rows, count, taps, program.pixel, floats(arena));
  });
}

}  // namespace

Model::Model(const Kernels& kernels, ImageFormat image, std::vector<Program> programs)
    : kernels_(kernels), image_(std::move(image)), programs_(std::move(programs)), arenas_(programs_.size()) {
  for (const Program& program : programs_) verify(program, image_);
}

Model::~Model() {
  for (auto& arenas : arenas_)
    for (void* arena : arenas) release(Device::cpu, arena);
}

void* Model::arena(std::size_t index, std::size_t thread) {
  const Program& program = programs_[index];
  auto& arenas = arenas_[index];
  while (arenas.size() <= thread) {
    arenas.reserve(arenas.size() + 1);
    const std::size_t bytes = program.arena * sizeof(Bits);
    void* memory = allocate(Device::cpu, bytes);
    arenas.push_back(memory);
    std::memset(memory, 0, bytes);  // borders are zero from the start
    const Bits* from = program.constants.data();
    for (const auto& [place, size] : program.constant_runs) {
      std::memcpy(static_cast<Bits*>(memory) + place, from, size * sizeof(Bits));
      from += size;
    }
  }
  return arenas[thread];
}

// Large tiles first; what is left goes one by one, or into a tile that it fills by more than half.
std::vector<Model::Tile> Model::tiles(std::int64_t count) const {
  std::vector<Tile> found;
  for (std::int64_t first = 0; first < count;) {
    std::size_t index = programs_.size() - 1;
    while (index > 0 && 2 * (count - first) <= programs_[index].pixel) --index;
    const std::int64_t images = std::min(programs_[index].pixel, count - first);
    found.push_back({index, first, images});
    first += images;
  }
  return found;
}

void Model::run(const void* pixels, Pixels form, std::int64_t count, Bits* logits) {
  const std::vector<Tile> work = tiles(count);
  const std::int64_t total = static_cast<std::int64_t>(work.size());
  // Threads share the tiles, or where there are too few of them the rows of each step.
  const std::int64_t shares = total >= thread_count() ? thread_count() : 1;
  for (std::int64_t share = 0; share < shares; ++share)
    for (const Tile& tile : work) arena(tile.program, share);
  const std::size_t bytes = image_.size() * (form == Pixels::normalized ? sizeof(float) : 1);
  parallel_for(shares, shares > 1, [&](std::int64_t share) {
    for (std::int64_t i = total * share / shares; i < total * (share + 1) / shares; ++i) {
      const Tile& tile = work[i];
      const Program& program = programs_[tile.program];
      void* memory = arenas_[tile.program][share];
      for (std::int64_t lane = 0; lane < tile.count; ++lane)
        write_image(kernels_, image_, program, static_cast<const std::byte*>(pixels) + (tile.first + lane) * bytes, form,
                    lane, memory);
      for (const Step& step : program.steps) run_step(kernels_, image_.integer(), program, step, shares == 1, memory);
      for (std::int64_t lane = 0; lane < tile.count; ++lane)
        for (std::int64_t c = 0; c < classes(); ++c)
          std::memcpy(logits + (tile.first + lane) * classes() + c,
                      static_cast<const Bits*>(memory) + program.logits[c] + lane, sizeof(Bits));
    }
  });
}

}  // namespace easting::inference
