/* A program as lists of numbers of one kind, in memory; src/compile/program/columns.ts writes them, decoder.h puts them there. */

enum { EASTING_HEAD = EASTING_KINDS, EASTING_POSITION, EASTING_WEIGHT, EASTING_COLUMNS };

typedef struct {
  const uint8_t* coded;
  int32_t* columns; /* one behind another */
  uint32_t* places; /* of every plane, its own once it is made */
  uint32_t counts[EASTING_COLUMNS];
} easting_tables;

typedef struct {
  const int32_t* next[EASTING_COLUMNS];
  const int32_t* zeros;
  uint32_t* places;
  uint32_t planes, end; /* planes that are there, and the end of the latest */
} easting_reader;

static uint32_t easting_natural(easting_reader* reader) { return (uint32_t)*reader->next[EASTING_HEAD]++; }

static void easting_read_codes(easting_reader* reader) { (void)reader; }

static int32_t easting_next(easting_reader* reader, uint32_t kind) { return *reader->next[kind]++; }

static easting_plane easting_numbered(const easting_reader* reader, uint32_t number) {
  easting_plane plane;
  plane.at = reader->places[number];
  plane.zero = (uint8_t)reader->zeros[number];
  return plane;
}

static easting_plane easting_input_plane(easting_reader* reader, uint32_t kind) {
  return easting_numbered(reader, (uint32_t)easting_next(reader, kind));
}

/* Of `area` pixels, behind the plane before it or elsewhere. */
static easting_plane easting_output_plane(easting_reader* reader, uint32_t area) {
  const uint32_t at = reader->end + (uint32_t)easting_next(reader, EASTING_OUTPUT);
  reader->places[reader->planes] = at;
  reader->end = at + area;
  return easting_numbered(reader, reader->planes++);
}

static void easting_open(easting_reader* reader, const easting_tables* tables) {
  const int32_t* column = tables->columns;
  uint32_t kind, channels, area;
  for (kind = 0; kind < EASTING_COLUMNS; kind++) {
    reader->next[kind] = column;
    column += tables->counts[kind];
  }
  reader->zeros = reader->next[EASTING_OUTPUT_ZERO];
  reader->places = tables->places;
  reader->planes = reader->end = 0;
  channels = easting_natural(reader);
  area = easting_natural(reader);
  for (; channels > 0; channels--) easting_output_plane(reader, area);
}

/* Gaps between the positions of a tensor's weights. */
typedef struct {
  const int32_t* next;
} easting_positions;

/* Those from weight `first` on. */
static void easting_open_positions(easting_positions* positions, easting_reader* reader, uint32_t first) {
  positions->next = reader->next[EASTING_POSITION] + first;
}

static uint32_t easting_gap(easting_positions* positions) { return (uint32_t)*positions->next++; }
