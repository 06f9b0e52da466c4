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

void write_image(const Kernels& kernels, const ImageFormat& image, const Program& program, const void* pixels,
                 Pixels form, std::int64_t lane, float* arena) {
  const auto [channels, height, width, mean, std] = image;
  for (std::int64_t c = 0; c < channels; ++c) {
    float* plane = arena + program.image[c] + lane;
    if (form == Pixels::normalized) {
      const float* from = static_cast<const float*>(pixels) + c * height * width;
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
          plane[(y * program.image_pitch + x) * program.pixel] = from[y * width + x];
      continue;
    }
    const bool interleaved = form == Pixels::hwc;
    const auto* from = static_cast<const std::uint8_t*>(pixels) + (interleaved ? c : c * height * width);
    kernels.write_bytes(from, interleaved ? channels : 1, height, width, 1 / (255 * std[c]), -mean[c] / std[c], plane,
                        program.image_pitch, program.pixel);
  }
}

void run_step(const Kernels& kernels, const Program& program, const Step& step, bool parallel, float* arena) {
  const Row* rows = program.rows.data() + step.first;
  const std::int64_t tasks = parallel && step.cost >= parallel_cost ? std::min(step.rows, step.cost / task_cost) : 1;
  parallel_for(tasks, tasks > 1, [&](std::int64_t task) {
    const std::int64_t begin = step.rows * task / tasks, end = step.rows * (task + 1) / tasks;
    kernels.run_rows(step, rows + begin, end - begin, program.taps.data(), program.pixel, arena);
  });
}

}  // namespace

Model::Model(const Kernels& kernels, ImageFormat image, std::vector<Program> programs)
    : kernels_(kernels), image_(std::move(image)), programs_(std::move(programs)), arenas_(programs_.size()) {
  for (const Program& program : programs_) verify(program, image_);
}

Model::~Model() {
  for (auto& arenas : arenas_)
    for (float* arena : arenas) release(Device::cpu, arena);
}

float* Model::arena(std::size_t index, std::size_t thread) {
  const Program& program = programs_[index];
  auto& arenas = arenas_[index];
  while (arenas.size() <= thread) {
    arenas.reserve(arenas.size() + 1);
    const std::size_t bytes = program.arena * sizeof(float);
    auto* memory = static_cast<float*>(allocate(Device::cpu, bytes));
    arenas.push_back(memory);
    std::memset(memory, 0, bytes);  // borders are zero from the start
    const float* from = program.constants.data();
    for (const auto& [place, size] : program.constant_runs) {
      std::copy(from, from + size, memory + place);
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

void Model::run(const void* pixels, Pixels form, std::int64_t count, float* logits) {
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
      float* memory = arenas_[tile.program][share];
      for (std::int64_t lane = 0; lane < tile.count; ++lane)
        write_image(kernels_, image_, program, static_cast<const std::byte*>(pixels) + (tile.first + lane) * bytes, form,
                    lane, memory);
      for (const Step& step : program.steps) run_step(kernels_, program, step, shares == 1, memory);
      for (std::int64_t lane = 0; lane < tile.count; ++lane)
        for (std::int64_t c = 0; c < classes(); ++c)
          logits[(tile.first + lane) * classes() + c] = memory[program.logits[c] + lane];
    }
  });
}

}  // namespace easting::inference
