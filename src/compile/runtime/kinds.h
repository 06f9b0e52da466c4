/* What the numbers of a program are, in the order of src/compile/program/kinds.ts. */
enum {
  EASTING_INPUT_GAP,
  EASTING_INPUT,
  EASTING_INPUT_ZERO,
  EASTING_CHANNEL_GAP,
  EASTING_OUTPUT,
  EASTING_OUTPUT_ZERO,
  EASTING_BORDERED,
  EASTING_LAYOUT,
  EASTING_MULTIPLIER,
  EASTING_SHIFT,
  EASTING_BIAS,
  EASTING_HAS_RESIDUAL,
  EASTING_SOURCE,
  EASTING_SOURCE_ZERO,
  EASTING_FACTOR,
  EASTING_CHANGED,
  EASTING_OFFSET,
  EASTING_FLOORED,
  EASTING_FLOOR,
  EASTING_KINDS /* of a step's rows; beyond them those that only columns.ts has */
};

/* Where a plane is in the arena, and its pixel for 0. */
typedef struct {
  uint32_t at;
  uint8_t zero;
} easting_plane;

/* 0, 1, 2, 3, 4 ... for 0, -1, 1, -2, 2 ... */
static int32_t easting_unzigzag(uint32_t value) {
  return (value & 1u) != 0 ? -(int32_t)(value >> 1) - 1 : (int32_t)(value >> 1);
}
