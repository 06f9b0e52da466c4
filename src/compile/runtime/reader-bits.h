/* A program as bits, lowest first, that are read as they are; src/compile/program/bits.ts writes them. */

typedef struct {
  const uint8_t* bytes;
  uint32_t at;
} easting_stream;

/* Values base + unit * v, each v in `width` bits or, with `rice`, in Rice's code with that many low ones. */
typedef struct {
  int32_t base;
  uint32_t unit;
  uint8_t width, rice;
} easting_code;

typedef struct {
  const uint8_t* bits;
  uint32_t start; /* bit at which the steps begin */
} easting_tables;

typedef struct {
  easting_stream stream;
  easting_code codes[EASTING_KINDS];
} easting_reader;

/* The next 25 bits, and some more; four bytes behind the last one are there to be read. */
static uint32_t easting_peek(const easting_stream* stream) {
  const uint8_t* next = stream->bytes + (stream->at >> 3);
  const uint32_t low = (uint32_t)next[0] | (uint32_t)next[1] << 8;
  const uint32_t high = (uint32_t)next[2] | (uint32_t)next[3] << 8;
  return (low | high << 16) >> (stream->at & 7u);
}

/* At most 32 bits. */
static uint32_t easting_bits(easting_stream* stream, uint32_t count) {
  uint32_t value = 0, done = 0;
  if (count > 16u) {
    value = easting_peek(stream) & 0xffffu;
    done = 16u;
    stream->at += 16u;
  }
  value |= (easting_peek(stream) & ((1u << (count - done)) - 1u)) << done;
  stream->at += count - done;
  return value;
}

static uint32_t easting_rice(easting_stream* stream, uint32_t k) {
  uint32_t high = 0, next = easting_peek(stream), seen = 0;
  while ((next & 1u) != 0) {
    next >>= 1;
    high++;
    if (++seen < 24u) continue;
    stream->at += seen;
    seen = 0;
    next = easting_peek(stream);
  }
  stream->at += seen + 1u;
  return (high << k) | easting_bits(stream, k);
}

static void easting_open(easting_reader* reader, const easting_tables* tables) {
  reader->stream.bytes = tables->bits;
  reader->stream.at = tables->start;
}

static uint32_t easting_natural(easting_reader* reader) {
  return easting_bits(&reader->stream, easting_bits(&reader->stream, 6));
}

/* The codes of a step; a kind without one is 0. */
static void easting_read_codes(easting_reader* reader) {
  uint32_t kind;
  for (kind = 0; kind < EASTING_KINDS; kind++) {
    easting_code* code = &reader->codes[kind];
    const uint32_t coded = easting_bits(&reader->stream, 1);
    code->base = coded ? easting_unzigzag(easting_natural(reader)) : 0;
    code->unit = coded ? easting_natural(reader) : 0;
    code->width = (uint8_t)(coded ? easting_bits(&reader->stream, 5) : 0);
    code->rice = (uint8_t)(coded ? easting_bits(&reader->stream, 1) : 0);
  }
}

static int32_t easting_next(easting_reader* reader, uint32_t kind) {
  const easting_code* code = &reader->codes[kind];
  const uint32_t width = code->width;
  if (width == 0 && !code->rice) return code->base;
  return code->base +
         (int32_t)(code->unit * (code->rice ? easting_rice(&reader->stream, width) : easting_bits(&reader->stream, width)));
}

static easting_plane easting_input_plane(easting_reader* reader, uint32_t kind) {
  easting_plane plane;
  plane.at = (uint32_t)easting_next(reader, kind);
  plane.zero = (uint8_t)easting_next(reader, kind + 1u);
  return plane;
}

static easting_plane easting_output_plane(easting_reader* reader, uint32_t area) {
  (void)area;
  return easting_input_plane(reader, EASTING_OUTPUT);
}

/* Gaps between the positions of a tensor's weights. */
typedef struct {
  easting_stream stream;
  uint32_t k;
} easting_positions;

/* Those from weight `first` on. */
static void easting_open_positions(easting_positions* positions, easting_reader* reader, uint32_t first) {
  (void)first;
  positions->stream.bytes = reader->stream.bytes;
  positions->stream.at = easting_natural(reader);
  positions->k = easting_natural(reader);
}

static uint32_t easting_gap(easting_positions* positions) { return easting_rice(&positions->stream, positions->k); }
