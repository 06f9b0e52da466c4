// A loaded network: its programs, and the memory that runs of them take.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "program.h"

namespace easting::inference {

// The kernels of the variant that this processor runs.
struct Kernels {
  void (*run_rows_f32)(const Step&, const Row*, std::int64_t, const Tap*, std::int64_t, float*);
  void (*run_rows_i32)(const Step&, const Row*, std::int64_t, const Tap*, std::int64_t, std::int32_t*);
  void (*write_bytes_f32)(const std::uint8_t*, std::int64_t, std::int64_t, std::int64_t, float, float, float*,
                          std::int64_t, std::int64_t);
  void (*write_bytes_i32)(const std::uint8_t*, std::int64_t, std::int64_t, std::int64_t, std::int32_t, std::int32_t*,
                          std::int64_t, std::int64_t);
};

struct ImageFormat {
  std::int64_t channels, height, width;
  std::vector<float> mean, std;     // of pixels from 0 to 1
  std::vector<std::int32_t> zeros;  // of bytes, for a network in i32; empty for one in f32
  std::int64_t size() const { return channels * height * width; }
  bool integer() const { return !zeros.empty(); }
};

// Bytes [h][w][c] or [c][h][w], or floats [c][h][w] that are normalised already.
enum class Pixels { hwc, chw, normalized };

// One way of running the network: on `pixel` images at once, which lie side by side in every pixel.
struct Program {
  std::int64_t pixel, arena;  // arena: its size in numbers
  std::int64_t image_pitch;
  std::vector<std::uint32_t> image, logits;  // where these planes are
  std::vector<Step> steps;
  std::vector<Row> rows;
  std::vector<Tap> taps;
  std::vector<Run> constant_runs;  // what no step writes
  std::vector<Bits> constants;     // of one run after the other
};

// Throws std::invalid_argument if a run would touch anything outside the arena.
void verify(const Program& program, const ImageFormat& image);

class Model {
 public:
  // Programs by number of images, the first for one image.
  Model(const Kernels& kernels, ImageFormat image, std::vector<Program> programs);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ImageFormat& image() const { return image_; }
  std::int64_t classes() const { return static_cast<std::int64_t>(programs_[0].logits.size()); }
  // Logits [image][class] of `count` images, f32 or i32 as the network. On the queue's thread only.
  void run(const void* pixels, Pixels form, std::int64_t count, Bits* logits);

 private:
  struct Tile {
    std::size_t program;
    std::int64_t first, count;  // its images
  };
  std::vector<Tile> tiles(std::int64_t count) const;
  void* arena(std::size_t program, std::size_t thread);

  const Kernels kernels_;
  const ImageFormat image_;
  const std::vector<Program> programs_;
  std::vector<std::vector<void*>> arenas_;  // of each program, one per thread that has needed one
};

}  // namespace easting::inference
