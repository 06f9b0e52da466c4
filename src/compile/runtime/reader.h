/* Bits of a program, lowest first; src/compile/program/bit-writer.ts writes them. */

typedef struct {
  const uint8_t* bytes;
  uint32_t at;
} easting_reader;

/* Values base + unit * v, each v in `width` bits. */
typedef struct {
  int32_t base;
  uint32_t unit, width;
} easting_code;

/* The next 25 bits, and some more; four bytes behind the last one are there to be read. */
static uint32_t easting_peek(const easting_reader* reader) {
  const uint8_t* next = reader->bytes + (reader->at >> 3);
  const uint32_t low = (uint32_t)next[0] | (uint32_t)next[1] << 8;
  const uint32_t high = (uint32_t)next[2] | (uint32_t)next[3] << 8;
  return (low | high << 16) >> (reader->at & 7u);
}

/* At most 32 bits. */
static uint32_t easting_bits(easting_reader* reader, uint32_t count) {
  uint32_t value = 0, done = 0;
  if (count > 16u) {
    value = easting_peek(reader) & 0xffffu;
    done = 16u;
    reader->at += 16u;
  }
  value |= (easting_peek(reader) & ((1u << (count - done)) - 1u)) << done;
  reader->at += count - done;
  return value;
}

static int easting_flag(easting_reader* reader) { return easting_bits(reader, 1) != 0; }

static uint32_t easting_natural(easting_reader* reader) { return easting_bits(reader, easting_bits(reader, 6)); }

static int32_t easting_integer(easting_reader* reader) {
  const uint32_t value = easting_natural(reader);
  return (value & 1u) != 0 ? -(int32_t)(value >> 1) - 1 : (int32_t)(value >> 1);
}

static uint32_t easting_rice(easting_reader* reader, uint32_t k) {
  uint32_t high = 0, next = easting_peek(reader), seen = 0;
  while ((next & 1u) != 0) {
    next >>= 1;
    high++;
    if (++seen < 24u) continue;
    reader->at += seen;
    seen = 0;
    next = easting_peek(reader);
  }
  reader->at += seen + 1u;
  return (high << k) | easting_bits(reader, k);
}

static easting_code easting_read_code(easting_reader* reader) {
  easting_code code;
  code.base = easting_integer(reader);
  code.unit = easting_natural(reader);
  code.width = easting_bits(reader, 6);
  return code;
}

static int32_t easting_coded(easting_reader* reader, const easting_code* code) {
  return code->base + (int32_t)(code->unit * easting_bits(reader, code->width));
}
